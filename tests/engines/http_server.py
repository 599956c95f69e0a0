"""A small server on loopback that speaks `/v1/completions` as vLLM's does, and that can be told to
fail in every way that a server fails.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pseudo_model import PseudoServer

from s1_eval.engines.continuation import Request
from s1_eval.engines.protocol import Sampling, Stop

Fault = str | int
"""A status, or `drop`, `truncate`, `malformed`, `no ids`, `hang`, `html`, `abort`."""


class CompletionsServer:
    """`http://127.0.0.1:<port>/v1`, serving the pseudo-model as `pseudo` until `stop`.

    faults: what to do with the next requests, in order. `None` is none.
    bodies: every request for a completion so far.
    answer: what the choice says instead of what it should.
    delay: seconds before each answer; retry_after: the header beside a failure's status.
    running, peak: requests in flight, now and at most.
    """

    def __init__(
        self,
        root: str,
        *,
        dialects: tuple[str, ...] = ("token_ids", "logprobs"),
        max_model_len: int | None = 512,
        version: str | None = "0.32.0",
        port: int = 0,
    ) -> None:
        self.model = PseudoServer(padding=2)
        self.root = root
        self.dialects = dialects
        self.max_model_len = max_model_len
        self.version = version
        self.faults: deque[Fault | None] = deque()
        self.answer: dict[str, Any] = {}
        self.bodies: list[dict[str, Any]] = []
        self.running = self.peak = 0
        self.delay = 0.0
        self.retry_after: str | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                outer.get(self)

            def do_POST(self) -> None:
                outer.post(self)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, *args: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on, and break those there are."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def get(self, http: BaseHTTPRequestHandler) -> None:
        if http.path == "/v1/models":
            card = {"id": "pseudo", "root": self.root, "max_model_len": self.max_model_len}
            self._send(http, 200, json.dumps({"object": "list", "data": [card]}))
        elif http.path == "/version" and self.version:
            self._send(http, 200, json.dumps({"version": self.version}))
        else:
            self._send(http, 404, "{}")

    def post(self, http: BaseHTTPRequestHandler) -> None:
        body = json.loads(http.rfile.read(int(http.headers["content-length"])))
        with self._lock:
            fault = self.faults.popleft() if self.faults else None
            self.bodies.append(body)
            self.running += 1
            self.peak = max(self.peak, self.running)
        try:
            time.sleep(self.delay)
            self._answer(http, body, fault)
        finally:
            with self._lock:
                self.running -= 1

    def _answer(self, http: BaseHTTPRequestHandler, body: Any, fault: Fault | None) -> None:
        if fault == "drop" or self._stopping.is_set():
            http.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "hang":
            self._stopping.wait(30)
            http.close_connection = True
        elif isinstance(fault, int):
            self._send(http, fault, json.dumps({"error": {"message": "told to fail"}}))
        else:
            text = json.dumps(self._completion(body, fault))
            if fault == "malformed":
                text = text[: len(text) // 2]
            elif fault == "html":
                text = "<html>Bad gateway</html>"
            self._send(http, 200, text, missing=20 if fault == "truncate" else 0)

    def _completion(self, body: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        request = Request(
            prompt=tuple(body["prompt"]),
            max_tokens=body["max_tokens"],
            stop=Stop(
                frozenset(body.get("stop_token_ids", ())),
                tuple(body.get("stop", ())),
                body.get("min_tokens", 0),
            ),
            sampling=Sampling(body["temperature"], seed=body.get("seed")),
            banned=frozenset(int(id) for id in body.get("logit_bias", {})),
        )
        ids = asyncio.run(self.model.serve(request))
        choice: dict[str, Any] = {
            "index": 0,
            "text": "",
            "finish_reason": "length" if len(ids) == request.max_tokens else "stop",
        }
        if fault == "abort":
            choice["finish_reason"] = "abort"
        if body.get("return_token_ids") and "token_ids" in self.dialects:
            choice |= {"token_ids": ids, "prompt_token_ids": body["prompt"]}
        if body.get("return_tokens_as_token_ids") and "logprobs" in self.dialects:
            choice["logprobs"] = {"tokens": [f"token_id:{id}" for id in ids]}
        if fault == "no ids":
            choice["token_ids"] = choice["logprobs"] = None
        return {"choices": [choice | self.answer]}

    def _send(self, http: BaseHTTPRequestHandler, status: int, text: str, missing: int = 0) -> None:
        data = text.encode()
        http.send_response(status)
        http.send_header("Content-Type", "application/json")
        http.send_header("Content-Length", str(len(data)))
        if status != 200 and self.retry_after:
            http.send_header("Retry-After", self.retry_after)
        http.end_headers()
        http.wfile.write(data[: len(data) - missing])
        if missing:
            http.close_connection = True
