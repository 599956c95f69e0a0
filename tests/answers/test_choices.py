"""Multiple choice: letters, and no credit for what can't be read."""

import pytest

from s1_eval.answers import grader
from s1_eval.errors import UserError

GPQA = grader("choice", letters="ABCD")
OPTIONS = ("red", "green", "blue", "black")


@pytest.mark.parametrize("text", ["B", "(b) green", r"\boxed{\text{B}}", "Answer: green"])
def test_the_letter_and_the_text_of_the_right_option_are_right(text):
    verdict = GPQA.grade(text, "B", OPTIONS)
    assert (verdict.correct, verdict.answered, verdict.answer) == (True, True, "B")


def test_another_option_is_answered_and_wrong():
    verdict = GPQA.grade("Answer: A", "B", OPTIONS)
    assert (verdict.correct, verdict.answered, verdict.answer) == (False, True, "A")


@pytest.mark.parametrize("text", ["", "Answer:", "A cell divides", "Answer: purple", "B or C"])
@pytest.mark.parametrize("target", list("ABCD"))
def test_an_unreadable_answer_gets_no_credit_whatever_the_target(text, target):
    verdict = GPQA.grade(text, target, OPTIONS)
    assert (verdict.correct, verdict.answered) == (False, False)


def test_without_texts_only_letters_are_read():
    assert not GPQA.grade("Answer: green", "B").answered
    assert GPQA.grade("Answer: B", "B").correct


@pytest.mark.parametrize("target", ["", "E", "b", "AB", "green"])
def test_a_target_that_is_no_letter_is_refused(target):
    with pytest.raises(UserError, match="none of the letters ABCD"):
        GPQA.check_target(target)


def test_the_letters_are_a_setting():
    assert grader("choice", letters="ABCDEF").grade("Answer: F", "F").correct
    with pytest.raises(UserError, match="different capital letters"):
        grader("choice", letters="ABA")
