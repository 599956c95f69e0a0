"""Whole-number answers: AIME, and the arithmetic of the embedded model."""

import json
import re

import pytest

from s1_eval.answers import grader
from s1_eval.errors import UserError

AIME = grader("integer", minimum=0, maximum=999)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("025", "25"),
        (r"\boxed{25}", "025"),
        (r"\boxed{m+n = 33}", "33"),
        (r"\boxed{\text{204 minutes}}", "204"),
        (r"\boxed{2^{6}}", "64"),
        (r"\boxed{\frac{408}{2}}", "204"),
        (r"\boxed{73^\circ}", "73"),
        (r"\boxed{\$113}", "113"),
        (r"\boxed{(113)}", "113"),
        (r"\boxed{113.0}", "113"),
        ("Final Answer: 204. Then there are 12 minutes left", "204"),
        ("Final Answer: the sum is $3 + 4 = 7$", "7"),
        ("Final Answer: The number of ways is 7", "7"),
        ("It is 7.", "7"),
        ("so in the end that leaves us with 116", "116"),
        ("0", "0"),
        ("999", "999"),
    ],
)
def test_integers_are_equal_whatever_their_spelling(text, target):
    verdict = AIME.grade(text, target)
    assert verdict.correct, verdict


@pytest.mark.parametrize(
    ("text", "target", "rule"),
    [
        (r"\boxed{1000}", "0", "boxed: out of range"),
        (r"\boxed{-25}", "25", "boxed: out of range"),
        (r"\boxed{1,025}", "25", "boxed: out of range"),
        (r"\boxed{25.5}", "25", "boxed: not an integer"),
        (r"\boxed{x+y}", "25", "boxed: not an integer"),
        (r"\boxed{24}", "25", "boxed: integers"),
        (r"\boxed{25, 26}", "25", "boxed: not an integer"),
        ("Final Answer: 25 or 26", "25", "after the marker: not an integer"),
        ("((25!)!)!", "25", "whole text: not an integer"),
        ("Final Answer: 2^{25}", "25", "after the marker: out of range"),
    ],
)
def test_other_numbers_are_answers_and_wrong(text, target, rule):
    verdict = AIME.grade(text, target)
    assert (verdict.correct, verdict.answered) == (False, True)
    assert verdict.rule == rule


def test_no_answer_is_neither_answered_nor_right():
    verdict = AIME.grade("Final Answer:", "25")
    assert (verdict.correct, verdict.answered, verdict.answer) == (False, False, "")


def test_answers_compare_with_each_other():
    first = AIME.grade(r"Thus \boxed{m + n = 033}", target="")
    assert not first.correct
    assert AIME.grade("Final Answer: 33.", first.answer).correct


@pytest.mark.parametrize("target", ["", "12.5", "1000", "-1", "x", "twelve"])
def test_a_target_that_is_no_such_integer_is_refused(target):
    with pytest.raises(UserError, match="not an integer from 0 to 999"):
        AIME.check_target(target)


def test_the_range_is_a_setting():
    nano = grader("integer", maximum=99)
    assert nano.grade("Final Answer: 07", "7").correct
    assert nano.grade("Final Answer: 7", "07").correct
    assert not nano.grade("Final Answer: 107", "7").correct
    with pytest.raises(UserError, match="minimum=5 is over maximum=4"):
        grader("integer", minimum=5, maximum=4)
    with pytest.raises(UserError, match="does not take these settings"):
        grader("integer", modulus=100)
    with pytest.raises(UserError, match="unknown: give one of choice, integer, math"):
        grader("number")


CUT_BEFORE_THE_BOX = {("4096", 69), ("4096", 71), ("4096", 72), ("4096", 84)}
"""The recorded grader read a box inside the thinking; the answer after it was cut before its own
box, so what it says last is not the answer."""


def test_recorded_outputs_at_seven_limits_are_graded_again(shared_data):
    disagreements = set()
    graded = 0
    for path in sorted(shared_data.glob("outputs/deepscaler1.5B_aime24_maxtok/*.jsonl")):
        for line in path.read_text("utf-8").split("\n"):
            if not line:
                continue
            row = json.loads(line)
            thinking, ended, answer = row["generated_responses"][0].rpartition("</think>")
            verdict = AIME.grade(answer if ended else "", row["gold_answer"])
            graded += 1
            if verdict.correct != row["is_correct"]:
                disagreements.add((path.stem, row["id"]))
                assert rf"\boxed{{{row['gold_answer']}}}" in thinking
                assert not re.search(r"\\boxed", answer)
    assert graded == 210
    assert disagreements == CUT_BEFORE_THE_BOX
