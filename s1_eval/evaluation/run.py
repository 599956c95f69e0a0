"""The one path of a question: policy, method, grade, record. Every adapter takes it, so the same
question under the same settings gives the same row in Inspect, in lm-eval and in a sweep.
"""

from __future__ import annotations

import asyncio
import atexit
import dataclasses
import functools
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal, TypeVar

from s1_eval.answers import Grader, Verdict
from s1_eval.answers.cut import grade_ended
from s1_eval.engines import Engine, Sampling
from s1_eval.engines.table import preview
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import SameText, Sample, grader_data, open_grader
from s1_eval.methods import METHODS, Policy, Question
from s1_eval.methods.spill import answer_counts
from s1_eval.records.hardware import hardware
from s1_eval.records.run import RunRecord, run_record
from s1_eval.records.sample import SampleRow, as_row, sample_row
from s1_eval.thinking import AS_IT_IS, CUT, Message, Outcome, has_template
from s1_eval.typed import flat
from s1_eval.verifiers import Verifier
from s1_eval.verifiers.table import VerifierSpec, open_verifier

_LOGGER = logging.getLogger(__name__)

Prompts = Literal["auto", "chat", "raw"]
"""What becomes of a prompt: `chat` puts it into the chat template, `raw` gives the text as it is,
and `auto` is `chat` where the model has a template."""


@dataclass(frozen=True, slots=True)
class Dials:
    """What a harness asks of a model's own dials for thinking: a level of effort, and a number of
    tokens. None leaves one alone."""

    effort: str | None = None
    tokens: int | None = None


NO_DIALS = Dials()

PACKAGES = {"inspect": "inspect_ai", "lm-eval": "lm_eval"}
"""The package whose version a record names, by harness; a sweep of ours has none."""


@dataclass(frozen=True, slots=True)
class Run:
    """One method with its settings on one engine, asked the questions of one benchmark.

    policy: the engine with its delimiters; its sampling carries the run's seed.
    record: the run record, see `s1_eval.records.run`.
    raw: questions are text to go on with, see `Question`.
    """

    policy: Policy
    method: str
    settings: Any
    grader: Grader
    record: RunRecord
    raw: bool = False

    async def solve(
        self, sample: Sample, epoch: int, before: Sequence[Message] = ()
    ) -> tuple[Outcome, SampleRow]:
        """The outcome of one question and its sample record, not graded yet: `response` is what
        is to be graded.

        epoch: from 1. It and the question's id are all that the seed depends on.
        before: what was said before the question, see `Question`.
        """
        question = Question(sample.id, sample.prompt, self.grader, tuple(before), self.raw)
        policy = self.policy.fork(sample.id, epoch)
        began = time.perf_counter()
        outcome = await METHODS[self.method].run(policy, question, self.settings)
        row = sample_row(
            self.record,
            outcome,
            sample_id=sample.id,
            epoch=epoch,
            target=sample.target,
            answer="",
            correct=False,
            answered=False,
            seconds=time.perf_counter() - began,
            seed=policy.sampling.seed,
            with_traces=True,
            decode=policy.decode,
        )
        nudged = flat(self.settings).get("nudge_after_eos", False)
        counts = answer_counts(policy, outcome, nudged)
        return outcome, as_row({**row, **counts, "response": outcome.answer})


