"""The gateway as a process: how it ends, and that nobody waits for what was killed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from served import ASKED

from s1_eval.cli.main import main
from s1_eval.records import read_rows, read_runs

pytestmark = pytest.mark.slow
LONG = {"model": "nano", "messages": ASKED, "temperature": 0, "s1_eval": {"num_ignores": 1000}}


@contextmanager
def gateway(*more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """(address, process)"""
    command = [sys.executable, "-m", "s1_eval.cli.main", "serve", "--model", "s1_hf/nano"]
    with subprocess.Popen(  # noqa: S603
        [*command, "--method", "budget_forcing", "--port", "0", *more],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        said = ""
        while not (found := re.search(r"http://[^/]+", said)):
            said = process.stderr.readline()
            assert said, "it did not start"
        try:
            yield found[0], process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """(exit code, what it said at the end)"""
    _, said = process.communicate(timeout=180)
    return process.returncode, said


def test_a_killed_gateway_and_a_killed_client_leave_nobody_waiting(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with gateway("--out", str(out)) as (url, process):
        with httpx.Client(base_url=url, timeout=180) as client:
            short = {**LONG, "s1_eval": {"target": "2", "grader": "integer", "sample_id": "1"}}
            assert client.post("/v1/chat/completions", json=short).status_code == 200
            asking = (
                "import httpx, json, sys; httpx.post(sys.argv[1], json=json.loads(sys.argv[2]))"
            )
            asked = [f"{url}/v1/chat/completions", json.dumps(LONG)]
            command = [sys.executable, "-c", asking, *asked]
            other = subprocess.Popen(command)  # noqa: S603
            in_flight(client, 1)
            other.kill()
            other.wait()
            in_flight(client, 0)
            with client.stream("POST", "/v1/chat/completions", json=LONG | {"stream": True}) as own:
                lines = own.iter_lines()
                next(lines)
                process.kill()
                with pytest.raises(httpx.HTTPError):
                    list(lines)
            with pytest.raises(httpx.HTTPError):
                client.get("/health")
        assert ended(process)[0] == -signal.SIGKILL
    (run,) = read_runs([out])
    assert [located.row["sample_id"] for located in read_rows([run])] == ["1"]
    assert main(["score", str(out), "--json"]) == 0


def in_flight(client: httpx.Client, requests: int) -> None:
    """Waits until the engine has so many."""
    end = time.monotonic() + 120
    while f"s1_eval_batch {requests}.0" not in client.get("/metrics").text:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_gateway_that_is_ended_finishes_or_gives_up_in_time() -> None:
    with (
        gateway("--grace", "1") as (url, process),
        httpx.Client(base_url=url, timeout=180) as client,
    ):
        with client.stream("POST", "/v1/chat/completions", json=LONG | {"stream": True}) as own:
            lines = own.iter_lines()
            next(lines)
            began = time.monotonic()
            process.terminate()
            *_, last = [line for line in lines if line]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "closing"
        code, said = ended(process)
        assert time.monotonic() - began < 90
    assert code == 0
    assert re.search(r"SIGTERM: 1 question.* at most 1 s", said)
    assert "stopped, 1 question" in said


def test_what_can_be_told_is_told_before_a_model_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s1_eval.engines.table.open_engine", None)
    serve = ["serve", "--model", "s1_hf/nano"]
    for words, said in (
        (["--method", "majority_vote"], "needs samples"),
        (["--method", "best_of_n", "-S", "samples=2"], "--verifier"),
        (["-S", "num_ignore=2"], "num_ignores"),
        (["--method", "budget_focring"], "budget_forcing"),
        (["--port", "99999"], "--port"),
        (["--host", "256.0.0.1"], "--host"),
        (["--packed"], "--out FOLDER"),
    ):
        assert main([*serve, *words]) == 2
        assert said in capsys.readouterr().err
