"""The gateway over HTTP: paths, limits, streams. What is asked and answered is the gateway's."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import ExitStack, aclosing, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from s1_eval.errors import SampleFailed
from s1_eval.serve import page
from s1_eval.serve.events import Begun, Event, Grown, Pruned, Scored
from s1_eval.serve.gateway import Closing, Gateway, Job, Solved
from s1_eval.serve.replies import Reply, Shown, error_of, models, sse
from s1_eval.serve.requests import Asked, BadRequest, ChatRequest, TextRequest, read_request

_LOGGER = logging.getLogger(__name__)

BODY_SECONDS = 60.0
"""Until the last byte of a request."""

SILENCE = 15.0
"""Seconds after which a stream says that it is still there: proxies end what is silent."""

PROGRESS = (Begun, Scored, Pruned)
"""What a stream tells of a method that chooses at the end."""

GUARDED = ("/v1/", "/events", "/metrics")
"""What the key is for."""

COUNTED = ("/v1/chat/completions", "/v1/completions", "/v1/models", "/events", "/health")
"""Paths that metrics tell apart."""

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


def application(
    gateway: Gateway, *, api_key: str | None = None, only_loopback: bool = True
) -> ASGIApp:
    """The server's application.

    only_loopback: it is bound to the loopback address, so a request that names another host comes
    from a page in somebody's browser.
    """

    async def chat(request: Request) -> Response:
        return await _answer(gateway, request, ChatRequest)

    async def completions(request: Request) -> Response:
        return await _answer(gateway, request, TextRequest)

    async def list_models(request: Request) -> Response:
        return JSONResponse(models(gateway))

    async def one_model(request: Request) -> Response:
        cards = {card["id"]: card for card in models(gateway)["data"]}
        if (card := cards.get(request.path_params["id"])) is None:
            return _failed(gateway, gateway.unknown(request.path_params["id"]))
        return JSONResponse(card)

    async def health(request: Request) -> Response:
        well = await gateway.healthy()
        said = {"status": "ok" if well else gateway.trouble or "closing"}
        return JSONResponse(said, 200 if well else 503)

    async def metrics(request: Request) -> Response:
        return Response(gateway.metrics.text(), media_type="text/plain; version=0.0.4")

    async def ask(request: Request) -> Response:
        return await _events(gateway, request)

    async def watch(request: Request) -> Response:
        events = _feed(gateway)
        return _Stream(events, events.aclose)

    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/completions", completions, methods=["POST"]),
        Route("/v1/models", list_models),
        Route("/v1/models/{id:path}", one_model),
        Route("/events", ask, methods=["POST"]),
        Route("/events", watch),
        Route("/health", health),
        Route("/metrics", metrics),
        *page.routes(
            {"recorded": False, "live": {"model": gateway.name, "methods": gateway.usable}}
        ),
    ]
    return _Guard(Starlette(routes=routes), gateway, api_key, only_loopback)


class _Guard:
    """Before every request: who may ask, and from where. After it: counts."""

    def __init__(
        self, app: ASGIApp, gateway: Gateway, api_key: str | None, only_loopback: bool
    ) -> None:
        self._app, self._gateway, self._only_loopback = app, gateway, only_loopback
        self._key = None if api_key is None else _digest(api_key.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began, status = time.monotonic(), 499

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        path = scope["path"]
        try:
            refused = self._refusal(scope)
            await (refused or self._app)(scope, receive, noted)
        finally:
            known = path if path in COUNTED else "other"
            self._gateway.metrics.requested(known, status, time.monotonic() - began)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if self._only_loopback and host.rpartition(":")[0] not in LOOPBACK and host not in LOOPBACK:
            return _refused(400, f"the host {host!r:.100} is not this one: use 127.0.0.1")
        if not scope["path"].startswith(GUARDED):
            return None
        if self._key is not None:
            kind, _, given = headers.get(b"authorization", b"").partition(b" ")
            if kind.lower() != b"bearer" or not hmac.compare_digest(_digest(given), self._key):
                return _refused(401, "give the server's key as Authorization: Bearer KEY")
        sent = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if scope["method"] == "POST" and sent != b"application/json":
            # A page of another site may send anything else without asking first.
            return _refused(415, "send Content-Type: application/json")
        return None


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key.strip()).digest()


def _refused(status: int, said: str) -> Response:
    kind = "authentication_error" if status == 401 else "invalid_request_error"
    error = {"message": said, "type": kind, "param": None, "code": None}
    return JSONResponse({"error": error}, status)


async def _answer(gateway: Gateway, request: Request, kind: type[Asked]) -> Response:
    try:
        asked = read_request(kind, await _body(request, gateway.limits.body))
        work = _Work(gateway, asked)
        try:
            if asked.stream:
                return await _streamed(work, request)
            solved = await _unless_gone(request, work.answers())
        finally:
            if not asked.stream:
                await work.end()
        return JSONResponse(Reply(asked).whole(solved))
    except ClientGone:
        return Response(status_code=499)
    except Exception as error:
        return _failed(gateway, error)


class _Stream(StreamingResponse):
    """Server-sent events; `end` is awaited however it ends, also where the client has left."""

    def __init__(
        self,
        events: AsyncIterator[bytes],
        end: Callable[[], Coroutine[Any, Any, Any]],
        seconds: float | None = None,
    ) -> None:
        """seconds: that a client may take to read it."""
        headers = {"Cache-Control": "no-cache"}
        super().__init__(events, headers=headers, media_type="text/event-stream")
        self._end, self._seconds = end, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await super().__call__(scope, receive, send)
        finally:
            await self._end()


class _Work:
    """The questions of a request, being solved, until `end`.

    Raises what `Gateway.jobs` does, and Busy.
    """

    def __init__(self, gateway: Gateway, asked: Asked, everything: bool = False) -> None:
        """everything: every event is wanted."""
        if gateway.closing:
            raise Closing("the server is being shut down")
        self.gateway, self.asked = gateway, asked
        self.jobs = gateway.jobs(asked)
        self.told: asyncio.Queue[tuple[Job, Event | Solved]] = asyncio.Queue()
        self._events = everything or asked.s1_eval.events
        place = ExitStack()
        place.enter_context(gateway.gate.admitted(len(self.jobs)))
        self._task = asyncio.create_task(self._solve())
        self._task.add_done_callback(lambda _: place.close())

    async def answers(self) -> list[Solved]:
        return await asyncio.shield(self._task)

    async def told_next(self) -> tuple[Job, Event | Solved] | None:
        """The next thing to tell; None where there was none for a while. Raises what ended it."""
        if not self.told.empty():
            return self.told.get_nowait()
        getting = asyncio.create_task(self.told.get())
        await asyncio.wait(
            (getting, self._task), timeout=SILENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if getting.done():
            return getting.result()
        getting.cancel()
        if self._task.done():
            self._task.result()
            return self.told.get_nowait()
        return None

    async def end(self) -> None:
        """Give up what is not done."""
        self._task.cancel()
        with suppress(BaseException):
            await self._task

    async def _solve(self) -> list[Solved]:
        try:
            async with (
                asyncio.timeout(self.gateway.limits.seconds),
                asyncio.TaskGroup() as group,
            ):
                tasks = [group.create_task(self._one(job)) for job in self.jobs]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _one(self, job: Job) -> Solved:
        tell: Callable[[Event], None] | None = None
        single = job.run.method.single
        if self.asked.stream or self._events:

            def tell(event: Event) -> None:
                self.told.put_nowait((job, event))

        tokenwise = single or self._events
        solved = await self.gateway.solve(job, tell, tokenwise, texts=self._events)
        if tell:
            self.told.put_nowait((job, solved))
        return solved


async def _streamed(work: _Work, request: Request) -> Response:
    """A stream, from the moment that the first question is under way: what is refused before has a
    status of its own."""
    try:
        first = await _unless_gone(request, _first(work))
    except BaseException:
        await work.end()
        raise
    return _Stream(_chunks(work, first), work.end, 2 * work.gateway.limits.seconds)


async def _first(work: _Work) -> list[tuple[Job, Event | Solved]]:
    got: list[tuple[Job, Event | Solved]] = []
    while not got or not isinstance(got[-1][1], Begun | Solved):
        if (told := await work.told_next()) is not None:
            got.append(told)
    return got


async def _chunks(work: _Work, first: Sequence[tuple[Job, Event | Solved]]) -> AsyncIterator[bytes]:
    asked, reply = work.asked, Reply(work.asked)
    everything = asked.s1_eval.events
    shown = {job.index: Shown(job) for job in work.jobs if job.run.method.single}
    solved: dict[int, Solved] = {}
    try:
        for job in work.jobs:
            yield sse(reply.chunk(job.index, first=True))
        async for told in _following(work, first):
            if told is None:
                yield b": still there\n\n"
                continue
            job, what = told
            if isinstance(what, Solved):
                solved[job.index] = what
                left = shown[job.index].end(what) if job.index in shown else None
                reasoning, text = left or (what.reasoning, what.text)
                if reasoning:
                    yield sse(reply.chunk(job.index, reasoning=reasoning))
                if text:
                    yield sse(reply.chunk(job.index, text))
                yield sse(reply.last(job.index, what))
                continue
            if everything or (job.index not in shown and isinstance(what, PROGRESS)):
                yield sse(reply.event(job.index, what))
            if isinstance(what, Grown) and job.index in shown:
                reasoning, text = shown[job.index].take(what)
                if reasoning or text:
                    yield sse(reply.chunk(job.index, text, reasoning))
        if asked.stream_options and asked.stream_options.include_usage:
            yield sse(reply.usage([solved[index] for index in sorted(solved)]))
        yield b"data: [DONE]\n\n"
    except Exception as error:
        yield sse(_told_error(work, error))


async def _following(
    work: _Work, first: Sequence[tuple[Job, Event | Solved]]
) -> AsyncIterator[tuple[Job, Event | Solved] | None]:
    left = len(work.jobs)
    for told in first:
        left -= isinstance(told[1], Solved)
        yield told
    while left:
        told_next = await work.told_next()
        left -= told_next is not None and isinstance(told_next[1], Solved)
        yield told_next


def _told_error(work: _Work, error: Exception) -> dict[str, Any]:
    _note(work.gateway, error)
    return error_of(error)[1]


async def _events(gateway: Gateway, request: Request) -> Response:
    """A question, and every event of it."""
    try:
        asked = read_request(ChatRequest, await _body(request, gateway.limits.body))
        work = _Work(gateway, asked, everything=True)
    except ClientGone:
        return Response(status_code=499)
    except Exception as error:
        return _failed(gateway, error)

    async def told() -> AsyncIterator[bytes]:
        try:
            async for each in _following(work, ()):
                if each is None:
                    yield b": still there\n\n"
                elif isinstance(each[1], Event):
                    yield sse(each[1].to_dict())
        except Exception as error:
            yield sse(_told_error(work, error))

    return _Stream(told(), work.end, 2 * gateway.limits.seconds)


async def _feed(gateway: Gateway) -> AsyncGenerator[bytes]:
    async with aclosing(gateway.feed.watch()) as events:
        async for event in events:
            yield sse(event.to_dict())


async def _body(request: Request, largest: int) -> bytes:
    """Raises BadRequest on one that is too large or too slow, ClientGone where it ends early."""
    from starlette.requests import ClientDisconnect

    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > largest:
                    raise _Sized(f"the body has more than {largest} bytes")
    except TimeoutError:
        raise _Slow(f"the body took longer than {BODY_SECONDS:g} s") from None
    except ClientDisconnect:
        raise ClientGone from None
    return bytes(body)


class _Sized(BadRequest):
    status = 413


class _Slow(BadRequest):
    status = 408


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Any]) -> Any:
    """What `work` returns. Raises ClientGone, and cancels it, where the client leaves first."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _failed(gateway: Gateway, error: Exception) -> Response:
    _note(gateway, error)
    status, body, headers = error_of(error)
    return JSONResponse(body, status, headers)


def _note(gateway: Gateway, error: Exception) -> None:
    status = error_of(error)[0]
    if status == 500:
        _LOGGER.error("a request failed", exc_info=error)
    elif (
        status == 503
        and isinstance(error, RuntimeError)
        and not isinstance(error, Closing | SampleFailed)
    ):
        gateway.trouble = str(error)
        _LOGGER.error("the engine failed: %s", error)
