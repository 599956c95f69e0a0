"""Strategies by width, and the choice among them, read from runs."""

import pytest
import runs

from s1_eval.errors import UserError
from s1_eval.metrics.strategies import OPTIMAL, curves

EASY = [False] * 20 + [True] * 20


def searched(method, right, samples, tokens, **more):
    """A run whose questions cost `tokens` each."""
    run = runs.run(right, 5, method=method, params={"samples": samples}, **more)
    rows = [{**row, "generated_tokens": tokens, "verifier_tokens": 1} for row in run.rows]
    return type(run)(run.record, rows, None)


def voted(right, samples=4, method="majority_vote", scores=None, **more):
    """A run in which the samples of a question agree."""
    run = searched(method, right, samples, 40, **more)
    rows = [
        {
            **row,
            "sample_answers": ["7" if ok else "8"] * samples,
            "sample_groups": [0] * samples,
            "sample_correct": [ok] * samples,
            "sample_thinking_tokens": [5] * samples,
            **({"sample_scores": [scores[i]] * samples} if scores else {}),
        }
        for i, (row, ok) in enumerate(zip(run.rows, right, strict=True))
    ]
    return type(run)(run.record, rows, None)


HARD = [not easy for easy in EASY]
ESTIMATE = voted(EASY, seed=9)


def by_name(found):
    return {each["strategy"]: {p["samples"]: p for p in each["points"]} for each in found}


def test_a_vote_serves_every_width_and_a_search_its_own():
    found = by_name(curves([voted(EASY), searched("beam_search", HARD, 4, 90)], ESTIMATE, number=2))
    assert {name: list(points) for name, points in found.items()} == {
        "majority_vote": [1, 2, 4],
        "beam_search": [4],
        OPTIMAL: [4],
    }
    assert [p["tokens"] for p in found["majority_vote"].values()] == [41 / 4, 41 / 2, 41]
    assert found["beam_search"][4]["accuracy"]["value"] == 50
    assert found["beam_search"][4]["tokens"] == 91


def test_a_method_without_samples_is_of_width_1():
    found = by_name(curves([voted(EASY), runs.run(HARD, 5)], ESTIMATE, number=2))
    assert list(found["budget_forcing"]) == [1]
    assert list(found[OPTIMAL]) == [1]


def test_the_choice_takes_the_search_for_hard_questions_and_pays_for_knowing():
    found = by_name(curves([voted(EASY), searched("beam_search", HARD, 4, 90)], ESTIMATE, number=2))
    best = found[OPTIMAL][4]
    assert best["chosen"] == (("beam_search", "majority_vote"),) * 2
    assert best["accuracy"]["value"] == 100
    assert best["tokens"] == (91 + 41) / 2 + 40


def test_a_verifiers_mean_score_is_an_easiness_too_and_its_tokens_are_charged():
    scores = [float(easy) for easy in EASY]
    estimate = voted(HARD, method="best_of_n", scores=scores, seed=9)
    both = [voted(EASY), searched("beam_search", HARD, 4, 90)]
    best = by_name(curves(both, estimate, "verifier", number=2))[OPTIMAL][4]
    assert best["chosen"] == (("beam_search", "majority_vote"),) * 2
    assert best["tokens"] == (91 + 41) / 2 + 41


@pytest.mark.parametrize(
    ("given", "by", "says"),
    [
        ([ESTIMATE], "oracle", "another --seed"),
        ([voted(EASY[:30])], "oracle", "different questions"),
        ([voted(EASY)], "oracle", "no width has two strategies"),
        ([voted(EASY), voted(EASY, seed=3)], "oracle", "two runs of majority_vote"),
        ([searched("beam_search", HARD, "4", 90)], "oracle", "samples='4': give a whole number"),
        ([voted(EASY)], "verifier", "no verifier's scores"),
    ],
)
def test_what_cant_be_drawn_is_said(given, by, says):
    with pytest.raises(UserError, match=says):
        curves(given, ESTIMATE, by, number=2)
