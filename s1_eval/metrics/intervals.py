"""The 95% interval of each kind of quantity, from one value per question: a mean of values between
0 and 1 (accuracy, pass@k, maj@k), a paired difference of two such means, a mean of token counts,
the median beside it, and Control. Whoever shows such a quantity takes its interval from here;
statistics of several runs together (Scaling, Performance) are resampled in `bootstrap`.

Values are means over a question's epochs: questions are what was sampled, so the epochs of one
question never count as that many questions. No interval is of width zero, and every interval holds
its own value: None where the values cannot say how sure they are, see `reason`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from s1_eval.metrics.points import Point, Tally

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEVEL = 0.95

_EDGE = {True: 4.0, False: 8.0}
"""Effective counts of the rarer outcome below which limits are guarded, for values that are all 0
or 1 (True), and for others, whose spread has to be estimated from as few."""
_GUARD = 0.05
"""Tail of the guard, as in Brown, Cai & DasGupta (2001), section 4.1.1."""
_DRAWS = 10_000
_SURE = 10
"""Of so many questions of a long-tailed distribution one at least is beyond its mean (97% for
lognormal lengths of sigma 1)."""
_ROUNDING = 1e-9
_FARTHEST = 1e6
"""Times its value beyond which a ratio has no upper limit."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95% interval. undefined: share of the resamples in which the statistic had no value;
    they are left out. method: how it was made."""

    low: float
    high: float
    undefined: float = 0.0
    method: str = ""

    def percent(self) -> Interval:
        """Of a hundred times the quantity."""
        return replace(self, low=100 * self.low, high=100 * self.high)


def reason(values: Floats) -> str:
    """Why there is no interval, for a note."""
    if len(values) < 2:
        return "no interval: one question does not say how much questions differ"
    return "no interval: every question has the same value, so nothing says how much they differ"


def accuracy(run: Tally) -> Interval | None:
    """Of a run's accuracy."""
    return stratified(run.accuracies, run.strata, partial(proportion, looks=min(run.epochs)))


def change(one: Tally, other: Tally) -> Interval | None:
    """Of the accuracy of `one` minus that of `other`, on the same questions in the same order."""
    looks = min(*one.epochs, *other.epochs)
    values = one.accuracies - other.accuracies
    return stratified(values, one.strata, partial(difference, looks=looks))


def stratified(
    values: Floats, strata: Sequence[str], of: Callable[[Floats], Interval | None]
) -> Interval | None:
    """Of the mean of all values, which were drawn from several strata, each with its own mean.

    A stratum's share of the values is its weight, so that every question counts the same. Its own
    interval is that of `of`; they are joined by the method of variance estimates recovery (Zou &
    Donner 2008): how far the joint limit is from the mean, squared, is the sum of the squares of
    how far each weighted limit is from its own. Where a stratum's values can't say how sure they
    are, all are taken for one stratum, which is never too short. strata: of each value.
    """
    import numpy as np

    names, method = np.array(strata), ""
    if len(set(strata)) < 2:
        return of(values)
    below = above = 0.0
    for name in sorted(set(strata)):
        own = values[names == name]
        span = of(own)
        if span is None:
            return of(values)
        method = f"{span.method}, stratified"
        share, centre = len(own) / len(values), float(own.mean())
        below += (share * (centre - span.low)) ** 2
        above += (share * (span.high - centre)) ** 2
    centre = float(values.mean())
    return Interval(centre - math.sqrt(below), centre + math.sqrt(above), method=method)


