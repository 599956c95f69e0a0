"""A gateway on nano behind a real server, in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from s1_eval.engines import Engine
from s1_eval.serve import server
from s1_eval.serve.app import application
from s1_eval.serve.gateway import Gateway

QUESTION = "Compute mod 100.\nS=47\nA*8\nB+5\nC*7*6"
ASKED = [{"role": "user", "content": QUESTION}]


@dataclass
class Served:
    gateway: Gateway
    url: str
    client: httpx.Client = field(repr=False)

    def ask(self, path: str = "/v1/chat/completions", **body: Any) -> httpx.Response:
        """nano's question, greedily, unless the body says otherwise."""
        usual = {"model": "nano", "temperature": 0}
        usual |= {"messages": ASKED} if "chat" in path or "events" in path else {}
        return self.client.post(path, json=usual | body)

    def answer(self, **body: Any) -> dict[str, Any]:
        reply = self.ask(**body)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def chunks(self, path: str = "/v1/chat/completions", **body: Any) -> list[dict[str, Any]]:
        """What is streamed; whole lines of JSON, and `[DONE]` at the end."""
        import json

        reply = self.ask(path, stream=True, **body)
        assert reply.status_code == 200, reply.text
        lines = [line for line in reply.text.split("\n") if line and not line.startswith(":")]
        assert all(line.startswith("data: ") for line in lines)
        said = [line.removeprefix("data: ") for line in lines]
        if "error" not in json.loads(said[-1] if said[-1] != "[DONE]" else "{}"):
            assert said.pop() == "[DONE]"
        return [json.loads(line) for line in said]


@contextmanager
def serving(
    engine: Engine, api_key: str | None = None, only_loopback: bool = True, **how: Any
) -> Iterator[Served]:
    """how: see `Gateway`."""
    gateway = Gateway(engine, "nano", **how)
    bound = server.bind("127.0.0.1", 0)
    app = application(gateway, api_key=api_key, only_loopback=only_loopback)
    running = uvicorn.Server(server.config(app, 5))
    thread = threading.Thread(
        target=lambda: asyncio.run(running.serve(sockets=[bound])), daemon=True
    )
    bound.listen()
    thread.start()
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    with httpx.Client(base_url=server.address(bound), timeout=180, headers=headers) as client:
        yield Served(gateway, server.address(bound), client)
    running.should_exit = True
    thread.join()
    gateway.close()
