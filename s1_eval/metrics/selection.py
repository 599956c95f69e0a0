"""One run serves many N: what majority vote or best-of-N over k of a question's n independent
samples would have scored, as the mean over all choices of k, so without bias. It is not for beam
search, DVTS and REBASE, whose chains depend on the width: they take a run for each N.

Read from the rows of `majority_vote` and `best_of_n`, see `samples_of`. Ties are broken as the
methods break them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from s1_eval.errors import UserError
from s1_eval.records import OwnRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Selection = Literal["weighted", "vanilla", "majority"]

CHOICES = 2000
"""Choices of k that are gone through one by one; of more, that many are drawn at random, which
keeps the mean unbiased."""

_DIGITS = 12
"""Sums of scores are equal if they agree to that many decimals: the order of adding is not."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The n samples of one question.

    answers, thinking: the text and the thinking tokens of each. groups: equal answers have the
    same number, unreadable ones -1. correct: by the benchmark's grader. scores: the verifier's or
    the model's own confidence, None without either. keep: the share of those with a vote that is
    left to vote by `weighted`, the highest scores. confidence: the model's, by its measures.
    """

    answers: tuple[str, ...]
    groups: tuple[int, ...]
    correct: tuple[bool, ...]
    thinking: tuple[int, ...]
    scores: tuple[float, ...] | None = None
    keep: float = 1.0
    confidence: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.answers)


def samples_of(row: OwnRow) -> Samples:
    """The samples that a row tells of. Raises UserError where it tells of none."""
    try:
        confidence = row.get("sample_confidence", {})
        scores = row.get("sample_scores", confidence.get(row.get("sample_measure", "")))
        found = Samples(
            tuple(row["sample_answers"]),
            tuple(row["sample_groups"]),
            tuple(row["sample_correct"]),
            tuple(row["sample_thinking_tokens"]),
            None if scores is None else tuple(scores),
            row.get("sample_keep", 1.0),
            confidence,
        )
    except KeyError as missing:
        raise UserError(
            f"a row of {row.get('method')} has no {missing}: choosing again among samples needs "
            "runs of majority_vote or best_of_n, or of confidence"
        ) from None
    lists = [found.groups, found.correct, found.thinking, *found.confidence.values()]
    lists += [] if found.scores is None else [found.scores]
    if any(len(each) != len(found) for each in lists):
        raise UserError(
            f"sample {row.get('sample_id')!r:.50} of {row.get('method')} has lists of different "
            "lengths about its samples: the file is damaged, run its command again"
        )
    return found


def accuracy_at(samples: Samples, k: int, selection: Selection, seed: int = 0) -> float:
    """The chance that `selection` over k of the samples picks a correct answer.

    Exact for `vanilla`, and for the votes up to `CHOICES` choices; beyond, from that many random
    ones. Raises UserError unless 1 <= k <= n, or where there are no scores to select by.
    """
    n = len(samples)
    if not 1 <= k <= n:
        raise UserError(f"k={k} of {n} samples: choose k from 1 to {n}, or sample more")
    if selection != "majority" and samples.scores is None:
        raise UserError(f"{selection} needs scores: take a run of best_of_n or confidence")
    if selection == "vanilla":
        return float(_vanilla(samples, k))
    if k == 1:
        return sum(c for c, g in zip(samples.correct, samples.groups, strict=True) if g >= 0) / n
    return float(_votes(samples, _choices(n, k, seed), selection).mean())


def _vanilla(samples: Samples, k: int) -> Fraction:
    """The sample that ranks r-th of n is the best of k with chance C(n-1-r, k-1) / C(n, k)."""
    n, ranked = len(samples), _ranked(samples)
    good = sum(math.comb(n - 1 - r, k - 1) for r, i in enumerate(ranked) if samples.correct[i])
    return Fraction(good, math.comb(n, k))


def _ranked(samples: Samples) -> list[int]:
    """Best first."""
    scores = samples.scores or ()
    return sorted(
        range(len(samples)), key=lambda i: (-scores[i], samples.thinking[i], samples.answers[i])
    )


def _kept(samples: Samples, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each choice the members that `samples.keep` leaves a vote, (choices, n)."""
    import numpy as np

    order = _ranked(samples)
    voting = chosen[:, order] & (np.array(samples.groups)[order] >= 0)
    most = np.ceil(samples.keep * voting.sum(axis=1, keepdims=True) - 1e-9)
    kept = np.zeros_like(chosen)
    kept[:, order] = voting & (voting.cumsum(axis=1) <= most)
    return kept


def _choices(n: int, k: int, seed: int) -> NDArray[np.bool_]:
    """Choices of k of n, (choices, n): all, or `CHOICES` random ones."""
    import numpy as np

    if math.comb(n, k) <= CHOICES:
        members = np.array(list(combinations(range(n), k)))
    else:
        random = np.random.default_rng(seed)
        members = random.random((CHOICES, n)).argpartition(k - 1, axis=1)[:, :k]
    chosen = np.zeros((len(members), n), dtype=bool)
    np.put_along_axis(chosen, members, True, axis=1)
    return chosen


def _votes(samples: Samples, chosen: NDArray[np.bool_], selection: Selection) -> NDArray[np.bool_]:
    """Whether the heaviest group of each choice is correct, (choices,)."""
    import numpy as np

    if selection == "weighted" and samples.keep < 1:
        chosen = _kept(samples, chosen)
    groups = np.array(samples.groups)
    number = groups.max(initial=-1) + 1
    if not number:
        return np.zeros(len(chosen), dtype=bool)
    member = groups[:, None] == np.arange(number)
    weights = np.ones(len(samples)) if selection == "majority" else np.array(samples.scores)
    weight = ((chosen * weights) @ member).round(_DIGITS)
    count = chosen.astype(float) @ member
    thinking = (chosen * np.array(samples.thinking)) @ member / np.maximum(count, 1)
    texts = sorted(set(samples.answers))
    place = np.array([texts.index(answer) for answer in samples.answers], dtype=float)
    first = np.stack(
        [np.where(chosen & column, place, np.inf).min(axis=1) for column in member.T], axis=1
    )
    left = count > 0
    for key in (-weight, -count, thinking.round(_DIGITS), first):
        best = np.where(left, key, np.inf).min(axis=1, keepdims=True)
        left &= key == best
    winner = left.argmax(axis=1)
    correct = np.array([_correct(samples, group) for group in range(number)])
    found: NDArray[np.bool_] = correct[winner] & left.any(axis=1)
    return found


def _correct(samples: Samples, group: int) -> bool:
    """Whether a group's answer is correct; its first member speaks for it."""
    return samples.correct[samples.groups.index(group)]


def mean_accuracy_at(rows: Sequence[OwnRow], k: int, selection: Selection) -> dict[str, float]:
    """`accuracy_at` per question, the mean of its epochs."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["sample_id"], []).append(accuracy_at(samples_of(row), k, selection))
    return {id: sum(values) / len(values) for id, values in found.items()}
