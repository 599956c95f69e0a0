"""What a watch is told while an engine samples: ids as they come, and in the end exactly those that
were sampled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from http_server import CompletionsServer

from s1_eval.engines import Engine, Generation, Sampling, Stop
from s1_eval.engines.cache import CachedEngine
from s1_eval.engines.completions import CompletionsEngine
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.engines.watching import watched

PROMPT = "Compute mod 100.\nS=47\nA*8\nB+5"


class Seen:
    """Ids by where they were reported, and how often something was."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.calls = 0

    def __call__(self, at: int, ids: Sequence[int]) -> None:
        self.calls += 1
        self.ids[at:] = ids


def generate(engine: Engine, seen: Seen, prompt: Sequence[int], **asked: Any) -> Generation:
    async def run() -> Generation:
        with watched(seen):
            return await engine.generate(prompt, **asked)

    return asyncio.run(run())


@pytest.fixture(scope="module")
def nano() -> Iterator[TransformersEngine]:
    engine = TransformersEngine("nano")
    yield engine
    engine.close()


@pytest.fixture
def server(pseudo_folder: Path) -> Iterator[CompletionsServer]:
    server = CompletionsServer(str(pseudo_folder))
    yield server
    server.stop()


@pytest.mark.parametrize("stop", [Stop(), Stop(strings=("A*8",)), Stop(ids=frozenset({5}))])
def test_transformers_reports_every_id_as_it_is_sampled(
    nano: TransformersEngine, stop: Stop
) -> None:
    seen = Seen()
    prompt = nano.tokenizer.encode(PROMPT)
    made = generate(nano, seen, prompt, max_tokens=40, stop=stop, sampling=Sampling())
    assert tuple(seen.ids) == made.ids + made.stop_ids
    assert seen.calls == len(seen.ids)


def test_a_cache_reports_what_it_holds_then_what_is_new_where_it_stands(
    nano: TransformersEngine, tmp_path: Path
) -> None:
    cached, prompt = CachedEngine(nano, tmp_path), nano.tokenizer.encode(PROMPT)
    asked = {"stop": Stop(), "sampling": Sampling()}
    generate(cached, Seen(), prompt, max_tokens=10, **asked)
    seen = Seen()
    longer = generate(cached, seen, prompt, max_tokens=20, **asked)
    assert tuple(seen.ids) == longer.ids
    assert seen.calls == 1 + 10
    cached.forget()


@pytest.mark.parametrize("dialect", ["token_ids", "logprobs"])
def test_a_server_is_asked_to_stream(server: CompletionsServer, dialect: str) -> None:
    server.dialects = (dialect,)
    engine = CompletionsEngine("pseudo", server.url, backoff=0.01)
    prompt = [0, 1]
    asked = {"max_tokens": 30, "stop": Stop(), "sampling": Sampling()}
    whole = generate(engine, None, prompt, **asked)  # type: ignore[arg-type]
    server.streams = True
    seen = Seen()
    streamed = generate(engine, seen, prompt, **asked)
    assert server.bodies[-1]["stream"]
    assert streamed == whole
    assert tuple(seen.ids) == whole.ids
    assert seen.calls > 3
    engine.close()


@pytest.mark.parametrize("fault", ["truncate", "malformed event", 500, 400])
def test_a_stream_that_breaks_is_told_anew(server: CompletionsServer, fault: str | int) -> None:
    engine = CompletionsEngine("pseudo", server.url, backoff=0.01)
    asked = {"max_tokens": 30, "stop": Stop(), "sampling": Sampling()}
    server.streams = True
    server.faults.append(fault)
    seen = Seen()
    made = generate(engine, seen, [0, 1], **asked)
    assert tuple(seen.ids) == made.ids or fault == 400  # where it is asked without a stream
    assert len(made.ids) == 30
    engine.close()
