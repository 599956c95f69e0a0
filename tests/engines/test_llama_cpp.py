"""llama.cpp's own server on the embedded model, where there is one: `llama-server` on the PATH, or
the command in S1_EVAL_LLAMA_SERVER."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

import s1_eval
from s1_eval.engines import Engine, Generation
from s1_eval.engines.abilities import try_abilities
from s1_eval.engines.completions import CompletionsEngine
from s1_eval.engines.protocol import Sampling, Stop
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.engines.watching import watched
from s1_eval.errors import UserError

pytest.importorskip("gguf")
PROGRAM = os.environ.get("S1_EVAL_LLAMA_SERVER") or shutil.which("llama-server")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAM, reason="no llama-server: set S1_EVAL_LLAMA_SERVER to one"),
]

SLOT = 1024
"""Ids of its context for each of two requests at once."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import nano_gguf

    folder = tmp_path_factory.mktemp("llama")
    nano_gguf.write(folder / "nano.gguf")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(PROGRAM), "-m", str(folder / "nano.gguf"), "--alias", "nano", "--threads", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--no-kv-unified"]
    command += ["--ctx-size", str(2 * SLOT), "--parallel", "2"]
    command += ["--cache-type-k", "f32", "--cache-type-v", "f32"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while not up(address):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < until
            time.sleep(0.1)
        yield f"{address}/v1"
    finally:
        process.terminate()
        process.wait(10)


def up(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def served(url: str) -> Iterator[CompletionsEngine]:
    engine = CompletionsEngine("nano", url, tokenizer="nano")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def own() -> Iterator[TransformersEngine]:
    engine = TransformersEngine("nano")
    yield engine
    engine.close()


def ask(engine: Engine, text: str, **how: Any) -> Generation:
    how = {"max_tokens": 40, "stop": Stop(), "sampling": Sampling()} | how
    ids = engine.tokenizer.encode(text, add_special_tokens=False)
    return asyncio.run(engine.generate(ids, **how))


QUESTION = "<|im_start|>user\nCompute mod 100.\nS=47\nA*8\nB+5\nC*7*6<|im_end|>\n<|im_start|>"


@pytest.mark.parametrize(
    "stop",
    [
        {},
        {"ids": ("<|im_end|>",)},
        {"ids": ("<|im_start|>", "<|im_end|>")},
        {"ids": ("=", "<|im_end|>")},
        {"strings": ("A*8", "\n\n")},
        {"ids": ("<|im_start|>", "=", "<|im_end|>"), "min_tokens": 9},
        {"ids": ("<|im_end|>",), "strings": ("=",), "min_tokens": 9},
    ],
    ids=str,
)
def test_greedy_ids_and_stops_are_those_of_s1_hf(
    served: CompletionsEngine, own: TransformersEngine, stop: Any
) -> None:
    ids = [own.tokenizer.encode(text)[0] for text in stop.get("ids", ())]
    asked = Stop(**stop | {"ids": frozenset(ids)})
    for opened in ("think\n", "answer\nFinal Answer: "):
        assert ask(served, QUESTION + opened, stop=asked) == ask(own, QUESTION + opened, stop=asked)


def test_a_sweep_has_the_rows_of_s1_hf(url: str) -> None:
    shared: Any = {"limit": 8, "max_thinking_tokens": [16, 64], "num_ignores": 1, "cache": False}
    models = {"s1_hf/nano": None, "s1_api/nano": {"base_url": url, "tokenizer": "nano"}}
    same = ("answer", "thinking_tokens", "forced_tokens", "exit_reason", "generated_tokens")
    rows = [
        {
            (run.params["max_thinking_tokens"], row["sample_id"]): [row[name] for name in same]
            for run in s1_eval.evaluate(model, "nano", "budget_forcing", engine=how, **shared).runs
            for row in run.rows
        }
        for model, how in models.items()
    ]
    assert len(rows[0]) == 16
    assert rows[0] == rows[1]


def test_seeds_and_log_probabilities(served: CompletionsEngine, own: TransformersEngine) -> None:
    text = QUESTION + "think\n"
    seeded = [ask(served, text, sampling=Sampling(1.5, top_p=0.99, seed=s)).ids for s in (5, 5, 6)]
    assert seeded[0] == seeded[1] != seeded[2]
    assert ask(served, text, sampling=Sampling(1.5)) != ask(served, text, sampling=Sampling(1.5))
    for stop in (Stop(), Stop(strings=("A*8",))):
        asked = {"stop": stop, "sampling": Sampling(logprobs=3)}
        told, known = (ask(engine, text, **asked).logprobs for engine in (served, own))
        assert told is not None
        assert known is not None
        assert list(told.sampled) == pytest.approx(list(known.sampled), abs=1e-3)
        assert list(told.top_ids) == list(known.top_ids)


def test_the_context_is_used_to_its_last_id_and_no_further(served: CompletionsEngine) -> None:
    assert served.info.context_length == SLOT - 1
    prompt, whole = [5] * 1000, SLOT - 1
    asked: Any = {"stop": Stop(), "sampling": Sampling()}
    made = asyncio.run(served.generate(prompt, max_tokens=whole - len(prompt), **asked))
    assert len(made.ids) == whole - len(prompt)
    with pytest.raises(UserError, match="do not fit the context"):
        asyncio.run(served.generate(prompt, max_tokens=whole - len(prompt) + 1, **asked))


def test_ids_within_characters_are_neither_lost_nor_streamed(served: CompletionsEngine) -> None:
    letters = served.tokenizer.encode("\N{GRINNING FACE}" * 3, add_special_tokens=False)
    kept = frozenset(range(279)) - set(letters)
    seen: list[int] = []
    for watch in (None, lambda at, ids: seen.extend(ids)):
        with watched(watch):
            made = ask(served, "x", max_tokens=9, sampling=Sampling(banned=kept))
        assert len(made.ids) == 9
        assert set(made.ids) <= set(letters)


def test_doctor_knows_what_it_can_do(url: str) -> None:
    able = try_abilities(url)
    assert (able.dialect, able.program, able.model) == ("llama_cpp", "llama.cpp", "nano")
    assert (able.context_length, able.slots, able.logprobs) == (SLOT - 1, 2, True)
    assert able.cached_tokens == able.of_tokens - 1
