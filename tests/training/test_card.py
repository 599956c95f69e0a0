"""The card's arithmetic: paired intervals, votes, and which targets runs meet."""

from __future__ import annotations

import pytest

from s1_eval.records import Run
from s1_eval.training.nano.card import change, measure, render, sampled, targets


def run(correct: str, answers: str = "", thinking: int = 50, epochs: int = 1) -> Run:
    """correct: one of 1 and 0 per problem, epoch after epoch; answers: one letter each, a space
    for none."""
    rows = [
        {
            "sample_id": f"p{i // epochs}",
            "epoch": i % epochs + 1,
            "correct": right == "1",
            "answer": answer.strip(),
            "answered": bool(answer.strip()),
            "thinking_tokens": thinking,
            "generated_tokens": thinking,
        }
        for i, (right, answer) in enumerate(zip(correct, answers or correct, strict=True))
    ]
    names = {"run_id": "r", "model": "nano", "task": "nano", "method": "plain"}
    record = {**names, "method_params": {}}
    return Run(record, rows, None)


def majority(correct: str, answers: str, epochs: int) -> float:
    return sampled(run(correct, answers, epochs=epochs))["maj@k"]["value"]


def test_a_difference_is_paired():
    same, other = run("1100" * 25), run("1101" * 25)
    assert change(same, same)["value"] == 0
    found = change(other, same)
    assert found["value"] == 25
    assert (found["low"], found["high"]) == pytest.approx((17.5, 34.3), abs=0.1)


def test_votes_are_counted_and_a_tie_goes_where_majority_vote_puts_it():
    assert majority("10", "ab", 2) == 100
    assert majority("01", "ab", 2) == 0
    assert majority("100", "abb", 3) == 0
    assert majority("101110", "abaccd", 3) == 100


def test_an_unanswered_sample_has_no_vote():
    assert majority("100", "a  ", 3) == 100


def test_targets_say_which_are_met_and_which_are_not():
    def score(right: int, thinking: int = 50) -> Run:
        return run("1" * right + "0" * (100 - right), thinking=thinking)

    runs = {
        "plain": [score(70)],
        "caps": [score(n) for n in (5, 20, 40, 62)],
        "waits": [score(60), score(75), score(75)],
        "samples": [run("11" * 60 + "01" * 15 + "00" * 25, epochs=2)],
        "tokens": [score(50, 20), score(60, 90)],
        "steps": [score(50, 90), score(60, 20)],
        "length": [score(50, 40), score(50, 90)],
    }
    verdicts = [met for _, met in targets(runs)]
    assert verdicts == [True, True, False, False, False, True, False, True, True]


@pytest.mark.slow
def test_the_embedded_model_is_measured_by_the_path_of_every_question():
    runs = measure("nano", 3)
    assert {run.record["harness"] for each in runs.values() for run in each} == {"s1-eval"}
    assert [len(run.rows) for run in runs["samples"]] == [24]
    assert [run.budget for run in runs["caps"]] == [16, 32, 48, 64, 96]
    about = {"parameters": 886656, "versions": {"trl": "1"}, "losses": [{"loss": 0.1}]}
    text = render(runs, {**about, "tokens": 9, "before": None}, "nano")
    assert "| 16 | 0.0 [0.0, " in text
    assert "majority@8 " in text
