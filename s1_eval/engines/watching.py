"""Watching an engine sample: who wants to see a generation's ids before it is done sets a watch
around the call, and an engine that can reports to it. A watch travels with the call through
whatever wraps the engine and changes nothing in what is sampled; an engine that knows no watches
reports nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

Watch = Callable[[int, Sequence[int]], None]
"""Takes the place of some ids in the generation, and the ids: those sampled from there on, a stop's
included. They follow what came before; one that begins again at an earlier place, as a server does
that is asked a second time, takes back what was reported from there on. Called from any thread, and
returns at once."""

_WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)


def watch() -> Watch | None:
    """The watch of the call in progress, None where nobody looks."""
    return _WATCH.get()


@contextmanager
def watched(by: Watch | None) -> Iterator[None]:
    """Calls of engines inside report to `by`."""
    token = _WATCH.set(by)
    try:
        yield
    finally:
        _WATCH.reset(token)


def behind(offset: int, by: Watch | None) -> Watch | None:
    """For a part of a generation: reports what stands `offset` ids further on."""
    if by is None or not offset:
        return by
    return lambda at, ids: by(offset + at, ids)
