"""One set of samples answers for every k, whether a method drew them or they are epochs."""

from dataclasses import replace

import pytest
import runs

from s1_eval.errors import UserError
from s1_eval.evaluation.grading import grouper
from s1_eval.metrics import score
from s1_eval.metrics.at_k import at_k


def same_text(answers):
    seen = list(dict.fromkeys(answers))
    return [seen.index(a) for a in answers]


@pytest.mark.parametrize(
    ("task", "recorded", "groups"),
    [
        ("mine", {"name": "integer"}, [0, 0, 1]),
        ("mine", {"name": "match"}, [0, 1, 2]),
        ("mine", None, [0, 1, 2]),
        ("nano", None, [0, 0, 1]),
    ],
)
def test_epochs_are_grouped_by_the_grader_of_the_task_or_of_the_record(task, recorded, groups):
    run = runs.run([True], 5)
    run = replace(run, record={**run.record, "task": task, "grader": recorded})
    assert grouper(run)(["7", "07", "8"]) == groups


def test_own_questions_called_like_a_benchmark_are_grouped_by_their_own_grader():
    run = runs.run([True], 5)
    run = replace(run, record={**run.record, "task": "nano", "grader": {"name": "math"}})
    assert grouper(run)(["1/2", "0.5"]) == [0, 0]


def voted(*questions, scores=None):
    """A run of majority vote; a question is its samples' answers, of which 7 is right."""
    method = "best_of_n" if scores else "majority_vote"
    run = runs.run([True] * len(questions), 5, method=method)
    rows = []
    for i, (row, answers) in enumerate(zip(run.rows, questions, strict=True)):
        rows.append(
            {
                **row,
                "generated_tokens": 100,
                "verifier_tokens": 40 if scores else 0,
                "sample_answers": list(answers),
                "sample_groups": same_text(answers),
                "sample_correct": [a == "7" for a in answers],
                "sample_thinking_tokens": [5] * len(answers),
                **({"sample_scores": scores[i]} if scores else {}),
            }
        )
    return type(run)(run.record, rows, None)


def values(found, k):
    return {
        name: metric["value"]
        for at in found["at"]
        if at["k"] == k
        for name, metric in at["metrics"].items()
    }


def test_pass_and_majority_at_every_power_of_two_and_at_n():
    found = at_k(voted("7777", "7788", "8888"), same_text)
    assert [at["k"] for at in found["at"]] == [1, 2, 4]
    assert values(found, 1)["pass@k"] == values(found, 1)["pass@1"] == pytest.approx(50)
    assert values(found, 4)["pass@k"] == pytest.approx(100 * 2 / 3)
    assert values(found, 2)["pass@k"] == pytest.approx(100 * (1 + 5 / 6 + 0) / 3)
    assert [at["generated_tokens"] for at in found["at"]] == [25, 50, 100]


def test_scores_add_both_ways_of_best_of_k_and_the_paired_differences():
    # Two right ones together outweigh the best one; the majority is wrong.
    found = at_k(voted("77888", "77888", scores=[[0.6, 0.6, 0.7, 0.1, 0.1]] * 2), same_text, ks=[5])
    [at] = found["at"]
    assert {name: m["value"] for name, m in at["metrics"].items()} == {
        "pass@1": 40,
        "pass@k": 100,
        "maj@k": 0,
        "best-of-k, weighted": 100,
        "best-of-k, vanilla": 0,
    }
    # Two questions that lose as much are no proof that all do.
    lost = at["differences"]["maj@k minus pass@1"]
    assert lost["value"] == -40
    assert lost["low"] < -90
    assert lost["high"] > 0
    assert at["differences"]["best-of-k, weighted minus maj@k"]["value"] == 100
    assert at["verifier_tokens"] == 40


def test_epochs_are_samples():
    run = runs.run([[True, True, False], [False, False, True]], 5, method="plain")
    found = at_k(run, same_text)
    assert found["samples"] == 3
    assert values(found, 3) == pytest.approx({"pass@1": 50, "pass@k": 100, "maj@k": 50})


def test_an_interval_is_over_questions():
    found = at_k(voted(*["7777"] * 20, *["8888"] * 20), same_text, ks=[4])
    interval = found["at"][0]["metrics"]["pass@k"]
    assert 30 < interval["low"] < 40
    assert 60 < interval["high"] < 70


