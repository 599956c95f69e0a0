"""The `completions` engine: any server that takes prompts as token ids and returns the ids it
sampled, at one or several addresses, in one of the dialects of `s1_eval.engines.dialects`.

Text is never re-tokenized: a server that can't speak ids is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import threading
import time
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

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
from s1_eval.engines.protocol import EngineInfo, Generation, Sampling, Stop, Tokenizer, settings_of
from s1_eval.engines.replies import NoReply, Reply, excerpt, fetch, open_client
from s1_eval.engines.routing import Replicas
from s1_eval.engines.servers import (
    Events,
    RefusedError,
    TransientError,
    UnconnectedError,
    UnstreamedError,
    check_alike,
    check_dialect,
    check_status,
    check_tokenizer,
    find,
    probe,
    read,
    servers,
)
from s1_eval.errors import SampleFailed, UserError
from s1_eval.json_lines import JsonObject
from s1_eval.thinking import AS_IT_IS, Chat

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)

_LONGEST_WAIT = 60.0
"""Seconds between two tries at most: a server that loads a large model is away for minutes."""

_LARGEST_CARDS = 1 << 24
"""Bytes of what a server says about itself that are read."""

_REPLY = 1 << 20
"""Bytes of an answer that are read in any case, see `Sizes` for those per id."""

_WAITING = 2
"""Requests in flight per slot of a server that says how many it has: one that it works on, and one
that waits for it. More would wait there while their time to answer runs."""

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
        seeding: Literal["request", "engine"] | None = None,
        dialect: str | None = None,
        server_name: str | None = None,
        chat: Chat = AS_IT_IS,
    ) -> None:
        """Find the model on every server that is up, and check that it speaks token ids.

        model: the name that the server gives it.
        base_url: one address or several, up to and including `/v1`; a text parts them by `;`.
            Servers that are down now are left out.
        tokenizer: folder or Hub name; None is what the server says it loaded, else `model`.
        max_connections: requests in flight at once at each server; fewer where it has fewer slots.
        timeout: seconds until the last byte of one answer.
        total_timeout: seconds that all tries of one request may take, the waits between them
            included, but not those for one of `max_connections`.
        retries: further tries of one request.
        backoff: seconds before the first repetition that has no other replica to go to; each
            further one waits up to twice as long.
        context_length: where the server doesn't say it, or less than it says.
        seeding: `engine` sends no seeds. vLLM on a CPU needs that: a seeded request whose prompt
            it reads in parts ends it. None is what the server does.
        dialect: a name in `DIALECTS`; None finds it out.
        server_name: what records call the servers; None is their addresses. For one whose port is
            whatever was free.
        chat: how conversations become prompts.

        Raises UserError when no server is up, one does not have the model or can't speak ids, or
        two have different models under its name.
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
        if seeding not in (None, "request", "engine"):
            raise UserError(f"seeding={seeding!r}: give request or engine")
        check_dialect(dialect)
        self._model = model
        self._timeout = timeout
        self._total_timeout = total_timeout
        self._retries = retries
        self._backoff = backoff
        self._heard = 0.0
        self._telling: dict[int, asyncio.Future[None]] = {}
        self._replicas: Replicas | None = None
        limits = httpx.Limits(max_connections=max_connections * len(self._urls))
        self._client = open_client(api_key, limits=limits)
        self._thread = _LoopThread("s1-completions")
        with ExitStack() as unless_all_is_well:
            unless_all_is_well.callback(self.close)
            up = self._thread.wait(servers(self._ask, model, self._urls))
            self._found = {
                server.url: self._thread.wait(find(self._ask, server, dialect)) for server in up
            }
            first = next(iter(self._found.values()))
            self._dialect = first.dialect
            cards = [found.card for found in self._found.values()]
            if len({(f.dialect.name, f.card.seeding) for f in self._found.values()}) > 1:
                raise UserError(
                    f"the servers at {', '.join(self._found)} differ: start them all alike"
                )
            source = (
                resolve_model(tokenizer)
                if tokenizer
                else _tokenizer_source(first.card.source, model)
            )
            loaded = load_tokenizer(source)
            self._tokenizer: Tokenizer = loaded
            self._vocabulary = frozenset(loaded.get_vocab().values())
            self._last_id = max(self._vocabulary)
            ends = eos_ids(source, loaded)
            for found in self._found.values():
                self._thread.wait(check_tokenizer(self._ask, found, loaded, ends))
            lengths = [card.context_length for card in cards if card.context_length]
            if context_length is None and len(lengths) < len(cards):
                raise UserError(f"{first.server.url} does not say its context: give context_length")
            if context_length is not None and context_length > min(lengths, default=context_length):
                raise UserError(
                    f"context_length={context_length} is over the {min(lengths)} tokens that the "
                    "server takes: give that or less"
                )
            self._streams = all(card.streams for card in cards)
            slots = {
                url: min(max_connections, _WAITING * (found.card.slots or max_connections))
                for url, found in self._found.items()
            }
            self._replicas = Replicas(slots)
            self._info = EngineInfo(
                engine="completions",
                model=model,
                context_length=context_length or min(lengths),
                eos_ids=ends,
                dtype="server",
                fingerprint=hashlib.sha256(f"{model}\n{first.card.source}".encode()).hexdigest(),
                seeding=seeding or first.card.seeding,
                chat=chat,
                batch=sum(slots.values()),
                architecture=None if tokenizer else _architecture(source),
                versions={
                    "s1_eval": s1_eval.__version__,
                    "server": first.card.version,
                },
                settings=settings_of(
                    base_url=[server_name] if server_name else sorted(self._urls),
                    tokenizer=tokenizer,
                    dialect=None if self._dialect.program == "vLLM" else self._dialect.name,
                ),
            )
            if len(self._found) > 1:
                self._thread.wait(
                    check_alike(self._ask, [*self._found.values()], sorted(self._vocabulary))
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
            minimum=self._dialect.minimum,
        )

    async def _check_logprobs(self, likely: int) -> None:
        """Ask every server that is up for one id and its log-probabilities. Raises UserError."""
        first = (min(self._vocabulary),)
        for found in self._found.values():
            try:
                await probe(self._ask, found, first, Sampling(logprobs=likely))
            except NoReply:
                continue  # whoever is asked next says what it makes of that
            except (TransientError, RefusedError) as error:
                raise UserError(
                    f"log-probabilities, {likely} likely ids in each place, can't be had of the "
                    f"server ({error}): vLLM's has them, with --max-logprobs {likely} or more; or "
                    "load the model itself with s1_vllm or s1_hf"
                ) from error

    def close(self) -> None:
        self._thread.close(self._client.aclose)
        for said in self._replicas.lost() if self._replicas else ():
            _LOGGER.warning("%s", said)

    async def _ask(self, method: str, url: str, body: Any = None) -> Reply:
        """What a server says about itself, and makes of a single id. Raises NoReply."""
        timeout = self._timeout if body else 30.0
        return await fetch(self._client, method, url, body, timeout=timeout, largest=_LARGEST_CARDS)

    async def _serve(self, request: Request) -> Served:
        from tenacity import AsyncRetrying, RetryCallState, RetryError, retry_if_exception_type

        body = self._dialect.body(
            request, self._model, self._tokenizer, self._info.seeding == "request"
        )
        assert self._replicas
        began = time.monotonic()
        spent = 0.0

        def used_up(state: RetryCallState) -> bool:
            waited = state.idle_for + state.upcoming_sleep
            return state.attempt_number > self._retries or spent + waited >= self._total_timeout

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TransientError), stop=used_up, wait=self._wait
        )
        try:
            async for attempt in retrying:
                with attempt:
                    state = attempt.retry_state
                    tries = state.attempt_number - 1
                    async with self._replicas.one(request.prompt, tries) as url:
                        at = time.monotonic()
                        left = self._total_timeout - spent - state.idle_for
                        try:
                            return await self._post(url, body, request, min(self._timeout, left))
                        except UnstreamedError:
                            request = replace(request, watch=None)
                            raise
                        finally:
                            spent += time.monotonic() - at
        except RetryError as error:
            last = error.last_attempt.exception()
            tries = error.last_attempt.attempt_number
            if isinstance(last, UnconnectedError) and self._heard < began:
                raise RuntimeError(
                    f"no server listens any more: {last} ({tries} tries failed). Start it again, "
                    "then run the same command again"
                ) from last
            over = "" if tries > self._retries else f", total_timeout={self._total_timeout:g} s"
            raise SampleFailed(
                f"{self._model}: {tries} tries failed{over}, the last one so: {last}", tries
            ) from last
        raise AssertionError("unreachable")

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Seconds until the next try: none if some replica has not failed lately."""
        from tenacity import wait_random_exponential

        if not (self._replicas and self._replicas.none_is_well):
            return 0.0
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TransientError) and error.retry_after is not None:
            return min(error.retry_after, _LONGEST_WAIT)
        return wait_random_exponential(self._backoff, _LONGEST_WAIT)(state)

    async def _post(self, url: str, body: JsonObject, request: Request, timeout: float) -> Served:
        """Raises TransientError where another try may do, else SampleFailed, or UserError where
        no question would be answered."""
        sizes, likely = self._dialect.sizes, request.sampling.logprobs
        place = sizes.sampled + sizes.likely * (1 + (likely or 0))
        largest = _REPLY + sizes.prompt * len(request.prompt) + place * request.max_tokens
        watch = request.watch if self._streams else None
        if watch:
            body = self._dialect.streamed(body)
        events = Events(self._dialect, watch) if body.get("stream") else None
        found, replicas = self._found[url], self._replicas
        assert replicas
        try:
            reply = await fetch(
                self._client,
                "POST",
                found.server.root + self._dialect.path,
                body,
                timeout=timeout,
                largest=2 * largest if events else largest,
                on_line=events.take if events else None,
            )
            self._heard = time.monotonic()
            if watch and reply.status in (400, 404, 405, 415, 422, 501):
                raise UnstreamedError(f"{url} refused to stream: {excerpt(reply.text)}")
            check_status(reply, url)
            answer, told = read(events.whole(reply) if events else reply, found, request, body)
            self._check_answer(answer.ids, answer.reason, request, url)
        except NoReply as error:
            replicas.failed(url, str(error))
            kind = TransientError if error.connected else UnconnectedError
            raise kind(f"{url}: {error}") from error
        except UnstreamedError:
            raise  # the server is well
        except TransientError as error:
            replicas.failed(url, str(error))
            raise
        except RefusedError as error:
            raise SampleFailed(str(error)) from error
        replicas.answered(url)
        return Served(answer.ids, answer.cached, logprobs=told)

    def _check_answer(self, ids: tuple[int, ...], reason: str, request: Request, url: str) -> None:
        """Raises TransientError unless the server kept to the request."""
        try:
            check_kept(ids, request)
        except RuntimeError as error:
            raise TransientError(f"{url}: {error}") from error
        if len(ids) < request.max_tokens and reason == "length":
            raise TransientError(
                f"{url} cut an answer at {len(ids)} of {request.max_tokens} tokens: "
                "raise the server's own limit on output tokens"
            )
        if max(ids) > _WIDEST * self._last_id:
            raise TransientError(
                f"{url} sampled the id {excerpt(str(max(ids)))}, and the tokenizer's last one is "
                f"{self._last_id}: give the tokenizer that the server has"
            )


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
            f"can't tell which tokenizer {model!r} has (the server loaded it from "
            f"{excerpt(root)}): "
            "give tokenizer=FOLDER or its name on the Hugging Face Hub"
        ) from error


def _architecture(source: str) -> Architecture | None:
    """Of the model that the server has loaded from there."""
    try:
        return architecture_of(load_config(source, source))
    except UserError:
        return None
