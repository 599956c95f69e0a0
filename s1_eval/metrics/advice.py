"""How much thinking a question deserves: from runs that differ in their budget, what each question
needed, what uniform budgets, rules and an oracle come to, and what to do.

How rows are joined into chains stands in `budgets`; the rules, and how one is chosen, in
`stopping`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from s1_eval.errors import UserError
from s1_eval.metrics import caveats, intervals, stopping
from s1_eval.metrics.budgets import PROBED, Grid, budget_series, chains, one_chain
from s1_eval.metrics.costs import AXES, axis, same_load
from s1_eval.metrics.entries import Metric
from s1_eval.metrics.intervals import Interval
from s1_eval.metrics.prices import Prices
from s1_eval.metrics.series import Series
from s1_eval.metrics.stopping import Fitted, Rules
from s1_eval.records import LeaveOut, Located, Run, refuse

if TYPE_CHECKING:
    from s1_eval.metrics.intervals import Floats

MARGIN = 2.0
"""Points of accuracy that may be lost."""
FEWEST = 10
"""Questions that something can be fitted on."""
PRICES_TRIED = 25
_STABLE = 0.8
_MOST = 1 << 14
"""Questions beyond which nobody asks."""

Verdict = Literal["do", "don't", "can't tell"]
ORACLE = "oracle"


class Spot(TypedDict):
    """A policy at one amount. accuracy: percent. cost: mean per question, on the axis asked for.
    against_cap: accuracy minus that of uniform budgets of the same mean cost, in points; None for
    uniform budgets, and where they never cost as much."""

    name: str
    accuracy: Metric
    cost: Metric
    against_cap: Metric | None


class Curve(TypedDict):
    """policy: `cap`, `difficulty`, `rule` (the best of all practical kinds), a kind of rule, or
    `oracle`. note: what has to be known of it."""

    policy: str
    note: str | None
    spots: list[Spot]


class Choice(TypedDict):
    """What to do in place of the largest budget, chosen on other questions than it is scored on.

    name: as it is chosen on all questions. stability: share of the choices on other questions that
    were the same; the figures are those of all of them. difference: points of accuracy, minus the
    largest budget's. saved: percent of its cost, on all questions. against_cap: see `Spot`.
    verdict: `do` where at most `margin` points are lost for sure, `don't` where more are or the
    largest is it, else `can't tell`. needed: questions that would tell, were the difference to
    stay as it is; None: over 16,384, or nothing to go by.
    """

    name: str
    stability: float
    accuracy: Metric
    cost: Metric
    difference: Metric
    saved: Metric
    against_cap: Metric | None
    verdict: Verdict
    needed: int | None


class Question(TypedDict):
    """One question. Its epochs are averaged.

    right: percent of its epochs that are right at the largest budget. accuracies: percent at each
    budget. budget: the smallest from which at least half of the epochs are right and stay right;
    None where that never is. cost: mean, there. never: no epoch is right at any budget.
    overthought: percent of epochs right at some budget and wrong at the largest. wasted: percent
    of the thinking tokens behind the point where the answer was settled. The last two are None
    where the runs are separate chains.
    """

    sample_id: str
    right: Metric
    accuracies: list[float]
    budget: Any
    cost: float | None
    never: bool
    overthought: float | None
    wasted: float | None


class Advice(TypedDict):
    """One series of budgets.

    at: what cost is counted in. budgets: the dial's values, the smallest first. shared: whether
    the runs are one chain cut at each budget; None where no traces tell. margin: points.
    stays_right, never, overthought, thought_on: percent of chains: right at some budget and at all
    larger ones; never right; right and then wrong at the largest; gone on after the answer was
    settled. wasted: percent of all thinking tokens that came after. sentences: what to do.
    """

    model: str
    task: str
    method: str
    varied: str
    held: dict[str, Any]
    at: str
    questions: int
    epochs: int
    budgets: list[Any]
    shared: bool | None
    margin: float
    stays_right: Metric
    never: Metric
    overthought: Metric | None
    thought_on: Metric | None
    wasted: Metric | None
    cap: Choice | None
    rule: Choice | None
    curves: list[Curve]
    per_question: list[Question]
    sentences: list[str]
    notes: list[str]


def advise(
    runs: Sequence[Run],
    rows: Iterable[Located] = (),
    at: str = "generated_tokens",
    points: float = MARGIN,
    seed: int = 0,
    leave_out: LeaveOut = refuse,
    prices: Prices | None = None,
) -> list[Advice]:
    """One `Advice` for every series of runs that differ in their budget.

    rows: of the runs, whole: their traces say whether the runs are one chain, without which rules
        that look along it can't be replayed.
    at: a cost of `costs.AXES`. prices: for `usd`. points: the loss of accuracy that is small.
    seed: of the folds. leave_out: told of series that can't be used.
    Raises UserError where there are no budgets to choose among.
    """
    axis(at)
    if not 0 < points <= 100:
        raise UserError(f"points={points}: give a number above 0, e.g. {MARGIN:g}")
    found = budget_series(runs)
    if not found:
        raise UserError(
            "no two runs differ in their budget alone, so there is none to choose: run several, "
            "e.g. s1-eval sweep … --max-thinking-tokens 2^5..2^12"
        )
    advice = []
    for one, traced in zip(found, one_chain(found, rows), strict=True):
        try:
            advice.append(_of_series(one, chains(one, at, traced, prices), at, points, seed))
        except UserError as error:
            leave_out(error, one.runs)
    if not advice:
        raise UserError("nothing is left to advise on: all of it was skipped, see there")
    return advice


def _of_series(one: Series, grid: Grid, at: str, points: float, seed: int) -> Advice:
    uniform = stopping.caps(grid)
    notes = [*grid.notes, *_notes(one, grid)]
    if grid.shared and at not in PROBED:
        notes.append(
            f"what an answer on the way costs in {AXES[at].label} is not recorded: rules that ask "
            f"for some are left out, and stand --at {PROBED[-1]}"
        )
    if at == "seconds" and (unlike := same_load(one.runs)):
        notes.append(unlike)
    kinds: list[Rules] = []
    if grid.shared and at in PROBED:
        along = (stopping.agreeing(grid), stopping.confident(grid))
        kinds += [rules for rules in along if rules]
    if prompts := stopping.by_length(grid):
        kinds.append(prompts)
    fits = len(grid.ids) >= FEWEST
    cap = _choice(grid, uniform, uniform, points, seed) if fits else None
    every = stopping.joined("rule", [uniform, *kinds]) if kinds else None
    rule = _choice(grid, every, uniform, points, seed) if fits and every else None
    stays, never, over = _turns(grid)
    settled = _settled(grid) if grid.shared else None
    advice: Advice = {
        "model": one.model,
        "task": one.task,
        "method": one.method,
        "varied": str(one.varied),
        "held": dict(one.held),
        "at": at,
        "questions": len(grid.ids),
        "epochs": grid.epochs,
        "budgets": list(grid.values),
        "shared": grid.shared,
        "margin": points,
        "stays_right": _share(grid, stays),
        "never": _share(grid, never),
        "overthought": _share(grid, over) if grid.shared else None,
        "thought_on": None if settled is None else _share(grid, (settled[0] > 0).astype(float)),
        "wasted": None if settled is None else _ratio(*map(grid.by_question, settled)),
        "cap": cap,
        "rule": rule,
        "curves": _curves(grid, uniform, kinds, seed, fits),
        "per_question": _questions(grid, stays, over, settled),
        "sentences": [],
        "notes": notes,
    }
    advice["sentences"] = sentences(advice)
    return advice


def _notes(one: Series, grid: Grid) -> Iterable[str]:
    yield from caveats.missing(one.runs, one.label)
    yield from caveats.performance(one.runs, one.label)
    over = [
        row["thinking_tokens"] > run.budget
        for run in one.runs
        if run.budget is not None
        for row in run.rows
    ]
    if any(over):
        yield f"{sum(over)} of {len(over)} samples thought more than their budget"
    if grid.shared is None:
        yield (
            "the records hold no traces, or several of an answer, so nothing says that the runs "
            "are one chain cut at each budget: rules that look along a chain, overthinking and "
            "waste are left out, and a question may be right or wrong at another budget by chance "
            "alone"
        )
    elif not grid.shared:
        yield (
            "the runs are separate chains, not one cut at each budget: rules that look along a "
            "chain, overthinking and waste are left out, and a question may be right or wrong at "
            "another budget by chance alone; one sweep in one folder shares its chains"
        )
    heat = (one.runs[0].record.get("sampling") or {}).get("temperature")
    if grid.shared and heat:
        yield (
            f"answers are sampled, at temperature {heat:g}: some are right at one budget and wrong "
            "at the next by chance"
        )
    if grid.epochs < 2:
        yield (
            "one epoch: nothing says how difficult a question is but the answers that are scored, "
            "so there is no curve by difficulty (--epochs 2 or more, --temperature 1)"
        )
    if len(grid.ids) < FEWEST:
        yield f"{len(grid.ids)} questions: nothing is fitted on fewer than {FEWEST}"


def _turns(grid: Grid) -> tuple[Floats, Floats, Floats]:
    """Per chain, 0 or 1: right at some budget and all larger ones; never right; right at some and
    wrong at the largest."""
    last = grid.correct[:, -1].astype(float)
    ever = grid.correct.any(axis=1).astype(float)
    return last, 1 - ever, ever - last


def _settled(grid: Grid) -> tuple[Floats, Floats]:
    """Per chain: thinking tokens behind the first budget whose answer is that of every larger one;
    all of its thinking tokens. A chain whose last answer is none is never settled."""
    import numpy as np

    final = grid.answers[:, -1:]
    differs = (grid.answers != final) | (final < 0)
    at = grid.answers.shape[1] - (~differs)[:, ::-1].cumprod(axis=1).sum(axis=1)
    at = np.minimum(at, grid.answers.shape[1] - 1)
    behind = grid.thinking[:, -1] - grid.thinking[np.arange(len(at)), at]
    return behind, grid.thinking[:, -1]


def _questions(
    grid: Grid, stays: Floats, over: Floats, settled: tuple[Floats, Floats] | None
) -> list[Question]:
    import numpy as np

    # Right at a budget and at every larger one: the share of epochs, (budgets, questions).
    firm = np.flip(np.flip(grid.correct, 1).cumprod(1), 1).T.astype(float)
    share = grid.by_question(firm)
    enough = share >= 0.5 - 1e-12
    accuracy = grid.by_question(grid.correct.T.astype(float))
    cost = grid.by_question(grid.cost.T)
    fallen = grid.by_question(over)
    wasted = None
    if settled is not None:
        whole = np.maximum(grid.by_question(settled[1]), 1e-12)
        wasted = grid.by_question(settled[0]) / whole
    counts = np.bincount(grid.question)
    found: list[Question] = []
    for q, id in enumerate(grid.ids):
        first = int(enough[:, q].argmax()) if enough[:, q].any() else None
        right = float(accuracy[-1, q])
        span = intervals.wilson(right, int(counts[q])) if counts[q] > 1 else None
        note = None if span else "one epoch does not say how sure a question is answered"
        found.append(
            {
                "sample_id": id,
                "right": _metric(100 * right, span and span.percent(), note),
                "accuracies": [float(100 * value) for value in accuracy[:, q]],
                "budget": None if first is None else grid.values[first],
                "cost": None if first is None else float(cost[first, q]),
                "never": not accuracy[:, q].any(),
                "overthought": float(100 * fallen[q]) if grid.shared else None,
                "wasted": None if wasted is None else float(100 * wasted[q]),
            }
        )
    return found


def _curves(
    grid: Grid, uniform: Rules, kinds: Sequence[Rules], seed: int, fits: bool
) -> list[Curve]:
    found = [Curve(policy="cap", note=None, spots=_spots(grid, uniform, uniform.names, None))]
    highest = float(uniform.cost.mean(axis=1).max())
    prices = _prices(highest)
    if fits:
        parts = [*kinds, stopping.joined("rule", [uniform, *kinds])] if kinds else []
        for rules in parts:
            fitted = stopping.cross_fit(rules, stopping.at_prices(prices), seed)
            found.append(
                {
                    "policy": rules.kind,
                    "note": "chosen on other questions, its probes charged",
                    "spots": _fitted_spots(grid, rules, fitted, uniform),
                }
            )
        if by := stopping.by_difficulty(grid, prices, seed):
            made = Rules("difficulty", tuple("" for _ in prices), *by)
            found.append(
                {
                    "policy": "difficulty",
                    "note": "a budget for each bin of difficulty, chosen on other questions; how "
                    "difficult a question is, its other epochs say, which are not charged",
                    "spots": _thinned(_spots(grid, made, made.names, uniform)),
                }
            )
    spots: list[Spot] = [
        {
            "name": "",
            "accuracy": _metric(100 * accuracy, None, "known afterwards"),
            "cost": _metric(cost, None, "known afterwards"),
            "against_cap": None,
        }
        for cost, accuracy in stopping.oracle(grid)
    ]
    note = "knows which answers are right: no rule does better"
    if not grid.shared:
        note += "; takes the luckiest of separate chains, too"
    found.append({"policy": ORACLE, "note": note, "spots": spots})
    return found


def _prices(highest: float) -> Floats:
    """What a unit of cost may be worth in accuracy: from nothing to more than there is to gain."""
    import numpy as np

    found: Floats = np.geomspace(1e-3, 10, PRICES_TRIED) / max(highest, 1e-12)
    return found


def _fitted_spots(grid: Grid, rules: Rules, fitted: Fitted, uniform: Rules) -> list[Spot]:
    @cache
    def alone(rule: int) -> Metric | None:
        return against_caps(rules.accuracy[rule], rules.cost[rule], uniform)

    names = tuple(rules.names[rule] for rule in fitted.chosen)
    made = Rules(rules.kind, names, fitted.accuracy, fitted.cost)
    spots = _spots(grid, made, names, uniform)
    for spot, shares in zip(spots, fitted.taken, strict=True):
        if spot["against_cap"] is not None:
            spot["against_cap"] = _as_wide(spot["against_cap"], shares, alone)
    return _thinned(spots)


def _thinned(spots: Sequence[Spot]) -> list[Spot]:
    """By cost, those of equal cost and accuracy once."""
    seen = {(s["cost"]["value"], s["accuracy"]["value"]): s for s in reversed(spots)}
    return sorted(seen.values(), key=lambda spot: spot["cost"]["value"] or 0.0)


def _spots(grid: Grid, rules: Rules, names: Sequence[str], uniform: Rules | None) -> list[Spot]:
    return [
        {
            "name": name,
            "accuracy": _accuracy(grid, right),
            "cost": _cost(cost),
            "against_cap": None if uniform is None else against_caps(right, cost, uniform),
        }
        for name, right, cost in zip(names, rules.accuracy, rules.cost, strict=True)
    ]


def against_caps(right: Floats, cost: Floats, uniform: Rules) -> Metric | None:
    """A policy's accuracy minus that of uniform budgets of equal mean cost, in points: of the two
    neighbouring budgets, each for so many questions that the mean is the same. None outside of all.

    The interval is over questions, with what the mean cost owes to chance taken along: the
    difference of cost, times the slope between the two budgets, is taken off question by question
    (its mean is zero).
    """
    import numpy as np

    means = uniform.cost.mean(axis=1)
    order = np.argsort(means, kind="stable")
    target = float(cost.mean())
    above = int(np.searchsorted(means[order], target))
    if above == len(order) or (above == 0 and target < means[order[0]] - 1e-9):
        return None
    low, high = order[max(above - 1, 0)], order[above]
    gap = float(means[high] - means[low])
    share = (target - float(means[low])) / gap if gap > 0 else 0.0
    mixed = (1 - share) * uniform.accuracy[low] + share * uniform.accuracy[high]
    spent = (1 - share) * uniform.cost[low] + share * uniform.cost[high]
    rise = float((uniform.accuracy[high] - uniform.accuracy[low]).mean())
    slope = rise / gap if gap > 0 else 0.0
    values = right - mixed
    return _points(float(values.mean()), values - slope * (cost - spent))


def _choice(grid: Grid, rules: Rules, uniform: Rules, points: float, seed: int) -> Choice:
    """The cheapest of the rules that lose half the margin at most, on other questions."""
    last = len(grid.labels) - 1
    choose = stopping.cheapest(last, points / 200)
    fitted = stopping.cross_fit(rules, choose, seed)
    everywhere = int(choose(rules.accuracy.mean(axis=1), rules.cost.mean(axis=1))[0])
    right, cost, shares = fitted.accuracy[0], fitted.cost[0], fitted.taken[0]
    taken = [(i, float(shares[i])) for i in shares.nonzero()[0]]
    most, dearest = uniform.accuracy[last], uniform.cost[last]

    def lost(accuracy: Floats) -> Metric:
        return _points(float((accuracy - most).mean()), accuracy - most)

    difference = _as_wide(lost(right), shares, lambda rule: lost(rules.accuracy[rule]))
    saved = _mixed([(share, _saved(rules.cost[i], dearest)) for i, share in taken])
    against = against_caps(right, cost, uniform)
    if against is not None:
        against = _as_wide(
            against,
            shares,
            lambda rule: against_caps(rules.accuracy[rule], rules.cost[rule], uniform),
        )
    low, high = difference["low"], difference["high"]
    verdict: Verdict = "can't tell"
    if everywhere == last or (high is not None and high < -points):
        verdict = "don't"
    elif low is not None and low >= -points:
        verdict = "do"
    return {
        "name": rules.names[everywhere],
        "stability": float(fitted.taken[0, everywhere]),
        "accuracy": _accuracy(grid, right),
        "cost": _cost(cost),
        "difference": difference,
        "saved": saved,
        "against_cap": against,
        "verdict": verdict,
        "needed": _needed(difference, points, len(right)) if verdict == "can't tell" else None,
    }


def _needed(difference: Metric, points: float, questions: int) -> int | None:
    """See `Choice`: an interval's width goes with one over the root of the questions."""
    value, low, high = difference["value"], difference["low"], difference["high"]
    if value is None or low is None or high is None or value == -points:
        return None
    half = value - low if value > -points else high - value
    needed = math.ceil(questions * (half / (value + points)) ** 2)
    return needed if needed <= _MOST else None


