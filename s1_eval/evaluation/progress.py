"""How far a run is, on stderr: a bar on a terminal, and a line a minute anywhere else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

EVERY = 60.0
"""Seconds between two lines."""


class Progress(Protocol):
    """Told how far a run is."""

    def begin(self, title: str, total: int, done: int) -> None: ...
    def advance(self, failed: bool = False) -> None: ...
    def say(self, text: str) -> None: ...


class _Bar:
    """A bar that appears with the first `begin`."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._bar: TaskID | None = None
        self._title = ""
        self._failed = 0

    def begin(self, title: str, total: int, done: int) -> None:
        self._title = title
        self._bar = self._bars.add_task(title, total=total, completed=done)
        self._bars.start()

    def advance(self, failed: bool = False) -> None:
        assert self._bar is not None
        if failed:
            self._failed += 1
            self._bars.update(self._bar, description=f"{self._title}, {self._failed} failed")
        self._bars.advance(self._bar)

    def say(self, text: str) -> None:
        self._bars.console.print(text, markup=False)


class _Lines:
    """A line every `EVERY` seconds, from a thread, so that one that waits for an answer is told
    from one that died."""

    def __init__(self) -> None:
        self._title = ""
        self._total = self._first = self._done = self._failed = 0
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, title: str, total: int, done: int) -> None:
        self._title, self._total, self._first, self._done = title, total, done, done
        self._began = time.monotonic()
        self.say(f"{title}: {done} of {total} done, a line every {EVERY:.0f} s")
        self._thread = threading.Thread(target=self._tell, name="s1-progress", daemon=True)
        self._thread.start()

    def advance(self, failed: bool = False) -> None:
        self._done += not failed
        self._failed += failed

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def stop(self) -> None:
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
            self.say(self._line())

    def _tell(self) -> None:
        while not self._ended.wait(EVERY):
            self.say(self._line())

    def _line(self) -> str:
        seconds = time.monotonic() - self._began
        left = self._total - self._done - self._failed
        rate = (self._done + self._failed - self._first) / seconds if seconds else 0.0
        remaining = f"{timedelta(seconds=round(left / rate))}" if rate else "unknown"
        return (
            f"{self._title}: {self._done} of {self._total} done, {self._failed} failed, "
            f"{60 * rate:.1f} a minute, remaining {'0:00:00' if not left else remaining}"
        )


@contextmanager
def shown(quiet: bool = False) -> Iterator[Progress]:
    """A `Progress` that the user sees. quiet: only what it says."""
    if not (quiet or sys.stderr.isatty()):
        lines = _Lines()
        try:
            yield lines
        finally:
            lines.stop()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )
    try:
        yield _Bar(bars)
    finally:
        bars.stop()
