"""The compute-optimal choice (arXiv 2408.03314, section 3): questions are binned by difficulty,
and each bin gets the strategy that does best on other questions of the same bin. Finding out how
difficult a question is costs samples, and they are charged.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from s1_eval.errors import UserError

BINS = 5
"""As in the paper: quintiles."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A strategy at one compute level, question by question in one common order.

    accuracy: between 0 and 1. tokens: policy and verifier tokens together.
    """

    accuracy: Sequence[float]
    tokens: Sequence[float]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the choice gives. accuracy, tokens: per question, the tokens of the estimate included.
    strategies: per fold and bin, the strategy that was chosen there."""

    accuracy: tuple[float, ...]
    tokens: tuple[float, ...]
    strategies: tuple[tuple[str, ...], ...]


def bins(easiness: Sequence[float], number: int = BINS) -> list[int]:
    """The bin of each question, 0 the hardest; bins differ by one question at most.

    easiness: pass@1 (the oracle), or a verifier's mean score over samples. Equal questions keep
    their order, so bins stay equal in size where many are equal.
    """
    ranked = sorted(range(len(easiness)), key=lambda i: easiness[i])
    found = [0] * len(ranked)
    for rank, i in enumerate(ranked):
        found[i] = rank * number // len(ranked)
    return found


def compute_optimal(
    strategies: Mapping[str, Measured],
    easiness: Sequence[float],
    estimate_tokens: Sequence[float],
    *,
    number: int = BINS,
    seed: int = 0,
) -> Chosen:
    """The choice among strategies of one compute level, by two-fold cross-validation: a bin's
    strategy in one half is the one with the best accuracy in the other, the cheaper of equals.

    easiness, estimate_tokens: per question, from samples that no strategy was measured on.
    Raises UserError on lists of different lengths, or fewer than two questions a bin.
    """
    questions = len(easiness)
    lengths = {len(estimate_tokens)}
    for measured in strategies.values():
        lengths |= {len(measured.accuracy), len(measured.tokens)}
    if not strategies or lengths != {questions}:
        raise UserError("compute_optimal: give at least one strategy, and every list per question")
    if questions < 2 * number:
        raise UserError(
            f"{questions} questions in {number} bins: two-fold cross-validation takes at least "
            f"{2 * number}; choose fewer bins"
        )
    bin_of = bins(easiness, number)
    fold_of = _folds(bin_of, number, seed)
    best = tuple(
        tuple(
            _best(
                strategies, [i for i in range(questions) if (fold_of[i], bin_of[i]) == (1 - f, b)]
            )
            for b in range(number)
        )
        for f in (0, 1)
    )
    picked = [strategies[best[fold_of[i]][bin_of[i]]] for i in range(questions)]
    return Chosen(
        tuple(measured.accuracy[i] for i, measured in enumerate(picked)),
        tuple(measured.tokens[i] + estimate_tokens[i] for i, measured in enumerate(picked)),
        best,
    )


def _folds(bin_of: Sequence[int], number: int, seed: int) -> list[int]:
    """Halves, each with half of every bin."""
    rng = random.Random(seed)  # noqa: S311
    folds = [0] * len(bin_of)
    for b in range(number):
        members = [i for i, found in enumerate(bin_of) if found == b]
        rng.shuffle(members)
        for i in members[len(members) // 2 :]:
            folds[i] = 1
    return folds


def _best(strategies: Mapping[str, Measured], questions: Sequence[int]) -> str:
    def rank(name: str) -> tuple[float, float, str]:
        measured = strategies[name]
        return (
            -fmean(measured.accuracy[i] for i in questions),
            fmean(measured.tokens[i] for i in questions),
            name,
        )

    return min(strategies, key=rank)
