"""Paired tests of two runs, question by question, and the smallest difference that they could have
found."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from s1_eval.metrics.points import Tally

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from s1_eval.metrics.intervals import Floats

POWER = 0.8
"""The chance of being found that defines the smallest detectable difference."""

MOST_QUESTIONS = 1 << 14
"""Beyond this nobody asks; McNemar's exact power grows with the square of the questions."""

_FEW = 14
"""Questions whose 16,384 choices of signs are gone through one by one."""
_PARTS = 64
_MOST_STEPS = 1 << 15
_MOST_TILT = 1e12
_ROUNDING = 1e-9
_HALVINGS = 14
_MOST_RISE = math.log(100)


def flip_signs(changes: Floats, alternative: Literal["greater", "two-sided"] = "greater") -> float:
    """P of a mean change this large if each question's two results were exchangeable, so that the
    sign of each change were the flip of a coin. No chance is used, and no p is too small for it.

    Exact where the changes are multiples of one step, as accuracies are (McNemar's exact test is
    this test on single answers), and for few questions. Else by the saddlepoint approximation of
    Robinson (1982, "Saddlepoint approximations for permutation tests"), whose relative error stays
    small in the tail.
    """
    import numpy as np

    changes = changes[changes != 0]
    total = float(changes.sum())
    if alternative == "two-sided":
        return min(1.0, 2 * flip_signs(changes * (1 if total >= 0 else -1)))
    if not len(changes):
        return 1.0
    sizes = np.abs(changes)
    steps = _steps(sizes)
    if steps is not None:
        below = round(float(np.sign(changes) @ steps))
        return _share_of_sums(steps, below)
    if len(sizes) <= _FEW:
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums + size, sums - size])
        return float((sums >= total - _ROUNDING * sizes.sum()).mean())
    return _saddlepoint(sizes, total)


def _steps(sizes: Floats) -> NDArray[np.int64] | None:
    """The sizes as whole multiples of one step, where there are few multiples."""
    import numpy as np

    for parts in range(1, _PARTS + 1):
        steps = np.rint(sizes * parts)
        if steps.sum() > _MOST_STEPS:
            return None
        if np.allclose(sizes * parts, steps, rtol=0, atol=1e-6):
            return steps.astype(np.int64)
    return None


def _share_of_sums(steps: NDArray[np.int64], least: int) -> float:
    """The share of all choices of signs whose sum is at least that; exact."""
    import numpy as np

    # Of each step either nothing or twice it is taken off the largest sum.
    spare = (int(steps.sum()) - least) // 2
    if spare < 0:
        return 0.0
    ways = np.zeros(int(steps.sum()) + 1)
    ways[0] = 1.0
    for step in steps:
        ways[step:] = (ways[step:] + ways[:-step]) / 2
        ways[:step] /= 2
    return float(min(1.0, ways[: spare + 1].sum()))


def _saddlepoint(sizes: Floats, total: float) -> float:
    """P of a sum of at least `total`: Lugannani & Rice (1980)."""
    import numpy as np
    from scipy.optimize import brentq
    from scipy.special import ndtr

    most = float(sizes.sum())
    sizes, total = sizes / most, total / most
    if total <= 0:
        return 1 - _saddlepoint(sizes, -total) if total else 0.5
    if total >= 1 - _ROUNDING:
        return 0.5 ** len(sizes)
    scale = float(np.sqrt((sizes**2).sum()))
    if total < 1e-3 * scale:  # the formula is 0/0 at the mean
        return float(ndtr(-total / scale))

    def mean(tilt: float) -> float:
        return float((sizes * np.tanh(tilt * sizes)).sum()) - total

    high = 1.0
    while mean(high) < 0 and high < _MOST_TILT:
        high *= 2
    if mean(high) < 0:  # as good as the largest sum there is
        return 0.5 ** len(sizes)
    tilt = float(brentq(mean, 0.0, high))
    logcosh = np.logaddexp(tilt * sizes, -tilt * sizes) - math.log(2)
    w = math.sqrt(max(0.0, 2 * (tilt * total - float(logcosh.sum()))))
    u = tilt * math.sqrt(float((sizes**2 / np.cosh(np.minimum(tilt * sizes, 300)) ** 2).sum()))
    density = math.exp(-w * w / 2) / math.sqrt(2 * math.pi)
    found = float(ndtr(-w)) + density * (1 / u - 1 / w)
    return min(1.0, max(found, 0.5 ** len(sizes)))


def detectable_by_mcnemar(
    questions: int, churn: float, level: float, tolerated: float
) -> float | None:
    """In points, exact. churn: share of the questions that are lost, and as many that are gained,
    without any true change; the difference is lost on top of it. level: the one-sided alpha."""
    import numpy as np
    from scipy.stats import binom

    discordant = np.arange(1, questions + 1)
    needed = np.maximum(
        binom.isf(level, discordant, 0.5) + 1,
        np.floor((discordant + questions * tolerated / 100) / 2 + 1e-9) + 1,
    )

    def power(drop: float) -> float:
        either = 2 * churn + drop
        found = binom.sf(needed - 1, discordant, (churn + drop) / either)
        return float((binom.pmf(discordant, questions, either) * found).sum())

    low, high = 0.0, 1 - 2 * churn
    if high <= 0 or power(high) < POWER:
        return None
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return 100 * high


