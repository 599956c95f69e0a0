"""How likely a model found what it wrote: log-probabilities of sampled ids, and the confidence of a
chain that is read from them (DeepConf, arXiv 2508.15260, section 2)."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil, exp, fsum
from typing import Any

MOST = 20
"""Ids in the place of a sampled one that an engine may be asked for: what vLLM's servers allow."""

LEAST = -9999.0
"""What stands for a probability of zero, which JSON has no logarithm of (vLLM's servers)."""


def _floats() -> array[float]:
    return array("f")


def _ids() -> array[int]:
    return array("I")


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Natural logarithms of the model's own probabilities, id by id: of its softmax over all its
    logits before temperature, top_p, top_k, bans and minimums, whatever id was then sampled. vLLM
    calls them `raw_logprobs`. Held as float32, as models compute them.

    width: how many of the most likely ids are told in each place.
    sampled: of each sampled id, (n).
    top_ids, top: the `width` most likely ids of each place, most likely first, and theirs, both
        (n x width) row by row.
    """

    width: int
    sampled: array[float] = field(default_factory=_floats)
    top_ids: array[int] = field(default_factory=_ids)
    top: array[float] = field(default_factory=_floats)

    @classmethod
    def of(
        cls, width: int, places: Iterable[tuple[float, Sequence[int], Sequence[float]]]
    ) -> Logprobs:
        """places: (of the sampled id, the most likely ids, theirs) each; more than `width` are cut.

        Raises ValueError where there are fewer.
        """
        made = cls(width)
        for place in places:
            made.append(*place)
        return made

    def append(self, sampled: float, top_ids: Sequence[int], top: Sequence[float]) -> None:
        """One place more, for who is filling it. Raises ValueError as `of` does."""
        if min(len(top_ids), len(top)) < self.width:
            raise ValueError(f"{len(top_ids)} likely ids where {self.width} were asked for")
        self.sampled.append(max(sampled, LEAST))
        self.top_ids.extend(top_ids[: self.width])
        self.top.extend(max(value, LEAST) for value in top[: self.width])

    def __len__(self) -> int:
        return len(self.sampled)

    def __getitem__(self, places: slice) -> Logprobs:
        start, stop, _ = places.indices(len(self))
        likely = slice(start * self.width, stop * self.width)
        return Logprobs(
            self.width, self.sampled[start:stop], self.top_ids[likely], self.top[likely]
        )

    def __add__(self, other: Logprobs) -> Logprobs:
        if self.width != other.width:
            raise ValueError(f"log-probabilities of {self.width} and of {other.width} likely ids")
        return Logprobs(
            self.width,
            self.sampled + other.sampled,
            self.top_ids + other.top_ids,
            self.top + other.top,
        )

    @property
    def confidence(self) -> list[float]:
        """Of each place: minus the mean log-probability of the most likely ids. The higher, the
        more of the probability lies on few of them. Raises ValueError without any."""
        if not self.width:
            raise ValueError("confidence needs the most likely ids: ask for 1 or more of them")
        rows = range(0, len(self.top), self.width)
        return [-fsum(self.top[at : at + self.width]) / self.width for at in rows]

    @property
    def likelihood(self) -> float:
        """The geometric mean of the sampled ids' probabilities; 0 where there are none."""
        return exp(fsum(self.sampled) / len(self)) if len(self) else 0.0

    def pack(self) -> bytes:
        """All but the width, little-endian."""
        return b"".join(_little(each).tobytes() for each in (self.sampled, self.top_ids, self.top))

    @classmethod
    def unpack(cls, data: bytes, width: int, number: int) -> Logprobs:
        """Inverse of `pack`, for that many places."""
        made, start = cls(width), 0
        for part, words in (
            (made.sampled, number),
            (made.top_ids, width * number),
            (made.top, width * number),
        ):
            _read(part, data[start : start + 4 * words])
            start += 4 * words
        return made

    def to_dict(self, likely: int = MOST) -> dict[str, Any]:
        """As a record has them, to five digits, with so many of the likeliest ids at most."""
        told: dict[str, Any] = {"logprobs": _digits(self.sampled)}
        if likely := min(likely, self.width):
            rows = range(0, len(self.top), self.width)
            told["top_ids"] = [list(self.top_ids[at : at + likely]) for at in rows]
            told["top_logprobs"] = [_digits(self.top[at : at + likely]) for at in rows]
        return told

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Logprobs:
        """Inverse of `to_dict`. Raises ValueError or TypeError on anything else."""
        nothing: list[list[float]] = [[] for _ in row["logprobs"]]
        ids, top = (row.get(name, nothing) for name in ("top_ids", "top_logprobs"))
        return cls.of(len(ids[0]) if ids else 0, zip(row["logprobs"], ids, top, strict=True))


def _read(values: array[float] | array[int], data: bytes) -> None:
    """Fill an array from little-endian bytes."""
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()


def _little(values: array[float] | array[int]) -> array[float] | array[int]:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values


def _digits(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


MEASURES = ("mean", "lowest_group", "bottom_groups", "tail")
"""Confidences of a chain, from those of its tokens: their mean; of all groups, windows of so many
tokens in a row, the lowest mean; the mean of the tenth of the groups that is lowest; the mean of
the last group."""

BOTTOM = 0.1
"""Share of the groups that `bottom_groups` is the mean of."""


NOISE = 1e-3
"""Confidences that differ by less are equal: which rows share a batch moves float32 sums."""

WINDOW = 2048
"""Tokens of a group (DeepConf, section 4)."""


def group_confidences(tokens: Sequence[float], window: int) -> list[float]:
    """The mean of every `window` tokens in a row; of all, where there are fewer; none of none."""
    if not tokens:
        return []
    window = min(window, len(tokens))
    sums = [0.0, *accumulate(tokens)]
    return [(end - start) / window for start, end in zip(sums, sums[window:], strict=False)]


def confidences(tokens: Sequence[float], window: int) -> dict[str, float]:
    """`MEASURES` of a chain, to five digits; all 0 of one without tokens.

    tokens: see `Logprobs.confidence`. window: tokens of a group.
    """
    groups = group_confidences(tokens, window)
    if not groups:
        return dict.fromkeys(MEASURES, 0.0)
    bottom = sorted(groups)[: ceil(BOTTOM * len(groups))]
    values = (fsum(tokens) / len(tokens), min(groups), fsum(bottom) / len(bottom), groups[-1])
    return dict(zip(MEASURES, _digits(values), strict=True))


def summary(logprobs: Logprobs, window: int = WINDOW) -> dict[str, float]:
    """What a record says of a chain in any case: the mean log-probability of its sampled ids, and
    its confidences where likely ids were told."""
    [mean] = _digits([fsum(logprobs.sampled) / max(len(logprobs), 1)])
    return {
        "logprob": mean,
        **(confidences(logprobs.confidence, window) if logprobs.width else {}),
    }