def _accuracy(grid: Grid, values: Floats) -> Metric:
    span = intervals.proportion(values.clip(0, 1), grid.epochs)
    note = None if span else intervals.reason(values)
    return _metric(float(100 * values.mean()), span and span.percent(), note)


def _cost(values: Floats) -> Metric:
    span = intervals.mean(values, lowest=0)
    return _metric(float(values.mean()), span, None if span else intervals.reason(values))


def _share(grid: Grid, values: Floats) -> Metric:
    return _accuracy(grid, grid.by_question(values))


def _points(value: float, values: Floats) -> Metric:
    """Of a paired difference, whose `values` per question have that mean. They mix several answers
    of a question, as many as there may be, so their spread alone says how sure they are."""
    inside = bool((abs(values) <= 1).all())
    span = intervals.difference(values) if inside else intervals.mean(values)
    note = None if span else intervals.reason(values)
    return _metric(100 * value, span and span.percent(), note)


def _saved(cost: Floats, whole: Floats) -> Metric:
    """In percent of `whole`, per question."""
    spent = _ratio(cost, whole)
    ends = {"value": spent["value"], "low": spent["high"], "high": spent["low"]}
    value, low, high = (None if end is None else 100 - end for end in ends.values())
    return {**spent, "value": value, "low": low, "high": high}


