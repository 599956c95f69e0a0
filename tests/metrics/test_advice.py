"""What a question needed, what a policy comes to, and what is said of it; and what is refused."""

import numpy as np
import pytest
import runs as made_up
from chains import swept

from s1_eval.errors import UserError
from s1_eval.metrics.advice import advise, against_caps
from s1_eval.metrics.budgets import budget_series, chains, one_chain
from s1_eval.metrics.stopping import caps
from s1_eval.report.advice import markdown

CAPS = [8, 16, 32]
KINDS = {
    "early": ["7", "7", "7"],
    "late": ["1", "2", "7"],
    "falls": ["7", "7", "3"],
    "never": ["1", "4", "4"],
}


def of(*kinds, caps=CAPS, **more):
    [found] = advise(*swept([KINDS[kind] for kind in kinds], caps, **more))
    return found


def test_a_question_has_its_smallest_budget_its_fall_and_its_waste():
    found = of("early", "late", "falls", "never")
    early, late, falls, never = found["per_question"]
    assert (early["budget"], early["cost"], early["never"]) == (8, 10, False)
    assert (late["budget"], late["cost"]) == (32, 34)
    assert (falls["budget"], falls["cost"], falls["never"]) == (None, None, False)
    assert (never["budget"], never["never"]) == (None, True)
    assert [q["overthought"] for q in found["per_question"]] == [0, 0, 100, 0]
    # Settled at 8, 32, 32 and 16 of 32 thinking tokens.
    assert [q["wasted"] for q in found["per_question"]] == [75, 0, 0, 50]
    assert [q["accuracies"] for q in found["per_question"]][1] == [0, 0, 100]


def test_shares_are_of_chains_with_the_intervals_of_questions():
    found = of("early", "late", "falls", "never")
    for name, value in (
        ("stays_right", 50),
        ("never", 25),
        ("overthought", 25),
        ("thought_on", 50),
    ):
        assert found[name]["value"] == value
        assert found[name]["low"] < value < found[name]["high"]
    assert found["wasted"]["value"] == pytest.approx(100 * (24 + 16) / (4 * 32))


def test_epochs_are_averaged_and_half_of_them_are_enough():
    found = of("early", "late", "late", "never", epochs=2)
    first, second = found["per_question"]
    assert (first["budget"], first["right"]["value"]) == (8, 100)
    assert (second["budget"], second["right"]["value"]) == (32, 50)
    assert first["accuracies"] == [50, 50, 100]
    assert second["right"]["low"] < 50 < second["right"]["high"]
    assert found["epochs"] == 2


def test_one_budget_for_all_is_the_runs_own_accuracy_and_cost():
    spots = of("early", "late", "falls", "never")["curves"][0]["spots"]
    assert [s["name"] for s in spots] == ["cap at 8", "cap at 16", "cap at 32"]
    assert [s["accuracy"]["value"] for s in spots] == [50, 50, 50]
    assert [s["cost"]["value"] for s in spots] == [10, 18, 34]


def test_equal_cost_is_a_mixture_of_the_two_neighbouring_budgets():
    """Half of the questions at 8, half at 16, cost 14; 8 and 16 have 25 and 50%."""
    runs, rows = swept([["7"] * 3, ["1", "7", "7"], ["1", "1", "7"], ["1"] * 3], CAPS)
    one = budget_series(runs)
    grid = chains(one[0], "generated_tokens", *one_chain(one, rows))
    right = np.array([1.0, 1.0, 1.0, 0.0])
    found = against_caps(right, np.full(4, 14.0), caps(grid))
    assert found["value"] == pytest.approx(75 - 37.5)
    assert against_caps(right, np.full(4, 35.0), caps(grid)) is None
    assert against_caps(right, np.full(4, 9.0), caps(grid)) is None
    at_16 = against_caps(right, np.full(4, 18.0), caps(grid))
    assert at_16["value"] == pytest.approx(75 - 50)