def detectable_drop(
    before: Tally, after: Tally, level: float, tolerated: float, seed: int, studies: int
) -> float | None:
    """In points: the drop of accuracy that `flip_signs` finds at `level`, and that is larger than
    tolerated, with a chance of `POWER`; None where there is none.

    By simulated checks, each of as many questions, drawn from what these two runs say of the
    population (a Pólya urn, so that what they leave open is open there too). A check's two sides
    differ by their churn, in either direction, and by samples lost among those that both had right.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    one, other = before.accuracies, after.accuracies
    epochs = min(*before.epochs, *after.epochs)
    picked = _urn(random, studies, len(one))
    churn = (one - other)[picked] * random.choice((-1.0, 1.0), picked.shape)
    both = (one * other)[picked]
    luck = random.random((*picked.shape, epochs))

    def found(lost: Floats) -> NDArray[np.bool_]:
        share = np.minimum(1, lost / np.maximum(both.mean(axis=1), 1 / both.size))
        gone = (luck < (share[:, None] * both)[:, :, None]).mean(axis=2)
        drop = churn + gone
        enough: NDArray[np.bool_] = 100 * drop.mean(axis=1) > tolerated
        return enough & _significant(drop, level, 1 / epochs)

    lost = _smallest(found, studies, 1.0)
    return None if lost is None else 100 * lost


def detectable_rise(
    before: Floats, after: Floats, level: float, tolerated: float, seed: int, studies: int
) -> float | None:
    """As `detectable_drop`, in percent of mean thinking tokens per question. The simulated sides
    differ as the two runs do once their means are made equal, in either direction."""
    import numpy as np

    if not (before.any() and after.any()) or len(before) < 2:
        return None
    random = np.random.default_rng(seed)
    after = after * before.mean() / after.mean()
    picked = _urn(random, studies, len(before))
    swapped = random.random(picked.shape) < 0.5
    base = np.where(swapped, after[picked], before[picked])
    new = np.where(swapped, before[picked], after[picked])

    def found(rise: Floats) -> NDArray[np.bool_]:
        risen = new * np.exp(rise)[:, None]
        enough: NDArray[np.bool_] = risen.sum(axis=1) > base.sum(axis=1) * (1 + tolerated / 100)
        return enough & _significant(risen - base, level, 0.0)

    rise = _smallest(found, studies, _MOST_RISE)
    # Draws from the urn vary less than those from the population, by (n - 1) / (n + 1), and equal
    # means take one degree of freedom more.
    n = len(before)
    return None if rise is None else 100 * math.expm1(rise * math.sqrt(n * (n + 1)) / (n - 1))


def _urn(random: np.random.Generator, studies: int, questions: int) -> NDArray[np.int64]:
    """Questions of each study, (studies, questions): drawn with weights that are themselves drawn
    uniformly from the simplex, study by study."""
    import numpy as np

    upper = random.standard_exponential((studies, questions)).cumsum(axis=1)
    upper /= upper[:, -1:]
    row = np.arange(studies)[:, None]
    at = np.searchsorted((upper + row).ravel(), random.random((studies, questions)) + row)
    picked: NDArray[np.int64] = np.minimum(at - row * questions, questions - 1)
    return picked


def _significant(changes: Floats, level: float, half_step: float) -> NDArray[np.bool_]:
    """Per row, whether `flip_signs` is at most `level`; by the normal approximation of its
    distribution with a correction for kurtosis (Cornish & Fisher). half_step: of its sums."""
    import numpy as np
    from scipy.special import ndtri

    normal = -float(ndtri(level))
    squares = changes * changes
    variance = squares.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        kurtosis = -2 * (squares * squares).sum(axis=1) / variance**2
    needed = normal + (normal**3 - 3 * normal) * kurtosis / 24
    possible = (changes != 0).sum(axis=1) >= -math.log2(level)
    found: NDArray[np.bool_] = possible & (
        changes.sum(axis=1) - half_step >= needed * np.sqrt(variance)
    )
    return found


def _smallest(
    found: Callable[[Floats], NDArray[np.bool_]], studies: int, most: float
) -> float | None:
    """The effect up to `most` that is found in a share `POWER` of the studies."""
    import numpy as np

    low, high = np.zeros(studies), np.full(studies, most)
    never = ~found(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = found(middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    high[never] = np.inf
    effect = float(np.quantile(high, POWER, method="higher"))
    return effect if math.isfinite(effect) else None


def detectable_by_t(error: float, questions: int, level: float, tolerated: float) -> float | None:
    """Of a t-test, or of a bootstrap that is as wide. error: the standard error of the change.
    level: the one-sided alpha."""
    from scipy.special import stdtrit

    if questions < 2:
        return None
    if not error:
        return tolerated
    needed = float(stdtrit(questions - 1, 1 - level))
    low, high = 0.0, needed + tolerated / error + 10
    while high - low > 1e-6:
        middle = (low + high) / 2
        enough = _power(middle * error, error, questions, needed, tolerated) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high * error


def _power(change: float, error: float, questions: int, needed: float, tolerated: float) -> float:
    """The chance that t is above `needed` and the change above what is tolerated. needed: at what
    t the test is significant."""
    from scipy.special import nctdtr, ndtr

    if not error:
        return float(change > tolerated)
    significant = 1 - nctdtr(questions - 1, change / error, needed)
    return float(min(significant, ndtr((change - tolerated) / error)))


def questions_needed(detectable: Callable[[int], float | None], points: float) -> int | None:
    """The smallest number of questions that would show a difference of `points`; None: over
    `MOST_QUESTIONS`."""

    def enough(questions: int) -> bool:
        found = detectable(questions)
        return found is not None and found <= points

    high = 2
    while not enough(high):
        high *= 2
        if high > MOST_QUESTIONS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
