"""How a command ends that is ended from outside: a signal, a disk that takes no more."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
"""No room, no quota, read-only, a limit on a file's size."""


@contextmanager
def terminable() -> Iterator[list[int]]:
    """Inside, SIGTERM does what Ctrl-C does, a KeyboardInterrupt; the list then has its number. A
    batch system sends it before it kills."""
    got: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        got.append(number)
        # Not raised as a signal: a shell starts what runs in the background with SIGINT ignored.
        interrupt = signal.getsignal(signal.SIGINT)
        if callable(interrupt):
            interrupt(number, frame)
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise KeyboardInterrupt from None
        loop.call_soon_threadsafe(_interrupt)  # between tasks, so that each can be cancelled

    if threading.current_thread() is not threading.main_thread():
        yield got
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield got
    finally:
        signal.signal(signal.SIGTERM, before)


def said_interrupted(program: str, got: Sequence[int], advice: str) -> int:
    """Say on standard error how `program` was ended and how it goes on; the exit code.

    got: of `terminable`.
    """
    print(f"{program}: {'terminated' if got else 'interrupted'}; {advice}", file=sys.stderr)  # noqa: T201
    return 128 + (got[0] if got else signal.SIGINT)


def _interrupt() -> None:
    raise KeyboardInterrupt


def disk_trouble(error: OSError) -> str | None:
    """What to say of a disk that takes no more; None of any other error."""
    if error.errno not in _FULL:
        return None
    where = f" {error.filename}" if error.filename else ""
    return (
        f"can't write{where}: {error.strerror}. What was finished is kept: make room, or give a "
        "place that can be written to; the same command goes on"
    )
