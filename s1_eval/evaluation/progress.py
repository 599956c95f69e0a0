"""The progress bar of a sweep, on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class _Bar:
    """A bar that appears with the first `begin`."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._bar: TaskID | None = None

    def begin(self, title: str, total: int, done: int) -> None:
        self._bar = self._bars.add_task(title, total=total, completed=done)
        self._bars.start()

    def advance(self) -> None:
        assert self._bar is not None
        self._bars.advance(self._bar)

    def say(self, text: str) -> None:
        self._bars.console.print(text, markup=False)


@contextmanager
def shown(quiet: bool = False) -> Iterator[_Bar]:
    """A `Progress` that the user sees. quiet: only what it says."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
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
