"""Which of several servers of one model a request goes to. What a server speaks is the business of
who sends the request; here a server is its address.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from s1_eval.engines.prefixes import beginnings

COOLING = 10.0
"""Seconds for which a replica that has just failed is asked only if all others have, too."""

_QUESTIONS = 1 << 17
"""Whose home is remembered: those asked lately. Another one is read anew somewhere."""


class Replicas:
    """The servers of one model. A question has a home, where all its requests go, so that their
    prefix is there: of two servers that a hash of the question names, the one with less to do when
    the question is first seen. It finds another one where its own fails or is full while another
    idles. Of one event loop.
    """

    def __init__(self, slots: Mapping[str, int]) -> None:
        """slots: requests in flight at each server at most, by its address."""
        self.urls = tuple(slots)
        # httpx searches its queue at every event; what waits here costs nothing.
        self._most = slots
        self._slots = {url: asyncio.Semaphore(number) for url, number in slots.items()}
        self._load = dict.fromkeys(slots, 0)
        self._roots = _Roots()
        self._homes: OrderedDict[bytes, str] = OrderedDict()
        self._cooling: dict[str, float] = {}
        self._failed: Counter[str] = Counter()
        self._said: dict[str, str] = {}

    @asynccontextmanager
    async def one(self, prompt: Sequence[int], tries: int) -> AsyncIterator[str]:
        """The server to ask, from when it has a slot free until the block ends.

        tries: how often the request has failed; each time another one's turn is first.
        """
        order = self._order(prompt)
        turn = tries % len(order)
        order = order[turn:] + order[:turn]
        while True:
            url = min(order, key=self.cools)
            self._load[url] += 1
            try:
                async with self._slots[url]:
                    if min(order, key=self.cools) == url:  # it may have failed meanwhile
                        yield url
                        return
            finally:
                self._load[url] -= 1

    def answered(self, url: str) -> None:
        self._cooling.pop(url, None)

    def failed(self, url: str, why: str) -> None:
        self._cooling[url] = time.monotonic() + COOLING
        self._failed[url] += 1
        self._said[url] = why

    def cools(self, url: str) -> bool:
        """Whether a server has just failed."""
        return self._cooling.get(url, 0.0) > time.monotonic()

    @property
    def none_is_well(self) -> bool:
        return all(map(self.cools, self.urls))

    def lost(self) -> list[str]:
        """Of several servers those that failed last and have not answered since, a sentence each
        for the user."""
        if len(self.urls) == 1:
            return []
        return [
            f"{url} failed {self._failed[url]} requests and was not heard of again, the last one "
            f"so: {self._said[url]}; its questions went to the others"
            for url in self.urls
            if url in self._cooling
        ]

    def _fullness(self, url: str) -> float:
        return self._load[url] / self._most[url]

    def _order(self, prompt: Sequence[int]) -> list[str]:
        """All servers, the home first, then by rendezvous hashing, so that those that remain keep
        their questions when one is gone."""
        if len(self.urls) == 1:
            return [*self.urls]
        root = self._roots.of(prompt)
        ranked = sorted(self.urls, key=lambda u: hashlib.sha256(root + u.encode()).digest())
        home = self._homes.get(root)
        well = [url for url in ranked if not self.cools(url)] or ranked
        if home not in well:
            home = min(well[:2], key=self._fullness)
        if self._fullness(home) >= 1:
            idlest = min(well, key=self._fullness)
            home = idlest if self._fullness(idlest) < 0.5 else home
        self._homes[root] = home
        self._homes.move_to_end(root)
        if len(self._homes) > _QUESTIONS:
            self._roots.forget(self._homes.popitem(last=False)[0])
        ranked.remove(home)
        return [home, *ranked]


class _Roots:
    """Which question a prompt belongs to: the first prompt seen that it begins with."""

    def __init__(self) -> None:
        self._roots: dict[bytes, int] = {}
        self._lengths: Counter[int] = Counter()

    def of(self, prompt: Sequence[int]) -> bytes:
        shorter = sorted(length for length in self._lengths if length < len(prompt))
        *keys, whole = beginnings(prompt, [*shorter, len(prompt)])
        root = next((key for key in keys if key in self._roots), whole)
        if root not in self._roots:
            self._roots[root] = len(prompt)
            self._lengths[len(prompt)] += 1
        return root

    def forget(self, root: bytes) -> None:
        length = self._roots.pop(root)
        self._lengths[length] -= 1
        if not self._lengths[length]:
            del self._lengths[length]
