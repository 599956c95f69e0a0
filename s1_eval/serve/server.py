"""A gateway's process: its socket, its signals, its end."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from s1_eval import libraries
from s1_eval.errors import UserError
from s1_eval.serve.gateway import Gateway

libraries.check(__name__)
from uvicorn.protocols.http.auto import AutoHTTPProtocol  # noqa: E402

HEADER_SECONDS = 20.0
"""Until a request has its last header."""

KEEP_ALIVE = 65
"""Seconds that a connection is kept for a further request: longer than clients do, so that none is
closed just when they use it again."""


def bind(host: str, port: int) -> socket.socket:
    """A socket of one's own, before a model is loaded. Raises UserError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.socket(family)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except (OSError, OverflowError) as error:
        raise UserError(
            f"can't listen at {host} port {port} ({error}): give another --port or --host"
        ) from error
    return made


def address(bound: socket.socket) -> str:
    """Where clients find it, e.g. `http://127.0.0.1:8000`."""
    host, port, *_ = bound.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def config(app: Any, grace: float) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,
        http=_Patient,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(grace) + 5,
    )


def serve(app: Any, gateway: Gateway, bound: socket.socket, grace: float) -> None:
    """Until a signal: then what is under way is finished, for at most `grace` seconds."""
    server = _Server(config(app, grace), gateway, grace)
    asyncio.run(server.serve(sockets=[bound]))
    given_up = f", {server.given_up} questions were given up" if server.given_up else ""
    _say(f"stopped{given_up}")


class _Server(uvicorn.Server):
    """given_up: questions that were not finished in the end."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway, grace: float) -> None:
        super().__init__(config)
        self._gateway, self._grace = gateway, grace
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Task[None] | None = None
        self.given_up = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn's, a signal that was obeyed is not raised again."""
        self._loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal ends the server in time, a second one at once."""
        assert self._loop
        again, self.should_exit = self.should_exit, True
        if not again:
            left = self._gateway.gate.inside
            under_way = f": {left} questions are finished, for at most {self._grace:g} s"
            _say(f"{signal.Signals(sig).name}{under_way if left else ''}")
        self._loop.call_soon_threadsafe(self._end_in, 0.0 if again else self._grace)

    def _end_in(self, seconds: float) -> None:
        self._ending = asyncio.create_task(self._end(seconds))

    async def _end(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.given_up += await self._gateway.abort()


class _Patient(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """A connection on which a request has to come in time: whoever sends a byte now and then would
    keep it for ever."""

    _late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if self._late is None and self._between():
            self._late = self.loop.call_later(HEADER_SECONDS, self._end)
        super().data_received(data)
        if self._late and not self._between():
            self._late.cancel()
            self._late = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._late = self.loop.call_later(HEADER_SECONDS, self._end)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._late:
            self._late.cancel()
        super().connection_lost(exc)

    def _between(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _end(self) -> None:
        self._late = None
        if self._between():
            self.transport.close()


def _say(text: str) -> None:
    print(f"s1-eval: {text}", file=sys.stderr, flush=True)  # noqa: T201
