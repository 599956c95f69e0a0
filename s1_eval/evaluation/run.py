"""A run: one method with its settings on one engine, asked questions. Every adapter takes it, so
the same question under the same settings gives the same row in Inspect, in lm-eval and in a sweep.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from s1_eval.answers import Grader
from s1_eval.engines import Engine, EngineInfo, Sampling
from s1_eval.engines.load import LOAD
from s1_eval.errors import SampleFailed, UserError
from s1_eval.evaluation.benchmark import Sample, grader_data, open_grader
from s1_eval.evaluation.binding import NO_DIALS, Dials, Prompts, bind_method
from s1_eval.evaluation.foreign import Judge
from s1_eval.evaluation.grading import Graders
from s1_eval.methods import Method, Policy, Question
from s1_eval.methods.meter import Meter
from s1_eval.methods.spill import answer_counts
from s1_eval.records.failures import Failure
from s1_eval.records.hardware import hardware
from s1_eval.records.run import RunRecord, held_fields
from s1_eval.records.sample import SampleRow, as_row, sample_row, solved_fields
from s1_eval.thinking import Message, Outcome
from s1_eval.typed import flat
from s1_eval.verifiers import Verifier

_LOGGER = logging.getLogger(__name__)

PACKAGES = {"inspect": "inspect_ai", "lm-eval": "lm_eval"}
"""The package whose version a record names, by harness; a sweep of ours has none."""

MAX_IN_FLIGHT = 4096
"""Questions of all runs together that are in flight at once: several GPUs' full batches. Each costs
15 KB and what its chain takes, so more of them would cost memory and gain nothing."""

_RESERVE, _LEAST = 64, 64
"""Questions beyond two batches, and of one of very many runs at the least."""


def in_flight(engine: EngineInfo, runs: int) -> int:
    """Questions of each of so many runs that are in flight at once: two batches of the engine and
    some, so that it never waits for what is being forced, graded or written. Each run has its own:
    those that wait for a chain of the longest take no place from it."""
    share = max(MAX_IN_FLIGHT // runs, _LEAST)
    return share if engine.batch is None else min(2 * engine.batch + _RESERVE, share)


@dataclass(frozen=True, slots=True)
class Run:
    """policy: the engine with its delimiters; its sampling carries the run's seed.
    grader: says which answers are equal.
    held: what the run record says whatever the questions are, see `s1_eval.records.run`.
    raw: questions are text to go on with, see `Question`.
    until: texts that cut the answer, never the thinking.
    """

    policy: Policy
    method: Method
    settings: Any
    grader: Grader
    held: Mapping[str, Any]
    raw: bool = False
    until: tuple[str, ...] = ()

    async def solve(
        self,
        id: str,
        prompt: str,
        epoch: int,
        before: Sequence[Message] = (),
        grader: Grader | None = None,
    ) -> tuple[Outcome, SampleRow]:
        """The outcome of one question, and what its row says but for the run's own fields, the
        target and the verdict, neither of which is known here; `response` is to be graded.

        epoch: from 1. It and the question's id are all that the seed depends on.
        before: what was said before the question, see `Question`. grader: the question's own.
        """
        question = Question(id, prompt, grader or self.grader, tuple(before), self.raw)
        meter = Meter(self.policy.engine.info)
        policy = dataclasses.replace(self.policy.fork(id, epoch), meter=meter)
        with LOAD.one() as share:
            outcome = await self.method.run(policy, question, self.settings)
        solved = solved_fields(
            outcome,
            sample_id=id,
            epoch=epoch,
            seconds=share.seconds,
            seed=policy.sampling.seed,
            with_traces=True,
            decode=policy.decode,
            spent={**meter.fields(), "machine_seconds": share.machine_seconds},
            logprobs=policy.sampling.logprobs,
        )
        nudged = self.held["method_params"].get("nudge_after_eos", False)
        counts = answer_counts(policy, outcome, nudged)
        copy = {"copy": True} if epoch > 1 and self._greedy() else {}
        row = as_row({**solved, **counts, **copy, "response": outcome.answer})
        if cuts := [at for text in self.until if text and (at := outcome.answer.find(text)) >= 0]:
            row["response"], row["answer_exit"] = outcome.answer[: min(cuts)], "stop"
        return outcome, row

    def _greedy(self) -> bool:
        """Whether nothing is sampled: every epoch of a question is a copy of its first, and it is
        said so once a process."""
        thinking = self.held["method_params"].get("temperature_thinking")
        greedy = not (self.policy.sampling.temperature or thinking)
        if greedy:
            _warn_copies()
        return greedy

    def unanswered(self, id: str, epoch: int, error: SampleFailed) -> SampleRow:
        """What stands for `solve`'s row where a harness wants one of every question and the engine
        has no answer: no response and no tokens, with `error`."""
        failed = solved_fields(
            Outcome("", (), (), budget=self.method.budget(self.settings).tokens),
            sample_id=id,
            epoch=epoch,
            seconds=None,
            seed=self.policy.fork(id, epoch).sampling.seed,
        )
        told = str(error)[:2000]
        return as_row({**failed, "exit_reason": "unknown", "response": "", "error": told})


@functools.cache
def _warn_copies() -> None:
    _LOGGER.warning(
        "at temperature 0 every epoch of a question is a copy of the first: ask once, or sample "
        "with a temperature"
    )


def open_run(
    engine: Engine,
    *,
    harness: str,
    grader: Mapping[str, Any] | None,
    method: Method,
    settings: Any,
    sampling: Sampling,
    verifier: Verifier | None = None,
    command: Sequence[str] | None = None,
    planned_samples: int | None = None,
    prompting: Mapping[str, Any] | None = None,
    template_date: str | None = None,
    prompts: Prompts = "auto",
    dials: Dials = NO_DIALS,
    until: Sequence[str] = (),
    released: str | None = None,
) -> Run:
    """Bind a method to an engine and write down what the run holds fixed.

    grader: as data, see `open_grader`. command: `sys.argv` by default.
    prompting: what the harness adds to prompts or takes from answers, part of the run's identity.
    until: texts that cut the answer, never the thinking.
    template_date: what a chat template that prints the date is to show; None is today.
    released: when the model was, see `s1_eval.records.dates`.
    Raises UserError where the engine's tokenizer can't write the thinking format, where the
    method needs a verifier and there is none, and as `bind_method` does.
    """
    if method.verifier and verifier is None:
        raise UserError(
            f"{method.name} needs a verifier, a process reward model: give verifier, e.g. nano-prm"
        )
    info = engine.info
    policy, raw = bind_method(engine, method, settings, sampling, verifier, prompts, dials)
    policy = policy.dated(template_date)
    opened = open_grader(grader)
    package = PACKAGES.get(harness)
    held = held_fields(
        harness=harness,
        engine=info.engine,
        model=info.model,
        method=method.name,
        method_params=flat(settings),
        method_info=method.describe(settings),
        sampling={
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            **({} if sampling.logprobs is None else {"logprobs": sampling.logprobs}),
        },
        seed=sampling.seed,
        dtype=info.dtype,
        weights_fingerprint=info.fingerprint,
        context_length=info.context_length,
        seeding=info.seeding,
        grader=grader_data(opened),
        prompting={
            **policy.prompting(),
            **({"until": list(until)} if until else {}),
            **(prompting or {}),
        },
        engine_settings=info.settings,
        delimiters=policy.default_delimiters,
        versions={**info.versions, **({package: version(package)} if package else {})},
        command=sys.argv if command is None else command,
        planned_samples=planned_samples,
        verifier=None if policy.verifier is None else policy.verifier.info.to_dict(),
        architecture=info.architecture and info.architecture.to_dict(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        hardware=None if info.engine == "completions" else [hardware()],
        **({"raw_prompts": True} if raw else {}),
        **({} if released is None else {"released": released}),
    )
    return Run(policy, method, settings, opened, held, raw, tuple(until))


async def run_samples(
    run: Run,
    record: RunRecord,
    todo: Iterable[tuple[Sample, int]],
    on_row: Callable[[SampleRow], None],
    *,
    on_failure: Callable[[Failure, SampleFailed], None] | None = None,
    slots: asyncio.Semaphore | None = None,
    judge: Judge | None = None,
) -> None:
    """Solve and grade every (sample, epoch), up to `MAX_IN_FLIGHT` at once; `on_row` gets each row
    as it is done.

    record: the run's, for this benchmark. todo: taken from as slots get free, so that what is held
    in memory does not grow with the number of questions.
    on_failure: gets what is known of a sample that the engine can't answer; without it such a one
    raises as any other error.
    slots: one for each that is in flight, to be shared by runs that go on together.
    judge: grades in place of the run's grader.
    Raises the first error that a sample or a callback meets; the rest is cancelled.
    """
    free, graders = slots or asyncio.Semaphore(MAX_IN_FLIGHT), Graders()

    async def one(sample: Sample, epoch: int) -> None:
        try:
            grader = run.grader if sample.grader is None else open_grader(sample.grader)
            _, solved = await run.solve(sample.id, sample.prompt, epoch, sample.before, grader)
            if judge is None:
                asked = (solved, sample.target, grader, sample.options)
                verdict = await graders.judge(*asked)
            else:
                verdict = dict(await judge(sample, solved))
            shown = sample.told
            if record.get("secret") is False:
                shown["question"] = sample.prompt
            on_row(sample_row(record, solved, target=sample.target, **shown, **verdict))
        except SampleFailed as error:
            if on_failure is None:
                raise
            on_failure(Failure.now(sample.id, epoch, error), error)
        finally:
            free.release()

    try:
        async with asyncio.TaskGroup() as group:
            for sample, epoch in todo:
                await free.acquire()
                group.create_task(one(sample, epoch))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
