"""What a dialect is: how one kind of server is asked to continue token ids, and how its replies are
read. What a server sends is hostile input: anything but a reply to what was asked is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from s1_eval.engines.continuation import Request
from s1_eval.engines.protocol import Tokenizer
from s1_eval.engines.replies import NoReply, Reply
from s1_eval.json_lines import JsonObject
from s1_eval.thinking import Logprobs

UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
"""What reading a reply raises that is not what was asked for."""


class Unstreamed(Exception):
    """This answer can't be had as a stream, and can be had at once; says why."""


class Ask(Protocol):
    """Asks a server; raises NoReply."""

    async def __call__(self, method: str, url: str, body: Any = None) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Server:
    """url: as the user gave it. root: the same without `/v1`, where a dialect's own paths begin.
    model: the name that the server gives it. listed: what its list of models says of that one."""

    url: str
    model: str
    listed: Mapping[str, Any]

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")


@dataclass(frozen=True, slots=True)
class Card:
    """What a server says of itself.

    source: where it has loaded the model from. context_length: ids of prompt and answer together
        that it takes; None where it does not say. seeding: see `EngineInfo`. slots: how many
        requests it works on at once; None where it does not say. streams: whether it can tell of
        ids before all are there.
    """

    source: str
    context_length: int | None
    version: str = "unknown"
    seeding: Literal["request", "engine"] = "request"
    slots: int | None = None
    streams: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """ids: as sampled, those of the stop included. reason: why it ended, as the server says.
    cached: see `Generation.cached_tokens`."""

    ids: tuple[int, ...]
    reason: Literal["stop", "length"]
    cached: int | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a reply that are read: for each id of the prompt, which may come back; for each
    sampled one, which is its id, its text (128 spaces are one token of some models) and, in some
    dialects, log-probabilities; and for each likely id in the place of a sampled one."""

    prompt: int = 16
    sampled: int = 512
    likely: int = 64


class Dialect(Protocol):
    """name: what `-M dialect=` calls it. owners: how its servers' lists of models sign it. program:
    whose it is. path: where requests go, after the server's root. minimum: whether it takes a
    `Stop.min_tokens` below `max_tokens`; else each request has none, or nothing but it."""

    @property
    def name(self) -> str: ...
    @property
    def owners(self) -> tuple[str, ...]: ...
    @property
    def program(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def minimum(self) -> bool: ...
    @property
    def sizes(self) -> Sizes: ...

    async def card(self, ask: Ask, server: Server) -> Card:
        """Raises NoReply, one of `UNREADABLE` where it is another's server, and UserError where it
        is one that can't be used as it runs."""
        ...

    def tokenize(self, model: str, text: str) -> JsonObject:
        """What to post to `/tokenize` for the ids of a text, nothing added."""
        ...

    def body(
        self, request: Request, model: str, tokenizer: Tokenizer | None, seeded: bool
    ) -> JsonObject:
        """What to post. tokenizer: None where there is none, and no stop. seeded: whether the
        server seeds each request. Raises UserError on what it can't do exactly."""
        ...

    def read(self, reply: Any, request: Request, body: JsonObject) -> Answer:
        """Raises one of `UNREADABLE` unless the reply keeps to the request."""
        ...

    def logprobs(self, reply: Any, ids: Sequence[int], likely: int) -> Logprobs:
        """Those of `ids`, the first that `read` found. Raises one of `UNREADABLE`."""
        ...

    def streamed(self, body: JsonObject) -> JsonObject:
        """The same request for an answer in events."""
        ...

    def joined(self, whole: JsonObject, event: JsonObject) -> tuple[JsonObject, list[int]]:
        """The reply as far as it is known, `{}` at first, with an event added; the ids that it
        brings. Raises one of `UNREADABLE`, or Unstreamed."""
        ...


def whole_ids(ids: Any) -> list[int]:
    """Raises ValueError or TypeError unless they are ids."""
    if not isinstance(ids, list) or not all(type(id) is int and id >= 0 for id in ids):
        raise ValueError("ids that are no whole numbers")
    return ids


def length(value: Any) -> int | None:
    """A context's as a server says it."""
    return value if type(value) is int and value > 0 else None


def cached(count: Any, prompt: int) -> int | None:
    """How many ids of a prompt of that many a server says that it had in a cache."""
    return count if type(count) is int and 0 <= count <= prompt else None


def is_logprob(value: object) -> bool:
    """Rounding may lift a certain id a little above 0."""
    return isinstance(value, int | float) and -1e6 < value < 1e-3


def ranked(
    places: Sequence[tuple[Any, Sequence[tuple[int, Any]]]], ids: Sequence[int], likely: int
) -> Logprobs:
    """places: of each id its own log-probability, and likely ids with theirs, in any order.
    Raises one of `UNREADABLE`."""
    if len(places) != len(ids):
        raise ValueError(f"log-probabilities of {len(places)} of {len(ids)} ids")
    rows = []
    for own, others in places:
        if not all(is_logprob(each) for each in (own, *(value for _, value in others))):
            raise ValueError("log-probabilities that are none")
        best = sorted(others, key=lambda each: -each[1])[:likely]
        rows.append((own, [id for id, _ in best], [value for _, value in best]))
    return Logprobs.of(likely, rows)


async def told(ask: Ask, url: str, *paths: str) -> JsonObject:
    """What a server says of itself at the first of `paths` that it has; {} where it has none."""
    for path in paths:
        try:
            reply = await ask("GET", f"{url}{path}")
            said = reply.json() if reply.status == 200 else None
        except (NoReply, ValueError):
            continue
        if isinstance(said, dict):
            return said
    return {}