def open_run(
    engine: Engine,
    *,
    harness: str,
    about: Mapping[str, Any],
    method: str,
    settings: Any,
    sampling: Sampling,
    verifier: Verifier | None = None,
    command: Sequence[str] | None = None,
    planned_samples: int | None = None,
    prompting: Mapping[str, Any] | None = None,
    template_date: str | None = None,
    prompts: Prompts = "auto",
    dials: Dials = NO_DIALS,
) -> Run:
    """Bind a method to an engine and write down what the run holds fixed.

    about: task, dataset and grader, see `Benchmark.about`. command: `sys.argv` by default.
    prompting: what the harness adds to prompts or takes from answers, part of the run's identity.
    template_date: what a chat template that prints the date is to show; None is today.
    Raises UserError where the engine's tokenizer can't write the thinking format, where the
    method needs a verifier and there is none, and as `bind_policy` does.
    """
    if METHODS[method].verifier and verifier is None:
        raise UserError(
            f"{method} needs a verifier, a process reward model: give verifier, e.g. nano-prm"
        )
    info = engine.info
    policy, raw = _bind_method(engine, method, settings, sampling, verifier, prompts, dials)
    policy = policy.dated(template_date)
    grader = open_grader(about["grader"])
    package = PACKAGES.get(harness)
    record = run_record(
        harness=harness,
        engine=info.engine,
        model=info.model,
        task=about["task"],
        method=method,
        method_params=flat(settings),
        method_info=METHODS[method].describe(settings),
        sampling={
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
        },
        seed=sampling.seed,
        dtype=info.dtype,
        weights_fingerprint=info.fingerprint,
        context_length=info.context_length,
        seeding=info.seeding,
        dataset=about["dataset"],
        grader=grader_data(grader),
        prompting={**policy.prompting(), **(prompting or {})},
        engine_settings=info.settings,
        delimiters=policy.default_delimiters,
        versions={**info.versions, **({package: version(package)} if package else {})},
        command=sys.argv if command is None else command,
        planned_samples=planned_samples,
        verifier=None if policy.verifier is None else dataclasses.asdict(policy.verifier.info),
        secret=about.get("secret"),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        hardware=None if info.engine == "completions" else [hardware()],
        **({"raw_prompts": True} if raw else {}),
    )
    return Run(policy, method, settings, grader, record, raw)


def check_first(
    engine: str,
    model: str,
    engine_args: Mapping[str, Any],
    runs: Iterable[FirstQuestion],
) -> None:
    """Open every run on the model's tokenizer and template alone, and make its first prompt, before
    any weight is loaded. Raises UserError as they do."""
    if (seen := preview(engine, model, **engine_args)) is None:
        return
    for run in runs:
        policy, raw = _bind_method(
            seen, run.method, run.settings, run.sampling, None, run.prompts, run.dials
        )
        question = Question("", run.prompt, SameText(), tuple(run.before), raw)
        policy.prompt_ids(question)


@dataclass(frozen=True, slots=True)
class FirstQuestion:
    """A run that is going to be, as far as `check_first` looks at it."""

    method: str
    settings: Any
    sampling: Sampling
    prompt: str
    before: Sequence[Message] = ()
    prompts: Prompts = "auto"
    dials: Dials = NO_DIALS


def _bind_method(
    engine: Engine,
    method: str,
    settings: Any,
    sampling: Sampling,
    verifier: Verifier | None,
    prompts: Prompts,
    dials: Dials,
) -> tuple[Policy, bool]:
    known = flat(settings)
    format = known.get("thinking_format", "auto")
    policy, raw = bind_policy(
        engine,
        format,
        sampling,
        known.get("until_thinking", ()),
        verifier if METHODS[method].verifier else None,
        prompts=prompts,
    )
    policy = turned(policy, dials)
    if METHODS[method].forces and raw and not policy.thinking.format.end:
        if format == "auto":
            raise UserError(
                f"{method} forces thinking, and the prompt is raw text, which shows none: add "
                "--apply_chat_template in lm-eval, or give thinking_format"
            )
    elif METHODS[method].forces:
        policy.need_thinking(method)
    return policy, raw


def bind_policy(
    engine: Engine,
    thinking_format: str | Mapping[str, str],
    sampling: Sampling,
    until_thinking: Sequence[str] = (),
    verifier: Verifier | None = None,
    *,
    prompts: Prompts = "auto",
) -> tuple[Policy, bool]:
    """The policy, and whether its prompts are raw text, see `Prompts`. Raw text opens no thinking
    unless a format is given.

    Raises UserError as `Policy.bind` does, and for `chat` on a model without a chat template.
    """
    templated = has_template(engine.tokenizer, engine.info.chat)
    if prompts == "chat" and not templated:
        raise UserError(
            f"{engine.info.model} has no chat template: leave out --apply_chat_template, or give "
            "it a template with chat_template=FILE"
        )
    raw = prompts == "raw" or not templated
    if raw and prompts == "auto":
        _warn_raw(engine.info.model)
    if not raw:
        return Policy.bind(engine, thinking_format, sampling, until_thinking, verifier), False
    if engine.info.chat != AS_IT_IS:
        raise UserError(
            "the prompt is raw text, and system and chat_template_kwargs are settings "
            "of a conversation: leave them out, or add --apply_chat_template in lm-eval; a model "
            "without a template needs one by chat_template=FILE"
        )
    format = "none" if thinking_format == "auto" else thinking_format
    policy = Policy.bind(engine, format, sampling, until_thinking, verifier)
    # The template's dials are none of raw text's.
    thinking = replace(policy.thinking, effort=None, levels=(), budget=None)
    return replace(policy, thinking=thinking), True


