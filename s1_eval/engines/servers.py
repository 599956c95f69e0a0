"""Which model servers there are at some addresses, which dialect each speaks, and what can be said
of them before a question is asked. What a server sends is hostile input."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass

from s1_eval.engines.continuation import Request
from s1_eval.engines.dialects.protocol import (
    UNREADABLE,
    Answer,
    Ask,
    Card,
    Dialect,
    Server,
    Unstreamed,
)
from s1_eval.engines.dialects.table import DIALECTS
from s1_eval.engines.protocol import Sampling, Stop, Tokenizer
from s1_eval.engines.replies import NoReply, Reply, excerpt
from s1_eval.engines.watching import Watch
from s1_eval.errors import UserError
from s1_eval.json_lines import JsonObject
from s1_eval.thinking import Logprobs

START = "python -m vllm.entrypoints.openai.api_server --model {model}"


_PROBE, _ALIKE = 16, 0.05
"""Prompts, and ids in each, by which servers are compared; how far the log-probabilities of their
likeliest ids may be apart in the mean. Other kinds of hardware move them by about 0.01."""

_LOGGER = logging.getLogger(__name__)


class TransientError(Exception):
    """Worth another try. retry_after: seconds, where the server asks for them."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnstreamedError(TransientError):
    """Refused, perhaps for the stream alone."""


class UnconnectedError(TransientError):
    """Nobody listens there."""


class RefusedError(UserError):
    """The server takes others, and not this request."""


@dataclass(frozen=True, slots=True)
class Found:
    """A server that is up, how it is spoken to, and what it says of itself."""

    server: Server
    dialect: Dialect
    card: Card


def check_dialect(name: str | None) -> None:
    if name is not None and name not in DIALECTS:
        raise UserError(f"dialect={name!r}: choose from {', '.join(DIALECTS)}")


async def find(ask: Ask, server: Server, told: str | None = None) -> Found:
    """The dialect of a server: `told`, or the one that its list of models is signed by, or the
    first in which it continues an id by an id. Raises UserError where there is none."""
    owner = server.listed.get("owned_by")
    signed = [name for name, dialect in DIALECTS.items() if owner in dialect.owners]
    problems: list[str] = []
    for name in [told] if told else signed or DIALECTS:
        dialect = DIALECTS[name]
        try:
            card = await dialect.card(ask, server)
            await probe(ask, Found(server, dialect, card))
        except (NoReply, TransientError, UserError, *UNREADABLE) as error:
            problems.append(f"{name}: {excerpt(str(error) or repr(error))}")
        else:
            return Found(server, dialect, card)
    programs = ", ".join(dict.fromkeys(dialect.program for dialect in DIALECTS.values()))
    raise UserError(
        f"the server at {server.url} can't be used: it has to take prompts as token ids and return "
        f"the ids that it sampled, as the servers of {programs} do, e.g. "
        f"`{START.format(model=server.model)}` ({'; '.join(problems)})"
    )


async def probe(
    ask: Ask, found: Found, prompt: tuple[int, ...] = (0,), sampling: Sampling = Sampling()
) -> tuple[Answer, Logprobs | None]:
    """One id after a prompt, and its log-probabilities where those are asked for. Raises NoReply,
    TransientError or UserError."""
    request = Request(prompt, 1, Stop(), sampling)
    body = found.dialect.body(request, found.server.model, None, False)
    events = Events(found.dialect) if body.get("stream") else None
    reply = await ask("POST", found.server.root + found.dialect.path, body)
    check_status(reply, found.server.url)
    for line in reply.text.split("\n") if events else ():
        events.take(line) if events else None
    return read(events.whole(reply) if events else reply, found, request, body)


async def check_alike(ask: Ask, found: Sequence[Found], known: Sequence[int]) -> None:
    """Whether servers have one model under its name: told by the log-probabilities of the likeliest
    ids behind a few prompts of `known` ids, which rounding moves by a hundredth; where a server
    tells none, by the ids. Raises UserError where they differ or can't be asked."""
    rng = random.Random(0)  # noqa: S311
    prompts = [tuple(rng.choices(known, k=_PROBE)) for _ in range(_PROBE)]

    async def seen(one: Found, likely: int | None) -> list[tuple[Answer, Logprobs | None]]:
        return [await probe(ask, one, prompt, Sampling(logprobs=likely)) for prompt in prompts]

    try:
        every = await asyncio.gather(*(seen(one, 1) for one in found))
    except (NoReply, TransientError, UserError):
        try:
            every = await asyncio.gather(*(seen(one, None) for one in found))
        except (NoReply, TransientError) as error:
            raise UserError(f"the servers can't be compared: {error}") from error
    for one, answers in zip(found[1:], every[1:], strict=True):
        if sum(map(_apart, every[0], answers)) > _ALIKE * _PROBE:
            raise UserError(
                f"{found[0].server.url} and {one.server.url} have different models under the name "
                f"{one.server.model!r}: start them all with the same weights, or leave one out of "
                "base_url"
            )


def _apart(one: tuple[Answer, Logprobs | None], other: tuple[Answer, Logprobs | None]) -> float:
    """How far two servers' ids behind a prompt are apart. Ids alone are the same or not."""
    if one[1] is None or other[1] is None:
        return float(one[0].ids != other[0].ids) / 4
    return abs(one[1].sampled[0] - other[1].sampled[0])