def wilson(accuracy: float, questions: float, z: float | None = None) -> Interval:
    """Wilson's (1927) score interval of a proportion, between 0 and 1. questions: may be an
    effective number, and no whole one. z: of the level, default that of the normal distribution."""
    z = _normal() if z is None else z
    shrink = 1 + z * z / questions
    centre = (accuracy + z * z / (2 * questions)) / shrink
    spread = accuracy * (1 - accuracy) / questions + z * z / (4 * questions * questions)
    half = z * math.sqrt(spread) / shrink
    # The limits at 0 and 1 are 0 and 1; rounding would leave the value itself out.
    low = 0.0 if accuracy <= 0 else max(0.0, centre - half)
    high = 1.0 if accuracy >= 1 else min(1.0, centre + half)
    return Interval(low, high, method="Wilson score")


def proportion(values: Floats, looks: float = math.inf) -> Interval | None:
    """Of the mean of values between 0 and 1, one per question.

    Wilson's interval on the effective number of questions: the number divided by the design effect
    (Rao & Scott 1992; Dean & Pagano 2015), which is 1 for single answers and less where a
    question's value is a mean of several. looks: independent results behind a value (epochs; n/k
    for a figure at k of n samples); a design effect is never taken to be below 1/looks.

    Near 0 and 1, where Wilson's lower limit at 1 to 3 successes is too high and the spread of a few
    values is not known, both limits give way to the one-sided 95% limits of Clopper & Pearson, as
    in Brown, Cai & DasGupta (2001), or to what they are for values other than 0 and 1: Gaffke's
    (2005; Learned-Miller & Thomas, arXiv 1905.06208).
    """
    from scipy.special import stdtrit

    n, mean = len(values), float(values.mean())
    if n < 2:
        return None
    single = bool(((values == 0) | (values == 1)).all())
    effect = 1.0
    if not single:
        effect = float(values.var(ddof=1)) / (mean * (1 - mean))
        effect = min(1.0, max(effect, 1 / looks))
        if effect < _ROUNDING:
            return None
    z = _normal() if single else float(stdtrit(n - 1, (1 + LEVEL) / 2))
    found = wilson(mean, n / effect, z)
    method = "Wilson score" if single else "Wilson score, effective number of questions"
    if 0 < min(mean, 1 - mean) * n / effect < _EDGE[single]:
        low, high = _guard(values)
        found = Interval(min(found.low, low), max(found.high, high))
        method += ", guarded at the edge"
    return Interval(found.low, found.high, method=method)


def difference(values: Floats, looks: float = math.inf) -> Interval | None:
    """Of the mean of paired differences between -1 and 1, one per question.

    Tango's (1998) score interval, on the effective number of questions as in `proportion` where a
    difference is not -1, 0 or 1, and guarded as there near -1 and 1.
    """
    from scipy.optimize import brentq
    from scipy.special import stdtrit

    n, mean = len(values), float(values.mean())
    if n < 2:
        return None
    more, less = (float(v.clip(min=0).mean()) for v in (values, -values))
    single = bool((values * values == abs(values)).all())
    effect = 1.0
    if not single:
        effect = float(values.var(ddof=1)) / (more + less - mean * mean)
        effect = min(1.0, max(effect, 1 / looks))
        if effect < _ROUNDING:
            return None
    z = _normal() if single else float(stdtrit(n - 1, (1 + LEVEL) / 2))
    effective = n / effect

    def outside(delta: float) -> float:
        """Above 0 where the score test at `delta` rejects."""
        # The share of negative differences that is most likely at `delta`, Tango's equation 6.
        b = -more - less + (2 - mean) * delta
        c = -less * delta * (1 - delta)
        share = (math.sqrt(max(0.0, b * b - 8 * c)) - b) / 4
        variance = max(0.0, 2 * share + delta * (1 - delta))
        return effective * (mean - delta) ** 2 - z * z * variance

    inside = 1e-7  # at -1 and 1 themselves the variance is 0
    low = -1.0 if mean <= -1 + inside else brentq(outside, -1.0, mean - inside)
    high = 1.0 if mean >= 1 - inside else brentq(outside, mean + inside, 1.0)
    method = "Tango score" if single else "Tango score, effective number of questions"
    if 0 < (1 - abs(mean)) * effective < _EDGE[single]:
        least, most = (2 * limit - 1 for limit in _guard((1 + values) / 2))
        low, high = min(low, least), max(high, most)
        method += ", guarded at the edge"
    return Interval(float(low), float(high), method=method)


