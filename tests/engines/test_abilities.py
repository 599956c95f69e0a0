"""What `s1-eval doctor --server` finds out of a server on loopback in each dialect, and of one that
speaks none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_server import CompletionsServer
from spoken import SPEECHES

from s1_eval.cli.main import main


@pytest.fixture
def server(pseudo_folder: Path, request: Any) -> Iterator[CompletionsServer]:
    server = CompletionsServer(str(pseudo_folder), speaks=request.param)
    server.streams = True
    yield server
    server.stop()


every = pytest.mark.parametrize("server", SPEECHES, indirect=True)

PROGRAMS = {
    "vllm": ("vLLM", "0.32.0", 512, None),
    "llama_cpp": ("llama.cpp", "b11669-Debian", 511, 2),
    "sglang": ("SGLang", "0.5.23", 506, None),
}


@every
def test_a_server_of_ids_is_known_by_its_dialect_and_abilities(
    server: CompletionsServer, capsys: Any
) -> None:
    details = {"cached_tokens": 256}
    server.usage = {"cache_n": 256, "cached_tokens": 256, "prompt_tokens_details": details}
    assert main(["doctor", "--server", server.url, "--json"]) == 0
    done = capsys.readouterr()
    found = json.loads(done.out)
    assert found["dials"] == []
    assert "no chat server" in done.err
    able = found["dialect"]
    dialect = able.pop("dialect")
    assert type(server.speech) is SPEECHES[dialect]
    program, version, context, slots = PROGRAMS[dialect]
    assert able.pop("source") == server.root
    assert able == {
        "program": program,
        "version": version,
        "model": "pseudo",
        "context_length": context,
        "slots": slots,
        "logprobs": True,
        "seeds": "request",
        "streams": True,
        "cached_tokens": 256,
        "of_tokens": 300,
    }
    assert main(["doctor", "--server", server.url]) == 0
    assert program in capsys.readouterr().out


@every
def test_what_it_can_not_do_is_said(server: CompletionsServer, capsys: Any) -> None:
    server.tells = False
    assert main(["doctor", "--server", server.url, "--json"]) == 0
    able = json.loads(capsys.readouterr().out)["dialect"]
    assert able["logprobs"] is False
    assert able["cached_tokens"] is None


@every
@pytest.mark.parametrize("fault", [500, "html", "deep", "no ids", "drop"])
def test_a_server_that_breaks_is_one_clear_message(
    server: CompletionsServer, fault: Any, capsys: Any
) -> None:
    server.faulty = lambda prompt, before: fault
    assert main(["doctor", "--server", server.url, "--json"]) == 2
    done = capsys.readouterr()
    assert not done.out
    assert done.err.count("\n") == 1


@every
def test_a_dialect_that_it_does_not_speak_is_refused(
    server: CompletionsServer, capsys: Any
) -> None:
    assert main(["doctor", "--server", server.url, "-M", "dialect=ollama"]) == 2
    assert "choose from vllm" in capsys.readouterr().err