async def check_tokenizer(
    ask: Ask, found: Found, tokenizer: Tokenizer, eos: frozenset[int]
) -> bool:
    """Whether a server that tokenizes has that tokenizer: its ids mean the same, those that end a
    sequence among them. False where it does not tokenize. Raises UserError where it has another.

    Two tokenizers of one vocabulary may part a text differently; what an id means is the same.
    """
    url, text = found.server.url, _probe_text(tokenizer, eos)
    body = found.dialect.tokenize(found.server.model, text)
    try:
        reply = await ask("POST", f"{found.server.root}/tokenize", body)
    except NoReply:
        return False
    if reply.status != 200:
        return False
    try:
        ids = reply.json()["tokens"]
        same = all(type(id) is int and 0 <= id < 1 << 31 for id in ids)
        back = tokenizer.decode(ids, skip_special_tokens=False) if same else ""
    except UNREADABLE as error:
        raise UserError(f"{url} can't tokenize: {excerpt(reply.text)}") from error
    # Some tokenizers put blanks where there were none, or leave the first out.
    if "".join(back.split()) != "".join(text.split()) or not eos.issubset(ids):
        raise UserError(
            f"the server at {url} has another tokenizer: give its own as tokenizer=FOLDER, a GGUF "
            "file, or a name on the Hugging Face Hub"
        )
    return True


def _probe_text(tokenizer: Tokenizer, eos: frozenset[int]) -> str:
    """Words from all over a vocabulary, and what ends a sequence."""
    spread = range(0, len(tokenizer), max(len(tokenizer) // 256, 1))
    words = [tokenizer.decode([id], skip_special_tokens=False) for id in spread]
    plain = [word.strip() for word in words if word.isascii() and word.isprintable()]
    ends = [tokenizer.decode([id], skip_special_tokens=False) for id in sorted(eos)]
    return "\n".join([" ".join(plain), *ends])


async def models(ask: Ask, url: str) -> dict[str, JsonObject]:
    """What a server lists, by name. Raises NoReply, TransientError or UserError."""
    reply = await ask("GET", f"{url}/models")
    check_status(reply, url)
    try:
        return {str(card["id"]): card for card in reply.json()["data"]}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{url}/models is no list of models: check base_url") from error


async def servers(ask: Ask, model: str, urls: Sequence[str]) -> list[Server]:
    """Those that are up. Raises UserError where none is, or one does not have the model."""
    up: list[Server] = []
    down: list[str] = []
    for url in urls:
        try:
            listed = await models(ask, url)
        except (NoReply, TransientError) as error:
            down.append(f"{url} ({error})")
            continue
        if model not in listed:
            names = ", ".join(map(repr, list(listed)[:20]))
            raise UserError(f"{url} does not serve {model!r}: choose from {names}")
        up.append(Server(url, model, listed[model]))
    if not up:
        raise UserError(
            f"no server answers at {', '.join(down)}: check base_url, or start one with "
            f"`{START.format(model=model)}`"
        )
    if down:
        _LOGGER.warning("left out, since no server answers there: %s", ", ".join(down))
    return up


def check_status(reply: Reply, url: str) -> None:
    """Raises TransientError where another try may help, RefusedError where this request is what
    the server won't take, and UserError where it takes none, with what to change."""
    status = reply.status
    if status == 200:
        return
    said = excerpt(reply.text)
    if status == 401:
        raise UserError(f"{url} answered 401: give the server's key as api_key ({said})")
    if 400 <= status < 500 and status not in (408, 409, 425, 429):
        advice = {
            403: f"answered 403: check the server's key, api_key ({said})",
            404: f"answered 404: base_url usually ends in /v1 ({said})",
        }.get(status, f"refused the request with {status}: {said}")
        raise RefusedError(f"{url} {advice}")
    wait = reply.headers.get("retry-after", "")
    if 300 <= status < 400:
        said = f"it sends us on to {excerpt(reply.headers.get('location', 'nowhere'))}"
    raise TransientError(
        f"{url} answered {status}: {said}", float(wait) if wait.isdecimal() else None
    )


def read(
    reply: Reply, found: Found, request: Request, body: JsonObject
) -> tuple[Answer, Logprobs | None]:
    """What the server made of a request. Hostile input: anything that is not exactly that raises
    TransientError."""
    likely = request.sampling.logprobs
    said = "an unreadable answer"
    try:
        whole = reply.json()
        answer = found.dialect.read(whole, request, body)
        said = "no log-probabilities"
        told = None if likely is None else found.dialect.logprobs(whole, answer.ids, likely)
    except UNREADABLE as error:
        raise TransientError(
            f"{found.server.url} gave {said} ({excerpt(repr(error))}): {excerpt(reply.text)}"
        ) from error
    return answer, told


class Events:
    """An answer that comes in server-sent events, reported to a watch and put together as if it had
    come at once. Hostile input: an event that can't be read makes the whole unreadable."""

    def __init__(self, dialect: Dialect, watch: Watch | None = None) -> None:
        self._dialect = dialect
        self._watch = watch
        self._whole: JsonObject = {}
        self._sampled = 0
        self._unreadable = ""

    def take(self, line: str) -> None:
        """One line of the reply. Raises UnstreamedError."""
        said = line.removeprefix("data:").strip()
        if said == line.strip() or said == "[DONE]" or self._unreadable:
            return
        try:
            self._whole, ids = self._dialect.joined(self._whole, json.loads(said))
        except Unstreamed as error:
            raise UnstreamedError(str(error)) from error
        except (*UNREADABLE, RecursionError):
            self._unreadable = line
            return
        if ids and self._watch:
            self._watch(self._sampled, ids)
        self._sampled += len(ids)

    def whole(self, reply: Reply) -> Reply:
        """The reply as one without a stream would be; itself where it was none."""
        if self._unreadable:
            return Reply(reply.status, reply.headers, self._unreadable)
        if not self._whole:
            return reply
        return Reply(reply.status, reply.headers, json.dumps(self._whole))