def mean(values: Floats, lowest: float = -math.inf, level: float = LEVEL) -> Interval | None:
    """Of the mean of unbounded values, one per question; no limit is below `lowest`.

    A t interval, its skewness removed by the cubic transformation of Hall (1992, "On the removal of
    skewness by transformation"). None where the values do not differ.
    """
    import numpy as np
    from scipy.special import stdtrit

    n, centre = len(values), float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    if error <= _ROUNDING * abs(centre):
        return None
    t = float(stdtrit(n - 1, (1 + level) / 2))
    bend = skewness(values) / math.sqrt(n) / 3

    def straight(quantile: float) -> float:
        """The quantile of the t statistic, from that of its transformation."""
        if abs(bend) < _ROUNDING:
            return quantile
        return float(np.cbrt(1 + 3 * bend * (quantile - bend / 2)) - 1) / bend

    low, high = centre - error * straight(t), centre - error * straight(-t)
    return Interval(
        max(lowest, min(low, centre)), max(high, centre), method="t, skewness removed (Hall)"
    )


def ratio(part: Floats, whole: Floats) -> tuple[float, Interval | None]:
    """Of the mean of `part` over that of `whole`, which is known not to be near 0, with one value
    of each per question: the ratio, and the interval of its linearization (Cochran 1977, section
    6.3), made as `mean` makes it. NaN and None where nothing is in `whole`."""
    base = float(whole.mean())
    if not base:
        return math.nan, None
    value = float(part.mean()) / base
    return value, mean(value + (part - value * whole) / base)


def fieller(above: Floats, below: Floats) -> Interval | None:
    """Of the ratio of the means of two values of a question, none below 0, of which the lower one
    may be none: what is spent, over what is right.

    Fieller's (1954): all ratios r for which `mean` of above - r * below holds 0. Its upper limit is
    infinite where the mean below may be 0. Where all is right, which so many questions may show of
    less as well, it is at least that of `proportion`. None where nothing differs, or the mean below
    is 0.
    """
    from scipy.optimize import brentq

    if not below.mean():
        return None
    value = float(above.mean() / below.mean())
    edge = proportion(below) if (below == 1).all() else None

    def limits(r: float) -> Interval | None:
        return mean(above - r * below)

    if limits(value) is None or not value:
        return None

    def side(name: str, r: float) -> float:
        found = limits(r)
        return float(above.mean() - r * below.mean()) if found is None else getattr(found, name)

    low = 0.0 if side("low", 0.0) <= 0 else float(brentq(lambda r: side("low", r), 0.0, value))
    far = 2 * value
    while side("high", far) > 0 and far < _FARTHEST * value:
        far *= 2
    high = math.inf
    if side("high", far) <= 0:
        high = float(brentq(lambda r: side("high", r), value, far))
    if edge:
        high = max(high, value / edge.low)
    return Interval(low, high, method="Fieller, skewness removed (Hall)")


def control(
    points: Sequence[Point], tokens: Sequence[Floats], reference: Floats | None = None
) -> tuple[Interval | None, list[str]]:
    """Of Control, in percent, and the labels of the runs that are undecided: their true mean may be
    on either side of their limit.

    The lower limit counts the runs that are surely within their limits, the upper one also those
    that are undecided. Both hold together in 95% of all studies or more, because Bonferroni's
    correction asks each run's interval for it; they meet where every mean is far from its limit. A
    run is decided by the interval of its mean, and where each of at least `_SURE` questions is on
    the same side, as an enforced cap makes them.
    tokens, reference: thinking tokens per question, of each run and of the unprompted one.
    """
    excesses = [_excesses(point, x, reference) for point, x in zip(points, tokens, strict=True)]
    if len(tokens[0]) < 2:
        return None, []
    level = 1 - (1 - LEVEL) / sum(map(len, excesses))
    sides = [[_side(excess, strict, level) for excess, strict in each] for each in excesses]
    held = sum(all(side == -1 for side in each) for each in sides)
    broken = sum(any(side == 1 for side in each) for each in sides)
    undecided = [
        point.label
        for point, each in zip(points, sides, strict=True)
        if 0 in each and 1 not in each
    ]
    low, high = (100 * share / len(points) for share in (held, len(points) - broken))
    return Interval(
        low, high, method="runs surely within, and not surely beyond, their limit"
    ), undecided