def test_a_cap_that_loses_nothing_is_recommended_with_what_it_saves():
    found = of(*["early"] * 200, *["never"] * 100)
    choice = found["cap"]
    assert (choice["name"], choice["verdict"], choice["stability"]) == ("cap at 8", "do", 1)
    assert choice["difference"]["value"] == 0
    assert choice["saved"]["value"] == pytest.approx(100 * 24 / 34)
    assert found["sentences"][0].startswith("Cap at 8: +0.0 [-")
    assert "points for 71% fewer generated tokens." in found["sentences"][0]


def test_few_questions_cant_tell_and_say_how_many_would():
    found = of(*["early"] * 20, *["never"] * 10)
    choice = found["cap"]
    assert (choice["verdict"], choice["difference"]["value"]) == ("can't tell", 0)
    assert choice["needed"] > 100
    assert (
        f"30 questions can't tell whether that loses more than 2 points (about {choice['needed']}"
        in (found["sentences"][0])
    )


def test_a_curve_that_rises_to_its_end_keeps_the_largest():
    found = of(*["late"] * 30)
    assert found["cap"]["verdict"] == "don't"
    assert found["sentences"][0].startswith("Keep the largest budget tried (cap at 32)")


def test_a_rule_beats_one_budget_where_easy_questions_show_it():
    """Easy ones answer 7 three times, hard ones change until the end: stopping when two agree
    costs 16 + 4 on the easy and all on the hard."""
    answers = {"easy": ["7", "7", "7", "7", "7"], "hard": ["1", "2", "3", "4", "7"]}
    chosen = [answers["easy" if q % 2 else "hard"] for q in range(60)]
    [found] = advise(*swept(chosen, [8, 16, 32, 64, 128]))
    rule = found["rule"]
    assert rule["name"].startswith("stop when 2 answers in a row agree, asked at 8, 16")
    assert rule["difference"]["value"] == 0
    assert rule["accuracy"]["value"] == 100
    assert rule["cost"]["value"] == pytest.approx((20 + 130 + 2 * 3) / 2, rel=0.1)
    assert rule["against_cap"]["low"] > 0
    assert found["cap"]["name"] == "cap at 128"


def test_separate_runs_say_nothing_of_a_chain():
    found = of(*["early", "late", "falls", "never"] * 5, traced=False)
    assert found["shared"] is None
    assert (found["overthought"], found["thought_on"], found["wasted"], found["rule"]) == (
        None,
    ) * 4
    assert {q["overthought"] for q in found["per_question"]} == {None}
    assert {c["policy"] for c in found["curves"]} == {"cap", "oracle"}
    assert any("no traces" in note for note in found["notes"])
    assert "wrong at the largest" not in markdown([found])


def test_too_few_questions_fit_nothing():
    found = of("early", "late")
    assert (found["cap"], found["rule"]) == (None, None)
    assert "2 questions are too few" in found["sentences"][0]
    assert markdown([found])


def test_missing_and_failed_rows_are_told():
    runs, rows = swept([KINDS["early"]] * 12, CAPS)
    runs[0] = type(runs[0])(runs[0].record, runs[0].rows[:-1], runs[0].budget)
    [found] = advise(runs, rows)
    assert found["questions"] == 11
    assert any("1 of 12 chains" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"at": "euros"}, "no cost is called 'euros'"),
        ({"points": 0.0}, "points=0.0"),
    ],
)
def test_what_cant_be_asked_is_refused(given, says):
    with pytest.raises(UserError, match=says):
        advise(*swept([KINDS["early"]] * 2, CAPS), **given)


def test_one_budget_leaves_no_choice():
    with pytest.raises(UserError, match=r"--max-thinking-tokens 2\^5"):
        advise(*swept([["7"]] * 2, [8]))
    with pytest.raises(UserError, match="no two runs differ"):
        advise([made_up.run([True], 5, method="plain")])


def test_ids_that_stand_for_two_questions_are_refused():
    runs, rows = swept([KINDS["early"]] * 2, CAPS)
    other, _ = swept([KINDS["early"]] * 2, CAPS)
    moved = [{**row, "target": "9"} for row in other[0].rows]
    with pytest.raises(UserError, match="ids of different data sets"):
        advise([type(other[0])(other[0].record, moved, other[0].budget), *runs[1:]], rows)
