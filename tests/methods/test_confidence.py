"""Votes by confidence: how a chain's is measured, who votes, and which chains are given up."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedEngine, ToyTokenizer

from s1_eval.answers import grader
from s1_eval.engines import Sampling
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.errors import UserError
from s1_eval.methods import METHODS, Policy, Question, settings
from s1_eval.methods.confidence import choose
from s1_eval.methods.voting import whole_share
from s1_eval.thinking.logprobs import MEASURES, confidences, group_confidences

END = "<|im_end|>"

tokens = st.lists(st.integers(0, 40).map(lambda n: n / 2), min_size=1, max_size=40)


@given(tokens, st.integers(1, 50))
def test_the_measures_are_those_of_the_paper(values, window):
    """Spelled out from sections 2.2 and 3.1: sliding windows, their lowest tenth, the last one."""
    n = min(window, len(values))
    exact = [Fraction(value) for value in values]
    groups = [Fraction(sum(exact[i : i + n]), n) for i in range(len(values) - n + 1)]
    assert group_confidences(values, window) == pytest.approx([float(g) for g in groups])
    lowest = sorted(groups)[: -(-len(groups) // 10)]
    expected = (
        sum(exact) / len(values),
        min(groups),
        sum(lowest) / len(lowest),
        groups[-1],
    )
    found = confidences(values, window)
    assert tuple(found) == MEASURES
    assert list(found.values()) == pytest.approx([float(e) for e in expected], rel=1e-4)


def test_a_chain_without_tokens_has_no_confidence():
    assert set(confidences([], 8).values()) == {0.0}


def thinks(answer: str, thought: str = "aaa") -> str:
    return f"{thought}<|im_start|>{answer}{END}"


def sure_of(*chains: tuple[str, float]):
    """(script, confident): chains one after the other, each as confident as it is told to be."""
    by_id = [level for text, level in chains for _ in ToyTokenizer().encode(text)]
    return "".join(text for text, _ in chains), lambda n: by_id[min(n, len(by_id) - 1)]


def voted(solve, *chains: tuple[str, float], **params):
    script, confident = sure_of(*((thinks(answer), level) for answer, level in chains))
    engine = ScriptedEngine(script, confident=confident)
    return solve(engine, "confidence", temperature=1.0, samples=len(chains), **params)


def test_few_confident_chains_outvote_many_unsure_ones(solve):
    outcome = voted(solve, ("7", 1.0), ("7", 1.0), ("8", 5.0))
    assert outcome.answer == "8"
    assert outcome.extra["sample_confidence"]["lowest_group"] == [1.0, 1.0, 5.0]
    assert outcome.extra["sample_measure"] == "lowest_group"
    assert (outcome.winner, outcome.chosen) == (2, (0, 1, 2))
    assert voted(solve, ("7", 3.0), ("7", 3.0), ("8", 5.0)).answer == "7"


def test_only_the_most_confident_share_votes(solve):
    chains = [("7", 4.0), ("7", 4.0), ("8", 5.0), ("9", 1.0)]
    assert voted(solve, *chains).answer == "7"
    assert voted(solve, *chains, keep=0.25).answer == "8"
    assert voted(solve, *chains, selection="vanilla").answer == "8"


def test_a_chain_without_an_answer_has_no_vote_however_confident(solve):
    outcome = voted(solve, ("", 9.0), ("8", 5.0), ("7", 1.0), keep=0.5)
    assert outcome.answer == "8"
    assert outcome.extra["sample_groups"] == [-1, 0, 1]
    assert voted(solve, ("", 9.0), ("", 5.0)).answer == ""


def test_a_share_of_the_chains_is_rounded_up():
    shares = [(0.34, 3), (0.1, 10), (0.5, 5), (0.7, 10), (1.0, 7), (0.01, 4)]
    assert [whole_share(*each) for each in shares] == [2, 1, 3, 7, 7, 1]


def test_whoever_is_below_the_threshold_has_no_vote(solve):
    outcome = voted(solve, ("7", 1.0), ("7", 1.0), ("8", 1.5))
    texts = ["7", "7", "8"]
    groups, scores = [[0, 1], [2]], [1.0, 1.0, 1.5]
    params = settings("confidence", {"samples": 3})
    asked = (scores, outcome.traces, texts, groups, params)
    assert choose(*asked, threshold=0.9) == [0, 1]
    assert choose(*asked, threshold=1.0) == [0, 1], "who sets the threshold is not below it"
    assert choose(*asked, threshold=1.2) == [2]


def sampled(name: str, **params):
    """nano's outcome on a question that it finds hard."""

    async def run():
        policy = Policy.bind(engine, "auto", Sampling(1.0, seed=5))
        question = Question("q", HARD, grader("integer"))
        return await METHODS[name].run(policy, question, settings(name, params))

    engine = TransformersEngine("nano")
    try:
        return asyncio.run(run())
    finally:
        engine.close()


