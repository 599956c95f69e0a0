"""Our Inspect scorers and their metrics. One grades: our benchmarks as lm-eval and `sweep` do,
leaving the sample record in the score's metadata, and any other task by a grader that is named. The
others show a field of the record each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from inspect_ai.scorer import (
    CORRECT,
    INCORRECT,
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    accuracy,
    frequency,
    metric,
    scorer,
    stderr,
)
from inspect_ai.solver import TaskState

from s1_eval.answers import GRADERS, Grader
from s1_eval.answers.choices import ChoiceGrader
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import (
    graded_by,
    grader_data,
    grader_of,
    open_grader,
)
from s1_eval.evaluation.grading import judged, whole_row
from s1_eval.harness.inspect_errors import plainly
from s1_eval.harness.inspect_view import GRADE, MEASURES, explanation, score_name
from s1_eval.records.foreign_inspect import ANSWER_EXITS
from s1_eval.records.located import KEY, VERDICT
from s1_eval.records.sample import SampleRow, as_row

ANSWERED, THINKING = "answered", "thinking_tokens"


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
        told = ((score.score.metadata or {}).get(THINKING) for score in scores)
        return _mean(tokens for tokens in told if tokens is not None)

    return mean


@scorer(
    metrics=[accuracy(), stderr(), accuracy_answered(), unanswered(), thinking_tokens()], name=GRADE
)
def grade(grader: str | dict[str, Any] | None = None) -> Scorer:
    """Grade the answer with the task's grader, which a benchmark of ours brings along, or with one
    that is named.

    grader: `math`, `integer` or `choice`, or one of them as `name` beside its settings. A sample
        with several targets is right by any of them.
    The score's metadata holds the sample record under `s1_eval`, with its run record and traces,
    where a method of ours answered a task of ours; on other tasks, and of other providers' answers,
    it holds the verdict alone. Thinking tokens are the record's, else what the usage reports.
    """
    with plainly():
        named = None if grader is None else _spec(grader)

    async def score(state: TaskState, target: Target) -> Score:
        about = state.metadata.get(KEY)
        if about is None and named is None:
            raise UserError(
                "s1_eval/grade needs a grader on a task that is not of s1_eval: give "
                f"grade(grader=...), or -S grader=... to `inspect score`: {', '.join(GRADERS)}"
            )
        spec = named or grader_of(about or {})
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
            if solved and about is not None:
                asked = about if named is None else graded_by(about, named)
                return whole_row(solved, asked, target.text, about["options"])
            answer = as_row(solved or theirs)
            if about is not None:
                return as_row(judged(answer, target.text, open_grader(spec), about["options"]))
            return _any_of(answer, state, target, open_grader(spec))

        row = await asyncio.to_thread(graded)
        whole = "run" in row
        usage = state.output.usage
        thinking = solved["thinking_tokens"] if solved else usage and usage.reasoning_tokens
        left = {KEY: row} if whole else {VERDICT: {**row, "grader": spec}}
        return Score(
            value=CORRECT if row["correct"] else INCORRECT,
            answer=row["answer"],
            explanation=explanation({**(solved or {}), **row}),
            metadata={ANSWERED: row["answered"], THINKING: thinking, **left},
        )

    return score


def _spec(grader: str | Mapping[str, Any]) -> dict[str, Any]:
    """The grader with every setting. Raises UserError for one that there is not."""
    given = {"name": grader} if isinstance(grader, str) else dict(grader)
    if given.get("name") not in GRADERS:
        raise UserError(f"grader={grader!r}: give {', '.join(GRADERS)}")
    return grader_data(open_grader(given))


def _any_of(answer: SampleRow, state: TaskState, target: Target, by: Grader) -> SampleRow:
    """The verdict by the target that fits best: the first that is right, else the first. Raises
    UserError on a target that the grader can't read, and on options of which several are right."""
    options = [choice.value for choice in state.choices]
    if options and len(target) > 1 and by.name == ChoiceGrader.name:
        raise UserError(
            f"sample {state.sample_id} has several right options ({', '.join(target)}), and the "
            "grader choice knows one: score it with Inspect's choice()"
        )
    found = []
    for each in target:
        try:
            by.check_target(each)
        except UserError as error:
            raise UserError(f"sample {state.sample_id}: {error}") from error
        found.append(as_row(judged(answer, each, by, options)))
    return next((verdict for verdict in found if verdict["correct"]), found[0])


@metric(name="mean", scores="unreduced")
def mean_of_samples() -> Metric:
    """Over all questions and epochs that have the value."""

    def mean(scores: list[SampleScore]) -> float:
        return _mean(score.score.as_float() for score in scores)

    return mean


def _measure(field: str) -> Callable[..., Scorer]:
    """The scorer whose value is a field of the sample record; no score without a record, or where
    the field is null."""
    metrics = [frequency() if field == "exit_reason" else mean_of_samples()]

    @scorer(metrics=metrics, name=score_name(field))
    def measure() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score | None:
            solved = (state.output.metadata or {}).get(KEY) or {}
            value = solved.get(field)
            return None if value is None else Score(value=value)

        return score

    return measure


SCORERS: Mapping[str, Callable[..., Scorer]] = {
    GRADE: grade,
    **{score_name(field): _measure(field) for field in MEASURES},
}
"""The scorers of a task of ours, by what a log calls them. Inspect records names without their
package's prefix, so these carry it themselves: `inspect score` finds them, see `_registry`."""


def _answered(score: SampleScore) -> bool:
    return bool((score.score.metadata or {}).get(ANSWERED))


def _mean(values: Iterable[float]) -> float:
    """NaN where there are none."""
    found = list(values)
    return sum(found) / len(found) if found else float("nan")
