"""What a server that continues token ids can do, asked of it before a question is: for
`s1-eval doctor --server`. What a server sends is hostile input."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from s1_eval.engines.dialects.protocol import Ask, Server
from s1_eval.engines.protocol import Sampling
from s1_eval.engines.replies import NoReply, Reply, fetch, open_client
from s1_eval.engines.servers import (
    Found,
    TransientError,
    find,
    models,
    probe,
)
from s1_eval.errors import UserError
from s1_eval.thinking.render import printable

_LARGEST = 1 << 24
"""Bytes of a reply that are read."""

_PROMPT = 300
"""Ids of the prompt that is sent twice: more than two blocks of any prefix cache."""


@dataclass(frozen=True)
class Abilities:
    """dialect: its name in `DIALECTS`; ids go in and come out in each. program: whose server speaks
    so. source: where the server has loaded the model from, as it says. context_length: ids of
    prompt and answer together. slots: requests that it works on at once. logprobs: whether it gave
    those of an id. seeds: `request` where each request may have its own, else `engine`. streams:
    whether it tells of ids before all are there. cached_tokens: how many ids of a prompt of
    `of_tokens` that it had just read it says that it did not read again. None is not told."""

    dialect: str
    program: str
    version: str
    model: str
    source: str
    context_length: int | None
    slots: int | None
    logprobs: bool
    seeds: Literal["request", "engine"]
    streams: bool
    cached_tokens: int | None
    of_tokens: int


def try_abilities(
    server: str,
    model: str | None = None,
    *,
    dialect: str | None = None,
    api_key: str | None = None,
    timeout: float = 600.0,
) -> Abilities:
    """See `try_dials`. Raises UserError where `s1_api` could not use the server."""
    url = server.rstrip("/").removesuffix("/chat/completions")
    url = url if url.endswith("/v1") else f"{url}/v1"
    return asyncio.run(_try_abilities(url, model, dialect, api_key, timeout))


async def _try_abilities(
    url: str, model: str | None, dialect: str | None, api_key: str | None, timeout: float
) -> Abilities:
    async with open_client(api_key) as client:

        async def ask(method: str, url: str, body: Any = None) -> Reply:
            return await fetch(client, method, url, body, timeout=timeout, largest=_LARGEST)

        try:
            listed = await models(ask, url)
            name = next(iter(listed)) if model is None and len(listed) == 1 else model
            if name not in listed or printable(str(name)) != name:
                raise UserError(f"{url} does not list that model: give --model s1_api/NAME")
            found = await find(ask, Server(url, name, listed[name]), dialect)
            return await _abilities(ask, found)
        except (NoReply, TransientError) as error:
            raise UserError(f"{url}: {error}") from error


async def _abilities(ask: Ask, found: Found) -> Abilities:
    card = found.card
    try:
        await probe(ask, found, sampling=Sampling(logprobs=1))
        logprobs = True
    except (TransientError, UserError):
        logprobs = False
    long = (0,) * max(min(_PROMPT, (card.context_length or _PROMPT) - 2), 1)
    await probe(ask, found, long)
    again, _ = await probe(ask, found, long)
    return Abilities(
        dialect=found.dialect.name,
        program=found.dialect.program,
        version=card.version,
        model=found.server.model,
        source=printable(card.source),
        context_length=card.context_length,
        slots=card.slots,
        logprobs=logprobs,
        seeds=card.seeding,
        streams=card.streams,
        cached_tokens=again.cached,
        of_tokens=len(long),
    )
