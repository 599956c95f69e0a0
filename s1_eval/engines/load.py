"""How much is in flight together, so that a time can say under which load it was taken, and each
its share of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Load:
    """What is in flight, and the clock that n of them share: it runs at a rate of 1/n."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight = 0
        self._at = 0.0
        self._shared = 0.0

    @contextmanager
    def one(self) -> Iterator[Share]:
        """One more until the block ends; then the share says what it took."""
        share = Share()
        began, shared = self._change(1)
        try:
            yield share
        finally:
            ended, by_then = self._change(-1)
            share.seconds = ended - began
            share.machine_seconds = by_then - shared

    def _change(self, by: int) -> tuple[float, float]:
        """(time, shared time), at which so many more are in flight."""
        with self._lock:
            now = self._clock()
            if self._in_flight:
                self._shared += (now - self._at) / self._in_flight
            self._at = now
            self._in_flight += by
            return now, self._shared


class Share:
    """seconds: from beginning to end. machine_seconds: the part of them that is its own, where each
    of n in flight has an nth of every second."""

    seconds = 0.0
    machine_seconds = 0.0


LOAD = Load()
"""Questions of all runs in this process, whichever harness asks."""
