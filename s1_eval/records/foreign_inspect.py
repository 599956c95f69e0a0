"""What an Inspect log of a task that is not ours says of a sample: reasoning that a provider kept
apart, token counts from its usage, the verdict of the log's scorer.
"""

from __future__ import annotations

from typing import Any

_VERDICTS = {"C": True, "I": False, "N": False, 1: True, 0: False}
"""Inspect's values of a score that is right or wrong. Partly right (P) is neither."""

_LENGTHS = {"low": "short", "medium": "default", "high": "long"}
"""Of a reasoning effort, as our own class-conditional control asks for one."""

_CUT = {"max_tokens": "budget", "model_length": "context"}


def recorded(log: Any, sample: Any) -> dict[str, Any]:
    """Fields of the sample record. log, sample: Inspect's `EvalLog` and `EvalSample`."""
    output = sample.output
    config = log.eval.model_generate_config.merge(log.plan.config)
    target = sample.target if isinstance(sample.target, str) else ", ".join(sample.target)
    given: dict[str, Any] = {
        "model": log.eval.model,
        "task": log.eval.task,
        "sample_id": str(sample.id),
        "epoch": sample.epoch,
        "target": target,
        **_method(config),
        **_texts(output),
    }
    usage = output.usage
    if usage is not None and usage.reasoning_tokens is not None:
        given["thinking_tokens"] = usage.reasoning_tokens
        given["answer_tokens"] = max(0, usage.output_tokens - usage.reasoning_tokens)
        given["generated_tokens"] = usage.output_tokens
    if config.max_tokens is not None:
        given["most_tokens"] = config.max_tokens
    if "thinking" in given:
        given["exit_reason"] = _exit(output.stop_reason, bool(given["response"]), config)
    scores = list((sample.scores or {}).values())
    if len(scores) == 1 and _known(scores[0].value):
        given["correct"] = _VERDICTS[scores[0].value]
        if scores[0].answer is not None:
            given["answer"] = scores[0].answer
    return given


def _exit(stop: str, answered: bool, config: Any) -> str:
    """Why reasoning that a provider kept apart ended. With an answer behind it nothing else cut it,
    unless the provider holds it to a number of tokens, whose workings it does not tell."""
    if not answered:
        return _CUT.get(stop, "unknown")
    return "natural" if config.reasoning_tokens is None else "unknown"


def _known(value: Any) -> bool:
    return isinstance(value, str | int | float) and value in _VERDICTS


def _method(config: Any) -> dict[str, Any]:
    """What the provider was asked for: a number of reasoning tokens, or an effort."""
    if config.reasoning_tokens is not None:
        tokens = config.reasoning_tokens
        return {"method": "token_conditional", "tokens": tokens, "budget": tokens}
    if config.reasoning_effort is not None:
        length = _LENGTHS.get(config.reasoning_effort, config.reasoning_effort)
        return {"method": "class_conditional", "length": length}
    return {"method": "plain"}


def _texts(output: Any) -> dict[str, Any]:
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
