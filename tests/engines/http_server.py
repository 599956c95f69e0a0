"""A small server on loopback that speaks `/v1/completions` as vLLM's does, and that can be told to
fail in every way that a server fails.
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

from s1_eval.engines.continuation import Request
from s1_eval.engines.protocol import Sampling, Stop

Fault = str | int
"""A status, or a name in `FAULTS`."""

BOMB = gzip.compress(b" " * 5_000_000)


@dataclass(frozen=True)
class Expected:
    """What must come out where every try of one question meets a fault, and none of another.

    said: what the error has to match. fails: what fails with it; `again` is the question, after
    all tries. A fault that is met once costs nothing but a try, where it is `again`.
    """

    said: str
    fails: Literal["again", "question", "run"] = "again"


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
    "abort": Expected("finish_reason 'abort'"),
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
    "one too many": Expected(r"\d+ tokens where 1 to \d+ were asked for|ignores stop_token_ids"),
    "other prompt": Expected("changed the prompt's ids"),
    "stop inside": Expected("ignores stop_token_ids"),
    "truncate": Expected("peer closed connection"),
    "words": Expected("unreadable answer"),
}


def _wrong(fault: Fault | None, choice: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """What `choice` says in its place."""
    ids = list(choice.get("token_ids") or ())
    wrong: dict[Fault | None, dict[str, Any]] = {
        "abort": {"finish_reason": "abort"},
        "early length": {"token_ids": ids[:-1], "finish_reason": "length"},
        "far id": {"token_ids": [1000, *ids[1:]]},
        "huge id": {"token_ids": [10**30, *ids[1:]]},
        "negative id": {"token_ids": [-1, *ids[1:]]},
        "no ids": {"token_ids": None, "logprobs": None},
        "one too many": {"token_ids": [*ids, 2]},
        "other prompt": {"prompt_token_ids": [1, 2]},
        "stop inside": {"token_ids": [*body.get("stop_token_ids", ()), *ids[1:]]},
        "words": {"token_ids": list(map(str, ids))},
    }
    return choice | wrong.get(fault, {})


def _events(choice: dict[str, Any], broken: bool, usage: Any) -> str:
    """The choice as a stream, three ids an event; broken: the second can't be read."""
    ids = choice.get("token_ids") or choice["logprobs"]["tokens"]
    lines = []
    for at in range(0, len(ids), 3):
        some = ids[at : at + 3]
        part = {"index": 0, "text": "", "finish_reason": None}
        if "token_ids" in choice:
            part |= {"token_ids": some, "prompt_token_ids": None if at else choice.get(PROMPT)}
        else:
            part["logprobs"] = {"tokens": some}
        if "token_logprobs" in choice.get("logprobs", ()):
            part["logprobs"] = {k: row[at : at + 3] for k, row in choice["logprobs"].items()}
        if at + 3 >= len(ids):
            part["finish_reason"] = choice["finish_reason"]
        lines.append(
            f"data: {json.dumps({'choices': [part]})}"[: 20 if broken and at == 3 else None]
        )
    lines.append(f"data: {json.dumps({'choices': [], 'usage': usage})}")
    return "\n\n".join([*lines, "data: [DONE]", ""])


PROMPT = "prompt_token_ids"


def told(ids: Iterable[int], likely: int) -> dict[str, Any]:
    """Log-probabilities as vLLM's server has them: id `n` has that of -(n + 1) / 8 in every place,
    and the sampled one stands first, whether it is likely or not."""
    ids = list(ids)
    every = [[id, *(n for n in range(likely) if n != id)] for id in ids]
    return {
        "token_logprobs": [-(id + 1) / 8 for id in ids],
        "top_logprobs": [{f"token_id:{n}": -(n + 1) / 8 for n in row} for row in every],
    }


class CompletionsServer:
    """`http://127.0.0.1:<port>/v1`, serving the pseudo-model as `pseudo` until `stop`.

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
        dialects: tuple[str, ...] = ("token_ids", "logprobs"),
        max_model_len: int | None = 512,
        version: str | None = "0.32.0",
        port: int = 0,
        tells: bool = True,
    ) -> None:
        self.tells = tells
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
            prompt = tuple(body["prompt"])
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
            completion = self._completion(body, fault)
            text = json.dumps(completion)
            if self.streams and body.get("stream"):
                usage = completion["usage"] if body["stream_options"]["include_usage"] else None
                text = _events(completion["choices"][0], fault == "malformed event", usage)
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
        ids = asyncio.run(self.model.serve(request)).ids
        choice: dict[str, Any] = {
            "index": 0,
            "text": "",
            "finish_reason": "length" if len(ids) == request.max_tokens else "stop",
        }
        if body.get("return_token_ids") and "token_ids" in self.dialects:
            choice |= {"token_ids": ids, "prompt_token_ids": body["prompt"]}
        if body.get("return_tokens_as_token_ids") and "logprobs" in self.dialects:
            choice["logprobs"] = {"tokens": [f"token_id:{id}" for id in ids]}
            if self.tells:
                choice["logprobs"] |= told(ids, body["logprobs"])
        choices = [_wrong(fault, choice, body) | self.answer]
        return {"choices": choices, "usage": self.usage}

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
