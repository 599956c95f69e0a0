"""The transformers verifier: batches, beginnings read once, and the corners."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from s1_eval.verifiers.transformers import TransformersVerifier

QUESTION = "Compute 2 + 2."
NAMES = ["rlhflow", "qwen_math_prm", "skywork", "math_shepherd"]
WORDS = ["two", "and", "4.", "that is", "answer", "+", "-", "0", "\\boxed{4}"]


class Watched(TransformersVerifier):
    """Counts what goes through the model."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.batches: list[int] = []
        self.read: Counter[tuple[int, ...]] = Counter()
        self.tokens = 0

    def _forward(self, batch):
        self.batches.append(len(batch))
        for chain in batch:
            self.tokens += len(chain.ids) - chain.known
            self.read.update(tuple(chain.ids[:end]) for end in chain.unread_bounds)
        super()._forward(batch)


@pytest.fixture
def opened(checkpoints):
    made = []

    def open(name: str, **options) -> Watched:
        made.append(Watched(str(checkpoints[name]), **options))
        return made[-1]

    yield open
    for verifier in made:
        verifier.close()


def chains(seed: int, number: int) -> list[list[str]]:
    """Chains that share beginnings now and then."""
    rng = random.Random(seed)  # noqa: S311
    found: list[list[str]] = [[]]
    for _ in range(number):
        trunk = rng.choice(found)
        steps = [
            " ".join(rng.choices(WORDS, k=rng.randint(1, 6))) for _ in range(rng.randint(1, 4))
        ]
        found.append([*trunk[: rng.randint(0, len(trunk))], *steps])
    return found[1:]


def scores(verifier, asked: Sequence[Sequence[str]], question: str = QUESTION):
    return [s.scores for s in asyncio.run(verifier.score(question, asked))]


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gives_what_one_by_one_gives(opened, name):
    asked = chains(1, 12)
    together = scores(opened(name), asked)
    for steps, found in zip(asked, together, strict=True):
        alone = opened(name)
        assert found == pytest.approx(scores(alone, [steps])[0], abs=1e-5)
        assert len(found) == len(steps)


@pytest.mark.parametrize("name", NAMES)
def test_a_chain_that_grows_scores_like_one_that_is_read_at_once(opened, name):
    (steps,) = chains(2, 1)
    steps = [*steps, *chains(3, 1)[0], "4."]
    growing = opened(name)
    grown = [scores(growing, [steps[: n + 1]])[0] for n in range(len(steps))]
    assert grown[-1] == pytest.approx(scores(opened(name), [steps])[0], abs=1e-5)
    for before, after in itertools.pairwise(grown):
        assert after[: len(before)] == before


@pytest.mark.parametrize("name", NAMES)
def test_no_beginning_is_read_twice(opened, name):
    verifier = opened(name)
    asked = chains(4, 10)
    scores(verifier, asked)
    scores(verifier, [[*steps, "4."] for steps in asked])
    assert set(verifier.read.values()) == {1}


def test_what_is_dropped_is_read_again_and_scores_the_same(opened):
    asked = chains(5, 10)
    small, large = opened("qwen_math_prm", kept_tokens=40), opened("qwen_math_prm")
    for steps in (*asked, *asked):
        assert scores(small, [steps])[0] == pytest.approx(scores(large, [steps])[0], abs=1e-5)
    assert small.tokens > large.tokens


def test_small_batches_score_like_large_ones(opened):
    asked = chains(6, 10)
    small = opened("qwen_math_prm", max_batch_tokens=1)
    for a, b in zip(scores(small, asked), scores(opened("qwen_math_prm"), asked), strict=True):
        assert a == pytest.approx(b, abs=1e-5)
    assert set(small.batches) == {1}


def test_calls_that_are_in_flight_together_are_one_batch(opened):
    verifier = opened("qwen_math_prm")

    async def many():
        calls = (verifier.score(f"{QUESTION} {i}", [["two", "4."]]) for i in range(20))
        return await asyncio.gather(*calls)

    found = asyncio.run(many())
    assert verifier.batches == [20]
    assert all(len(scored.scores) == 2 for (scored,) in found)


def test_a_step_beyond_the_context_has_no_score(opened):
    verifier = opened("qwen_math_prm")
    long = ["two and two"] * 200
    ((*found,),) = [scores(verifier, [long])[0]]
    cut = next(i for i, s in enumerate(found) if math.isnan(s))
    assert 0 < cut < 200
    assert all(math.isnan(s) for s in found[cut:])
    assert found[:cut] == pytest.approx(scores(opened("qwen_math_prm"), [long[:cut]])[0], abs=1e-5)


def test_no_steps_no_scores(opened):
    verifier = opened("rlhflow")
    assert scores(verifier, [[], ["two"], []]) == [(), pytest.approx((0.5,), abs=0.5), ()]
    assert scores(verifier, []) == []


def test_ends_and_opening_count_the_verifiers_own_tokens(opened):
    verifier = opened("qwen_math_prm")
    (scored,) = asyncio.run(verifier.score(QUESTION, [["two", "and", "4."]]))
    assert 0 < scored.opening < scored.ends[0] < scored.ends[1] < scored.ends[2]
    assert verifier.tokens == scored.ends[2]
    assert scored.seconds > 0


def test_a_failure_reaches_every_call_in_flight(opened, monkeypatch):
    verifier = opened("qwen_math_prm")
    monkeypatch.setattr(verifier, "_forward", lambda batch: 1 / 0)

    async def two():
        calls = (verifier.score(QUESTION, [[word]]) for word in ("two", "and"))
        return await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(e, RuntimeError) for e in asyncio.run(two()))
    monkeypatch.undo()
    assert len(scores(verifier, [["two"]])[0]) == 1


def test_a_closed_verifier_says_so(opened):
    verifier = opened("qwen_math_prm")
    verifier.close()
    with pytest.raises(RuntimeError, match="closed"):
        scores(verifier, [["two"]])


def test_a_call_that_is_cancelled_takes_nothing_down(opened):
    verifier = opened("qwen_math_prm")

    async def cancelled():
        task = asyncio.create_task(verifier.score(QUESTION, [["two"]]))
        await asyncio.sleep(0)
        task.cancel()
        return await verifier.score(QUESTION, [["and"]])

    assert len(asyncio.run(cancelled())) == 1
