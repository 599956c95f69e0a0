"""Which dials of a chat server hold: each is asked for once with a tiny budget, and what the
server thinks is counted. Nothing here is needed to run a method; `s1-eval doctor --server` prints
it. What a server sends is hostile input."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from s1_eval.engines.replies import NoReply, excerpt, fetch, open_client
from s1_eval.errors import UserError
from s1_eval.thinking.render import printable
from s1_eval.typed import PositiveFloat

if TYPE_CHECKING:
    import httpx

Verdict = Literal["enforced", "ignored", "rejected", "unclear"]

QUESTION = "How many whole numbers from 1 to 60 are divisible by 3 or by 4, but not by both?"
BUDGET = 16
"""Tokens of thinking that are asked for."""

_SLACK = 8
"""Tokens more that still count as within: servers count the forced end as thinking, too."""

_LONG = 4 * BUDGET
"""Tokens that the model has to think on its own before a short reply says anything."""

_LARGEST = 1 << 20
"""Bytes of an answer that are read."""


@dataclass(frozen=True)
class Dial:
    """One way to ask for less thinking.

    fields: what the request carries.
    budget: tokens of thinking that it asks for.
    caps_all: whether it caps all that is sampled, not the thinking alone.
    more: what the request carries instead to think much; the two are compared then, and not with
        the budget.
    """

    name: str
    fields: Mapping[str, Any]
    budget: int = BUDGET
    caps_all: bool = False
    more: Mapping[str, Any] | None = None


DIALS = (
    Dial("max_tokens", {"max_tokens": BUDGET}, caps_all=True),
    Dial("max_completion_tokens", {"max_completion_tokens": BUDGET}, caps_all=True),
    Dial("reasoning_effort", {"reasoning_effort": "low"}, more={"reasoning_effort": "high"}),
    # vLLM
    Dial("thinking_token_budget", {"thinking_token_budget": BUDGET}),
    # Chat templates, through vLLM, SGLang and llama.cpp
    Dial(
        "chat_template_kwargs.enable_thinking",
        {"chat_template_kwargs": {"enable_thinking": False}},
        budget=0,
    ),
    Dial(
        "chat_template_kwargs.thinking_budget",
        {"chat_template_kwargs": {"thinking_budget": BUDGET}},
    ),
    # OpenRouter, Anthropic, DashScope, llama.cpp
    Dial("reasoning.max_tokens", {"reasoning": {"max_tokens": BUDGET}}),
    Dial("thinking.budget_tokens", {"thinking": {"type": "enabled", "budget_tokens": BUDGET}}),
    Dial("thinking_budget", {"thinking_budget": BUDGET}),
    Dial("thinking_budget_tokens", {"thinking_budget_tokens": BUDGET}),
    Dial("reasoning_budget", {"reasoning_budget": BUDGET}),
    Dial("reasoning_budget_tokens", {"reasoning_budget_tokens": BUDGET}),
)


@dataclass(frozen=True)
class Found:
    """What one dial does.

    thinking_tokens: of the reply that was asked to think little; None without a readable one.
    said: the server's own words, or the figures behind the verdict; printable, one line.
    """

    name: str
    verdict: Verdict
    thinking_tokens: int | None
    said: str


def try_dials(
    server: str,
    model: str | None = None,
    *,
    question: str = QUESTION,
    api_key: str | None = None,
    timeout: PositiveFloat = 600.0,
) -> tuple[str, list[Found]]:
    """The model that was asked, and what each of `DIALS` does to its thinking.

    server: its address, with or without `/v1`. model: None is the only one that it lists.
    timeout: seconds that one answer may take.

    Raises UserError where the server can't be asked without any dial.
    """
    if not server.startswith(("http://", "https://")):
        raise UserError(f"--server {server}: give its address, e.g. http://127.0.0.1:8000/v1")
    return asyncio.run(_try_dials(server, model, question, api_key, timeout))


async def _try_dials(
    server: str, model: str | None, question: str, api_key: str | None, timeout: float
) -> tuple[str, list[Found]]:
    async with open_client(api_key) as client:
        asked = _Asked(client, timeout)
        url = server.rstrip("/").removesuffix("/chat/completions")
        if not url.endswith("/v1"):
            url += "/v1"
        if model is None:
            model = _only_model(url, await asked.send("GET", f"{url}/models"))
        body = {"model": model, "messages": [{"role": "user", "content": question}]}

        async def ask(fields: Mapping[str, Any]) -> _Reply:
            return await asked.send("POST", f"{url}/chat/completions", {**body, **fields})

        baseline = await ask({})
        _refuse(baseline, f"{url}/chat/completions")
        if baseline.thinking is None:
            raise UserError(f"{url}/chat/completions gave no chat completion: {baseline.said}")
        found = []
        for dial in DIALS:
            less = await ask(dial.fields)
            more = await ask(dial.more) if dial.more and less.thinking is not None else baseline
            found.append(_judge(dial, less, more))
        return model, found


def _judge(dial: Dial, less: _Reply, more: _Reply) -> Found:
    """less: with the dial turned down; more: without it, or with it turned up."""
    for reply in (less, more):
        if reply.thinking is None:
            verdict: Verdict = "rejected" if reply.rejected else "unclear"
            return Found(dial.name, verdict, None, reply.said)
    assert less.thinking is not None
    assert more.thinking is not None
    thought, than = less.thinking, more.thinking
    against = "turned up" if dial.more else "without it"
    said = f"{thought} tokens of thinking, {against} {than}"
    if dial.caps_all:
        thought = max(thought, less.sampled)
        said += f"; {thought} tokens in all"
    verdict = "ignored"
    if than <= _LONG:
        verdict, said = "unclear", f"{said}: too few to tell, give a harder --question"
    elif dial.more is None:
        if thought <= dial.budget + _SLACK:
            verdict = "enforced"
    elif 2 * thought <= than:
        verdict = "enforced"
    elif 4 * thought < 3 * than:
        verdict, said = "unclear", f"{said}: too near to tell"
    return Found(dial.name, verdict, less.thinking, said)


@dataclass(frozen=True)
class _Reply:
    """status: 0 where none came. thinking: tokens; None without a readable answer. sampled: all
    tokens, 0 where the server doesn't say. said: its words if it failed."""

    status: int
    said: str = ""
    body: Any = None
    thinking: int | None = None
    sampled: int = 0

    @property
    def rejected(self) -> bool:
        """By what was asked; another try of 408, 409, 425 and 429 may do."""
        return 400 <= self.status < 500 and self.status not in (408, 409, 425, 429)


