"""The one Inspect scorer of all our benchmarks, and its metrics. It grades as lm-eval and `sweep`
do, and leaves the sample record in the score's metadata.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from inspect_ai.scorer import (
    CORRECT,
    INCORRECT,
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    accuracy,
    metric,
    scorer,
    stderr,
)
from inspect_ai.solver import TaskState

from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import open_grader
from s1_eval.evaluation.grading import judged, whole_row
from s1_eval.records.foreign_inspect import ANSWER_EXITS
from s1_eval.records.readers import KEY
from s1_eval.records.sample import SampleRow, as_row

ANSWERED = "answered"

NAME = "s1_eval/grade"
"""What a log calls the scorer. Inspect records names without their package's prefix, so this one
carries it itself: `inspect score` finds it, see `_registry`."""


@metric(scores="unreduced")
def accuracy_answered() -> Metric:
    """The share of right answers among the questions that were answered at all."""

    def mean(scores: list[SampleScore]) -> float:
        return _mean(score.score.value == CORRECT for score in scores if _answered(score))

    return mean


@metric(scores="unreduced")
def unanswered() -> Metric:
    """The share of questions without an answer: cut off, or nothing to be found."""

    def mean(scores: list[SampleScore]) -> float:
        return _mean(not _answered(score) for score in scores)

    return mean


@metric(scores="unreduced")
def thinking_tokens() -> Metric:
    """Mean thinking tokens over all questions and epochs."""

    def mean(scores: list[SampleScore]) -> float:
        records = ((score.score.metadata or {}).get(KEY) for score in scores)
        return _mean(record["thinking_tokens"] for record in records if record)

    return mean


@scorer(
    metrics=[accuracy(), stderr(), accuracy_answered(), unanswered(), thinking_tokens()], name=NAME
)
def grade() -> Scorer:
    """Grade the answer with the benchmark's grader.

    The score's metadata holds the sample record under `s1_eval`, with its run record and traces,
    where a method of ours answered; other providers' answers are graded all the same.
    """

    async def score(state: TaskState, target: Target) -> Score:
        about = state.metadata.get(KEY)
        if about is None:
            raise UserError("s1_eval/grade scores the tasks of s1_eval: this sample has no grader")
        solved = (state.output.metadata or {}).get(KEY)
        if solved and solved["sample_id"] != str(state.sample_id):
            raise UserError(
                f"the sample {state.sample_id} was given the answer to {solved['sample_id']}: "
                "leave out what answers from a cache"
            )
        theirs = {
            "response": state.output.completion,
            "answer_exit": ANSWER_EXITS.get(state.output.stop_reason),
        }

        def graded() -> SampleRow:
            if solved:
                return whole_row(solved, about, target.text, about["options"])
            grader = open_grader(about["grader"])
            return as_row(judged(as_row(theirs), target.text, grader, about["options"]))

        row = await asyncio.to_thread(graded)
        return Score(
            value=CORRECT if row["correct"] else INCORRECT,
            answer=row["answer"],
            explanation=row["rule"],
            metadata={ANSWERED: row["answered"], **({KEY: row} if solved else {})},
        )

    return score


def _answered(score: SampleScore) -> bool:
    return bool((score.score.metadata or {}).get(ANSWERED))


def _mean(values: Iterable[float]) -> float:
    """NaN where there are none."""
    found = list(values)
    return sum(found) / len(found) if found else float("nan")
