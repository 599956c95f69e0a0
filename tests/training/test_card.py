"""The card's arithmetic: paired intervals, votes, and which targets runs meet."""

from __future__ import annotations

import pytest

from s1_eval.training.nano.card import difference, majority, targets
from s1_eval.training.nano.measure import Run


def run(correct: str, answers: str = "", thinking: int = 50) -> Run:
    """correct: one of 1 and 0 per problem; answers: one letter per problem."""
    right = tuple(c == "1" for c in correct)
    return Run("plain", {}, right, tuple(answers or correct), (thinking,) * len(right))


def test_a_difference_is_paired():
    same, other = run("1100" * 25), run("1101" * 25)
    assert difference(same, same) == (0, 0, 0)
    found, low, high = difference(same, other)
    assert found == 25
    assert (low, high) == pytest.approx((25 - 8.53, 25 + 8.53), abs=0.01)


def test_a_tie_is_worth_the_share_of_its_right_answers():
    assert majority([run("1", "a"), run("0", "b")]) == 50
    assert majority([run("1", "a"), run("0", "b"), run("0", "b")]) == 0
    assert majority([run("11", "ac"), run("01", "bc"), run("10", "ad")]) == 100


def test_an_unanswered_sample_has_no_vote():
    nothing = Run("plain", {}, (False,), ("",), (50,))
    assert majority([run("1", "a"), nothing, nothing]) == 100


def test_targets_say_which_are_met_and_which_are_not():
    def score(right: int, thinking: int = 50) -> Run:
        return run("1" * right + "0" * (100 - right), thinking=thinking)

    runs = {
        "plain": [score(70)],
        "caps": [score(n) for n in (5, 20, 40, 62)],
        "waits": [score(60), score(75), score(75)],
        "samples": [score(60), score(75)],
        "tokens": [score(50, 20), score(60, 90)],
        "steps": [score(50, 90), score(60, 20)],
        "length": [score(50, 40), score(50, 90)],
    }
    verdicts = [met for _, met in targets(runs)]
    assert verdicts == [True, True, False, False, False, True, False, True, True]
