"""What is told of a question while it is solved: plain events, which a client's stream and the live
page both read. Who finds them out is `s1_eval.serve.observing`.

Of one question come, in this order: `asked`; of each of its chains `begun`, then any number of
`grown`, `scored` and `pruned`; when the method is done, `answered`, which has the whole record; or
`failed` in its place. A chain is a prompt and the ids behind it; positions count from the first id
behind the prompt. Where the engine tells ids as it samples them, `grown` comes a few ids at a time,
otherwise a request at a time.

In JSON an event is an object with its kind under `event` beside its fields:

    {"event": "grown", "question": "…", "seconds": 0.31, "chain": 0, "at": 12, "role": "thinking",
     "origin": "forced", "ids": [41], "text": "Wait"}
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from s1_eval.thinking import Message
from s1_eval.thinking.trace import Origin, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """question: names it among all that this server is asked. seconds: since it was asked."""

    event: ClassVar[str]
    question: str
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {"event": self.event, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Event):
    """prompt: the message that is to be answered, and before: what was said up to there.
    settings: of the method, all of them. budget: the limit on thinking tokens, None without one."""

    event: ClassVar[str] = "asked"
    model: str
    method: str
    settings: Mapping[str, Any]
    budget: int | None
    seed: int | None
    temperature: float
    prompt: str
    before: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Event):
    """A chain begins. chain: its number, from 0 for each question. parent: the chain that it forks
    from behind the id at `at`, and has all ids before in common with; None for one of its own
    prompt. prompt_tokens: length of the prompt."""

    event: ClassVar[str] = "begun"
    chain: int
    parent: int | None
    at: int
    prompt_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown(Event):
    """Ids that follow in a chain. at: where the first of them stands; whatever was told to stand
    there or behind it does no longer (a server that failed has answered a second time).

    text: what they add to the text of their run of ids of one role and origin; a character whose
    last bytes are still to come is in the event that brings them.
    """

    event: ClassVar[str] = "grown"
    chain: int
    at: int
    role: Role
    origin: Origin
    ids: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Event):
    """A verifier has read a chain up to `at`. scores: of its steps so far, from 0 to 1; None where
    it can't tell."""

    event: ClassVar[str] = "scored"
    chain: int
    at: int
    scores: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned(Event):
    """A search gave the chain up."""

    event: ClassVar[str] = "pruned"
    chain: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Event):
    """The method is done. record: the sample record, traces with text included, without a verdict
    where nobody gave a target; what it says of roles and origins holds, whatever was told before.
    chains: the chain of each of its traces, None for one that was never seen to grow. chosen,
    winner: indices among the traces, see `s1_eval.thinking.Outcome`."""

    event: ClassVar[str] = "answered"
    answer: str
    chains: tuple[int | None, ...]
    chosen: tuple[int, ...]
    winner: int | None
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """There will be no answer. said: why."""

    event: ClassVar[str] = "failed"
    said: str


Tell = Callable[[Event], None]
"""Takes an event, on the event loop, and returns at once."""

LAST = (Answered, Failed)

MAX_BEHIND = 100_000
"""Events that a watcher may be behind before it is let go."""


class Feed:
    """The events of all questions, for whoever watches."""

    def __init__(self) -> None:
        self._told: dict[str, list[Event]] = {}  # of the questions in flight
        self._watchers: set[asyncio.Queue[Event | None]] = set()

    @property
    def watched(self) -> bool:
        """Whether anybody does: telling costs time."""
        return bool(self._watchers)

    def tell(self, event: Event) -> None:
        self._told.setdefault(event.question, []).append(event)
        if isinstance(event, LAST):
            del self._told[event.question]
        for queue in tuple(self._watchers):
            if queue.qsize() < MAX_BEHIND:
                queue.put_nowait(event)
            else:
                self._watchers.discard(queue)
                queue.put_nowait(None)

    async def watch(self) -> AsyncGenerator[Event]:
        """What was told so far of the questions in flight, then all that follows. Ends for a
        watcher that is too slow."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        for told in self._told.values():
            for so_far in told:
                queue.put_nowait(so_far)
        self._watchers.add(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._watchers.discard(queue)