def turned(policy: Policy, dials: Dials) -> Policy:
    """The policy with the dials of its chat template set. Raises UserError where it has none."""
    thinking, model = policy.thinking, policy.engine.info.model
    if dials.effort is not None:
        if thinking.effort is None or dials.effort not in thinking.levels:
            known = ", ".join(thinking.levels) if thinking.effort else "none at all"
            raise UserError(
                f"reasoning effort {dials.effort}: the chat template of {model} knows {known}: "
                "give one of them, or leave --reasoning-effort out"
            )
        policy = policy.having(**{thinking.effort: dials.effort})
    if dials.tokens is not None:
        if thinking.budget is None:
            raise UserError(
                f"reasoning tokens: the chat template of {model} takes no number of tokens: leave "
                "--reasoning-tokens out, and cap with budget_forcing -S max_thinking_tokens=N"
            )
        policy = policy.having(**{thinking.budget: dials.tokens})
    return policy


@functools.cache
def _warn_raw(model: str) -> None:
    """Once a process."""
    _LOGGER.warning(
        "%s has no chat template: it is given every question's text as it is, and no thinking is "
        "opened unless thinking_format says how",
        model,
    )


def graded(row: SampleRow, grader: Grader, options: Sequence[str] = ()) -> SampleRow:
    """The row of `Run.solve` with the verdict on its `response`, and where a method chose among
    samples whether each of them is correct. An answer that its `answer_exit` says was cut counts
    as `grade_ended` says. May take long: not for an event loop."""

    def verdict_on(text: str, exit: str | None) -> Verdict:
        return grade_ended(grader, text, row["target"], options, cut=exit in CUT)

    verdict = verdict_on(row["response"], row.get("answer_exit"))
    samples: Sequence[str] = row.get("sample_answers", ())
    exits = row.get("sample_answer_exits") or [None] * len(samples)
    each = list(zip(samples, exits, strict=True))
    right = {sample: verdict_on(*sample).correct for sample in {*each}}
    row = row.copy()
    row["answer"], row["correct"] = verdict.answer, verdict.correct
    row["answered"], row["rule"] = verdict.answered, verdict.rule
    if samples:
        row["sample_correct"] = [right[sample] for sample in each]
    return row


T = TypeVar("T", Engine, Verifier)

_opened: dict[str, Any] = {}
_opening = threading.Lock()


def shared(open: Callable[..., T], /, *what: Any, **args: Any) -> T:
    """The process's one `open(*what, **args)`; blocks while it loads. It is closed when the process
    ends: a harness does not say when the last question is done."""
    key = json.dumps([open.__qualname__, what, args], sort_keys=True, default=repr)
    with _opening:
        if key not in _opened:
            _opened[key] = opened = open(*what, **args)
            atexit.register(opened.close)
        found: T = _opened[key]
        return found


def shared_verifier(spec: VerifierSpec | None) -> Verifier | None:
    """The process's one verifier of that name and settings, see `shared` and `open_verifier`."""
    return None if spec is None else shared(open_verifier, spec)


async def run_samples(
    run: Run,
    todo: Iterable[tuple[Sample, int]],
    on_row: Callable[[SampleRow], None],
    *,
    max_in_flight: int = 4096,
) -> None:
    """Solve and grade every (sample, epoch), all at once; `on_row` gets each row as it is done.

    Raises the first error that a sample or `on_row` meets; the rest is cancelled.
    """
    slots = asyncio.Semaphore(max_in_flight)

    async def one(sample: Sample, epoch: int) -> None:
        async with slots:
            _, row = await run.solve(sample, epoch)
            on_row(await asyncio.to_thread(graded, row, run.grader, sample.options))

    tasks = [asyncio.ensure_future(one(sample, epoch)) for sample, epoch in todo]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
