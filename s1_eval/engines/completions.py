"""The `completions` engine: any server with an OpenAI-style `/v1/completions` that takes prompts
as token ids and returns the ids it sampled, at one or several addresses. vLLM's server does.

Text is never re-tokenized: a server that can't speak ids is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
import time
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import s1_eval
from s1_eval.engines.architecture import Architecture, architecture_of
from s1_eval.engines.checkpoints import eos_ids, load_config, load_tokenizer
from s1_eval.engines.continuation import (
    Request,
    Served,
    check_kept,
    check_room,
    continue_exactly,
)
from s1_eval.engines.models import resolve_model
from s1_eval.engines.prefixes import beginnings
from s1_eval.engines.protocol import EngineInfo, Generation, Sampling, Stop, Tokenizer, settings_of
from s1_eval.engines.replies import NoReply, Reply, excerpt, fetch, open_client
from s1_eval.engines.watching import Watch
from s1_eval.errors import SampleFailed, UserError
from s1_eval.json_lines import JsonObject
from s1_eval.thinking import AS_IT_IS, Chat, Logprobs

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")

_START = "python -m vllm.entrypoints.openai.api_server --model {model}"
_COOLING = 10.0
"""Seconds for which a replica that has just failed is asked only if all others have, too."""

_LONGEST_WAIT = 60.0
"""Seconds between two tries at most: a server that loads a large model is away for minutes."""

_LARGEST_CARDS = 1 << 24
"""Bytes of what a server says about itself that are read."""

_REPLY, _PROMPT_ID, _SAMPLED_ID = 1 << 20, 16, 512
"""Bytes of an answer that are read: in any case, per id of the prompt, which may come back, and
per sampled one. That is its id, its text (128 spaces are one token of some models) and, in one
dialect, log-probabilities."""

_LIKELY_ID = 64
"""Bytes more for each likely id in the place of a sampled one."""

_WIDEST = 2
"""Ids up to that many times the tokenizer's last one may be a padded output layer's."""


class CompletionsEngine:
    """A model behind one or several servers.

    A question's continuations go to the replica that holds its prefix. A request that a replica
    drops, puts off with 429 or 5xx, or answers with anything but what was asked for is tried
    again, on the others first. When `retries` further tries have failed, or `total_timeout` is
    over, or a server refuses the request, it fails with SampleFailed; where no server listens any
    more, with RuntimeError.
    """

    def __init__(
        self,
        model: str,
        base_url: str | Sequence[str] = "http://127.0.0.1:8000/v1",
        *,
        tokenizer: str | None = None,
        api_key: str | None = None,
        max_connections: int = 128,
        timeout: float = 3600.0,
        total_timeout: float = 7200.0,
        retries: int = 10,
        backoff: float = 1.0,
        context_length: int | None = None,
        seeding: Literal["request", "engine"] = "request",
        server_name: str | None = None,
        chat: Chat = AS_IT_IS,
    ) -> None:
        """Find the model on every server that is up, and check that it speaks token ids.

        model: the name that the server gives it.
        base_url: one address or several, up to and including `/v1`; a text parts them by `;`.
        tokenizer: folder or Hub name; None is what the server says it loaded, else `model`.
        max_connections: requests in flight at once, per engine.
        timeout: seconds until the last byte of one answer.
        total_timeout: seconds that all tries of one request may take, the waits between them
            included, but not those for one of `max_connections`.
        retries: further tries of one request.
        backoff: seconds before the first repetition that has no other replica to go to; each
            further one waits up to twice as long.
        context_length: where the server doesn't say it.
        seeding: `engine` sends no seeds. vLLM on a CPU needs that: a seeded request whose prompt
            it reads in parts ends it.
        server_name: what records call the servers; None is their addresses. For one whose port is
            whatever was free.
        chat: how conversations become prompts.

        Raises UserError when no server is up, or one does not have the model or can't speak ids.
        """
        import httpx

        given = [base_url] if isinstance(base_url, str) else base_url
        urls = [url for text in given for url in re.split("[,;]", text)]
        self._urls = [url.strip().rstrip("/") for url in urls if url.strip()]
        if not self._urls or not all(u.startswith(("http://", "https://")) for u in self._urls):
            raise UserError(f"base_url={base_url!r}: give e.g. http://127.0.0.1:8000/v1")
        if max_connections < 1 or retries < 0 or timeout <= 0 or backoff < 0:
            raise UserError(
                f"max_connections={max_connections}, retries={retries}, timeout={timeout}, "
                f"backoff={backoff}: give numbers of at least 1, 0, more than 0, and 0"
            )
        if total_timeout < timeout:
            raise UserError(
                f"total_timeout={total_timeout:g} is less than timeout={timeout:g}: one answer may "
                "take no longer than all tries, raise the first or lower the second"
            )
        if seeding not in ("request", "engine"):
            raise UserError(f"seeding={seeding!r}: give request or engine")
        self._model = model
        self._timeout = timeout
        self._total_timeout = total_timeout
        self._retries = retries
        self._backoff = backoff
        self._roots = _Roots()
        self._cooling: dict[str, float] = {}
        self._heard = 0.0
        self._telling: dict[int, asyncio.Future[None]] = {}
        # httpx searches its queue at every event; what waits here costs nothing.
        self._slots = asyncio.Semaphore(max_connections)
        self._client = open_client(api_key, limits=httpx.Limits(max_connections=max_connections))
        self._thread = _LoopThread("s1-completions")
        with ExitStack() as unless_all_is_well:
            unless_all_is_well.callback(self.close)
            cards = _cards(self._ask, model, self._urls)
            root = str(next(iter(cards.values())).get("root") or model)
            source = resolve_model(tokenizer) if tokenizer else _tokenizer_source(root, model)
            loaded = load_tokenizer(source)
            self._tokenizer: Tokenizer = loaded
            self._vocabulary = frozenset(loaded.get_vocab().values())
            self._last_id = max(self._vocabulary)
            first = min(self._vocabulary)
            dialects = {_dialect(self._ask, url, model, first, timeout) for url in cards}
            if len(dialects) > 1:
                raise UserError(f"the servers at {', '.join(cards)} differ: start them all alike")
            self._dialect = dialects.pop()
            lengths: list[Any] = [
                context_length or card.get("max_model_len") for card in cards.values()
            ]
            if not all(isinstance(length, int) and length > 0 for length in lengths):
                raise UserError(
                    f"{next(iter(cards))} does not say its context: give context_length"
                )
            self._info = EngineInfo(
                engine="completions",
                model=model,
                context_length=min(lengths),
                eos_ids=eos_ids(source, loaded),
                dtype="server",
                fingerprint=hashlib.sha256(f"{model}\n{root}".encode()).hexdigest(),
                seeding=seeding,
                chat=chat,
                architecture=None if tokenizer else _architecture(source),
                versions={
                    "s1_eval": s1_eval.__version__,
                    "server": _version(self._ask, next(iter(cards))),
                },
                settings=settings_of(
                    base_url=[server_name] if server_name else sorted(self._urls),
                    tokenizer=tokenizer,
                ),
            )
            unless_all_is_well.pop_all()

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        """See `Engine.generate`. Raises UserError where a server can't tell the log-probabilities
        that are asked for."""
        check_room(self._info, prompt, max_tokens)
        return await self._thread.run(self._generate(prompt, max_tokens, stop, sampling))

    async def _generate(
        self, prompt: Sequence[int], max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        if (likely := sampling.logprobs) is not None:
            if likely not in self._telling:
                self._telling[likely] = asyncio.ensure_future(self._check_logprobs(likely))
            await asyncio.shield(self._telling[likely])
        return await continue_exactly(
            self._serve,
            prompt,
            max_tokens=max_tokens,
            stop=stop,
            sampling=sampling,
            tokenizer=self._tokenizer,
            vocabulary=self._vocabulary,
        )

    async def _check_logprobs(self, likely: int) -> None:
        """Ask every server that is up for one id and its log-probabilities. Raises UserError."""
        first = (min(self._vocabulary),)
        body = self._body(Request(first, 1, Stop(), Sampling(logprobs=likely)))
        for url in self._urls:
            try:
                reply = await fetch(
                    self._client,
                    "POST",
                    f"{url}/completions",
                    body,
                    timeout=self._timeout,
                    largest=_REPLY,
                )
                _check_status(reply, url)
                ids, *_ = _sampled(reply, url, first, self._dialect)
                _logprobs(reply, url, ids, likely)
            except NoReply:
                continue  # whoever is asked next says what it makes of that
            except (_TransientError, _RefusedError) as error:
                raise UserError(
                    f"log-probabilities, {likely} likely ids in each place, can't be had of the "
                    f"server ({error}): vLLM's has them, with --max-logprobs {likely} or more; or "
                    "load the model itself with s1_vllm or s1_hf"
                ) from error

    def close(self) -> None:
        self._thread.close(self._client.aclose)

    def _ask(self, method: str, url: str, body: Any = None, timeout: float = 30.0) -> Reply:
        """What a server says about itself. Raises NoReply."""
        return self._thread.wait(
            fetch(self._client, method, url, body, timeout=timeout, largest=_LARGEST_CARDS)
        )

    async def _serve(self, request: Request) -> Served:
        from tenacity import AsyncRetrying, RetryCallState, RetryError, retry_if_exception_type

        body = self._body(request)
        replicas = self._replicas(request.prompt)
        began = time.monotonic()
        spent = 0.0

        def used_up(state: RetryCallState) -> bool:
            waited = state.idle_for + state.upcoming_sleep
            return state.attempt_number > self._retries or spent + waited >= self._total_timeout

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TransientError), stop=used_up, wait=self._wait
        )
        try:
            async for attempt in retrying:
                with attempt:
                    state = attempt.retry_state
                    now = time.monotonic()
                    turn = (state.attempt_number - 1) % len(replicas)
                    url = min(
                        replicas[turn:] + replicas[:turn],
                        key=lambda u: self._cooling.get(u, 0.0) > now,
                    )
                    async with self._slots:
                        at = time.monotonic()
                        left = self._total_timeout - spent - state.idle_for
                        try:
                            return await self._post(url, body, request, min(self._timeout, left))
                        except _UnstreamedError:
                            request = replace(request, watch=None)
                            raise
                        finally:
                            spent += time.monotonic() - at
        except RetryError as error:
            last = error.last_attempt.exception()
            tries = error.last_attempt.attempt_number
            if isinstance(last, _UnconnectedError) and self._heard < began:
                raise RuntimeError(
                    f"no server listens any more: {last} ({tries} tries failed). Start it again, "
                    "then run the same command again"
                ) from last
            over = "" if tries > self._retries else f", total_timeout={self._total_timeout:g} s"
            raise SampleFailed(
                f"{self._model}: {tries} tries failed{over}, the last one so: {last}", tries
            ) from last
        raise AssertionError("unreachable")

    def _replicas(self, prompt: tuple[int, ...]) -> list[str]:
        """All replicas, best first: by rendezvous hashing of the question, so that those that
        remain keep their questions when one is gone."""
        if len(self._urls) == 1:
            return self._urls
        root = self._roots.of(prompt)
        return sorted(self._urls, key=lambda u: hashlib.sha256(root + u.encode()).digest())

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds until the next try: none if some replica has not failed lately."""
        from tenacity import wait_random_exponential

        now = time.monotonic()
        if any(self._cooling.get(url, 0.0) <= now for url in self._urls):
            return 0.0
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _TransientError) and error.retry_after is not None:
            return min(error.retry_after, _LONGEST_WAIT)
        return wait_random_exponential(self._backoff, _LONGEST_WAIT)(state)

    async def _post(self, url: str, body: JsonObject, request: Request, timeout: float) -> Served:
        """Raises _TransientError where another try may do, else SampleFailed, or UserError where
        no question would be answered."""
        likely = request.sampling.logprobs
        place = _SAMPLED_ID + _LIKELY_ID * (1 + (likely or 0))
        largest = _REPLY + _PROMPT_ID * len(request.prompt) + place * request.max_tokens
        events = _Events(request.watch) if request.watch else None
        if events:
            streamed = {"stream": True, "stream_options": {"include_usage": True}}
            body, largest = body | streamed, 2 * largest
        try:
            reply = await fetch(
                self._client,
                "POST",
                f"{url}/completions",
                body,
                timeout=timeout,
                largest=largest,
                on_line=events.take if events else None,
            )
            self._heard = time.monotonic()
            if events and reply.status in (400, 404, 405, 415, 422, 501):
                raise _UnstreamedError(f"{url} refused to stream: {excerpt(reply.text)}")
            _check_status(reply, url)
            reply = events.whole(reply) if events else reply
            ids, reason, cached = _sampled(reply, url, body["prompt"], self._dialect)
            self._check_answer(ids, reason, request, url)
            told = None if likely is None else _logprobs(reply, url, ids, likely)
        except NoReply as error:
            self._cool(url)
            kind = _TransientError if error.connected else _UnconnectedError
            raise kind(f"{url}: {error}") from error
        except _TransientError:
            self._cool(url)
            raise
        except _RefusedError as error:
            raise SampleFailed(str(error)) from error
        self._cooling.pop(url, None)
        return Served(ids, cached, logprobs=told)

    def _cool(self, url: str) -> None:
        self._cooling[url] = time.monotonic() + _COOLING

    def _check_answer(self, ids: tuple[int, ...], reason: str, request: Request, url: str) -> None:
        """Raises _TransientError unless the server kept to the request."""
        try:
            check_kept(ids, request)
        except RuntimeError as error:
            raise _TransientError(f"{url}: {error}") from error
        if len(ids) < request.max_tokens and reason == "length":
            raise _TransientError(
                f"{url} cut an answer at {len(ids)} of {request.max_tokens} tokens: "
                "raise the server's own limit on output tokens"
            )
        if max(ids) > _WIDEST * self._last_id:
            raise _TransientError(
                f"{url} sampled the id {excerpt(str(max(ids)))}, and the tokenizer's last one is "
                f"{self._last_id}: give the tokenizer that the server has"
            )

    def _body(self, request: Request) -> JsonObject:
        sampling, stop = request.sampling, request.stop
        body: JsonObject = {
            "model": self._model,
            "prompt": list(request.prompt),
            "max_tokens": request.max_tokens,
            "temperature": sampling.temperature,
            # vLLM takes what is left out from the model's generation config.
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "min_tokens": stop.min_tokens,
            "ignore_eos": True,
            "stop_token_ids": sorted(stop.ids),
            "skip_special_tokens": False,
            **_DIALECTS[self._dialect],
        }
        if sampling.logprobs is not None:
            likely = max(sampling.logprobs, int(body.get("logprobs", 0)))
            body |= {"logprobs": likely, "return_tokens_as_token_ids": True}
        if stop.strings:
            body["stop"] = list(stop.strings)
        if request.banned:
            body["logit_bias"] = {str(id): -100 for id in sorted(request.banned)}
        if sampling.seed is not None and sampling.temperature and self._info.seeding == "request":
            body["seed"] = sampling.seed
        return body


