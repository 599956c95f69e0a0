"""What an Inspect log of a task that is not ours says of a sample: reasoning that a provider kept
apart, token counts from its usage, the verdict of the log's scorer, the error or limit that ended
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from s1_eval.errors import UserError
from s1_eval.records.foreign_rows import LABELS, Given
from s1_eval.records.located import KEY, VERDICT
from s1_eval.records.sample import SampleRow
from s1_eval.thinking import CUT, AnswerExit

_RIGHT, _WRONG = ("C", "yes", "true", 1), ("I", "N", "no", "false", 0)
"""What Inspect's own metrics count as 1 or 0. Partly right (P) is neither."""

_LENGTHS = {"low": "short", "medium": "default", "high": "long"}
"""Of a reasoning effort, as our own class-conditional control asks for one."""

ANSWER_EXITS: Mapping[str | None, AnswerExit] = {
    "stop": "eos",
    "max_tokens": "budget",
    "model_length": "context",
}
"""Why an answer ended, by Inspect's stop reason; for others it is not known."""


def recorded(log: Any, sample: Any) -> Given:
    """Fields of the sample record. log, sample: Inspect's `EvalLog` and `EvalSample`."""
    output = sample.output
    config = log.eval.model_generate_config.merge(log.plan.config)
    given: Given = {
        "model": log.eval.model,
        "task": log.eval.task,
        "sample_id": str(sample.id),
        "epoch": sample.epoch,
        "target": target_of(sample),
        "question": question_of(sample),
        LABELS: labels_of(sample),
        **_method(config),
        **_texts(output),
    }
    usage = output.usage
    if usage is not None:
        given |= read_tokens(usage)
    if output.time is not None:
        given["seconds"] = output.time
    if usage is not None and usage.reasoning_tokens is not None:
        given["thinking_tokens"] = usage.reasoning_tokens
        given["answer_tokens"] = max(0, usage.output_tokens - usage.reasoning_tokens)
        given["generated_tokens"] = usage.output_tokens
    if config.max_tokens is not None:
        given["most_tokens"] = config.max_tokens
    if "thinking" in given:
        given["exit_reason"] = thinking_exit(
            output.stop_reason, bool(given["response"]), config.reasoning_tokens is not None
        )
    if output.choices:
        given["answer_exit"] = ANSWER_EXITS.get(output.stop_reason)
    if ours := our_verdict(sample):
        return given | {name: ours[name] for name in ("correct", "answered", "answer")}
    scores = list((sample.scores or {}).values())
    if len(scores) == 1 and (correct := _right(scores[0].value)) is not None:
        given["correct"] = correct
        if scores[0].answer is not None:
            given["answer"] = scores[0].answer
    return given


def our_verdict(sample: Any) -> dict[str, Any] | None:
    """What our scorer left of a sample: a whole record, with its `run`, on a task of ours, else the
    verdict with the `grader`. None where it did not score it."""
    left = [score.metadata for score in (sample.scores or {}).values() if score.metadata]
    found = (each for name in (KEY, VERDICT) for each in (m.get(name) for m in left))
    ours = next((each for each in found if isinstance(each, dict)), None)
    return None if ours is None else dict(ours)


def thinking_exit(stop: str | None, answered: bool, held: bool) -> str:
    """Why reasoning that a provider kept apart ended. With an answer behind it nothing else cut it,
    unless the provider holds it to a number of tokens, whose workings it does not tell.

    stop: Inspect's stop reason. held: whether the provider was given such a number."""
    if not answered:
        exit = ANSWER_EXITS.get(stop)
        return exit if exit in CUT else "unknown"
    return "unknown" if held else "natural"


def verdict(sample: Any, row: SampleRow, where: str) -> Mapping[str, Any]:
    """The verdict of the log's own scorer on a sample that a solver of ours answered with
    `row["response"]`. Raises UserError where there is not one scorer that says right or wrong."""
    scores = sample.scores or {}
    if len(scores) != 1:
        raise UserError(
            f"{where} has scores of {', '.join(scores)}: say whose count, e.g. --columns "
            f"correct=scores.{next(iter(scores))}.value:C"
            if scores
            else f"{where} was not scored: run `inspect score` on the log, or add --regrade GRADER"
        )
    [(name, score)] = scores.items()
    found = judgement(score.value, score.answer, row["response"])
    if found["correct"] is None:
        raise UserError(
            f"{where}: the score of {name} is {score.value!r:.100}, neither right nor wrong: say "
            f"which values are right, e.g. --columns correct=scores.{name}.value:C"
        )
    return found


