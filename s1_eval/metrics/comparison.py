"""Two methods, or two models, on the same questions at equal amounts of compute: the paired
difference of their accuracies, and what so many questions can say about it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from s1_eval.errors import UserError
from s1_eval.metrics import caveats, costs, intervals
from s1_eval.metrics.gate import same_questions
from s1_eval.metrics.paired import (
    detectable_by_mcnemar,
    detectable_by_t,
    flip_signs,
    questions_needed,
)
from s1_eval.metrics.points import Tally, tally
from s1_eval.metrics.prices import Prices
from s1_eval.metrics.scoring import restricted
from s1_eval.metrics.series import CAP, describe, dials_on, method_label
from s1_eval.records import Run
from s1_eval.records.method_info import OFF, method_info

if TYPE_CHECKING:
    from s1_eval.metrics.intervals import Floats

Amount = Literal["budget", "thinking_tokens", "generated_tokens", "flops", "seconds", "usd"]

_ENFORCED = (CAP, "tokens", "steps")
"""Dials that the budget stands for."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Two sides at one amount of compute.

    amount: of the kind asked for, None where each side has one run, whatever it spent.
    first, second: the runs' settings, or the two runs between which a side was interpolated.
    first_tokens, second_tokens: means of the amount's kind; thinking tokens for `budget`.
    difference: first minus second, in points of accuracy; low, high: its 95% interval.
    p, p_holm: two-sided, and corrected over all amounts.
    detectable: the smallest true difference, in points, that so many questions would have shown at
        alpha with a chance of `paired.POWER`; None where none would.
    needed: how many questions would show a difference of the size asked about; None: over 16,384.
    interval: how low and high were found, or why there are none.
    missing: rows that the runs compared lack, both sides together.
    """

    task: str
    amount: float | None
    first: str
    second: str
    first_tokens: float
    second_tokens: float
    questions: int
    first_accuracy: float
    second_accuracy: float
    difference: float
    low: float | None
    high: float | None
    test: str
    p: float
    p_holm: float
    detectable: float | None
    needed: int | None
    interval: str
    missing: int


def compare(
    first: Sequence[Run],
    second: Sequence[Run],
    at: Amount = "budget",
    points: float = 5.0,
    alpha: float = 0.05,
    allow: Collection[str] = (),
    prices: Prices | None = None,
) -> list[Matched]:
    """Compare two sides, each one method of one model on one task, wherever both spent as much.

    at: `budget` pairs runs with the same limit on thinking (and the same samples, ignores, rounds);
        all others, see `costs.AXES`, compare each run with the other side at the run's own mean,
        interpolated between that side's neighbouring runs, linearly in log2 of the amount and
        question by question. Where each side has one run, these two are compared.
    points: the difference that `needed` is about. alpha: of all tests together (Holm).
    allow: `questions`, `data`, `checker`, see `gate.ALLOWANCES`; `load`, times that were taken
        under different ones. prices: of `usd`.
    Raises UserError where a side is not one method, nothing is equal, an amount is not known, or
    questions, data, checkers or loads differ.
    """
    from statsmodels.stats.multitest import multipletests

    for name, value, good in (
        ("points", points, 0 < points <= 100),
        ("alpha", alpha, 0 < alpha < 1),
    ):
        if not good:
            raise UserError(f"{name}={value}: give a number above 0, e.g. 5 points, alpha 0.05")
    one, other = _Side.of(first, "first", prices), _Side.of(second, "second", prices)
    if first[0].task != second[0].task:
        raise UserError(f"{first[0].task} and {second[0].task}: give runs of the same task")
    if at == "seconds" and "load" not in allow and (why := costs.same_load([*first, *second])):
        raise UserError(
            f"{why}: run both sides alike, or compare all the same by --allow-different load"
        )
    _restrict(one, other, allow)
    pairs = list(_pairs(one, other, at))
    if not pairs:
        raise UserError(_nothing_equal(one, other, at))
    level = alpha / len(pairs)
    found = [
        _matched(first[0].task, one, other, amount, points, level) for one, other, amount in pairs
    ]
    corrected = multipletests([m.p for m in found], alpha=alpha, method="holm")[1]
    return [replace(m, p_holm=float(p)) for m, p in zip(found, corrected, strict=True)]


@dataclass(slots=True)
class _Side:
    """One method of one model, its runs' tallies and what they cost."""

    name: str
    runs: list[Run]
    tallies: list[Tally]
    prices: Prices | None

    @classmethod
    def of(cls, runs: Sequence[Run], which: str, prices: Prices | None) -> _Side:
        if not runs:
            raise UserError(f"no runs on the {which} side: give folders or files with records")
        for kind, values in {
            "models": {run.model for run in runs},
            "tasks": {run.task for run in runs},
            "methods": {method_label(run) for run in runs},
        }.items():
            if len(values) > 1:
                raise UserError(
                    f"the {which} side holds several {kind} ({', '.join(sorted(values))}): give "
                    "one, as PATH:METHOD or the folder of one run"
                )
        return cls(which, list(runs), [tally(run) for run in runs], prices)

    def tokens(self, index: int, at: Amount) -> float:
        """Mean per question of a run, over the questions that are compared."""
        t = self.tallies[index]
        if at in ("budget", "thinking_tokens"):
            return float(t.mean_thinking)
        run = self.runs[index]
        try:
            return float(costs.amounts(run, at, t.questions, self.prices).mean())
        except costs.Unknown as error:
            raise UserError(f"{_label(run)}, run {run.id}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Point:
    """A side at one amount: a run, or a mixture of two with the weight `share` of the second.
    accuracy: per question. missing: rows."""

    label: str
    tokens: float
    tallies: tuple[Tally, ...]
    missing: int
    share: float = 0.0

    @property
    def accuracy(self) -> Floats:
        low, *high = (t.accuracies for t in self.tallies)
        mixed: Floats = (1 - self.share) * low + self.share * high[0] if high else low
        return mixed

    @property
    def single(self) -> bool:
        return len(self.tallies) == 1 and max(self.tallies[0].epochs) == 1

    @property
    def looks(self) -> int:
        """Results behind a question's value, at the least."""
        return sum(min(t.epochs) for t in self.tallies)


def _restrict(one: _Side, other: _Side, allow: Collection[str]) -> None:
    """All tallies of the same questions. Raises UserError where they are not and need to be."""
    names = ("first", "second")
    for run in other.runs:
        same_questions(one.runs[0], run, f"{_label(run)} on {run.task}", allow, names)
    for run in one.runs[1:]:
        same_questions(run, other.runs[0], f"{_label(run)} on {run.task}", allow, names)
    common = set.intersection(*(set(t.questions) for t in (*one.tallies, *other.tallies)))
    for side in (one, other):
        side.tallies = [restricted(t, common) for t in side.tallies]


def _pairs(one: _Side, other: _Side, at: Amount) -> Iterator[tuple[_Point, _Point, float | None]]:
    if len(one.runs) == len(other.runs) == 1:
        yield _run_at(one, 0, at), _run_at(other, 0, at), None
    elif at == "budget":
        yield from _equal_budgets(one, other)
    else:
        curves = [_curve(side, at) for side in (one, other)]
        seen = set()
        for mine, theirs, order in ((curves[0], curves[1], 1), (curves[1], curves[0], -1)):
            for point in mine:
                partner = _interpolated(theirs, point.tokens)
                if partner and point.tokens not in seen:
                    seen.add(point.tokens)
                    first, second = (point, partner)[::order]
                    yield first, second, point.tokens


def _equal_budgets(one: _Side, other: _Side) -> Iterator[tuple[_Point, _Point, float | None]]:
    budgets = []
    for side in (one, other):
        found: dict[str, int] = {}
        for i, run in enumerate(side.runs):
            if found.setdefault(_budget(run), i) != i:
                first = side.runs[found[_budget(run)]]
                raise UserError(
                    f"the {side.name} side has two runs at the same budget ({_label(first)}, run "
                    f"{first.id}, and {_label(run)}, run {run.id}): give one of them"
                )
        budgets.append(found)
    equal = [
        (
            _run_at(one, i, "budget"),
            _run_at(other, budgets[1][budget], "budget"),
            one.runs[i].budget,
        )
        for budget, i in budgets[0].items()
        if budget in budgets[1]
    ]

    def spent(pair: tuple[_Point, _Point, float | None]) -> tuple[float, float]:
        return math.inf if pair[2] is None else pair[2], pair[0].tokens

    yield from sorted(equal, key=spent)


def _budget(run: Run) -> str:
    """What `budget` pairs runs by: the limit on thinking and the dials it does not stand for."""
    known = {name: value for name, value in method_info(run).dials.items() if value is not None}
    dials = {name: value for name, value in {**OFF, **known}.items() if name not in _ENFORCED}
    return json.dumps({"budget": run.budget, **dials}, sort_keys=True)


def _curve(side: _Side, at: Amount) -> list[_Point]:
    return sorted(
        (_run_at(side, i, at) for i in range(len(side.runs))), key=lambda point: point.tokens
    )


def _run_at(side: _Side, index: int, at: Amount) -> _Point:
    tokens = side.tokens(index, at)
    run = side.runs[index]
    missing = caveats.lacking(run)
    return _Point(_label(run), tokens, (side.tallies[index],), missing)


def _label(run: Run) -> str:
    return describe(method_label(run), dials_on(run))


def _interpolated(curve: Sequence[_Point], tokens: float) -> _Point | None:
    """The curve at that many tokens; None outside of it."""
    for low, high in pairwise(curve):
        if 0 < low.tokens < high.tokens and low.tokens <= tokens <= high.tokens:
            share = math.log2(tokens / low.tokens) / math.log2(high.tokens / low.tokens)
            if share in (0.0, 1.0):
                return high if share else low
            label = f"between {low.label} and {high.label}"
            missing = low.missing + high.missing
            return _Point(label, tokens, (*low.tallies, *high.tallies), missing, share)
    return next((point for point in curve if point.tokens == tokens), None)


def _nothing_equal(one: _Side, other: _Side, at: Amount) -> str:
    if at == "budget":
        return (
            f"no two runs have the same budget ({_labels(one)} against {_labels(other)}): compare "
            "them --at thinking_tokens or --at generated_tokens"
        )
    spans = (
        " to ".join(costs.axis(at).show(point.tokens) for point in (curve[0], curve[-1]))
        for curve in (_curve(one, at), _curve(other, at))
    )
    return (
        f"the sides never spent as much ({at}: {' against '.join(spans)}): run budgets that overlap"
    )


def _labels(side: _Side) -> str:
    return "; ".join(_label(run) for run in side.runs)[:500]


def _matched(
    task: str, one: _Point, other: _Point, amount: float | None, points: float, level: float
) -> Matched:
    differences = one.accuracy - other.accuracy
    n = len(differences)
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    spread = float(100 * differences.std(ddof=1)) if n > 1 else 0.0
    # On single answers the sign-flip test is McNemar's exact one.
    test = "sign-flip permutation"
    if one.single and other.single:
        test, spread = "McNemar, exact", 0.0
    p = flip_signs(differences, "two-sided")

    def detectable(questions: int) -> float | None:
        if spread:
            return detectable_by_t(spread / math.sqrt(questions), questions, level / 2, 0.0)
        return detectable_by_mcnemar(questions, min(better, worse) / n, level / 2, 0.0)

    span = intervals.difference(differences, min(one.looks, other.looks))
    return Matched(
        task=task,
        amount=amount,
        first=one.label,
        second=other.label,
        first_tokens=one.tokens,
        second_tokens=other.tokens,
        questions=n,
        first_accuracy=float(100 * one.accuracy.mean()),
        second_accuracy=float(100 * other.accuracy.mean()),
        difference=float(100 * differences.mean()),
        low=100 * span.low if span else None,
        high=100 * span.high if span else None,
        test=test,
        p=p,
        p_holm=p,
        detectable=detectable(n),
        needed=questions_needed(detectable, points),
        interval=span.method if span else intervals.reason(differences),
        missing=one.missing + other.missing,
    )
