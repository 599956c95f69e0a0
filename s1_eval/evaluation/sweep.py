"""A sweep: many runs of one model on one task, each recorded in a folder of its own. Run again, it
goes on where it stopped. The command line and the public API both are this, so they leave the
same records.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from s1_eval.engines.protocol import Engine, Sampling
from s1_eval.engines.table import RELEASED, open_engine, parse_model
from s1_eval.errors import SampleFailed, UserError
from s1_eval.evaluation.benchmark import Benchmark, Data, Sample
from s1_eval.evaluation.binding import FirstQuestion, check_first
from s1_eval.evaluation.failures import (
    FailOnError,
    Tolerance,
    TooManyFailed,
    check_fail_on_error,
)
from s1_eval.evaluation.plan import PlannedRun
from s1_eval.evaluation.progress import Progress
from s1_eval.evaluation.run import MAX_IN_FLIGHT, Run, in_flight, open_run, run_samples
from s1_eval.records.dates import check_date
from s1_eval.records.failures import FAILURES, Failure
from s1_eval.records.run import RunRecord, run_record
from s1_eval.records.sample import SampleRow
from s1_eval.records.store import RUN, RunWriter, recorded, samples_in
from s1_eval.verifiers import Verifier
from s1_eval.verifiers.table import VerifierSpec, check_verifier, open_verifier, parse_verifier


class SweepStopped(RuntimeError):
    """Questions were left unasked; what was finished is recorded."""


class EngineFailed(SweepStopped):
    """The engine broke while questions were in flight."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a sweep left. folders: of its runs. failed: the samples without an answer of those
    runs that have some."""

    folders: Sequence[Path]
    failed: Mapping[Path, Sequence[Failure]]

    @property
    def readable(self) -> list[Path]:
        """The folders that hold a row."""
        return [f for f in self.folders if (path := samples_in(f)) and path.stat().st_size]

    def told(self, most: int = 20) -> str:
        """The failed samples by their ids, with reasons, up to so many; how to go on."""
        each = [f"  {f.name}: {one}" for f, failed in self.failed.items() for one in failed]
        lines = [f"{len(each)} samples failed and have no answer:", *each[:most]]
        if len(each) > most:
            lines.append(f"  … and {len(each) - most} more, see {FAILURES} in the runs' folders")
        return "\n".join([*lines, "The same command asks them again, and nothing else."])


@dataclass(frozen=True)
class Sweep:
    """What is asked of a model, whole.

    model: `ENGINE/NAME`, or an engine that is open and stays so.
    planned: the runs, see `plan`. out: the folder for their records.
    engine_args, verifier_args: see `open_engine` and `open_verifier`.
    data, since, shuffle: see `Benchmark.load`. limit: only the first so many questions.
    epochs: how often each is asked.
    temperature: None is 0, and 1 for the methods that need different samples.
    logprobs: recorded of every sampled id and so many of the likeliest, see `Sampling`.
    verifier: a process reward model for the methods that search by one.
    fail_on_error: how many failed samples of all runs together end the sweep.
    cache: whether what one run has decoded serves the others, and the same sweep run again.
    in_flight: questions of all runs together that are asked at once; 1 is one stream. None is what
        the engine can work on, see `in_flight`.
    command: what the run records name as the command.
    packed: rows of runs that begin go to `samples.jsonl.zst`.
    """

    model: str | Engine
    benchmark: Benchmark
    planned: Sequence[PlannedRun]
    out: Path
    command: Sequence[str]
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    since: object = None
    shuffle: int | None = None
    limit: int | None = None
    epochs: int = 1
    temperature: float | None = None
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = 0
    logprobs: int | None = None
    verifier: VerifierSpec | None = None
    verifier_args: Mapping[str, Any] = field(default_factory=dict)
    cache: bool = True
    in_flight: int | None = None
    fail_on_error: FailOnError = False
    packed: bool = False

    @cached_property
    def loaded(self) -> Data:
        """All questions of the task."""
        return self.benchmark.load(self.data, since=self.since, shuffle=self.shuffle)

    @property
    def released(self) -> str | None:
        """When the model was, as far as its arguments say."""
        given = self.engine_args.get(RELEASED)
        return None if given is None else check_date(given, RELEASED)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The questions to ask."""
        return self.loaded.samples[: self.limit]

    @property
    def _unasked(self) -> dict[str, int]:
        """For the run record, where a limit leaves questions out."""
        unasked = len(self.loaded.samples) - len(self.samples)
        return {"unasked": unasked} if unasked else {}

    @property
    def asked(self) -> Iterator[tuple[Sample, int]]:
        """Every question in every epoch."""
        return ((s, epoch + 1) for s in self.samples for epoch in range(self.epochs))

    @cached_property
    def runs(self) -> Sequence[PlannedRun]:
        """What is planned, with the limits of somebody else's task."""
        foreign = self.benchmark.foreign
        return [foreign.limited(each) for each in self.planned] if foreign else self.planned

    def sampling(self, planned: PlannedRun) -> Sampling:
        """How a run samples: as told, else as somebody else's task does, else greedily where the
        method can."""
        own = self.benchmark.foreign.sampling if self.benchmark.foreign else {}
        temperature = own.get("temperature") if self.temperature is None else self.temperature
        if temperature is None or (self.temperature is None and not temperature):
            temperature = 1.0 if planned.needs_sampling else 0.0
        top_p = own.get("top_p", 1.0) if self.top_p == 1.0 else self.top_p
        top_k = self.top_k or own.get("top_k", 0)
        return Sampling(temperature, top_p, top_k, self.seed, logprobs=self.logprobs)

    def check(self) -> None:
        """Raises UserError on whatever can be seen to be wrong before any weight is loaded."""
        if isinstance(self.model, str):
            parse_model(self.model)
        _ = self.released
        check_fail_on_error(self.fail_on_error)
        for name in ("limit", "epochs", "in_flight"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UserError(f"{name}={value}: give 1 or more")
        samplings = [self.sampling(each) for each in self.runs]
        if searching := next((each for each in self.runs if each.needs_verifier), None):
            if not self.verifier:
                raise UserError(
                    f"{searching.method.name} needs a verifier, a process reward model: give "
                    "--verifier nano-prm, or in Python verifier='nano-prm'"
                )
            parse_verifier(self.verifier)
        first = self.samples[0]
        if isinstance(self.model, str):
            questions = [
                FirstQuestion(each.method, each.settings, sampling, first.prompt, first.before)
                for each, sampling in zip(self.runs, samplings, strict=True)
            ]
            check_first(*parse_model(self.model), self.engine_args, questions)
        if searching:
            check_verifier(self.verifier)

    @contextmanager
    def opened(self) -> Iterator[tuple[Engine, Verifier | None]]:
        """The engine and the verifier, until the block ends. Loads them; takes long."""
        from s1_eval.engines.cache import CachedEngine

        with ExitStack() as stack:
            if isinstance(self.model, str):
                engine = open_engine(*parse_model(self.model), **self.engine_args)
                stack.callback(engine.close)
            else:
                engine = self.model
            verifier: Verifier | None = None
            if self.verifier and any(each.needs_verifier for each in self.runs):
                verifier = open_verifier(self.verifier, **self.verifier_args)
                stack.callback(verifier.close)
            if self.cache:
                engine = CachedEngine(engine, self.out / "cache", keep_samples=True)
                stack.callback(engine.forget)
            yield engine, verifier

    async def record(
        self, engine: Engine, verifier: Verifier | None, progress: Progress
    ) -> Recorded:
        """Ask and record every (run, question, epoch) that is not recorded yet, all in flight
        together. A question that the engine can't answer is written down as failed.

        Raises SweepStopped, and any error that is none of the engine's as itself.
        """
        about = self.benchmark.about(self.loaded)
        total = len(self.samples) * self.epochs
        with ExitStack() as stack:
            # What is loaded stays: a collection needs not look through all of it again and again.
            gc.freeze()
            stack.callback(gc.unfreeze)
            jobs: list[tuple[Run, RunRecord, RunWriter]] = []
            for each in self.runs:
                folder, there = self._folder(each)
                begun = {} if there is None else there.get("prompting") or {}
                run = open_run(
                    engine,
                    harness="s1-eval",
                    grader=about["grader"],
                    method=each.method,
                    settings=each.settings,
                    sampling=self.sampling(each),
                    verifier=verifier,
                    command=self.command,
                    planned_samples=total,
                    template_date=begun.get("template_date"),
                    until=self.benchmark.foreign.until if self.benchmark.foreign else (),
                    released=self.released,
                )
                record = run_record({**run.held, **self._unasked}, about)
                writer = stack.enter_context(
                    RunWriter(folder, record, packed=self.packed, once=True)
                )
                if writer.recovered:
                    progress.say(f"{folder.name}: {writer.recovered}")
                jobs.append((run, record, writer))
            progress.begin(
                f"{len(jobs)} runs, {len(self.samples)} questions",
                total * len(jobs),
                sum((s.id, epoch) in w.done for _, _, w in jobs for s, epoch in self.asked),
            )
            tolerance = Tolerance(self.fail_on_error, total * len(jobs))
            share = in_flight(engine.info, len(jobs))
            together = self.in_flight and asyncio.Semaphore(min(self.in_flight, MAX_IN_FLIGHT))
            try:
                async with asyncio.TaskGroup() as group:
                    for job in jobs:
                        slots = together or asyncio.Semaphore(share)
                        group.create_task(self._finish(*job, progress, tolerance, slots))
            except ExceptionGroup as failures:
                error = failures.exceptions[0]
                if not isinstance(error, RuntimeError):
                    raise error from None
                kept = f"What was finished is kept in {self.out}; the same command goes on there."
                if isinstance(error, TooManyFailed):
                    raise SweepStopped(f"{error}\n{kept}") from error
                raise EngineFailed(f"the engine failed: {error}\n{kept}") from error
            writers = [writer for _, _, writer in jobs]
            return Recorded(
                [writer.folder for writer in writers],
                {w.folder: tuple(w.failed.values()) for w in writers if w.failed},
            )

    def _folder(self, planned: PlannedRun) -> tuple[Path, RunRecord | None]:
        """Where a run stands or is to stand, and its record if it was begun."""
        folder, old = self.out / planned.slug, self.out / planned.old_slug
        if not (folder / RUN).exists() and (there := recorded(old)):
            return old, there
        return folder, recorded(folder)

    async def _finish(
        self,
        run: Run,
        record: RunRecord,
        writer: RunWriter,
        progress: Progress,
        tolerance: Tolerance,
        slots: asyncio.Semaphore,
    ) -> None:
        def on_row(row: SampleRow) -> None:
            writer.append(row)
            progress.advance()

        def on_failure(failure: Failure, error: SampleFailed) -> None:
            writer.fail(failure)
            progress.advance(failed=True)
            tolerance.count(error)

        todo = ((s, epoch) for s, epoch in self.asked if (s.id, epoch) not in writer.done)
        judge = self.benchmark.foreign.judge if self.benchmark.foreign else None
        await run_samples(
            run, record, todo, on_row, on_failure=on_failure, slots=slots, judge=judge
        )