def _ratio(part: Floats, whole: Floats) -> Metric:
    """Of the means of two amounts of a question, none below 0, in percent."""
    value, span = intervals.ratio(part, whole)
    note = None if span else intervals.reason(part)
    if span:
        span = replace(span, low=max(span.low, 0.0))
        if intervals.long_tailed(whole):
            note = "few questions make much of it, and its interval may be too short"
    return _metric(100 * value, span and span.percent(), note)


_LIMITS: tuple[Literal["value", "low", "high"], ...] = ("value", "low", "high")


def _mixed(parts: Sequence[tuple[float, Metric]]) -> Metric:
    """The mean of the rules that were taken, each with its share and on all questions: costs have
    no part in what is aimed at, and the folds that a rule is taken in are not like the others. Its
    limits are means of theirs, which are never too close; a rule without limits does not vary."""
    value, low, high = (
        math.fsum(share * _limit(part, name) for share, part in parts) for name in _LIMITS
    )
    first = max(parts, key=lambda part: part[0])[1]
    if low == high:
        return {**first, "value": value, "low": None, "high": None, "interval": None}
    return {**first, "value": value, "low": low, "high": high, "note": None}


def _limit(metric: Metric, name: Literal["value", "low", "high"]) -> float:
    """What is not there is the value itself."""
    found = metric[name]
    return found if found is not None else metric["value"] or 0.0