Dialect = Literal["token_ids", "logprobs"]
_DIALECTS: dict[Dialect, JsonObject] = {
    "token_ids": {"return_token_ids": True},
    "logprobs": {"logprobs": 1, "return_tokens_as_token_ids": True},
}
"""How a server is asked for the ids that it sampled."""


class _Events:
    """An answer that comes in server-sent events, reported to a watch and put together as if it had
    come at once. Hostile input: an event that can't be read makes the whole unreadable."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._choice: JsonObject = {}
        self._rest: JsonObject = {}
        self._sampled = 0
        self._unreadable = ""

    def take(self, line: str) -> None:
        """One line of the reply."""
        said = line.removeprefix("data:").strip()
        if said == line.strip() or said == "[DONE]" or self._unreadable:
            return
        try:
            event: JsonObject = json.loads(said)
            for choice in event.pop("choices")[:1]:
                ids = _ids_of(choice)
                self._choice = _joined(self._choice, choice)
                self._watch(self._sampled, ids)
                self._sampled += len(ids)
            self._rest |= event
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self._unreadable = line

    def whole(self, reply: Reply) -> Reply:
        """The reply as one without a stream would be; itself where it was none."""
        if self._unreadable:
            return Reply(reply.status, reply.headers, self._unreadable)
        if not self._choice:
            return reply
        text = json.dumps({**self._rest, "choices": [self._choice]})
        return Reply(reply.status, reply.headers, text)


def _joined(before: JsonObject, more: JsonObject) -> JsonObject:
    """A choice as far as it is known, and what an event adds: lists go on, anything else is said
    anew."""
    joined = dict(before)
    for name, value in more.items():
        there = joined.get(name)
        if value is None and there is not None:
            continue
        if isinstance(there, dict) and isinstance(value, dict):
            joined[name] = _joined(there, value)
        elif isinstance(there, list) and isinstance(value, list):
            joined[name] = there + value
        else:
            joined[name] = value
    return joined


def _ids_of(choice: JsonObject) -> list[int]:
    """The ids that an event brings, in either dialect. Raises ValueError, TypeError or KeyError."""
    ids = choice.get("token_ids")
    if ids is None:
        tokens = (choice.get("logprobs") or {}).get("tokens") or []
        ids = [int(token.removeprefix("token_id:")) for token in tokens]
    if not all(type(id) is int for id in ids):
        raise ValueError("ids that are no whole numbers")
    return list(ids)


class _TransientError(Exception):
    """Worth another try. retry_after: seconds, where the server asks for them."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _UnstreamedError(_TransientError):
    """Refused, perhaps for the stream alone."""


