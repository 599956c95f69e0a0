"""A gateway under pressure: clients that leave, too many of them, slow ones, strangers, an engine
that fails. Nobody takes another down."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import ASKED, Served, serving

from s1_eval.cli.main import main
from s1_eval.engines import EngineInfo, Generation
from s1_eval.engines.protocol import Tokenizer
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.errors import SampleFailed
from s1_eval.json_lines import read_lines
from s1_eval.serve import server
from s1_eval.serve.gateway import Limits


class SlowEngine:
    """nano's engine, held up until `let_go`. failing: what it raises instead.

    calls: requests in flight. cancelled: of those, how many were given up.
    """

    def __init__(self, engine: TransformersEngine) -> None:
        self._engine = engine
        self.open = True
        self.failing: Exception | None = None
        self.calls = self.cancelled = 0

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._engine.tokenizer

    async def generate(self, prompt: Sequence[int], **asked: Any) -> Generation:
        self.calls += 1
        try:
            while not self.open:
                await asyncio.sleep(0.005)
            if self.failing:
                raise self.failing
            return await self._engine.generate(prompt, **asked)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.calls -= 1

    def close(self) -> None:
        pass


@pytest.fixture
def slow(nano: TransformersEngine) -> SlowEngine:
    return SlowEngine(nano)


@pytest.fixture
def small(slow: SlowEngine) -> Iterator[Served]:
    """One question at once, two that wait."""
    with serving(slow, limits=Limits(running=1, waiting=2, body=5000, seconds=30)) as it:
        yield it


def until(what: Callable[[], bool]) -> None:
    """Waits for it. Fails after two minutes."""
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


def begin(served: Served, **body: Any) -> socket.socket:
    """A request on a connection of its own, sent and not waited for."""
    host, port = served.url.removeprefix("http://").split(":")
    said = json.dumps({"model": "nano", "messages": ASKED, "temperature": 0, **body}).encode()
    connection = socket.create_connection((host, int(port)))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(said)}\r\n"
    connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + said)
    return connection


@pytest.mark.parametrize("body", [{}, {"stream": True}, {"stream": True, "n": 3}])
def test_a_client_that_leaves_ends_its_work(
    small: Served, slow: SlowEngine, body: dict[str, Any]
) -> None:
    slow.open = False
    connection = begin(small, **body)
    until(lambda: slow.calls > 0)
    connection.close()
    until(lambda: small.gateway.gate.inside == 0 and small.gateway.gate.running == 0)
    assert slow.calls == 0 < slow.cancelled
    slow.open = True
    assert small.answer()["choices"]


def test_a_client_that_leaves_amid_a_stream_ends_its_work(nano: TransformersEngine) -> None:
    with serving(nano, default="budget_forcing", params={"num_ignores": 1000}) as served:
        connection = begin(served, stream=True)
        got = b""
        while b"reasoning_content" not in got:
            got += connection.recv(4096)
        connection.close()
        until(lambda: served.gateway.engine.in_flight == 0)
        assert served.gateway.gate.inside == 0


def test_what_can_not_wait_is_put_off(small: Served, slow: SlowEngine) -> None:
    slow.open = False
    waiting = [begin(small), begin(small, n=2)]
    until(lambda: small.gateway.gate.inside == 3)
    reply = small.ask()
    assert reply.status_code == 429
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.json()["error"]["code"] == "rate_limit_exceeded"
    text = small.client.get("/metrics").text
    assert "s1_eval_questions_running 1.0" in text
    assert "s1_eval_questions_waiting 2.0" in text
    assert "s1_eval_batch 1.0" in text
    more = small.ask(n=4)
    assert more.status_code == 400, "there will never be room for so many"
    assert more.json()["error"]["param"] == "n"
    slow.open = True
    assert all(connection.recv(20).startswith(b"HTTP/1.1 200") for connection in waiting)
    assert small.answer()["choices"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_has_a_time_limit(slow: SlowEngine, stream: bool) -> None:
    slow.open = False
    with serving(slow, limits=Limits(seconds=0.3)) as served:
        if stream:
            error = served.chunks()[-1]["error"]
        else:
            reply = served.ask()
            assert reply.status_code == 504
            error = reply.json()["error"]
        assert error["code"] == "timeout"
        until(lambda: slow.calls == 0)


def test_a_body_has_a_size(small: Served) -> None:
    big = [{"role": "user", "content": "S=4\n" * 2000}]
    assert small.ask(messages=big).status_code == 413
    connection = begin(small)
    connection.sendall(b"x")
    assert small.answer()["choices"]


def test_a_header_that_does_not_come_is_not_waited_for(
    small: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.2)
    host, port = small.url.removeprefix("http://").split(":")
    for first in (b"", b"POST /v1/chat/completions HTTP/1.1\r\nA: "):
        connection = socket.create_connection((host, int(port)))
        connection.sendall(first)
        connection.settimeout(60)
        assert connection.recv(10) == b""
    assert small.answer()["choices"]


def test_only_who_has_the_key_is_answered(nano: TransformersEngine) -> None:
    with serving(nano, api_key="right") as served:
        assert served.answer(max_tokens=4)["choices"]
        for wrong in ("", "Bearer wrong", "Bearer", "right", "Basic right", "Bearer righ\u00e4"):
            headers = {"Authorization": wrong.encode("latin-1")}
            for path in ("/v1/models", "/metrics", "/events"):
                assert httpx.get(served.url + path, headers=headers).status_code == 401
        assert httpx.get(f"{served.url}/health").status_code == 200


def test_a_page_of_another_site_is_not_answered(small: Served) -> None:
    reply = small.client.get("/v1/models", headers={"Host": "evil.example"})
    assert reply.status_code == 400
    body = json.dumps({"model": "nano", "messages": ASKED})
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        headers = {"Content-Type": kind}
        reply = small.client.post("/v1/chat/completions", content=body, headers=headers)
        assert reply.status_code == 415


@pytest.mark.parametrize(
    ("error", "status"),
    [(SampleFailed("no answer"), 502), (RuntimeError("it died"), 503), (KeyError("a bug"), 500)],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_fails_is_told(
    small: Served, slow: SlowEngine, error: Exception, status: int, stream: bool
) -> None:
    slow.failing = error
    if stream:
        (last,) = small.chunks()[-1:]
        assert last["error"]["type"] == "server_error"
    else:
        reply = small.ask()
        assert reply.status_code == status
        assert "Traceback" not in reply.text
    assert small.client.get("/health").status_code == (503 if status == 503 else 200)
    slow.failing = None
    assert small.client.get("/health").status_code == 200
    assert small.answer()["choices"]


@pytest.mark.parametrize("packed", [False, True])
def test_records_are_kept_once_and_read_back(
    nano: TransformersEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str], packed: bool
) -> None:
    graded = {"s1_eval": {"target": "2", "grader": "integer", "sample_id": "1", "record": True}}
    with serving(nano, out=tmp_path, packed=packed) as served:
        for _ in range(2):
            served.answer(model="nano:plain")
            served.answer(**graded, n=2, temperature=1, seed=1)
            told = [served.answer(temperature=1, s1_eval={"record": True}) for _ in range(2)]
        epochs = [each["s1_eval"]["record"]["epoch"] for each in told]
        assert epochs == [3, 4]
    paths = tmp_path.glob(f"*/samples.jsonl{'.zst' if packed else ''}")
    rows = {path: [row for _, row in read_lines(path)] for path in paths}
    assert sorted(map(len, rows.values())) == [1, 2, 4]
    (unscored,) = [path for path, found in rows.items() if len(found) == 4]
    assert all(row["correct"] is None for row in rows[unscored])
    (scored,) = [path for path, found in rows.items() if len(found) == 2]
    assert main(["score", str(scored.parent), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["task"] == "gateway"
    assert main(["score", str(unscored.parent)]) == 2
    assert "without a target" in capsys.readouterr().err


def test_another_question_by_the_same_id_is_recorded_too(
    nano: TransformersEngine, tmp_path: Path
) -> None:
    others: list[dict[str, Any]] = [
        {"s1_eval": {"sample_id": "1"}},
        {"s1_eval": {"sample_id": "1", "target": "2"}},
        {"s1_eval": {"sample_id": "1"}, "messages": [{"role": "user", "content": "S=3\nA+4"}]},
    ]
    for asked in (others[:1], others * 2):
        with serving(nano, out=tmp_path) as served:
            for each in asked:
                served.answer(**each)
    (path,) = tmp_path.glob("*/samples.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["target"], row["question"][:4]) for row in rows] == [
        ("", "Comp"),
        ("2", "Comp"),
        ("", "S=3\n"),
    ]


def test_everybody_sees_what_is_being_solved(nano: TransformersEngine) -> None:
    with (
        serving(nano) as served,
        httpx.Client(base_url=served.url, timeout=120) as watcher,
        watcher.stream("GET", "/events") as feed,
    ):
        until(lambda: served.gateway.feed.watched)
        served.answer(max_tokens=20)
        with served.client.stream(
            "POST", "/events", json={"model": "nano", "messages": ASKED, "max_tokens": 20}
        ) as own:
            asked = [json.loads(line[6:]) for line in own.iter_lines() if line]
        assert [e["event"] for e in asked][:2] == ["asked", "begun"]
        assert asked[-1]["event"] == "answered"
        seen = []
        for line in feed.iter_lines():
            if line:
                seen.append(json.loads(line[6:]))
            if sum(event["event"] == "answered" for event in seen) == 2:
                break
    assert [e for e in seen if e["question"] == asked[0]["question"]] == asked
    assert len({e["question"] for e in seen}) == 2