def _as_wide(found: Metric, shares: Floats, of: Callable[[int], Metric | None]) -> Metric:
    """`found` of a mixture of rules, with an interval that is at least as wide as those of the
    rules alone are in the mean. The spread of the mixture itself may be too small: where two rules
    do about as well, each is taken in the folds that it does badly in.

    shares: of each rule. of: the same of a rule by itself; a rule without limits does not vary.
    """
    value, low, high = found["value"], found["low"], found["high"]
    if value is None:
        return found
    below = above = 0.0
    for rule in shares.nonzero()[0].tolist():
        alone = of(rule)
        if alone and alone["low"] is not None:
            below += float(shares[rule]) * (_limit(alone, "value") - _limit(alone, "low"))
            above += float(shares[rule]) * (_limit(alone, "high") - _limit(alone, "value"))
    if not (below and above):
        return found
    low = value - below if low is None else min(low, value - below)
    high = value + above if high is None else max(high, value + above)
    return {**found, "low": low, "high": high, "note": None}


def _metric(value: float, span: Interval | None, note: str | None) -> Metric:
    return {
        "value": value if math.isfinite(value) else None,
        "low": span.low if span else None,
        "high": span.high if span else None,
        "note": note,
        "interval": span.method if span else None,
    }


def sentences(advice: Advice) -> list[str]:
    """What to do, in words."""
    unit = AXES[advice["at"]].label
    cap, rule = advice["cap"], advice["rule"]
    if cap is None:
        return [f"The data can't tell: {advice['questions']} questions are too few to fit on."]
    largest = advice["curves"][0]["spots"][-1]["name"]
    found = [_said(cap, largest, unit, advice)]
    if rule is not None and rule["name"] != cap["name"]:
        found.append(_said(rule, largest, unit, advice))
    return found


