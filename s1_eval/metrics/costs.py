"""What a run spends on a question, on any axis: tokens, FLOPs, seconds, dollars; what a correct
answer costs; and under which load a time was taken. What is not recorded is not known, and said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s1_eval.errors import UserError
from s1_eval.metrics import intervals
from s1_eval.metrics.entries import Cost, Metric
from s1_eval.metrics.points import Tally, answers_at_once
from s1_eval.metrics.prices import REUSED, NoPrice, Prices
from s1_eval.names import choose_from
from s1_eval.records import OwnRow, Run

if TYPE_CHECKING:
    from s1_eval.metrics.intervals import Floats

SAME_LOAD = 1.5
"""Mean loads of two runs that differ by no more than that factor count as equal: their times are
compared."""


class Unknown(Exception):
    """A run's cost is not known; says why."""


Amount = Callable[[Run, OwnRow, Prices | None], float]
"""What a row costs. Raises Unknown."""


@dataclass(frozen=True, slots=True)
class Axis:
    """label: what is counted, of one question. of: in a row."""

    name: str
    label: str
    of: Amount

    def show(self, value: float | None) -> str:
        """A mean on this axis, for a table."""
        if value is None:
            return "—"
        return f"{value:.0f}" if self.name.endswith("_tokens") else f"{value:.3g}"


def _thinking(run: Run, row: OwnRow, _: Prices | None) -> float:
    return row["answer_tokens"] if answers_at_once(run) else row["thinking_tokens"]


def _generated(_: Run, row: OwnRow, __: Prices | None) -> float:
    return row["generated_tokens"]


def _flops(_: Run, row: OwnRow, __: Prices | None) -> float:
    found = row.get("flops")
    if found is None and ("error" in row or "limit" in row):
        raise Unknown("samples that were broken off tell no FLOPs: ask them again")
    if found is None:
        raise Unknown("FLOPs are not recorded: the model's architecture was not known to the run")
    return found


def _seconds(_: Run, row: OwnRow, __: Prices | None) -> float:
    if row["seconds"] is None:
        raise Unknown("no time is recorded")
    if row.get("reused_tokens"):
        raise Unknown(REUSED)
    return row["seconds"]


def _usd(run: Run, row: OwnRow, prices: Prices | None) -> float:
    if prices is None:
        raise Unknown("no prices are given: add --prices FILE")
    try:
        return prices.of(run, row)
    except NoPrice as error:
        raise Unknown(str(error)) from error


AXES: Mapping[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("thinking_tokens", "thinking tokens", _thinking),
        Axis("generated_tokens", "generated tokens", _generated),
        Axis("flops", "FLOPs", _flops),
        Axis("seconds", "seconds", _seconds),
        Axis("usd", "US dollars", _usd),
    )
}
"""What cost can be counted in."""


def axis(name: str) -> Axis:
    """Raises UserError on a name that is none."""
    if name not in AXES:
        raise UserError(f"no cost is called {name!r:.60}: {choose_from(name, AXES)}")
    return AXES[name]


@dataclass(frozen=True, slots=True)
class _Laid:
    """The rows of a run's questions. at: the place of each row's question. epochs: of each."""

    rows: Sequence[OwnRow]
    at: Sequence[int]
    epochs: Floats

    @classmethod
    def out(cls, run: Run, questions: Sequence[str]) -> _Laid:
        import numpy as np

        place = {id: i for i, id in enumerate(questions)}
        rows = [row for row in run.rows if row["sample_id"] in place]
        at = [place[row["sample_id"]] for row in rows]
        return cls(rows, at, np.bincount(at, minlength=len(place)).astype(np.float64))


def amounts(run: Run, name: str, questions: Sequence[str], prices: Prices | None = None) -> Floats:
    """What a run spent on each of the questions, means over their epochs.

    Raises Unknown, saying why, where it is not known of a row; UserError on what is no amount.
    """
    return _amounts(run, name, _Laid.out(run, questions), prices)


def _amounts(run: Run, name: str, laid: _Laid, prices: Prices | None) -> Floats:
    import numpy as np

    of = axis(name).of
    values = [of(run, row, prices) for row in laid.rows]
    known = {type(value) for value in values} <= {int, float}
    spent = np.array(values if known else [], dtype=np.float64)
    if not (known and (spent >= 0).all() and np.isfinite(spent).all()):
        row, value = next(
            (row, value)
            for row, value in zip(laid.rows, values, strict=True)
            if type(value) not in (int, float) or not 0 <= value < math.inf
        )
        raise UserError(
            f"run {run.id}, sample {row['sample_id']!r:.200}: {name} is {value!r:.60}: give a "
            "number, 0 or more"
        )
    each: Floats = np.bincount(laid.at, spent, len(laid.epochs)) / laid.epochs
    return each


def load(run: Run) -> float | None:
    """How many questions were in flight together while one of the run's was, in the mean; None
    where the record does not say."""
    taken, own = 0.0, 0.0
    for row in run.rows:
        seconds, share = row["seconds"], row.get("machine_seconds")
        if seconds is None or share is None:
            return None
        taken += seconds
        own += share
    return taken / own if own else None


def same_load(runs: Sequence[Run]) -> str | None:
    """Why the runs' times can't be compared; None where they can."""
    loads = [load(run) for run in runs]
    known = [each for each in loads if each is not None]
    if len(known) < len(loads):
        return "under which load times were taken is not recorded of every run"
    if max(known) > SAME_LOAD * min(known):
        return (
            f"times were taken under different loads, from {min(known):.3g} to {max(known):.3g} "
            "questions in flight"
        )
    return None


def costs(run: Run, tally: Tally, prices: Prices | None = None) -> dict[str, Cost]:
    """On every axis; dollars where there are prices. tally: of the questions to count."""
    laid = _Laid.out(run, tally.questions)
    return {name: _cost(run, tally, name, laid, prices) for name in AXES if name != "usd" or prices}


def cost(run: Run, tally: Tally, name: str, prices: Prices | None = None) -> Cost:
    """On one axis."""
    return _cost(run, tally, name, _Laid.out(run, tally.questions), prices)


def _cost(run: Run, tally: Tally, name: str, laid: _Laid, prices: Prices | None) -> Cost:
    try:
        own = name == "thinking_tokens"
        each = tally.tokens if own else _amounts(run, name, laid, prices)
    except Unknown as error:
        nothing: Metric = {
            "value": None,
            "low": None,
            "high": None,
            "interval": None,
            "note": str(error),
        }
        return {**nothing, "per_correct": nothing, "in_flight": None}
    span = intervals.mean(each, lowest=0)
    return {
        "value": float(each.mean()),
        "low": span.low if span else None,
        "high": span.high if span else None,
        "interval": span.method if span else None,
        "note": None if span else intervals.reason(each),
        "per_correct": per_correct(each, tally.accuracies),
        "in_flight": load(run) if name == "seconds" else None,
    }


def per_correct(spent: Floats, correct: Floats) -> Metric:
    """What one correct answer costs: the ratio of the means. spent, correct: per question."""
    right = float(correct.mean())
    if not right:
        return {
            "value": None,
            "low": None,
            "high": None,
            "interval": None,
            "note": "nothing was answered correctly",
        }
    span = intervals.fieller(spent, correct)
    note = None if span else intervals.reason(spent)
    endless = span is not None and math.isinf(span.high)
    if endless:
        note = "no upper limit: so few answers are correct that their share may be next to none"
    return {
        "value": float(spent.mean()) / right,
        "low": span.low if span else None,
        "high": span.high if span and not endless else None,
        "interval": span.method if span else None,
        "note": note,
    }
