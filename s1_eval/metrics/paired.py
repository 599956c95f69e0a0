"""Paired tests of two runs' accuracies, question by question, and the smallest difference that they
could have found."""

from __future__ import annotations

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


def detectable_by_t(error: float, questions: int, level: float, tolerated: float) -> float | None:
    """By the normal approximation. error: the standard error of the change. level: the one-sided
    alpha."""
    from scipy.special import ndtri, stdtrit

    if questions < 2:
        return None
    significant = float(stdtrit(questions - 1, 1 - level)) * error
    return max(significant, tolerated) + float(ndtri(POWER)) * error
