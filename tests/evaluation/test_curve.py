"""A sweep over caps costs its longest runs: every other chain is a beginning of those, sampled ones
too, whatever the engine makes of seeds."""

from __future__ import annotations

from dataclasses import replace

import pytest

import s1_eval
from s1_eval.engines.transformers import TransformersEngine

CAPS = [16, 48, 96]


class Unseeded:
    """Nano on an engine that honours no seed per request, as vLLM on a CPU."""

    def __init__(self) -> None:
        self.inner = TransformersEngine("nano")
        self.info = replace(self.inner.info, seeding="engine")
        self.tokenizer = self.inner.tokenizer
        self.decoded = 0

    async def generate(self, prompt, *, max_tokens, stop, sampling):
        made = await self.inner.generate(
            prompt, max_tokens=max_tokens, stop=stop, sampling=replace(sampling, seed=None)
        )
        self.decoded += len(made.ids) + len(made.stop_ids)
        return made


@pytest.fixture(scope="module")
def engine():
    made = Unseeded()
    yield made
    made.inner.close()


def thinking(result):
    frame = result.samples(traces=True)
    return {
        (params["max_thinking_tokens"], id, epoch): [
            i for s in trace["segments"] if s["role"] == "thinking" for i in s["ids"]
        ]
        for params, id, epoch, [trace] in zip(
            frame.method_params, frame.sample_id, frame.epoch, frame.traces, strict=True
        )
    }


@pytest.mark.parametrize("ignores", [0, 2])
def test_sampled_caps_share_one_chain_a_question_and_epoch(engine, ignores, tmp_path):
    engine.decoded = 0
    result = s1_eval.evaluate(
        engine,
        "nano",
        "budget_forcing",
        max_thinking_tokens=CAPS,
        num_ignores=ignores,
        max_answer_tokens=8,
        temperature=2.0,  # so high that no two chains are alike by chance
        epochs=2,
        limit=3,
        progress=False,
    )
    chains = thinking(result)
    longest = {key[1:]: ids for key, ids in chains.items() if key[0] == max(CAPS)}
    assert len(longest) == 6
    assert len(set(map(tuple, longest.values()))) == 6  # epochs are chains of their own
    for (_, *cell), ids in chains.items():
        assert longest[tuple(cell)][: len(ids)] == ids
    paid = sum(map(len, longest.values())) + 6 * (2 + ignores) + len(chains) * 9
    assert engine.decoded <= paid
    [advice] = result.advise()
    assert advice["shared"] is True
    prices = tmp_path / "prices.yaml"
    prices.write_text('models: {"*": {input: 0, output: 1000000}}')
    [dear] = result.advise(at="usd", prices=prices)
    spots = [each["curves"][0]["spots"][-1]["cost"]["value"] for each in (advice, dear)]
    assert spots[0] == pytest.approx(spots[1])
