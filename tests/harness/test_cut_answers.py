"""A cut answer is no answer, whichever harness asks and whoever votes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from scripted import ScriptedEngine

from s1_eval.answers import grader
from s1_eval.engines import Sampling
from s1_eval.evaluation.grading import judged
from s1_eval.evaluation.run import Run, open_run
from s1_eval.methods import METHODS, settings

GRADER = {"name": "integer"}


def opened(script: str, method: str = "budget_forcing", temperature: float = 0.0, **params) -> Run:
    return open_run(
        ScriptedEngine(script, cyclic=True),
        harness="s1-eval",
        grader=GRADER,
        method=METHODS[method],
        settings=settings(method, params),
        sampling=Sampling(temperature=temperature, seed=7 if temperature else None),
        command=["test"],
    )


def row_of(run: Run, target: str = "4") -> dict[str, Any]:
    _, solved = asyncio.run(run.solve("q", "What is 2 + 2?", 1))
    return {**solved, **judged(solved, target, grader("integer"))}


@pytest.mark.parametrize("method", ["budget_forcing", "plain", "self_refine"])
def test_the_last_number_in_sight_of_a_cut_answer_is_none(method):
    limit = {"max_tokens": 14} if method == "plain" else {"max_answer_tokens": 10}
    script = "a<|im_start|>answer" if method == "plain" else "a<|im_start|>"
    row = row_of(opened(script + "4 by 4 + 4 / 4", method, **limit))
    assert row["response"]
    assert (row["answer_exit"], row["answered"], row["correct"]) == ("budget", False, False)
    assert row["answer"] == ""


def test_a_box_that_was_closed_before_the_cut_counts():
    row = row_of(opened(r"a<|im_start|>\boxed{4} as 4+4", max_answer_tokens=12))
    assert (row["answer_exit"], row["answered"], row["correct"]) == ("budget", True, True)


@pytest.mark.parametrize("method", ["majority_vote", "sets"])
def test_a_cut_answer_has_no_vote(method):
    """Every sample says 4, and is cut."""
    row = row_of(opened("a<|im_start|>4 and 4", method, 1.0, samples=3, max_answer_tokens=4))
    assert row["sample_answer_exits"] == ["budget"] * 3
    assert row["sample_groups"] == [-1, -1, -1]
    assert row["sample_correct"] == [False] * 3
    assert (row["answer_exit"], row["answered"]) == ("budget", False)


def test_a_vote_is_judged_by_the_answer_that_won_it():
    """One sample ends by itself, the other is cut."""
    script = "a<|im_start|>4<|im_end|>a<|im_start|>5555"
    row = row_of(opened(script, "majority_vote", 1.0, samples=2, max_answer_tokens=3))
    assert sorted(row["sample_answer_exits"]) == ["budget", "eos"]
    assert (row["answer_exit"], row["correct"]) == ("eos", True)
    assert sorted(row["sample_correct"]) == [False, True]


def test_a_stop_text_of_a_task_ends_an_answer_and_does_not_cut_it():
    for until, exit, correct in (("\nQ:", "stop", True), ("never", "budget", False)):
        run = opened("a<|im_start|>4\nQ: and then?", max_answer_tokens=8)
        row = row_of(replace(run, until=(until,)))
        assert (row["answer_exit"], row["correct"]) == (exit, correct)


def test_a_row_that_does_not_know_its_end_is_graded_as_ever():
    answer = {"response": "now divide the number 8 by 4"}
    assert judged(answer, "4", grader("integer"))["correct"]
    assert not judged({**answer, "answer_exit": "budget"}, "4", grader("integer"))["correct"]


def test_special_tokens_in_answers_and_leaks_are_counted():
    spill = "ab4<|im_start|>think<|im_start|>5<|im_end|>"
    row = row_of(opened(spill, max_thinking_tokens=2))
    assert (row["answer_special_tokens"], row["leaked"]) == (2, 1)
    natural = row_of(opened("a<|im_start|>4<|im_start|>think<|im_end|>"))
    assert (natural["answer_special_tokens"], natural["leaked"]) == (1, 0)
    clean = row_of(opened("ab4<|im_end|>", max_thinking_tokens=2))
    assert clean["thinking_answers"] == 0
    assert (clean["answer_special_tokens"], clean["leaked"]) == (0, 0)


def test_thinking_in_a_run_that_knows_none_is_counted():
    row = row_of(opened("a<|im_start|>answer4<|im_end|>", "plain", thinking_format="none"))
    assert (row["thinking_answers"], row["thinking_tokens"]) == (1, 0)
    told = row_of(opened("a<|im_start|>answer4<|im_end|>", "plain"))
    assert told["thinking_answers"] == 0
