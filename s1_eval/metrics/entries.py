"""What `score` returns, one `Entry` for each series: the names and types of what `s1-eval score
--json` prints, in its order. How the numbers come about stands in `scoring`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict


class Span(TypedDict):
    """A 95% interval, None where there is none."""

    low: float | None
    high: float | None


class Estimate(Span):
    """A mean over questions."""

    value: float


class Limits(Span):
    """interval: how it was made."""

    interval: str | None


class Noted(Span):
    """A value with its interval; None where it is undefined. note: what has to be known of it."""

    value: float | None
    note: str | None


class Metric(Noted, Limits):
    pass


class Scaling(Metric):
    """unstable: two runs have nearly the same mean thinking tokens."""

    unstable: bool


class Performance(Metric):
    """cross_fitted: without the bias of picking the best run, see `bootstrap.cross_fitted`."""

    cross_fitted: float | None


class Figure(Limits):
    """A value that every run has."""

    value: float


class Accuracy(Figure):
    """In percent."""

    note: str | None


class Tokens(Figure):
    """A mean over questions, with the median beside it."""

    note: str | None
    median: Figure


class Cost(Metric):
    """Mean per question on one axis of cost, with its interval. per_correct: of one correct answer.
    in_flight: of seconds, how many questions were in flight together; 1 is one stream."""

    per_correct: Metric
    in_flight: float | None


class Answers(TypedDict):
    """In percent: correct of the answered samples, unanswered of all."""

    accuracy_answered: float | None
    unanswered: float | None


class Point(Answers):
    """One run of a series. value: the dial's. reference: it is not in the set. generated_tokens,
    verifier_tokens: means per sample. costs: by axis, see `costs`. audit: the fields of `Audit`.
    standing: where it was asked for, how the run stands on the front of cost and accuracy."""

    run_id: str
    label: str
    value: Any
    reference: bool
    budget: int | None
    accuracy: Accuracy
    thinking_tokens: Tokens
    generated_tokens: float
    verifier_tokens: float
    costs: Mapping[str, Cost]
    audit: Mapping[str, Any]
    standing: Mapping[str, Any] | None


class Remarks(TypedDict):
    """Sentences by the column that they belong to."""

    unanswered: list[str]
    thinking_tokens: list[str]


class Bootstrap(TypedDict):
    seed: int
    resamples: int
    level: float


class Entry(Answers):
    """One series. control, performance: percent; scaling: points per doubling. runs, questions:
    how many. varied, held: see `Series`. mean_thinking_tokens, generated_tokens, verifier_tokens:
    means per sample over the series' runs. by: where it is not about all questions, the column of
    their metadata that tells which, with its value."""

    model: str
    task: str
    method: str
    varied: str | None
    held: Mapping[str, Any]
    runs: int
    questions: int
    control: Metric
    scaling: Scaling
    performance: Performance
    mean_thinking_tokens: float | None
    generated_tokens: float | None
    verifier_tokens: float | None
    remarks: Remarks
    points: list[Point]
    bootstrap: Bootstrap
    by: NotRequired[Mapping[str, Any]]