@dataclass(frozen=True)
class _Asked:
    """The server, asked one thing at a time."""

    client: httpx.AsyncClient
    timeout: float

    async def send(self, method: str, url: str, body: Any = None) -> _Reply:
        try:
            reply = await fetch(
                self.client, method, url, body, timeout=self.timeout, largest=_LARGEST
            )
        except NoReply as error:
            return _Reply(0, str(error))
        status, text = reply.status, reply.text
        try:
            read = reply.json()
        except ValueError:
            return _Reply(status, f"{status}, not JSON: {excerpt(text)}")
        said = f"{status}: {excerpt(_message(read) or text)}"
        if not 200 <= status < 300:
            return _Reply(status, said)
        thinking, sampled = _counted(read)
        return _Reply(status, said, read, thinking, sampled)


def _message(body: Any) -> str | None:
    """What a server says went wrong, wherever it says it."""
    for key in ("error", "message", "detail"):
        said = body.get(key) if isinstance(body, dict) else None
        if isinstance(said, str):
            return said
        if isinstance(said, dict):
            return _message(said)
    return None


def _counted(body: Any) -> tuple[int | None, int]:
    """Tokens of thinking, None without a message, and all sampled ones.

    A word is at least a token, so that words are the least that was thought; some servers report
    no tokens of thinking beside a text of it, or 0.
    """
    try:
        message = body["choices"][0]["message"]
        texts = [message.get(key) for key in ("reasoning_content", "reasoning", "content")]
    except (KeyError, IndexError, TypeError, AttributeError):
        return None, 0
    *thoughts, content = (text if isinstance(text, str) else "" for text in texts)
    written = next(filter(None, thoughts), "")
    if not written:
        before, closed, _ = content.partition("</think>")
        opened = before.partition("<think>")
        written = opened[2] if opened[1] else before if closed else ""
    usage = body.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    reported = _whole(details, "reasoning_tokens") or _whole(usage, "reasoning_tokens")
    sampled = _whole(usage, "completion_tokens") or len(f"{written} {content}".split())
    return max(reported, len(written.split())), sampled


def _whole(usage: Any, key: str) -> int:
    count = usage.get(key) if isinstance(usage, dict) else None
    return count if type(count) is int and 0 < count < 1 << 31 else 0


def _only_model(url: str, reply: _Reply) -> str:
    _refuse(reply, f"{url}/models")
    try:
        names: Sequence[Any] = [card["id"] for card in reply.body["data"]]
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{url}/models lists no models: check --server, or give --model s1_api/NAME"
        ) from error
    if len(names) != 1 or not isinstance(names[0], str) or printable(names[0]) != names[0]:
        listed = ", ".join(excerpt(str(name)) for name in names[:20])
        raise UserError(f"{url} has {listed or 'no model'}: give --model s1_api/NAME")
    return names[0]


def _refuse(reply: _Reply, url: str) -> None:
    """Raises UserError unless the server did what was asked of it, without any dial."""
    if 200 <= reply.status < 300:
        return
    advice = {
        0: "check --server, and whether it is up",
        401: "give the server's key as -M api_key=KEY",
        403: "give the server's key as -M api_key=KEY",
        404: "check --server, which usually ends in /v1, and the model's name",
    }.get(reply.status, "it has to answer a question without any dial first")
    raise UserError(f"{url} can't be asked ({reply.said}): {advice}")