def judgement(value: Any, answer: str | None, response: str) -> dict[str, Any]:
    """What a score says, as fields of a row: `correct` is None where the value means neither.

    answer: what the scorer took for the answer, None where it does not tell.
    """
    correct, answer = _right(value), response.strip() if answer is None else answer
    answered = bool(correct) or bool(response.strip() and answer.strip())
    return {"correct": correct, "answered": answered, "answer": answer}


def ended_by(sample: Any) -> dict[str, str]:
    """The `error` or `limit` that ended the sample, for its record; empty if it went through."""
    if sample.error is not None:
        return {"error": sample.error.message[:1000]}
    if sample.limit is not None:
        return {"limit": f"{sample.limit.type} {sample.limit.limit:g}"}
    return {}


def question_of(sample: Any) -> str:
    """The last user message of what the sample asks, without the fence that a task of ours puts
    around it for Inspect View."""
    ours = (sample.metadata or {}).get(KEY)
    if isinstance(ours, dict) and isinstance(ours.get("question"), str):
        return str(ours["question"])
    if isinstance(sample.input, str):
        return sample.input
    return next((each.text for each in reversed(sample.input) if each.role == "user"), "")


def labels_of(sample: Any) -> dict[str, Any]:
    """What a task of ours says of the question, as fields of its row."""
    ours = (sample.metadata or {}).get(KEY)
    return dict(ours.get("sample", {})) if isinstance(ours, dict) else {}


def target_of(sample: Any) -> str:
    """The target; several of them as one text."""
    return sample.target if isinstance(sample.target, str) else ", ".join(sample.target)


def tokens_of(sample: Any) -> dict[str, int]:
    """Token counts of a sample that ended early, as far as the models' usage says."""
    used = list(sample.model_usage.values())
    generated = sum(usage.output_tokens for usage in used)
    thinking = sum(usage.reasoning_tokens or 0 for usage in used)
    return {
        "thinking_tokens": thinking,
        "answer_tokens": max(0, generated - thinking),
        "generated_tokens": generated,
    }


def read_tokens(usage: Any) -> dict[str, int]:
    """`prompt_tokens` and `cached_tokens` of Inspect's `ModelUsage`, whose input tokens are those
    at the full price; nothing where it counts none."""
    cached, written = usage.input_tokens_cache_read or 0, usage.input_tokens_cache_write or 0
    whole = usage.input_tokens + cached + written
    return {"prompt_tokens": whole, "cached_tokens": cached} if whole else {}


def _right(value: Any) -> bool | None:
    """Whether a score's value means right; None where it is neither right nor wrong."""
    if isinstance(value, str) and value not in (*_RIGHT, *_WRONG):
        with suppress(ValueError):  # Inspect's metrics take numbers as texts too
            return _right(float(value))
        value = value.lower()
    return True if value in _RIGHT else False if value in _WRONG else None


def _method(config: Any) -> Mapping[str, Any]:
    """What the provider was asked for: a number of reasoning tokens, or an effort."""
    if config.reasoning_tokens is not None:
        tokens = config.reasoning_tokens
        return {"method": "token_conditional", "tokens": tokens, "budget": tokens}
    if config.reasoning_effort is not None:
        length = _LENGTHS.get(config.reasoning_effort, config.reasoning_effort)
        return {"method": "class_conditional", "length": length}
    return {"method": "plain"}


def _texts(output: Any) -> Mapping[str, Any]:
    """Thinking and response where they are apart, else the transcript that holds both."""
    if not output.choices:
        return {}
    content = output.choices[0].message.content
    if isinstance(content, str):
        return {"transcript": content}
    thinking = [part.reasoning for part in content if part.type == "reasoning"]
    texts = [part.text for part in content if part.type == "text"]
    if not thinking:
        return {"transcript": "\n".join(texts)}
    return {"thinking": "\n".join(thinking), "response": "\n".join(texts)}
