"""What follows a request: who knows what its next one will be says so around the call, and an
engine that can use it does. It travels with the call as a watch does (`s1_eval.engines.watching`),
and changes nothing in what is sampled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from s1_eval.engines.protocol import Stop


@dataclass(frozen=True, slots=True)
class Next:
    """The request that follows where this one stops. forced: the ids that will stand between them,
    in place of the stop. stop: its own."""

    forced: tuple[int, ...]
    stop: Stop


_NEXT: ContextVar[Next | None] = ContextVar("next", default=None)


def following() -> Next | None:
    """What follows the call in progress, None where nobody says."""
    return _NEXT.get()


@contextmanager
def followed_by(request: Next | None) -> Iterator[None]:
    """Calls of engines inside are followed by `request`."""
    token = _NEXT.set(request)
    try:
        yield
    finally:
        _NEXT.reset(token)