def _said(choice: Choice, largest: str, unit: str, advice: Advice) -> str:
    name = choice["name"][0].upper() + choice["name"][1:]
    if "=" in choice["name"].split(",")[0]:
        name = f"Take {choice['name']}"
    if choice["stability"] < _STABLE:
        name += f" (chosen in {choice['stability']:.0%} of the fits on other questions)"
    if choice["name"] == largest:
        return (
            f"Keep the largest budget tried ({largest}): no smaller one keeps its accuracy to "
            f"within {advice['margin'] / 2:g} points on these questions."
        )
    saved = choice["saved"]["value"]
    fewer = "as many" if saved is None else f"{abs(saved):.0f}% {'fewer' if saved >= 0 else 'more'}"
    figures = f"{_signed(choice['difference'])} points for {fewer} {unit}"
    uniform = {spot["name"] for spot in advice["curves"][0]["spots"]}
    if choice["against_cap"] is not None and choice["name"] not in uniform:
        figures += f", {_signed(choice['against_cap'])} against a uniform budget of as many"
    if choice["verdict"] == "do":
        return f"{name}: {figures}."
    if choice["verdict"] == "don't":
        return f"Keep the largest budget ({largest}). {name} loses too much: {figures}."
    n = choice["needed"]
    more = "over 16,384" if n is None else f"about {n:,}"
    if choice["difference"]["low"] is None:
        more = "more of them"
    return (
        f"{name}: {figures}; {advice['questions']} questions can't tell whether that loses more "
        f"than {advice['margin']:g} points ({more} would)."
    )


def _signed(metric: Metric) -> str:
    value, low, high = metric["value"], metric["low"], metric["high"]
    shown = "?" if value is None else f"{round(value, 1) + 0.0:+.1f}"
    if low is None or high is None:
        return shown
    return f"{shown} [{round(low, 1) + 0.0:.1f}, {round(high, 1) + 0.0:.1f}]"
