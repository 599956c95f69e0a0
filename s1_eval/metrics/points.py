"""The points of the accuracy-against-thinking curve and the three metrics over them (s1, arXiv
2501.19393, section 3.2), in exact arithmetic. Which runs belong together stands in `series`, how
sure the numbers are in `intervals` and `bootstrap`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from s1_eval.errors import UserError
from s1_eval.records import Run

if TYPE_CHECKING:
    from s1_eval.metrics.intervals import Floats

NEAR_EQUAL = 0.1
"""Doublings. Below that distance in thinking tokens a pair's slope carries more than ten times the
noise of its accuracies."""


@dataclass(frozen=True, slots=True)
class Point:
    """One run on the curve.

    thinking: `a`, mean thinking tokens over all questions. accuracy: `f(a)`, between 0 and 1.
    Epochs of a question are averaged first, so every question has the same weight.
    label: the run's name in notes, by what its series varies.
    at_least, at_most: the limits that Control holds `thinking` against, both inclusive; None
        where there is none. above, below: the same, exclusive (class-conditional control).
    at_once: the model does not think, and `thinking` holds its answer's tokens.
    """

    label: str
    thinking: Fraction
    accuracy: Fraction
    at_least: int | None = None
    at_most: int | None = None
    above: Fraction | None = None
    below: Fraction | None = None
    at_once: bool = False

    @property
    def limited(self) -> bool:
        limits = (self.at_least, self.at_most, self.above, self.below)
        return any(limit is not None for limit in limits)

    @property
    def held(self) -> bool:
        """Whether the run's mean is within its limits."""
        return (
            (self.at_least is None or self.thinking >= self.at_least)
            and (self.at_most is None or self.thinking <= self.at_most)
            and (self.above is None or self.thinking > self.above)
            and (self.below is None or self.thinking < self.below)
        )


def distinct(run: Run) -> Run:
    """The run without rows that greedy decoding made again: as epochs of their own they would tell
    of a question what its scored answer is."""
    return replace(run, rows=[row for row in run.rows if not row.get("copy")])


@dataclass(frozen=True, slots=True)
class Value:
    """A metric's value, None where it is undefined, and what has to be said about it."""

    value: float | None
    note: str | None = None
    unstable: bool = False


def control(points: Sequence[Point]) -> Value:
    """Share of runs whose mean thinking tokens keep within their limits, in percent."""
    if not points:
        return Value(None, "no run to judge")
    if all(point.at_once for point in points):
        return Value(None, "the model answers without thinking: a cap is a cap on its answer")
    free = [point.label for point in points if not point.limited]
    if len(free) == len(points):
        return Value(None, "no run has a limit on its thinking tokens")
    if free:
        return Value(None, f"no limit on the thinking tokens of {', '.join(free)}")
    held = sum(point.held for point in points)
    return Value(float(Fraction(100 * held, len(points))))


def scaling(points: Sequence[Point]) -> Value:
    """Mean over all pairs a<b of (f(b) - f(a)) / (log2 b - log2 a): percentage points gained per
    doubling of thinking tokens.

    Undefined for fewer than two runs, equal token counts and runs that did not think. Marked
    unstable, with the pair named, where two counts are within `NEAR_EQUAL` doublings.
    """
    if len(points) < 2:
        return Value(None, "one run has no slope: give runs with at least two amounts of thinking")
    for point in points:
        if not point.thinking:
            return Value(None, f"{point.label} has no thinking tokens, and log2 of 0 is undefined")
    near = []
    slopes = []
    for one, other in combinations(points, 2):
        if one.thinking == other.thinking:
            return Value(
                None,
                f"{_pair(one, other)} have the same mean thinking tokens "
                f"({float(one.thinking):.6g}): no slope between them",
            )
        doublings = math.log2(other.thinking / one.thinking)
        slopes.append(float(100 * (other.accuracy - one.accuracy)) / doublings)
        if abs(doublings) < NEAR_EQUAL:
            near.append((abs(doublings), one, other))
    value = math.fsum(slopes) / len(slopes)
    if not near:
        return Value(value)
    _, one, other = min(near, key=lambda found: found[0])
    others = len(near) - 1
    more = f" and {others} more pair{'s' if others > 1 else ''}" if others else ""
    note = (
        f"unstable: {_pair(one, other)} have nearly the same mean thinking tokens "
        f"({float(one.thinking):.6g} and {float(other.thinking):.6g}){more}"
    )
    return Value(value, note, unstable=True)


