"""Two sides are compared where they spent as much, question by question, and the answer says how
sure it is and what it would take."""

import pytest
import runs
from scipy.stats import binomtest

from s1_eval.errors import UserError
from s1_eval.metrics.comparison import compare
from s1_eval.report.comparison import markdown


def capped(right, cap, *, of=100, method="budget_forcing", **more):
    return runs.run(
        runs.graded(right, of),
        more.pop("thinking", cap),
        method=method,
        params={"max_thinking_tokens": cap},
        budget=cap,
        **more,
    )


def waits(right, ignores, thinking, *, of=100, **more):
    return runs.run(runs.graded(right, of), thinking, params={"num_ignores": ignores}, **more)


def test_runs_of_equal_budget_are_paired_and_the_others_left_out():
    found = compare(
        [capped(50, 64), capped(60, 128), capped(70, 256)],
        [capped(40, 64, method="rejection_sampling"), capped(75, 256, method="rejection_sampling")],
    )
    assert [(m.amount, m.difference) for m in found] == [(64, 10), (256, -5)]
    assert found[0].first_accuracy == 50
    assert found[0].second_accuracy == 40


def test_equal_budgets_are_in_the_order_of_what_was_spent():
    def side(**more):
        found = [capped(50, cap, **more) for cap in (1024, 64, 256)]
        return found + [waits(50, n, thinking, **more) for n, thinking in ((10, 90), (2, 30))]

    amounts = [m.amount for m in compare(side(), side(model="other"))]
    assert amounts == [64, 256, 1024, None, None]
    labels = [m.first for m in compare(side(), side(model="other"))]
    assert ["num_ignores=2" in labels[3], "num_ignores=10" in labels[4]] == [True, True]


def test_single_answers_are_tested_by_mcnemar_and_corrected_by_holm():
    found = compare(
        [capped(50, 64), capped(60, 128)],
        [capped(40, 64, seed=1), capped(60, 128, seed=1)],
    )
    assert found[0].test == "McNemar, exact"
    assert found[0].p == pytest.approx(binomtest(10, 10).pvalue)
    assert found[0].p_holm == pytest.approx(2 * found[0].p)
    assert (found[1].p, found[1].difference) == (1, 0)


def test_two_single_runs_are_compared_whatever_they_spent():
    [found] = compare([waits(60, 0, 40)], [waits(50, 4, 400)])
    assert (found.amount, found.first_tokens, found.second_tokens) == (None, 40, 400)
    assert found.difference == 10
    assert found.low < 10 < found.high


def test_a_side_is_interpolated_between_its_neighbours_in_log2_of_the_tokens():
    curve = [capped(40, 64), capped(60, 256)]
    other = [capped(45, 128, method="plain")]
    [found] = compare(curve, other, at="thinking_tokens")
    assert found.first_accuracy == pytest.approx(50)  # 128 is halfway between 64 and 256
    assert found.difference == pytest.approx(5)
    assert found.test == "sign-flip permutation"
    assert "between" in found.first
    assert "64" in found.first


def test_every_run_within_the_other_sides_range_is_a_point_of_comparison():
    found = compare(
        [capped(40, 64), capped(60, 256)],
        [capped(30, 32, seed=1), capped(45, 128, seed=1), capped(70, 512, seed=1)],
        at="thinking_tokens",
    )
    assert [m.amount for m in found] == [64, 256, 128]


def test_an_interpolated_difference_has_the_interval_of_its_mixture():
    """At the end of the curve the mixture is the run itself."""
    curve = [capped(40, 64), capped(60, 256)]
    [mixed] = compare(curve, [capped(50, 256, method="plain")], at="thinking_tokens")
    [alone] = compare([capped(60, 256)], [capped(50, 256, method="plain")])
    assert (mixed.low, mixed.high, mixed.p) == (alone.low, alone.high, alone.p)


def test_tokens_of_discarded_samples_count_as_generated():
    run = capped(50, 64)
    dear = [{**row, "generated_tokens": 1000} for row in run.rows]
    [found] = compare([run], [type(run)(run.record, dear, 64)], at="generated_tokens")
    assert found.second_tokens == 1000


def test_needed_questions_would_have_detected_the_difference():
    [found] = compare([capped(60, 64)], [capped(50, 64, seed=1)], points=5)
    assert found.detectable > 5
    assert found.needed > 100
    of = found.needed
    [again] = compare([capped(of // 10 + 6, 64, of=of)], [capped(of // 10, 64, of=of, seed=1)])
    assert again.detectable == pytest.approx(5, abs=0.1)


def test_fewer_tests_detect_smaller_differences():
    one = compare([capped(60, 64)], [capped(50, 64, seed=1)])
    sides = [[capped(60, c, seed=s) for c in (32, 64, 128)] for s in (0, 1)]
    assert one[0].detectable < compare(*sides)[0].detectable


def test_two_runs_that_are_alike_near_the_ceiling_may_differ():
    [found] = compare([waits(29, 0, 40, of=30)], [waits(29, 4, 400, of=30)])
    assert found.difference == 0
    assert found.low < -8
    assert found.high > 8


def test_all_against_none_is_not_certain():
    [found] = compare([waits(20, 0, 40, of=20)], [waits(0, 4, 400, of=20)])
    assert (found.difference, found.high) == (100, 100)
    assert found.low < 90


def test_one_question_has_a_reason_in_place_of_an_interval():
    [found] = compare([waits(1, 0, 40, of=1)], [waits(0, 4, 400, of=1)])
    assert (found.low, found.high, found.p) == (None, None, 1)
    assert "one question" in found.interval
    assert "one question" in markdown([found], "budget", 5, 0.05)


def test_missing_rows_stand_under_the_table():
    run = runs.run([[True, False]] * 9, 5)
    short = type(run)(run.record, run.rows[:-1], None)
    [found] = compare([run], [short])
    assert found.missing == 1
    assert "1 rows are missing" in markdown([found], "budget", 5, 0.05)


@pytest.mark.parametrize(
    ("first", "second", "options", "says"),
    [
        ([], [capped(1, 2)], {}, "no runs on the first side"),
        ([capped(1, 2), capped(1, 2, model="m2")], [capped(1, 2)], {}, "several models"),
        ([capped(1, 2), capped(1, 2, method="plain")], [capped(1, 2)], {}, "PATH:METHOD"),
        ([capped(1, 2)], [capped(1, 2, task="other")], {}, "same task"),
        ([capped(1, 2), capped(1, 4)], [capped(1, 8)], {}, "--at thinking_tokens"),
        ([capped(1, 2), capped(1, 4)], [capped(1, 8)], {"at": "thinking_tokens"}, "2 to 4 against"),
        ([capped(1, 2), capped(1, 2, seed=1)], [capped(1, 2), capped(1, 4)], {}, "two runs at"),
        ([capped(1, 2)], [capped(1, 2, of=7)], {}, "other questions"),
        ([capped(1, 2)], [capped(1, 2, grader={"name": "x"})], {}, "checker differs"),
        ([capped(1, 2)], [capped(1, 2)], {"points": 0.0}, "points=0.0"),
        ([capped(1, 2)], [capped(1, 2)], {"alpha": 1.0}, "alpha=1.0"),
    ],
)
def test_what_cant_be_compared_is_said(first, second, options, says):
    with pytest.raises(UserError, match=says):
        compare(first, second, **options)


def test_other_questions_are_compared_on_the_common_ones_if_allowed():
    [found] = compare([capped(5, 2, of=10)], [capped(3, 2, of=8)], allow=["questions"])
    assert (found.questions, found.difference) == (8, 25)