def _excesses(point: Point, tokens: Floats, reference: Floats | None) -> list[tuple[Floats, bool]]:
    """Per limit: by how much each question is beyond it, and whether the mean must be below 0
    (True) or may be 0."""
    found: list[tuple[Floats, bool]] = []
    if point.at_most is not None:
        found.append((tokens - point.at_most, False))
    if point.at_least is not None:
        found.append((point.at_least - tokens, False))
    if point.above is not None and reference is not None:
        found.append((reference - tokens, True))
    if point.below is not None and reference is not None:
        found.append((tokens - reference, True))
    return found


def _side(excess: Floats, strict: bool, level: float) -> int:
    """-1 where the mean of `excess` is surely within, 1 where surely beyond, 0 undecided."""
    within = excess < 0 if strict else excess <= 0
    span = mean(excess, level=level)
    if span is None or (len(excess) >= _SURE and within.all() | (~within).all()):
        return -1 if within.all() else 1
    if span.high < 0:
        return -1
    return int(span.low > 0)


def median(values: Floats) -> Interval | None:
    """Of the median, by its order statistics, whatever the distribution. None where so few values
    have no such interval at `LEVEL` (5 or fewer)."""
    from scipy.stats import quantile_test

    if len(values) < 2:
        return None
    found = quantile_test(values, p=0.5).confidence_interval(LEVEL)
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return None
    return Interval(float(found.low), float(found.high), method="order statistics")


def skewness(values: Floats) -> float:
    """The third standardized moment; 0 for fewer than three values."""
    if len(values) < 3:
        return 0.0
    off = values - values.mean()
    spread = float((off * off).mean())
    return float((off**3).mean()) / spread**1.5 if spread else 0.0


def long_tailed(values: Floats) -> bool:
    """Whether a mean's interval may hold its value clearly less often than it says: Cochran's rule
    (1977, Sampling Techniques, section 2.15) that n is to be above 25 times the squared skewness,
    taken at a fifth of it because `mean` removes most of what skewness does."""
    return len(values) < 5 * skewness(values) ** 2


def _normal() -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + LEVEL) / 2))


def _guard(values: Floats) -> tuple[float, float]:
    """One-sided limits at `_GUARD` of a mean of values between 0 and 1, below and above: quantiles
    of the mean of the values under random weights (uniform on the simplex) with one more value, 0
    for the lower limit and 1 for the upper. Clopper & Pearson's where all values are 0 or 1."""
    import numpy as np
    from scipy.special import betaincinv

    n, total = len(values), float(values.sum())
    levels, counts = np.unique(values, return_counts=True)
    if ((levels == 0) | (levels == 1)).all():
        low = float(betaincinv(total, n - total + 1, _GUARD)) if total else 0.0
        high = float(betaincinv(total + 1, n - total, 1 - _GUARD)) if total < n else 1.0
        return low, high
    weights = np.random.default_rng(0).standard_gamma([*counts, 1], size=(_DRAWS, len(counts) + 1))
    whole, sums = weights.sum(axis=1), weights[:, :-1] @ levels
    low = float(np.quantile(sums / whole, _GUARD))
    high = float(np.quantile((sums + weights[:, -1]) / whole, 1 - _GUARD))
    return low, high
