"""Out of a GPU's memory once: the batch is halved, said so, and nothing that is sampled changes.
The error is torch's own, raised where a GPU would raise it."""

from __future__ import annotations

import asyncio
import logging

import pytest
import torch

from s1_eval.engines import Sampling, Stop, decoding
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.training.nano.problems import held_out


@pytest.fixture
def engine():
    engine = TransformersEngine("nano")
    yield engine
    engine.close()


async def generations(engine):
    """Of eight questions at once: half greedy, half seeded; ends and lengths of all kinds."""
    stop = Stop(engine.info.eos_ids)

    async def one(at, question):
        prompt = engine.tokenizer.encode(question + "<|im_start|>think", add_special_tokens=False)
        sampling = Sampling(1.5, seed=at) if at % 2 else Sampling()
        return await engine.generate(prompt, max_tokens=5 + 4 * at, stop=stop, sampling=sampling)

    questions = [problem.question for problem in held_out(8)]
    jobs = [one(at, question) for at, question in enumerate(questions)]
    return await asyncio.gather(*jobs, return_exceptions=True)


@pytest.fixture(scope="module")
def right():
    engine = TransformersEngine("nano")
    yield asyncio.run(generations(engine))
    engine.close()


def failing(function, *times):
    """`function`, but that its calls of these numbers, from 1, find no memory."""
    calls = 0

    def called(*args, **options):
        nonlocal calls
        calls += 1
        if calls in times:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return function(*args, **options)

    return called


def lines(monkeypatch) -> list[int]:
    """How many rows each forward pass has from now on."""
    seen = []
    forward = decoding.Batched._forward

    def watched(self, layers, ids, *args):
        seen.append(len(ids))
        return forward(self, layers, ids, *args)

    monkeypatch.setattr(decoding.Batched, "_forward", watched)
    return seen


@pytest.mark.parametrize(
    ("where", "name", "at"),
    [
        (decoding.Batched, "_forward", 1),
        (decoding.Batched, "_forward", 4),
        (decoding.Batched, "_forward", 15),
        (decoding.Batched, "_pack", 2),
        (decoding.Store, "add", 1),
        (decoding.Store, "add", 3),
        (torch, "searchsorted", 1),
        (torch, "searchsorted", 6),
    ],
)
async def test_wherever_the_memory_ends_nothing_that_is_sampled_changes(
    engine, right, monkeypatch, caplog, where, name, at
):
    monkeypatch.setattr(where, name, failing(getattr(where, name), at))
    seen = lines(monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert await generations(engine) == right
    [said] = [record.message for record in caplog.records]
    together = int(said.split("with ")[1].split()[0])
    assert f"at most {together // 2}, which" in said
    assert seen[-1] <= together // 2 < max(seen)


async def test_a_second_time_is_the_engines_failure_and_says_what_to_lower(engine, monkeypatch):
    monkeypatch.setattr(
        decoding.Batched, "_forward", failing(decoding.Batched._forward, 3, 8, 9, 10)
    )
    failures = await generations(engine)
    assert {type(failure) for failure in failures} <= {RuntimeError, decoding.Generation}
    with pytest.raises(RuntimeError, match=r"has no room for 4 requests.*smaller max_batch_size"):
        raise next(failure for failure in failures if isinstance(failure, RuntimeError))