class _UnconnectedError(_TransientError):
    """Nobody listens there."""


class _RefusedError(UserError):
    """The server takes others, and not this request."""


class _Roots:
    """Which question a prompt belongs to: the first prompt seen that it begins with."""

    def __init__(self) -> None:
        self._roots: set[bytes] = set()
        self._lengths: set[int] = set()

    def of(self, prompt: Sequence[int]) -> bytes:
        shorter = sorted(length for length in self._lengths if length < len(prompt))
        *keys, whole = beginnings(prompt, [*shorter, len(prompt)])
        root = next((key for key in keys if key in self._roots), whole)
        self._roots.add(root)
        if root is whole:
            self._lengths.add(len(prompt))
        return root


class _LoopThread:
    """An event loop on a thread of its own, so that connections outlive the caller's loop."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What `coroutine` returns, for callers without a loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await `coroutine` over there. RuntimeError if the thread is closed meanwhile."""
        if self._closing.is_set():
            coroutine.close()
            raise RuntimeError("the engine is closed")
        try:
            return await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            )
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closing.is_set() and not (task and task.cancelling()):
                raise RuntimeError("the engine was closed while a call was in flight") from None
            raise

    def close(self, last: Any) -> None:
        """Cancel what is in flight, await `last()`, and end the thread."""
        if self._closing.is_set():
            return
        self._closing.set()

        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await last()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Ask(Protocol):
    def __call__(self, method: str, url: str, body: Any = None, timeout: float = ...) -> Reply: ...