HARD = "Compute mod 100.\nS=47\nA*8*3\nB+5*9\nC*7*6\nD-4\nE*9*8"
CHAIN = {"max_thinking_tokens": 128, "max_answer_tokens": 12}


def test_its_samples_are_those_of_a_majority_vote():
    ours = sampled("confidence", samples=4, window=16, **CHAIN)
    theirs = sampled("majority_vote", samples=4, **CHAIN)
    assert [t.ids() for t in ours.traces] == [t.ids() for t in theirs.traces]
    assert {t.logprobs for t in theirs.traces} == {None}
    assert all(t.logprobs.width == 20 for t in ours.traces)
    assert "sample_confidence" not in theirs.extra


def test_chains_that_fall_below_the_warm_ups_are_given_up_and_paid_for():
    params = {"samples": 8, "warm_up": 3, "keep": 0.4, "window": 8, "check_every": 4, **CHAIN}
    outcome = sampled("confidence", **params)
    whole = sampled("confidence", samples=3, window=8, **CHAIN)
    assert [t.ids() for t in outcome.traces[:3]] == [t.ids() for t in whole.traces]
    pruned = [t for t in outcome.traces if t.exit_reason == "pruned"]
    threshold = outcome.extra["threshold"]
    assert pruned
    assert threshold == sorted(whole.extra["sample_confidence"]["lowest_group"])[-2]
    for trace in outcome.traces[3:]:
        told = trace.logprobs.confidence
        thought = told[: len(trace.ids("thinking"))]
        low = len(thought) >= 8 and min(group_confidences(thought, 8)) < threshold - 2e-3
        if trace in pruned:
            assert min(group_confidences(told, 8)) < threshold
            assert not trace.answer_tokens
            early = told[: -params["check_every"]]
            assert len(early) < 8 or min(group_confidences(early, 8)) > threshold - 2e-3
        else:
            assert not low
    assert outcome.chosen == tuple(i for i, t in enumerate(outcome.traces) if t not in pruned)
    assert outcome.extra["pruned"] == len(pruned)
    assert outcome.generated_tokens == sum(t.generated_tokens for t in outcome.traces)
    assert outcome.exit_reason != "pruned"


def test_whether_smaller_widths_can_be_had_of_a_run_depends_on_its_warm_up():
    method = METHODS["confidence"]
    assert method.describe(settings("confidence", {"samples": 4}))["chooses"] is True
    online = settings("confidence", {"samples": 4, "warm_up": 2})
    assert method.describe(online)["chooses"] is False


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"samples": 4, "warm_up": 4}, "warm_up=4 of samples=4 leaves no chain to give up"),
        ({"samples": 4, "warm_up": 2, "measure": "tail"}, "measure=tail is known at the end"),
        ({"samples": 4, "top_logprobs": 0}, "top_logprobs=0: give a whole number from 1 to 20"),
        ({"samples": 4, "keep": 0.0}, "keep=0.0: give a number above 0 and up to 1"),
        ({"samples": 4, "measure": "best"}, "`lowest_group`"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(params, said):
    with pytest.raises(UserError, match=said):
        settings("confidence", params)
