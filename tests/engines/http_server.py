"""A small server on loopback that speaks as vLLM's, llama.cpp's or SGLang's does (`spoken.py`), and
that can be told to fail in every way that a server fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from pseudo_model import PseudoServer
from spoken import SPEECHES, Fault, told

__all__ = ["FAULTS", "CompletionsServer", "Fault", "faults_of", "told"]

BOMB = gzip.compress(b" " * 5_000_000)


@dataclass(frozen=True)
class Expected:
    """What must come out where every try of one question meets a fault, and none of another.

    said: what the error has to match. fails: what fails with it; `again` is the question, after
    all tries. A fault that is met once costs nothing but a try, where it is `again`. by: the
    dialects in which it can happen.
    """

    said: str
    fails: Literal["again", "question", "run"] = "again"
    by: tuple[str, ...] = tuple(SPEECHES)


FAULTS: dict[Fault, Expected] = {
    204: Expected("answered 204"),
    307: Expected("answered 307: it sends us on to http://elsewhere"),
    400: Expected("refused the request with 400: .*told to fail", "question"),
    401: Expected("give the server's key as api_key", "run"),
    403: Expected("check the server's key", "question"),
    404: Expected("ends in /v1", "question"),
    408: Expected("answered 408"),
    413: Expected("refused the request with 413", "question"),
    422: Expected("refused the request with 422", "question"),
    429: Expected("answered 429"),
    500: Expected("answered 500: .*told to fail"),
    503: Expected("answered 503"),
    "abort": Expected("finish_reason 'abort'|stop_type 'none'"),
    "bomb": Expected("packed its reply.*gzip"),
    "broken encoding": Expected("packed its reply.*gzip"),
    "deep": Expected("nested too deep"),
    "digits": Expected("unreadable answer"),
    "drip": Expected(r"no answer within 1 s: raise -M timeout"),
    "drop": Expected("disconnected"),
    "early length": Expected(r"cut an answer at \d+ of \d+ tokens"),
    "endless": Expected(r"more than 1\d+ bytes came"),
    "far id": Expected(r"sampled the id 1000.* last one is \d+"),
    "hang": Expected(r"no answer within 1 s: raise -M timeout"),
    "html": Expected("unreadable answer.*<html>"),
    "huge id": Expected("sampled the id 10{30},"),
    "malformed": Expected("unreadable answer"),
    "negative id": Expected("no whole numbers"),
    "no ids": Expected("unreadable answer"),
    "lost id": Expected(r"returned \d+ of \d+ sampled ids", by=("llama_cpp", "sglang")),
    "lost stop": Expected(r"left out the id \d+ that ended", by=("sglang",)),
    "NaN": Expected("'NaN happened', which was no stop", by=("sglang",)),
    "truncated": Expected("context is shorter than it says", by=("llama_cpp",)),
    "other sampling": Expected("sampled with temperature=0.8, not 0.0", by=("llama_cpp",)),
    "grammar": Expected("answer to a grammar", by=("llama_cpp",)),
    "one too many": Expected(r"\d+ tokens where 1 to \d+ were asked for|ignores stop_token_ids"),
    "other prompt": Expected("changed the prompt's ids"),
    "stop inside": Expected("ignores stop_token_ids", by=("vllm", "sglang")),
    "truncate": Expected("peer closed connection"),
    "words": Expected("unreadable answer"),
}


def faults_of(dialect: str) -> list[Fault]:
    return [fault for fault, expected in FAULTS.items() if dialect in expected.by]


class CompletionsServer:
    """`http://127.0.0.1:<port>/v1`, serving the pseudo-model as `pseudo` until `stop`.

    speaks: a name in `SPEECHES`. dialects: how vLLM's tells ids. tokenizer: of its `/tokenize`;
        None has none. card: what it says of itself besides. lost: ids that a stream leaves out.
    faults: what to do with the next requests, in order. `None` is none.
    faulty: what to do with a request, by its prompt and how often that was asked before; asked
        where `faults` is empty.
    bodies: every request for a completion so far.
    answer: what the choice says instead of what it should. tells: log-probabilities. usage: what
        it says of tokens; in a stream, where it is asked to.
    streams: whether it answers in events where it is asked to.
    delay: seconds before each answer; retry_after: the header beside a failure's status.
    running, peak: requests in flight, now and at most.
    """

    def __init__(
        self,
        root: str,
        *,
        speaks: str = "vllm",
        dialects: tuple[str, ...] = ("token_ids", "logprobs"),
        max_model_len: int | None = 512,
        version: str | None = "0.32.0",
        port: int = 0,
        tells: bool = True,
    ) -> None:
        self.tells = tells
        self.speech = SPEECHES[speaks](self)
        self.tokenizer: Any = None
        self.card: dict[str, Any] = {}
        self.lost: frozenset[int] = frozenset()
        self.model = PseudoServer(padding=2)
        self.root = root
        self.dialects = dialects
        self.max_model_len = max_model_len
        self.version = version
        self.faults: deque[Fault | None] = deque()
        self.faulty: Callable[[tuple[int, ...], int], Fault | None] = lambda prompt, before: None
        self.asked: Counter[tuple[int, ...]] = Counter()
        self.answer: dict[str, Any] = {}
        self.usage: Any = None
        self.streams = False
        self.bodies: list[dict[str, Any]] = []
        self.running = self.peak = 0
        self.delay = 0.0
        self.retry_after: str | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Header and body are two writes: the second would wait 40 ms for the first's receipt.
            disable_nagle_algorithm = True

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
        said = self.speech.get(http.path.partition("?")[0])
        self._send(http, 200 if said else 404, json.dumps(said or {}))

    def post(self, http: BaseHTTPRequestHandler) -> None:
        body = json.loads(http.rfile.read(int(http.headers["content-length"])))
        if http.path == "/tokenize" and self.tokenizer:
            ids = self.tokenizer.encode(self.speech.text(body))
            return self._send(http, 200, json.dumps({"tokens": ids}))
        if http.path != self.speech.path:
            return self._send(http, 404, "{}")
        with self._lock:
            prompt = tuple(self.speech.prompt(body))
            before = self.asked[prompt]
            fault = self.faults.popleft() if self.faults else self.faulty(prompt, before)
            self.asked[prompt] += 1
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
        elif fault == "endless":
            self._pour(http, itertools.repeat(b" " * 65536))
        elif fault == "drip":
            self._pour(http, iter(lambda: self._stopping.wait(0.02) or b" ", True))
        else:
            made = self.model.serve(self.speech.request(body))
            reply = self.speech.reply(body, asyncio.run(made).ids)
            reply = self.speech.wrong(fault, reply, body)
            text = json.dumps(reply)
            if self.streams and body.get("stream"):
                text = self.speech.events(reply, body, fault == "malformed event")
            if fault == "malformed":
                text = text[: len(text) // 2]
            elif fault == "html":
                text = "<html>Bad gateway</html>"
            elif fault == "deep":
                text = '{"choices": ' + "[" * 200_000
            elif fault == "digits":
                text = '{"choices": ' + "9" * 5000 + "}"
            data = text.encode()
            if fault == "bomb":
                data = BOMB
            packed = "gzip" if fault in ("bomb", "broken encoding") else None
            self._send(http, 200, data, 20 if fault == "truncate" else 0, packed)

    def _pour(self, http: BaseHTTPRequestHandler, pieces: Iterable[bytes]) -> None:
        """Send pieces for as long as the other side listens."""
        http.send_response(200)
        http.send_header("Connection", "close")
        http.end_headers()
        with contextlib.suppress(OSError):
            for piece in pieces:
                http.wfile.write(piece)
        http.close_connection = True

    def _send(
        self,
        http: BaseHTTPRequestHandler,
        status: int,
        text: str | bytes,
        missing: int = 0,
        packed: str | None = None,
    ) -> None:
        data = text.encode() if isinstance(text, str) else text
        http.send_response(status)
        if status == 204:
            http.end_headers()
            return
        http.send_header("Content-Type", "application/json")
        http.send_header("Content-Length", str(len(data)))
        if status != 200 and self.retry_after:
            http.send_header("Retry-After", self.retry_after)
        if 300 <= status < 400:
            http.send_header("Location", "http://elsewhere/v1/completions")
        if packed:
            http.send_header("Content-Encoding", packed)
        http.end_headers()
        http.wfile.write(data[: len(data) - missing])
        if missing:
            http.close_connection = True