def _cards(ask: _Ask, model: str, urls: Sequence[str]) -> dict[str, JsonObject]:
    """What each server that is up says about the model."""
    cards: dict[str, JsonObject] = {}
    down: list[str] = []
    for url in urls:
        try:
            reply = ask("GET", f"{url}/models")
            _check_status(reply, url)
            listed = {str(card["id"]): card for card in reply.json()["data"]}
        except (NoReply, _TransientError) as error:
            down.append(f"{url} ({error})")
            continue
        except UserError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{url}/models is no list of models: check base_url") from error
        if model not in listed:
            names = ", ".join(map(repr, list(listed)[:20]))
            raise UserError(f"{url} does not serve {model!r}: choose from {names}")
        cards[url] = listed[model]
    if not cards:
        raise UserError(
            f"no server answers at {', '.join(down)}: check base_url, or start one with "
            f"`{_START.format(model=model)}`"
        )
    return cards


def _tokenizer_source(root: str, model: str) -> str:
    """The server's own model folder if it is here, too, else what `model` means here."""
    try:
        return resolve_model(root)
    except UserError:
        pass
    try:
        return resolve_model(model)
    except UserError as error:
        raise UserError(
            f"can't tell which tokenizer {model!r} has (the server loaded it from {root}): "
            "give tokenizer=FOLDER or its name on the Hugging Face Hub"
        ) from error


