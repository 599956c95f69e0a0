"""Which texts share eight words in a row with other texts: exact, in one pass over each.

Words are what stands between white space, lower-cased. Runs of eight are looked up by a 64-bit
hash in a sorted array and then compared word for word, so a hash decides nothing by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import numpy as np
import numpy.typing as npt

WORDS = 8
_FACTORS = np.random.default_rng(8).integers(1, 2**63, WORDS, dtype=np.uint64) * 2 + 1
_BATCH = 4096
"""Texts at a time: their hashes take a few megabytes."""

Words = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Reference:
    """A text that others must not repeat.

    name: what an overlap with it is put down to, e.g. `math500 test/algebra/1.json`.
    secret: its words may not be written anywhere; an overlap gives the name alone.
    """

    name: str
    text: str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Overlap:
    """words: the first eight that are shared, or all of a shorter text; None if secret."""

    name: str
    words: str | None


class Index:
    """References that can be searched; more can be added at any time.

    Takes about 20 bytes a word. A text of fewer than eight words overlaps with a reference that
    has exactly the same ones.
    """

    def __init__(self) -> None:
        self._ids: defaultdict[str, int] = defaultdict()
        self._ids.default_factory = self._ids.__len__
        self._names: list[tuple[str, bool]] = []
        self._starts: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._words: Words = np.zeros(0, np.int32)
        self._hashes: Hashes = np.zeros(0, np.uint64)
        self._places: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._short: dict[tuple[str, ...], int] = {}

    def add(self, references: Sequence[Reference]) -> None:
        """Sorts in their runs of words; a call per data set, not per text."""
        texts = [_split(reference.text) for reference in references]
        for number, text in enumerate(texts, len(self._names)):
            if len(text) < WORDS:
                self._short.setdefault(tuple(text), number)
        self._names += [(reference.name, reference.secret) for reference in references]
        words, starts = self._encode(texts)
        hashes, places = _runs(words, starts)
        order = np.argsort(hashes, kind="stable")
        hashes = np.concatenate([self._hashes, hashes[order]])
        places = np.concatenate([self._places, places[order] + len(self._words)])
        self._starts = np.concatenate([self._starts, starts[:-1] + len(self._words)])
        self._words = np.concatenate([self._words, words])
        # Of two sorted runs, a stable sort is a merge, and earlier references stay first.
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._places = hashes[order], places[order]

    def overlaps(self, texts: Sequence[str]) -> Iterator[Overlap | None]:
        """For each text its first overlap, with the earliest reference that has it."""
        for first in range(0, len(texts), _BATCH):
            batch = [_split(text) for text in texts[first : first + _BATCH]]
            found = self._search(batch)
            for number, text in enumerate(batch):
                if (whole := self._short.get(tuple(text))) is not None and len(text) < WORDS:
                    yield self._overlap(whole, text)
                elif hit := found.get(number):
                    at, reference = hit
                    yield self._overlap(reference, text[at : at + WORDS])
                else:
                    yield None

    def _overlap(self, reference: int, words: Sequence[str]) -> Overlap:
        name, secret = self._names[reference]
        return Overlap(name, None if secret else " ".join(words))

    def _search(self, batch: Sequence[list[str]]) -> dict[int, tuple[int, int]]:
        """(place in the text, reference) of the first shared run, by the text's number."""
        words, starts = self._encode(batch)
        hashes, places = _runs(words, starts)
        slots = np.searchsorted(self._hashes, hashes)
        slots[slots == len(self._hashes)] = 0
        suspects = (
            np.flatnonzero(self._hashes[slots] == hashes) if len(self._hashes) else np.zeros(0, int)
        )
        found: dict[int, tuple[int, int]] = {}
        for suspect in suspects:
            place = int(places[suspect])
            number = int(np.searchsorted(starts, place, "right")) - 1
            if number in found:
                continue
            run = words[place : place + WORDS]
            slot = int(slots[suspect])
            while slot < len(self._hashes) and self._hashes[slot] == hashes[suspect]:
                at = int(self._places[slot])
                if np.array_equal(self._words[at : at + WORDS], run):
                    reference = int(np.searchsorted(self._starts, at, "right")) - 1
                    found[number] = (place - int(starts[number]), reference)
                    break
                slot += 1
        return found

    def _encode(self, texts: Sequence[list[str]]) -> tuple[Words, npt.NDArray[np.int64]]:
        """All words as numbers, and where each text begins and the last one ends."""
        starts = np.fromiter(accumulate(map(len, texts), initial=0), np.int64, len(texts) + 1)
        numbers: Any = map(self._ids.__getitem__, chain.from_iterable(texts))
        return np.fromiter(numbers, np.int32, int(starts[-1])), starts


def _split(text: str) -> list[str]:
    return text.lower().split()


def _runs(words: Words, starts: npt.NDArray[np.int64]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The hash of every run of words that lies within one text, and where it begins."""
    total = max(len(words) - WORDS + 1, 0)
    inside = np.ones(len(words), bool)
    for back in range(1, WORDS):
        ends = starts[1:] - back
        inside[ends[ends >= starts[:-1]]] = False
    places = np.flatnonzero(inside[:total])
    hashes = np.zeros(total, np.uint64)
    for k in range(WORDS):
        hashes += words[k : k + total].astype(np.uint64) * _FACTORS[k]
    return hashes[places], places
