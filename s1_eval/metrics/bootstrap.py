"""How sure the statistics of several runs are: a percentile bootstrap over questions, paired across
runs and clustered by question (the epochs of a question stay together). What one run, or a pair of
runs, says has an interval of its own kind, see `intervals`.

The percentile interval is expanded as in Hesterberg (2015, "What Teachers Should Know About the
Bootstrap"): its tails are narrowed to what a t interval of the same number of questions would
leave, because the plain one is too short for the 30 questions of AIME.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from s1_eval.metrics.intervals import LEVEL, Interval
from s1_eval.metrics.points import Tally

if TYPE_CHECKING:
    from s1_eval.metrics.intervals import Floats

RESAMPLES = 10_000
SPLITS = 100
"""Random halvings that a cross-fitted estimate averages over."""

_WEIGHTS_AT_ONCE = 1 << 22
_ROUNDING = 1e-9
"""Relative. Sums of per-question means carry rounding errors far below it, and a cap held exactly
must not look broken; no two different token means of real runs are as close."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Resampled runs. accuracy, thinking: (resamples, runs), accuracy between 0 and 1. Row i of
    every run is the same resample of questions, so runs are compared pair by pair."""

    accuracy: Floats
    thinking: Floats
    questions: int

    def of(self, runs: Sequence[int]) -> Draws:
        """These columns only."""
        return Draws(self.accuracy[:, runs], self.thinking[:, runs], self.questions)


def draw(tallies: Sequence[Tally], seed: int, resamples: int = RESAMPLES) -> Draws:
    """Resample the questions with replacement, all runs alike, those of each stratum among
    themselves.

    The tallies must be of the same questions. Memory stays bounded: weights (resamples x
    questions) are made and multiplied in pieces, and the result does not depend on their size.
    """
    import numpy as np

    questions = len(tallies[0].questions)
    epochs = np.array([t.epochs for t in tallies], dtype=np.float64)
    sums = np.array([[*t.correct] for t in tallies] + [[*t.thinking] for t in tallies], dtype=float)
    per_question = (sums / np.concatenate([epochs, epochs])).T
    drawn = means(per_question, seed, resamples, tallies[0].strata)
    return Draws(drawn[:, : len(tallies)], drawn[:, len(tallies) :], questions)


def means(
    values: Floats, seed: int, resamples: int = RESAMPLES, strata: Sequence[str] = ()
) -> Floats:
    """Resampled column means, (resamples, columns). values: (questions, columns). strata: of each
    question; none is one for all."""
    import numpy as np

    questions, columns = values.shape
    drawn = np.empty((resamples, columns))
    random = np.random.default_rng(seed)
    step = max(1, _WEIGHTS_AT_ONCE // questions)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        picked = _picked(random, rows, questions, strata)
        picked += questions * np.arange(rows)[:, None]
        weights = np.bincount(picked.ravel(), minlength=rows * questions).astype(np.float64)
        drawn[start : start + rows] = weights.reshape(rows, questions) @ values / questions
    return drawn


def _picked(random: Any, rows: int, questions: int, strata: Sequence[str]) -> Any:
    """The numbers of the questions in each of so many resamples, (rows, questions)."""
    import numpy as np

    if len(set(strata)) < 2:
        return random.integers(questions, size=(rows, questions))
    parts = []
    for name in sorted(set(strata)):
        own = np.flatnonzero(np.array(strata) == name)
        parts.append(own[random.integers(len(own), size=(rows, len(own)))])
    return np.concatenate(parts, axis=1)


def scaling(draws: Draws) -> Floats:
    """Scaling in points per doubling, (resamples,); NaN where it is undefined."""
    import numpy as np

    runs = draws.thinking.shape[1]
    total = np.zeros(len(draws.thinking))
    with np.errstate(divide="ignore", invalid="ignore"):
        log2 = np.log2(draws.thinking)
        for i, j in combinations(range(runs), 2):
            doublings = log2[:, j] - log2[:, i]
            slope = 100 * (draws.accuracy[:, j] - draws.accuracy[:, i]) / doublings
            total += np.where(np.abs(doublings) > _ROUNDING, slope, np.nan)
    total[~np.isfinite(total)] = np.nan
    return total / math.comb(runs, 2)


def performance(draws: Draws) -> Floats:
    """The best run's accuracy in percent, (resamples,)."""
    best: Floats = 100 * draws.accuracy.max(axis=1)
    return best


def interval(values: Floats, questions: int) -> Interval | None:
    """The interval that resampled `values` of a statistic span; NaN counts as undefined. None for
    fewer than two questions, where fewer than half of the resamples have a value, or where all
    have the same."""
    import numpy as np

    defined = values[~np.isnan(values)]
    if questions < 2 or 2 * len(defined) < len(values):
        return None
    tail = _tail(questions)
    low, high = np.quantile(defined, [tail, 1 - tail])
    if high - low <= _ROUNDING * abs(high):
        return None
    undefined = 1 - len(defined) / len(values)
    return Interval(float(low), float(high), undefined, "expanded percentile bootstrap")


def cross_fitted(tallies: Sequence[Tally], seed: int) -> float | None:
    """Performance without its selection bias, in percent: the best run is picked on a random half
    of the questions and scored on the other half, both ways, averaged over `SPLITS` halvings.
    Picking on half the questions makes it a little pessimistic. None for fewer than two questions.
    """
    import numpy as np

    correct = np.array([[*t.correct] for t in tallies], dtype=np.float64)
    correct /= np.array([t.epochs for t in tallies])
    questions = correct.shape[1]
    if questions < 2:
        return None
    random = np.random.default_rng(seed)
    right = 0.0
    for _ in range(SPLITS):
        halves = np.array_split(random.permutation(questions), 2)
        for picked_on, scored_on in (halves, halves[::-1]):
            seen = correct[:, picked_on].mean(axis=1)
            best = seen >= seen.max() - _ROUNDING  # ties share
            right += correct[best][:, scored_on].mean() * len(scored_on)
    return float(100 * right / (SPLITS * questions))


def _tail(questions: int) -> float:
    """The expanded percentile's share of resamples on each side."""
    from scipy.special import ndtr, stdtrit  # not scipy.stats: twice the import time

    t = stdtrit(questions - 1, (1 - LEVEL) / 2)
    return float(ndtr(math.sqrt(questions / (questions - 1)) * t))