def _dialect(ask: _Ask, url: str, model: str, id: int, timeout: float) -> Dialect:
    """How the server returns sampled ids, found out with a prompt of one id."""
    problems: list[str] = []
    for dialect, options in _DIALECTS.items():
        body = {"model": model, "prompt": [id], "max_tokens": 1, "temperature": 0, **options}
        try:
            reply = ask("POST", f"{url}/completions", body, timeout)
            _check_status(reply, url)
            _sampled(reply, url, [id], dialect)
            return dialect
        except (NoReply, _TransientError, UserError) as error:
            problems.append(str(error))
    raise UserError(
        f"the server at {url} can't be used: it has to take prompts as token ids and return the "
        f"ids that it sampled; vLLM's does: `{_START.format(model=model)}` ({'; '.join(problems)})"
    )


def _architecture(source: str) -> Architecture | None:
    """Of the model that the server has loaded from there."""
    try:
        return architecture_of(load_config(source, source))
    except UserError:
        return None


def _version(ask: _Ask, url: str) -> str:
    """What vLLM's server calls its version; `unknown` for others."""
    try:
        reply = ask("GET", f"{url.removesuffix('/v1')}/version")
        return excerpt(str(reply.json()["version"])) if reply.status == 200 else "unknown"
    except (NoReply, ValueError, TypeError, KeyError):
        return "unknown"