def test_all_wrong_is_as_uncertain_as_score_says():
    run = runs.run([[False] * 4] * 20, 5, method="plain")
    [entry] = score([run], resamples=50)
    of_score = entry["points"][0]["accuracy"]
    for at in at_k(run, same_text)["at"]:
        for name in ("pass@1", "pass@k", "maj@k"):
            metric = at["metrics"][name]
            assert (metric["low"], metric["high"]) == (of_score["low"], of_score["high"])
    assert of_score["high"] == pytest.approx(16.1, abs=0.05)


def test_pass_at_1_has_the_interval_that_score_gives_the_epochs():
    run = runs.run([[True, True, False], [False, False, True], [False] * 3] * 5, 5, method="plain")
    [entry] = score([run], resamples=50)
    metric = at_k(run, same_text)["at"][0]["metrics"]["pass@1"]
    of_score = entry["points"][0]["accuracy"]
    assert (metric["low"], metric["high"]) == pytest.approx((of_score["low"], of_score["high"]))


def test_a_vote_on_answers_that_are_not_recorded_is_refused():
    run = runs.run([[True, False, True]] * 4, 5, method="plain")
    blank = type(run)(run.record, [{**row, "answer": ""} for row in run.rows], None)
    [*_, at] = at_k(blank, same_text)["at"]
    assert at["metrics"]["pass@k"]["value"] == 100
    assert at["metrics"]["maj@k"]["value"] is None
    assert "--columns answer=COLUMN" in at["metrics"]["maj@k"]["note"]
    assert at["differences"] == {}


def test_unanswered_questions_still_have_a_vote():
    run = runs.run([[False] * 3] * 4, 5, method="plain")
    rows = [{**row, "answer": "", "answered": False} for row in run.rows]
    [*_, at] = at_k(type(run)(run.record, rows, None), same_text)["at"]
    assert at["metrics"]["maj@k"]["value"] == 0


def test_missing_rows_are_counted():
    run = runs.run([[True, False, True]] * 4, 5, method="plain")
    assert at_k(run, same_text)["missing"] == 0
    assert at_k(type(run)(run.record, run.rows[:-1], None), same_text)["missing"] == 1


def test_one_question_has_values_and_a_reason_for_no_interval():
    run = runs.run([[True, False, True]], 5, method="plain")
    metric = at_k(run, same_text)["at"][0]["metrics"]["pass@1"]
    assert (metric["low"], metric["high"]) == (None, None)
    assert "one question" in metric["note"]


@pytest.mark.parametrize(
    ("run", "ks", "says"),
    [
        (runs.run([True] * 3, 5), (), "one sample a question"),
        (voted("7788"), (5,), "k=5 of 4 samples"),
        (voted("7788"), (0,), "k=0 of 4 samples"),
    ],
)
def test_what_cant_be_answered_is_said(run, ks, says):
    with pytest.raises(UserError, match=says):
        at_k(run, same_text, ks)


def test_votes_by_confidence_stand_beside_the_majority_measure_by_measure():
    run = voted("77888", "77888")
    told = {"mean": [5.0, 5.0, 1.0, 1.0, 1.0], "tail": [1.0] * 5, "logprob": [-0.1] * 5}
    rows = [{**row, "sample_confidence": told} for row in run.rows]
    found = at_k(type(run)(run.record, rows, None), same_text, ks=[5], keep=(1.0, 0.4))
    [at] = found["at"]
    assert {name: m["value"] for name, m in at["metrics"].items()} == {
        "pass@1": 40,
        "pass@k": 100,
        "maj@k": 0,
        "conf@k, mean": 100,
        "conf@k, mean, best 40%": 100,
        "conf@k, tail": 0,
        "conf@k, tail, best 40%": 100,
    }
    assert at["differences"]["conf@k, mean minus maj@k"]["value"] == 100
    assert not any(name.startswith("conf") for name in values(at_k(voted("77"), same_text), 1))


def test_a_share_of_no_chains_is_refused():
    with pytest.raises(UserError, match=r"keep=0: give shares above 0 and up to 1, e.g. 0.1,1"):
        at_k(voted("77"), same_text, keep=(0.0,))
