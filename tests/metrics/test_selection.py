"""Choosing again among recorded samples: exact over all choices, and the methods' own rules."""

from __future__ import annotations

import asyncio
from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import SeededEngine, ToyTokenizer

from s1_eval.answers import grader
from s1_eval.engines import Sampling
from s1_eval.errors import UserError
from s1_eval.methods import Policy, Question
from s1_eval.methods.confidence import Confidence
from s1_eval.methods.confidence import choose as choose_confident
from s1_eval.methods.scoring import Guidance, choose
from s1_eval.methods.voting import group_answers, sample_extra
from s1_eval.metrics.selection import CHOICES, Samples, accuracy_at, mean_accuracy_at, samples_of
from s1_eval.thinking import Segment, Trace

TOKENIZER = ToyTokenizer()
GRADER = grader("integer")
TARGET = "4"


def trace(answer: str, thinking: int) -> Trace:
    thought = Segment("thinking", "sampled", tuple(TOKENIZER.encode("a" * thinking)))
    said = Segment("answer", "sampled", tuple(TOKENIZER.encode(answer)))
    return Trace((1,), (thought, said), "natural")


def chosen(answers, thinking, scores, selection: str) -> tuple[bool, dict]:
    """What the method itself chooses from these samples, and what it records of them."""
    policy = Policy.bind(SeededEngine("a"), "auto", Sampling())
    traces = [trace(a, t) for a, t in zip(answers, thinking, strict=True)]
    params = Guidance(selection=selection)
    answer, _, _, extra = asyncio.run(
        choose(policy, Question("q", "?", GRADER), traces, [(s,) for s in scores], params)
    )
    return GRADER.grade(answer, TARGET).correct, extra


@settings(max_examples=40, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(
            st.sampled_from(["4", "04", "7", "9", "none", ""]),
            st.integers(1, 3),
            st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5]),
        ),
        min_size=1,
        max_size=5,
    ),
    selection=st.sampled_from(["weighted", "vanilla", "majority"]),
    data=st.data(),
)
def test_it_is_the_mean_of_the_method_over_every_choice(drawn, selection, data):
    answers, thinking, scores = zip(*drawn, strict=True)
    k = data.draw(st.integers(1, len(drawn)))
    _, extra = chosen(answers, thinking, scores, selection)
    row = {**extra, "sample_correct": [GRADER.grade(a, TARGET).correct for a in answers]}
    every = [
        chosen(*([column[i] for i in part] for column in (answers, thinking, scores)), selection)[0]
        for part in combinations(range(len(drawn)), k)
    ]
    assert accuracy_at(samples_of(row), k, selection) == pytest.approx(fmean(every))


def confident(answers, thinking, scores, keep: float, selection: str) -> bool:
    """Whether the vote by confidence chooses a correct answer from these samples."""
    traces = [trace(a, t) for a, t in zip(answers, thinking, strict=True)]
    groups = group_answers(GRADER, answers)
    params = Confidence(samples=len(answers), keep=keep, selection=selection)
    winner = choose_confident(scores, traces, answers, groups, params)
    return bool(winner) and GRADER.grade(answers[winner[0]], TARGET).correct


@settings(max_examples=60, deadline=None)
@given(
    drawn=st.lists(
        st.tuples(
            st.sampled_from(["4", "04", "7", "9", ""]),
            st.integers(1, 3),
            st.sampled_from([1.0, 2.0, 3.5]),
        ),
        min_size=1,
        max_size=6,
    ),
    keep=st.sampled_from([0.1, 0.34, 0.5, 0.75, 1.0]),
    selection=st.sampled_from(["weighted", "vanilla"]),
    data=st.data(),
)
def test_a_vote_by_confidence_is_the_mean_of_the_method_too(drawn, keep, selection, data):
    answers, thinking, scores = zip(*drawn, strict=True)
    k = data.draw(st.integers(1, len(drawn)))
    extra = sample_extra(
        [trace(a, t) for a, t in zip(answers, thinking, strict=True)],
        answers,
        group_answers(GRADER, answers),
    )
    row = {
        **extra,
        "sample_correct": [GRADER.grade(a, TARGET).correct for a in answers],
        "sample_confidence": {"tail": list(scores), "mean": [0.0] * len(scores)},
        "sample_measure": "tail",
        "sample_keep": keep,
    }
    parts = list(combinations(range(len(drawn)), k))
    columns = [
        [[column[i] for i in part] for column in (answers, thinking, scores)] for part in parts
    ]
    every = [confident(*each, keep, selection) for each in columns]
    assert accuracy_at(samples_of(row), k, selection) == pytest.approx(fmean(every))


def many(correct: int, n: int) -> Samples:
    right = tuple(i < correct for i in range(n))
    return Samples(
        tuple("4" if r else str(10 + i) for i, r in enumerate(right)),
        tuple(0 if r else 1 + i - correct for i, r in enumerate(right)),
        right,
        (5,) * n,
        tuple(0.9 if r else 0.1 for r in right),
    )


def test_random_choices_are_drawn_where_there_are_too_many_and_stay_close():
    samples = many(8, 64)
    found = accuracy_at(samples, 16, "majority", seed=1)
    assert found != accuracy_at(samples, 16, "majority", seed=2)
    expected = fmean(accuracy_at(samples, 16, "majority", seed=s) for s in range(20))
    assert found == pytest.approx(expected, abs=4 * 0.5 / CHOICES**0.5)


def test_all_samples_at_once_need_no_chance():
    samples = many(8, 64)
    for selection in ("weighted", "vanilla", "majority"):
        assert accuracy_at(samples, 64, selection) == 1.0
        assert accuracy_at(samples, 1, selection) == 8 / 64


def test_questions_average_over_epochs():
    rows = [
        {
            "sample_id": id,
            "sample_answers": ["4"],
            "sample_groups": [0],
            "sample_correct": [right],
            "sample_thinking_tokens": [1],
        }
        for id, right in (("a", True), ("a", False), ("b", True))
    ]
    assert mean_accuracy_at(rows, 1, "majority") == {"a": 0.5, "b": 1.0}


def test_what_cannot_be_chosen_is_said():
    with pytest.raises(UserError, match="k=9 of 8 samples"):
        accuracy_at(many(2, 8), 9, "majority")
    unscored = Samples(("4",), (0,), (True,), (1,))
    with pytest.raises(UserError, match="best_of_n"):
        accuracy_at(unscored, 1, "weighted")
    uneven = {
        **{f"sample_{name}": ["4"] for name in ("answers", "groups", "correct")},
        "sample_thinking_tokens": [1],
        "sample_confidence": {"mean": [1.0, 2.0]},
    }
    with pytest.raises(UserError, match="lists of different lengths"):
        samples_of(uneven)
    with pytest.raises(UserError, match="majority_vote or best_of_n"):
        samples_of({"method": "plain"})
