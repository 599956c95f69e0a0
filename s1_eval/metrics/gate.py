"""The regression gate: is a new run worse than the baseline's run with the same settings, question
by question? One-sided paired tests with Holm's correction, and the smallest regression that they
could have found.

A regression is a change for the worse that is both larger than tolerated and significant. Both
metrics are tested by flipping signs of the questions' mean differences, which on single answers is
McNemar's exact test.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from s1_eval.errors import UserError
from s1_eval.metrics import caveats, intervals
from s1_eval.metrics.paired import detectable_drop, detectable_rise, flip_signs
from s1_eval.metrics.points import Tally, tally
from s1_eval.metrics.scoring import restricted
from s1_eval.metrics.series import describe, method_label
from s1_eval.records import Run, differences, recorded_grader

ALLOWANCES = {
    "runs": "baseline runs without a new one, which are left out",
    "questions": "other question sets, which are compared on their common questions",
    "data": "another revision of the data set",
    "checker": "another answer checker",
}
"""What two sides may differ in if the user says so."""

_UNSAID = {"method", "method_params", "dataset", "grader"}
"""Left out of a comparison's list of differences: equal by construction, or asked about."""


STUDIES = 400
"""Simulated checks behind *Detectable*: the chance of 80% that it stands for is off by 2 points."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """max_drop: points of accuracy. max_rise: percent of mean thinking tokens. alpha: the chance
    of any false alarm among all comparisons."""

    max_drop: float = 2.0
    max_rise: float = 10.0
    alpha: float = 0.05

    def __post_init__(self) -> None:
        for name, value in (("max-drop", self.max_drop), ("max-rise", self.max_rise)):
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"--{name} {value}: give 0 or more")
        if not 0 < self.alpha < 0.5:
            raise UserError(f"--alpha {self.alpha}: give a chance between 0 and 0.5, e.g. 0.05")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of one pair of runs.

    name: the method and the settings in which the runs differ from each other.
    metric: `accuracy` (percent) or `thinking_tokens` (mean per question).
    change: new minus baseline: points of accuracy, percent of thinking tokens; None where the
        baseline did not think. low, high: its 95% interval.
    p, p_holm: one-sided, of a change for the worse; corrected over all comparisons.
    detectable: the smallest true change for the worse, in the unit of `change`, that would have
        been called a regression with a chance of `POWER`; None where no change would.
    differs: further identity fields in which the run records differ, as (baseline, new).
    interval: how low and high were found, or why there are none.
    baseline_missing, missing: rows that the baseline's run and the new one lack.
    """

    task: str
    name: str
    metric: str
    baseline_model: str
    model: str
    baseline_run: str
    run: str
    questions: int
    test: str
    baseline: float
    new: float
    change: float | None
    low: float | None
    high: float | None
    p: float
    p_holm: float
    detectable: float | None
    regression: bool
    differs: Mapping[str, tuple[Any, Any]]
    interval: str
    baseline_missing: int
    missing: int


