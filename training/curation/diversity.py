"""Stage 5: from the hard questions to the final ones, by s1's rules and samplers, and by those of
its ablations. The paper published no seed; here every draw has one.

Source: arXiv 2501.19393, section 2.2, algorithm 1 and section 5.1; s1's notebook where named.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from s1_eval.errors import UserError

Sampler = Literal["paper", "notebook"]
UNIFORM_SHARE = 0.7
"""The notebook draws domains uniformly up to 700 of 1,000 questions."""
_RANKS = 64
"""2^-64 is below what a double adds to 1: later ranks are never drawn."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """length: of its trace, in the recipe's unit. teacher_correct: None where nobody graded."""

    id: str
    source: str
    domain: str
    length: int
    teacher_correct: bool | None = None


def kept(candidates: Sequence[Candidate], longer_than: Mapping[str, int]) -> list[Candidate]:
    """The questions that are taken before any is drawn: the teacher is right about them, and
    their trace is longer than their source's threshold.

    longer_than: by source; other sources keep none.
    """
    return [
        c
        for c in candidates
        if c.teacher_correct and c.source in longer_than and c.length > longer_than[c.source]
    ]


def s1(
    candidates: Sequence[Candidate],
    size: int,
    seed: int,
    longer_than: Mapping[str, int],
    sampler: Sampler = "paper",
) -> list[Candidate]:
    """The kept ones, then draws: a domain, and in it a question by `draw_long`, until `size`.

    paper: every domain that has a question left is as likely as any other.
    notebook: so up to 70% of `size`; after that by how often GPQA and AIME questions are of it.
    Raises UserError where `size` is less than what is kept, or more than there are.
    """
    _check(candidates, size)
    chosen = kept(candidates, longer_than)
    if len(chosen) > size:
        raise UserError(
            f"size={size}: {len(chosen)} questions are kept before any is drawn; give a larger "
            "size, or higher thresholds in keep"
        )
    rng = random.Random(seed)  # noqa: S311
    taken = {c.id for c in chosen}
    left = _by_domain([c for c in candidates if c.id not in taken])
    histogram = Counter(c.domain for c in candidates if c.source in ("gpqa", "aime"))
    while len(chosen) < size:
        domains = sorted(left)
        weights = [1] * len(domains)
        if sampler == "notebook" and len(chosen) >= UNIFORM_SHARE * size:
            weights = [histogram[domain] for domain in domains]
            if not any(weights):
                weights = [1] * len(domains)
        [domain] = rng.choices(domains, weights)
        chosen.append(draw_long(left[domain], rng))
        if not left[domain]:
            del left[domain]
    return chosen


def draw_long(ranked: list[Candidate], rng: random.Random) -> Candidate:
    """Takes one out of `ranked`, which is longest first, with weight 2^-rank."""
    ranks = range(min(len(ranked), _RANKS))
    [rank] = rng.choices(ranks, [2.0**-rank for rank in ranks])
    return ranked.pop(rank)


def uniform(candidates: Sequence[Candidate], size: int, seed: int) -> list[Candidate]:
    """s1's 1K-random. Raises UserError where there are fewer."""
    _check(candidates, size)
    return random.Random(seed).sample(list(candidates), size)  # noqa: S311


def diverse(candidates: Sequence[Candidate], size: int, seed: int) -> list[Candidate]:
    """s1's 1K-diverse: a domain uniformly, in it a question uniformly. Raises UserError where
    there are fewer."""
    _check(candidates, size)
    rng = random.Random(seed)  # noqa: S311
    left = _by_domain(candidates)
    chosen: list[Candidate] = []
    while len(chosen) < size:
        domain = rng.choice(sorted(left))
        chosen.append(left[domain].pop(rng.randrange(len(left[domain]))))
        if not left[domain]:
            del left[domain]
    return chosen


def longest(candidates: Sequence[Candidate], size: int) -> list[Candidate]:
    """s1's 1K-longest. Raises UserError where there are fewer."""
    _check(candidates, size)
    return _longest_first(candidates)[:size]


def _by_domain(candidates: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """Longest first in each."""
    domains: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in _longest_first(candidates):
        domains[candidate.domain].append(candidate)
    return domains


def _longest_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Equal lengths, such as of traces that a cap ended, in an order that no source's name sets."""

    def tie(candidate: Candidate) -> str:
        return hashlib.sha256(candidate.id.encode()).hexdigest()

    return sorted(candidates, key=lambda c: (-c.length, tie(c)))


def _check(candidates: Sequence[Candidate], size: int) -> None:
    if size > len(candidates):
        raise UserError(
            f"size={size}: only {len(candidates)} questions are left to choose from; give that or "
            "less, or more sources"
        )
