"""Paired tests of two runs' accuracies, question by question, and the smallest difference that they
could have found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from s1_eval.metrics.bootstrap import Floats

POWER = 0.8
"""The chance of being found that defines the smallest detectable difference."""

_FLIPS_AT_ONCE = 1 << 22


def means(sums: Sequence[int], epochs: Sequence[int]) -> Floats:
    """(questions,), from each question's sum over its epochs and their number."""
    import numpy as np

    found: Floats = np.array(sums, dtype=np.float64) / np.array(epochs)
    return found


def flip_signs(
    changes: Floats,
    seed: int,
    resamples: int,
    alternative: Literal["greater", "two-sided"] = "greater",
) -> float:
    """P of a mean change this large if each question's two results were exchangeable."""
    import numpy as np
    from scipy.stats import permutation_test

    if not changes.any():
        return 1.0
    result = permutation_test(
        (changes,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        alternative=alternative,
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _FLIPS_AT_ONCE // len(changes)),
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


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


def detectable_by_flips(
    changes: Floats, both: Floats, epochs: Floats, level: float, tolerated: float
) -> float | None:
    """As `detectable_by_mcnemar`, for `flip_signs`; by the normal approximation of its
    permutations. changes: per question, in points; their spread is the churn. both: share of a
    question's samples that are right on both sides, which the difference is lost from."""
    from scipy.special import ndtri

    n = len(changes)
    # The permutations' spread holds the mean change too, so the test asks for more than a t-test.
    normal = float(ndtri(1 - level))
    if n <= normal * normal:
        return None
    needed = normal * math.sqrt((n - 1) / (n - normal * normal))
    points = 100 * both

    def error(lost: float) -> float:
        within = (100 * lost * (1 - lost) * points / epochs).mean()
        return math.sqrt(((changes + lost * points).var(ddof=1) + within) / n)

    def found(lost: float) -> bool:
        return _power(lost * points.mean(), error(lost), n, needed, tolerated) >= POWER

    low, high = 0.0, 1.0
    if not points.any() or not found(high):
        return None
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return float(high * points.mean())


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