def check(
    new: Sequence[Run],
    baseline: Sequence[Run],
    tolerance: Tolerance = Tolerance(),
    allow: Collection[str] = (),
    seed: int = 0,
    resamples: int = STUDIES,
) -> list[Comparison]:
    """Compare every baseline run with the new run of the same task, method and settings.

    Models may have different names if each side has only one. allow: keys of `ALLOWANCES`.
    resamples: simulated checks behind `detectable`, `STUDIES` at most; seed: theirs. No test and no
    interval uses chance.
    Raises UserError where the sides can't be compared: a baseline run without a partner, other
    questions, another data revision, another checker, or a record that does not say.
    """
    from statsmodels.stats.multitest import multipletests

    pairs = _pairs(new, baseline, allow)
    level = tolerance.alpha / (2 * len(pairs))
    studies = min(resamples, STUDIES)
    found = []
    for old, fresh, name in pairs:
        before, after = same_questions(old, fresh, f"{name} on {old.task}", allow)
        for metric in (_accuracy, _thinking_tokens):
            result = metric(before, after, tolerance, level, seed, studies)
            found.append(_comparison(old, fresh, name, len(before.questions), result))
    corrected = multipletests([c.p for c in found], alpha=tolerance.alpha, method="holm")[1]
    return [
        replace(c, p_holm=float(p), regression=_worse(c, tolerance) and bool(p <= tolerance.alpha))
        for c, p in zip(found, corrected, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Result:
    metric: str
    test: str
    baseline: float
    new: float
    change: float | None = None
    span: intervals.Interval | None = None
    interval: str = ""
    p: float = 1.0
    detectable: float | None = None


def _worse(c: Comparison, tolerance: Tolerance) -> bool:
    if c.change is None:
        return False
    if c.metric == "accuracy":
        return -c.change > tolerance.max_drop
    return c.change > tolerance.max_rise


def _comparison(old: Run, fresh: Run, name: str, questions: int, r: _Result) -> Comparison:
    changed = differences(old.record, fresh.record)
    return Comparison(
        task=fresh.task,
        name=name,
        metric=r.metric,
        baseline_model=old.model,
        model=fresh.model,
        baseline_run=old.id,
        run=fresh.id,
        questions=questions,
        test=r.test,
        baseline=r.baseline,
        new=r.new,
        change=r.change,
        low=r.span.low if r.span else None,
        high=r.span.high if r.span else None,
        p=r.p,
        p_holm=r.p,
        detectable=r.detectable,
        regression=False,
        differs={k: v for k, v in changed.items() if k.partition(".")[0] not in _UNSAID},
        interval=r.interval,
        baseline_missing=caveats.lacking(old),
        missing=caveats.lacking(fresh),
    )


def _accuracy(
    before: Tally, after: Tally, tolerance: Tolerance, level: float, seed: int, studies: int
) -> _Result:
    drop = before.accuracies - after.accuracies
    single = max(*before.epochs, *after.epochs) == 1
    detectable = detectable_drop(before, after, level, tolerance.max_drop, seed, studies)
    baseline, fresh = (100 * float(t.accuracy) for t in (before, after))
    if detectable is not None and detectable > baseline:
        detectable = None
    span = intervals.change(after, before)
    return _Result(
        metric="accuracy",
        # On single answers the sign-flip test is McNemar's exact one.
        test="McNemar, exact" if single else "sign-flip permutation",
        baseline=baseline,
        new=fresh,
        change=float(-100 * drop.mean()) + 0.0,
        span=span.percent() if span else None,
        interval=span.method if span else intervals.reason(drop),
        p=flip_signs(drop),
        detectable=detectable,
    )


def _thinking_tokens(
    before: Tally, after: Tally, tolerance: Tolerance, level: float, seed: int, studies: int
) -> _Result:
    baseline, fresh = float(before.mean_thinking), float(after.mean_thinking)
    rise = after.tokens - before.tokens
    result = _Result("thinking_tokens", "sign-flip permutation", baseline, fresh)
    if not baseline:
        return replace(result, interval="no change in percent: the baseline did not think")
    # The ratio's linear part carries its spread (delta method).
    ratio = fresh / baseline
    linear = ratio + (after.tokens - ratio * before.tokens) / baseline
    span = intervals.mean(linear - 1, lowest=-1.0)
    return replace(
        result,
        change=100 * (ratio - 1),
        span=span.percent() if span else None,
        interval=span.method if span else intervals.reason(linear),
        p=flip_signs(rise),
        detectable=detectable_rise(
            before.tokens, after.tokens, level, tolerance.max_rise, seed, studies
        ),
    )


def _pairs(
    new: Sequence[Run], baseline: Sequence[Run], allow: Collection[str]
) -> list[tuple[Run, Run, str]]:
    """(baseline run, new run, name), in the baseline's order."""
    for runs, side in ((new, "new"), (baseline, "baseline")):
        if not runs:
            raise UserError(f"no {side} runs to compare: give folders or files with records")
    one_model = all(len({run.model for run in runs}) == 1 for runs in (new, baseline))

    def key(run: Run) -> str:
        model = None if one_model else run.model
        return json.dumps([model, run.task, method_label(run), run.params], sort_keys=True)

    fresh, old = _unique(new, key, "new"), _unique(baseline, key, "baseline")
    names = _names([*old.values(), *fresh.values()], one_model)
    missing = [names[run.id] for each, run in old.items() if each not in fresh]
    if missing and ("runs" not in allow or len(missing) == len(old)):
        raise UserError(
            f"no new run for {len(missing)} of {len(old)} baseline runs (task, method and settings "
            f"must be equal): {'; '.join(missing)[:1000]}. Run them"
            + (", or add --allow-different runs" if len(missing) < len(old) else "")
        )
    return [(run, fresh[each], names[run.id]) for each, run in old.items() if each in fresh]


def _unique(runs: Sequence[Run], key: Callable[[Run], str], side: str) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for run in runs:
        first = found.setdefault(key(run), run)
        if first is not run:
            raise UserError(
                f"{side} runs {first.id} and {run.id} have the same task, method and settings "
                f"({', '.join([*first.sources, *run.sources])[:500]}): give one of them"
            )
    return found


def _names(runs: Sequence[Run], one_model: bool) -> dict[str, str]:
    """By run id: the method and the settings in which its namesakes differ."""
    namesakes: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        namesakes[run.task, method_label(run)].append(run)
    names = {}
    for (_, label), group in namesakes.items():
        settings = sorted({setting for run in group for setting in run.params})
        differing = [
            setting
            for setting in settings
            if len({json.dumps(run.params.get(setting), sort_keys=True) for run in group}) > 1
        ]
        for run in group:
            held = {s: run.params[s] for s in differing if run.params.get(s) is not None}
            names[run.id] = describe(label if one_model else f"{run.model}: {label}", held)
    return names


def same_questions(
    old: Run,
    fresh: Run,
    where: str,
    allow: Collection[str],
    sides: tuple[str, str] = ("baseline", "new"),
) -> tuple[Tally, Tally]:
    """Both tallies over the same questions. Raises UserError where what makes results comparable
    differs and is not allowed to. where, sides: what the message calls the pair and its runs."""
    for what, field in (("data", "dataset"), ("checker", "checker")):
        before, after = (
            recorded_grader(run.record) if what == "checker" else run.record.get(field)
            for run in (old, fresh)
        )
        if what in allow:
            continue
        if before is None or after is None:
            raise UserError(
                f"{where}: the log of run {old.id if before is None else fresh.id} does not say "
                f"its {field}; add --allow-different {what} if you know that it is the same"
            )
        if before != after:
            raise UserError(
                f"{where}: the {field} differs ({sides[0]} {json.dumps(before)[:300]}, {sides[1]} "
                f"{json.dumps(after)[:300]}): run both alike, or add --allow-different {what}"
            )
    tallies = tally(old), tally(fresh)
    sets = [set(t.questions) for t in tallies]
    if sets[0] == sets[1]:
        return tallies
    common = sets[0] & sets[1]
    if not common or "questions" not in allow:
        raise UserError(
            f"{where}: other questions ({sides[0]} {len(sets[0])}, {sides[1]} {len(sets[1])}, "
            f"{len(common)} in common): run both on the same"
            + (", or add --allow-different questions" if common else "")
        )
    return restricted(tallies[0], common), restricted(tallies[1], common)
