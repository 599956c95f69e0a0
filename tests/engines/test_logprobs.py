"""Log-probabilities: every engine tells those of a plain forward pass, of the ids that it would
have sampled anyway, and the cache tells what the engine did."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from s1_eval.engines import Generation, Sampling, Stop
from s1_eval.engines.cache import CachedEngine
from s1_eval.engines.models import resolve_model
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.errors import UserError
from s1_eval.thinking import Logprobs
from s1_eval.training.nano.problems import held_out

QUESTIONS = [problem.question for problem in held_out(4)]
WIDTH = 5


@pytest.fixture(scope="module")
def engine():
    engine = TransformersEngine("nano", dtype="float32")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def prompts(engine) -> list[tuple[int, ...]]:
    def prompt(question: str) -> tuple[int, ...]:
        text = engine.tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
        return tuple(engine.tokenizer.encode(text + "<|im_start|>think", add_special_tokens=False))

    return [prompt(question) for question in QUESTIONS]


@pytest.fixture(scope="module")
def forward():
    """The log-probabilities of a plain pass: (places, ids)."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(resolve_model("nano"), dtype="float32").eval()

    def passed(prompt: Sequence[int], ids: Sequence[int]):
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *ids]])).logits[0]
        return logits[len(prompt) - 1 : -1].log_softmax(-1)

    return passed


CASES = {
    "greedy": {},
    "sampled": {"temperature": 1.5, "top_p": 0.9, "top_k": 7, "seed": 3},
    "banned": {"banned": frozenset({19, 20})},
    "string": {"stop": Stop(strings=("=\n", "8\n"))},
    "minimum": {"stop": Stop(frozenset({201}), ("\n",), min_tokens=12)},
}
"""What changes what is sampled, and none of the model's own probabilities."""


async def generated(engine, prompt, case: str, logprobs: int | None) -> Generation:
    given = dict(CASES[case])
    stop = given.pop("stop", Stop(engine.info.eos_ids))
    return await engine.generate(
        prompt, max_tokens=40, stop=stop, sampling=Sampling(**given, logprobs=logprobs)
    )


def near(told: Logprobs, expected, ids: Sequence[int], tolerance: float = 1e-4) -> None:
    """`told` is what `expected`, see `forward`, says of the ids and of the likeliest in place."""
    assert len(told) == len(ids) == len(expected)
    top, top_ids = expected.topk(told.width)
    for at, id in enumerate(ids):
        assert told.sampled[at] == pytest.approx(float(expected[at, id]), abs=tolerance)
        likely = slice(at * told.width, (at + 1) * told.width)
        assert list(told.top[likely]) == pytest.approx(top[at].tolist(), abs=tolerance)
        gaps = (top[at, :-1] - top[at, 1:]).tolist()
        if min(gaps) > 2 * tolerance:
            assert list(told.top_ids[likely]) == top_ids[at].tolist()


@pytest.mark.parametrize("case", CASES)
async def test_they_are_those_of_a_plain_pass_and_change_no_id(engine, prompts, forward, case):
    jobs = [generated(engine, p, case, w) for p in prompts for w in (None, 0, WIDTH)]
    every = await asyncio.gather(*jobs)
    for at, prompt in enumerate(prompts):
        plain, narrow, told = every[3 * at : 3 * at + 3]
        assert plain.logprobs is None
        for one in (narrow, told):
            assert (one.ids, one.stop_ids, one.reason) == (plain.ids, plain.stop_ids, plain.reason)
        ids = told.ids + told.stop_ids
        near(told.logprobs, forward(prompt, ids), ids)
        assert narrow.logprobs.sampled == told.logprobs.sampled
        assert (narrow.logprobs.width, len(narrow.logprobs.top)) == (0, 0)


def test_more_likely_ids_than_any_engine_tells_are_refused():
    with pytest.raises(UserError, match="logprobs=21: give a whole number from 0 to 20"):
        Sampling(logprobs=21)


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.0, "seed": 5}])
async def test_a_cached_continuation_tells_the_same(engine, prompts, tmp_path, sampling):
    cached = CachedEngine(engine, tmp_path)

    async def ask(max_tokens: int, logprobs: int | None) -> Generation:
        return await cached.generate(
            prompts[0],
            max_tokens=max_tokens,
            stop=Stop(engine.info.eos_ids),
            sampling=Sampling(**sampling, logprobs=logprobs),
        )

    bare = await ask(30, None)
    fresh = await ask(30, WIDTH)
    assert (bare.reused, fresh.reused) == (0, 0), "a chain without them served one that wants them"
    assert fresh.ids == bare.ids
    again, shorter, wider = await ask(30, WIDTH), await ask(12, WIDTH), await ask(30, WIDTH + 1)
    assert (again.reused, again.logprobs) == (len(fresh.logprobs), fresh.logprobs)
    assert (shorter.reused, shorter.logprobs) == (12, fresh.logprobs[:12])
    assert wider.reused == 0
    longer = await ask(38, WIDTH)
    assert longer.logprobs[:30].sampled == pytest.approx(fresh.logprobs.sampled, abs=1e-5)
    assert len(longer.logprobs) == len(longer.ids + longer.stop_ids) > 30
    cached.forget()


async def test_a_chain_with_them_serves_one_without(engine, prompts, tmp_path):
    cached = CachedEngine(engine, tmp_path)
    told = await generated(cached, prompts[0], "greedy", WIDTH)
    plain = await generated(cached, prompts[0], "greedy", None)
    assert plain.reused == len(told.ids + told.stop_ids)
    assert (plain.ids, plain.logprobs) == (told.ids, None)
    cached.forget()