def performance(points: Sequence[Point]) -> Value:
    """The best accuracy of any run, in percent."""
    if not points:
        return Value(None, "no run to judge")
    best = float(100 * max(point.accuracy for point in points))
    if len(points) == 1:
        return Value(best)
    return Value(
        best,
        "the best of several runs, picked on the questions that it is scored on: optimistic",
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """A run summed up per question, in the order of the sorted question ids: how many epochs,
    how many of them correct, and their thinking tokens together. strata: of each question, where
    they were not drawn from one population but from each of several; else empty."""

    questions: tuple[str, ...]
    epochs: tuple[int, ...]
    correct: tuple[int, ...]
    thinking: tuple[int, ...]
    strata: tuple[str, ...] = ()

    @property
    def accuracy(self) -> Fraction:
        return self._mean(self.correct)

    @property
    def accuracies(self) -> Floats:
        """Per question, between 0 and 1."""
        return self._per_question(self.correct)

    @property
    def tokens(self) -> Floats:
        """Thinking tokens per question, means over its epochs."""
        return self._per_question(self.thinking)

    @property
    def mean_thinking(self) -> Fraction:
        return self._mean(self.thinking)

    def _per_question(self, sums: Sequence[int]) -> Floats:
        import numpy as np

        found: Floats = np.array(sums, dtype=np.float64) / np.array(self.epochs)
        return found

    def _mean(self, sums: Sequence[int]) -> Fraction:
        """Over questions, of the mean over epochs; exact."""
        by_epochs: dict[int, int] = defaultdict(int)
        for epochs, total in zip(self.epochs, sums, strict=True):
            by_epochs[epochs] += total
        whole = sum((Fraction(t, epochs) for epochs, t in by_epochs.items()), Fraction(0))
        return whole / len(self.questions)


def answers_at_once(run: Run) -> bool:
    """Whether the run's model was asked without any thinking."""
    delimiters = run.record.get("delimiters")
    return isinstance(delimiters, Mapping) and delimiters.get("format") == "none"


def tally(run: Run) -> Tally:
    """The run's rows summed up per question. Where the model answers at once, its answer's tokens
    are what it spends. Raises UserError on a count of tokens that is none."""
    spent: Literal["answer_tokens", "thinking_tokens"] = (
        "answer_tokens" if answers_at_once(run) else "thinking_tokens"
    )
    sums: dict[str, list[int]] = {}
    for row in run.rows:
        if not 0 <= row[spent] < math.inf:  # of NaN too
            raise UserError(
                f"run {run.id}, sample {row['sample_id']!r:.200}: {spent} is {row[spent]}: give a "
                "whole number, 0 or more"
            )
        entry = sums.setdefault(row["sample_id"], [0, 0, 0])
        entry[0] += 1
        entry[1] += row["correct"]
        entry[2] += row[spent]
    ids = tuple(sorted(sums))
    epochs, correct, thinking = zip(*(sums[id] for id in ids), strict=True)
    strata: tuple[str, ...] = ()
    if named := run.record.get("strata"):
        known = {r["sample_id"]: (r.get("metadata") or {}).get(named) for r in run.rows}
        strata = tuple(str(known[id]) for id in ids)
    return Tally(ids, epochs, correct, thinking, strata)


def _pair(one: Point, other: Point) -> str:
    return f"{one.label} and {other.label}"
