"""From what a method made of a question to the whole row: the verdict, and what the benchmark
says. Every harness grades here, so the same response gets the same verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from s1_eval.answers import GRADERS, Grader, Verdict
from s1_eval.answers.cut import grade_ended
from s1_eval.evaluation.benchmark import BENCHMARKS, SameText, benchmark, grader_of, open_grader
from s1_eval.methods.voting import group_answers, numbers
from s1_eval.records import Run
from s1_eval.records.run import recorded_grader, run_record
from s1_eval.records.sample import SampleRow, as_row, sample_row
from s1_eval.thinking import CUT


def judged(
    solved: SampleRow, target: str, grader: Grader, options: Sequence[str] = ()
) -> dict[str, Any]:
    """The verdict on `response`, as fields of the row, and where a method chose among samples
    whether each of them is correct. An answer that its `answer_exit` says was cut counts as
    `grade_ended` says. May take long: not for an event loop.

    solved: see `Run.solve`; of a model that is not ours, `response` and `answer_exit` alone.
    """

    def verdict_on(text: str, exit: str | None) -> Verdict:
        return grade_ended(grader, text, target, options, cut=exit in CUT)

    verdict = verdict_on(solved["response"], solved.get("answer_exit"))
    samples = solved.get("sample_answers", ())
    exits = solved.get("sample_answer_exits") or [None] * len(samples)
    each = list(zip(samples, exits, strict=True))
    right = {sample: verdict_on(*sample).correct for sample in {*each}}
    return {
        "answer": verdict.answer,
        "correct": verdict.correct,
        "answered": verdict.answered,
        "rule": verdict.rule,
        **({"sample_correct": [right[sample] for sample in each]} if samples else {}),
    }


class Graders:
    """Threads that judge for one event loop. Verdicts that are asked for in one turn of the loop
    share a trip to a thread, up to `_TOGETHER` of them: most take less than the trip."""

    def __init__(self) -> None:
        self._asked: list[tuple[tuple[Any, ...], asyncio.Future[dict[str, Any]]]] = []

    async def judge(
        self, solved: SampleRow, target: str, grader: Grader, options: Sequence[str]
    ) -> dict[str, Any]:
        """See `judged`."""
        loop = asyncio.get_running_loop()
        verdict: asyncio.Future[dict[str, Any]] = loop.create_future()
        if not self._asked:
            loop.call_soon(self._send)
        self._asked.append(((solved, target, grader, options), verdict))
        return await verdict

    def _send(self) -> None:
        asked, self._asked = self._asked, []
        loop = asyncio.get_running_loop()
        for at in range(0, len(asked), _TOGETHER):
            some = asked[at : at + _TOGETHER]
            trip = loop.run_in_executor(None, _judged_together, [each for each, _ in some])
            trip.add_done_callback(partial(_settle, [verdict for _, verdict in some]))


_TOGETHER = 8


def _judged_together(asked: Sequence[tuple[Any, ...]]) -> list[dict[str, Any] | Exception]:
    def one(each: tuple[Any, ...]) -> dict[str, Any] | Exception:
        try:
            return judged(*each)
        except Exception as error:
            return error

    return [one(each) for each in asked]


def _settle(
    verdicts: Sequence[asyncio.Future[dict[str, Any]]],
    trip: asyncio.Future[list[dict[str, Any] | Exception]],
) -> None:
    for verdict, said in zip(verdicts, trip.result(), strict=True):
        if verdict.done():  # nobody waits any more
            continue
        if isinstance(said, Exception):
            verdict.set_exception(said)
        else:
            verdict.set_result(said)


def whole_row(
    solved: SampleRow, about: Mapping[str, Any], target: str, options: Sequence[str]
) -> SampleRow:
    """The row that a harness's scorer makes of what its model handed over, with the run record
    under `run`.

    solved: see `Run.solve`, with `Run.held` under `run`. about: see `about_sample`.
    """
    held = solved["run"]
    fields = as_row({name: value for name, value in solved.items() if name != "run"})
    record = run_record(held, about)
    verdict = judged(fields, target, open_grader(grader_of(about)), options)
    row = sample_row(record, fields, target=target, **verdict, **about.get("sample", {}))
    row["run"] = record
    return row


def grouper(run: Run) -> Callable[[Sequence[str]], list[int]]:
    """Numbers answers, equal ones alike: by the grader that the run records, or the task's, or by
    their text where neither is ours."""
    recorded = recorded_grader(run.record)
    equality: Grader = SameText()
    if isinstance(recorded, Mapping) and recorded.get("name") in GRADERS:
        equality = open_grader(recorded)
    elif run.task in BENCHMARKS:
        known = benchmark(run.task)
        equality = open_grader({"name": known.grader, **known.strictness})

    def group(answers: Sequence[str]) -> list[int]:
        return numbers(group_answers(equality, list(answers)), len(answers))

    return group
