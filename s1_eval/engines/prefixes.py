"""What was read before and may be begun with again: beginnings by a hash of all their ids, and a
store of what is kept of them that forgets what was used longest ago.
"""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


def beginnings(ids: Sequence[int], bounds: Sequence[int]) -> list[bytes]:
    """A hash of all the ids before each of `bounds`, which grow."""
    digest = hashlib.blake2b(digest_size=16)
    keys = []
    for start, end in pairwise([0, *bounds]):
        digest.update(struct.pack(f"<{end - start}I", *ids[start:end]))
        keys.append(digest.digest())
    return keys


class Recent(Generic[Key, Value]):
    """Values, each of which holds the keys and values of some tokens; whoever adds one says of how
    many, and calls `shrink` once nothing that it works on can be dropped any more."""

    def __init__(self) -> None:
        self._held: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._tokens = 0

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def __getitem__(self, key: Key) -> Value:
        return self._held[key][0]

    def use(self, key: Key) -> Value:
        """The value, which counts as used now."""
        self._held.move_to_end(key)
        return self._held[key][0]

    def add(self, key: Key, value: Value, tokens: int) -> None:
        self._held[key] = value, tokens
        self._tokens += tokens

    def drop(self, key: Key) -> Value:
        value, tokens = self._held.pop(key)
        self._tokens -= tokens
        return value

    def shrink(self, tokens: int) -> list[tuple[Key, Value]]:
        """Drop what was used longest ago until at most `tokens` are held; what was dropped."""
        dropped = []
        while self._tokens > tokens:
            key = next(iter(self._held))
            dropped.append((key, self.drop(key)))
        return dropped