def _check_status(reply: Reply, url: str) -> None:
    """Raises _TransientError where another try may help, _RefusedError where this request is what
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
        raise _RefusedError(f"{url} {advice}")
    wait = reply.headers.get("retry-after", "")
    if 300 <= status < 400:
        said = f"it sends us on to {excerpt(reply.headers.get('location', 'nowhere'))}"
    raise _TransientError(
        f"{url} answered {status}: {said}", float(wait) if wait.isdecimal() else None
    )


def _sampled(
    reply: Reply, url: str, prompt: Sequence[int], dialect: Dialect
) -> tuple[tuple[int, ...], str, int | None]:
    """The ids that the server sampled, the stop's included, its reason to end, and how many of the
    prompt's ids it had in a cache, None where its usage does not say.

    Hostile input: anything that is not exactly that raises _TransientError.
    """
    try:
        whole = reply.json()
        choice = whole["choices"][0]
        reason: Any = choice["finish_reason"]
        ids: list[Any]
        if dialect == "token_ids":
            ids = choice["token_ids"]
            if (choice.get("prompt_token_ids") or list(prompt)) != list(prompt):
                raise ValueError("it changed the prompt's ids")
        else:
            tokens = choice["logprobs"]["tokens"]
            ids = [int(token.removeprefix("token_id:")) for token in tokens]
            if not all(token.startswith("token_id:") for token in tokens):
                raise ValueError("it names tokens by their text")
        if reason not in ("stop", "length"):
            raise ValueError(f"finish_reason {reason!r}")
        if not all(type(id) is int and id >= 0 for id in ids):
            raise ValueError("ids that are no whole numbers")
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise _TransientError(
            f"{url} gave an unreadable answer ({excerpt(repr(error))}): {excerpt(reply.text)}"
        ) from error
    return tuple(ids), reason, _cached(whole.get("usage"), len(prompt))


def _cached(usage: Any, prompt: int) -> int | None:
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    count = details.get("cached_tokens") if isinstance(details, dict) else None
    return count if type(count) is int and 0 <= count <= prompt else None


def _logprobs(reply: Reply, url: str, ids: Sequence[int], likely: int) -> Logprobs:
    """Those of each sampled id, and of the likeliest in its place. Hostile input."""
    try:
        told = reply.json()["choices"][0]["logprobs"]
        values = told["token_logprobs"]
        tops = told["top_logprobs"] if likely else [{}] * len(values)
        places = []
        for value, others in zip(values, tops, strict=True):
            ranked = sorted(others.items(), key=lambda each: -each[1])[:likely]
            if not all(_is_logprob(each) for each in (value, *others.values())):
                raise ValueError("log-probabilities that are none")
            if not all(name.startswith("token_id:") for name, _ in ranked):
                raise ValueError("it names tokens by their text")
            names = [int(name.removeprefix("token_id:")) for name, _ in ranked]
            places.append((value, names, [each for _, each in ranked]))
        if len(places) != len(ids):
            raise ValueError(f"log-probabilities of {len(places)} of {len(ids)} ids")
        return Logprobs.of(likely, places)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise _TransientError(
            f"{url} gave no log-probabilities ({excerpt(repr(error))}): {excerpt(reply.text)}"
        ) from error


def _is_logprob(value: object) -> bool:
    """Rounding may lift a certain id a little above 0."""
    return isinstance(value, int | float) and -1e6 < value < 1e-3
