"""The Pareto front of cost and accuracy: the runs for whose cost no other is as accurate, and how
sure that is. All differences are paired, question by question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from s1_eval.errors import UserError
from s1_eval.metrics import costs, intervals
from s1_eval.metrics.costs import Unknown, cost, same_load
from s1_eval.metrics.entries import Cost, Entry, Metric
from s1_eval.metrics.paired import flip_signs
from s1_eval.metrics.points import Tally, tally
from s1_eval.metrics.prices import Prices
from s1_eval.metrics.series import describe, dials_on, method_label
from s1_eval.records import Run

if TYPE_CHECKING:
    from s1_eval.metrics.intervals import Floats

ALPHA = 0.05


class Standing(TypedDict):
    """A run on a task. accuracy: percent. cost: on the axis asked for.

    front: no other run is as accurate for as little.
    against: the run that it is held against: on the front the next cheaper one there, None for the
        cheapest; off it the most accurate one that costs no more.
    difference: its accuracy minus that one's, in points. dearer: its cost minus that one's.
    resolved: whether the difference is told from none at 5%, with Holm's correction over the
        task's runs.
    """

    run_id: str
    model: str
    label: str
    accuracy: float
    cost: Cost
    front: bool
    against: str | None
    difference: Metric | None
    dearer: Metric | None
    p: float | None
    resolved: bool | None


class Front(TypedDict):
    """Of one task. axis: what is spent. standings: the cheapest run first. unknown: runs whose cost
    is not known, and why. note: what makes the costs incomparable."""

    task: str
    axis: str
    questions: int
    standings: list[Standing]
    unknown: dict[str, str]
    note: str | None


@dataclass(frozen=True, slots=True)
class _Member:
    run: Run
    label: str
    tally: Tally
    spent: Floats

    @property
    def cost(self) -> float:
        return float(self.spent.mean())


def fronts(runs: Sequence[Run], axis: str, prices: Prices | None = None) -> list[Front]:
    """One for each task and set of questions that its runs answered.

    Raises UserError on an axis that is none, or where no run's cost is known.
    """
    costs.axis(axis)
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[Run, Tally]]] = {}
    for run in runs:
        counted = tally(run)
        groups.setdefault((run.task, counted.questions), []).append((run, counted))
    found = [_front(task, members, axis, prices) for (task, _), members in groups.items()]
    if not any(front["standings"] for front in found):
        why = next(iter(found[0]["unknown"].values()), "no runs")
        raise UserError(f"the {costs.axis(axis).label} of no run are known: {why}")
    return found


def stand(entries: Sequence[Entry], found: Sequence[Front]) -> None:
    """Add to the points of entries, as `standing`, how their runs stand."""
    by_run = {each["run_id"]: each for front in found for each in front["standings"]}
    for entry in entries:
        for point in entry["points"]:
            if standing := by_run.get(point["run_id"]):
                point["standing"] = {n: v for n, v in standing.items() if n in _STANDING}


_STANDING = frozenset(("front", "against", "difference", "dearer", "p", "resolved"))


def _front(task: str, runs: Sequence[tuple[Run, Tally]], axis: str, prices: Prices | None) -> Front:
    members, unknown = [], {}
    several = len({run.model for run, _ in runs}) > 1
    for run, counted in runs:
        label = describe(method_label(run), dials_on(run))
        label = f"{run.model}: {label}" if several else label
        try:
            spent = costs.amounts(run, axis, counted.questions, prices)
        except Unknown as error:
            unknown[f"{label}, run {run.id}" if label in unknown else label] = str(error)
        else:
            members.append(_Member(run, label, counted, spent))
    members.sort(key=lambda m: (m.cost, -m.tally.accuracy))
    standings = []
    best: _Member | None = None
    for member in members:
        ahead = best is None or member.tally.accuracy > best.tally.accuracy
        standings.append(_standing(member, best, ahead, axis, prices))
        best = member if ahead else best
    _resolve(standings)
    note = same_load([m.run for m in members]) if axis == "seconds" and len(members) > 1 else None
    return {
        "task": task,
        "axis": axis,
        "questions": len(runs[0][1].questions),
        "standings": standings,
        "unknown": unknown,
        "note": note,
    }


def _standing(
    member: _Member, best: _Member | None, ahead: bool, axis: str, prices: Prices | None
) -> Standing:
    """best: the most accurate run that costs no more, which is the last one on the front."""
    difference = dearer = p = None
    if best is not None:
        change = member.tally.accuracies - best.tally.accuracies
        looks = min(*member.tally.epochs, *best.tally.epochs)
        span = intervals.difference(change, looks)
        difference = _metric(100 * change, span.percent() if span else None)
        more = member.spent - best.spent
        dearer = _metric(more, intervals.mean(more))
        p = flip_signs(change, "two-sided")
    return {
        "run_id": member.run.id,
        "model": member.run.model,
        "label": member.label,
        "accuracy": float(100 * member.tally.accuracy),
        "cost": cost(member.run, member.tally, axis, prices),
        "front": ahead,
        "against": best.label if best else None,
        "difference": difference,
        "dearer": dearer,
        "p": p,
        "resolved": None,
    }


def _metric(values: Floats, span: intervals.Interval | None) -> Metric:
    return {
        "value": float(values.mean()),
        "low": span.low if span else None,
        "high": span.high if span else None,
        "interval": span.method if span else None,
        "note": None if span else intervals.reason(values),
    }


def _resolve(standings: Sequence[Standing]) -> None:
    from statsmodels.stats.multitest import multipletests

    tested = [each for each in standings if each["p"] is not None]
    if tested:
        found = multipletests([each["p"] for each in tested], alpha=ALPHA, method="holm")[0]
        for each, rejected in zip(tested, found, strict=True):
            each["resolved"] = bool(rejected)
