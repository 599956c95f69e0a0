"""The three metrics in exact arithmetic: values worked by hand, and properties."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import runs
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from s1_eval.metrics.points import Point, control, performance, scaling, tally
from s1_eval.metrics.series import series
from s1_eval.thinking import Delimiters
from s1_eval.thinking.formats import NO_THINKING


def point(thinking, accuracy, label="run", **limits):
    return Point(label, Fraction(thinking), Fraction(accuracy), **limits)


curves = st.lists(
    st.tuples(st.integers(1, 10**6), st.integers(0, 30)),
    min_size=2,
    max_size=6,
    unique_by=lambda run: run[0],
).map(lambda pairs: [point(t, Fraction(c, 30), f"run{i}") for i, (t, c) in enumerate(pairs)])


def test_scaling_is_points_per_doubling():
    assert scaling([point(100, "1/4"), point(200, "1/2")]).value == 25
    assert scaling([point(100, "1/4"), point(400, "1/2")]).value == 12.5


def test_scaling_takes_all_pairs_not_neighbours():
    three = [point(1, "0/10"), point(2, "4/10"), point(16, "4/10")]  # neighbours alone: 20
    assert scaling(three).value == pytest.approx((40 + 0 + 10) / 3)


@settings(deadline=None)
@given(curves)
def test_scaling_does_not_depend_on_the_order_of_runs(points):
    assert scaling(points[::-1]).value == pytest.approx(scaling(points).value)


@settings(deadline=None)
@given(curves, st.integers(2, 50))
def test_scaling_does_not_depend_on_the_unit_of_length(points, factor):
    longer = [replace(p, thinking=p.thinking * factor) for p in points]
    assert scaling(longer).value == pytest.approx(scaling(points).value)


@settings(deadline=None)
@given(curves)
def test_a_line_in_log2_has_its_slope_as_scaling(points):
    assume(len({round(math.log2(p.thinking), 6) for p in points}) == len(points))
    line = [replace(p, accuracy=Fraction(3 * math.log2(p.thinking) / 100)) for p in points]
    assert scaling(line).value == pytest.approx(3)


def test_one_run_has_no_scaling_and_says_why():
    assert scaling([point(100, "1/2")]).value is None
    assert "one run" in scaling([point(100, "1/2")]).note


def test_equal_token_counts_have_no_scaling_and_are_named():
    found = scaling([point(100, "1/2", "cap=1"), point(9, 0, "cap=2"), point(100, 1, "cap=3")])
    assert found.value is None
    assert "cap=1 and cap=3 have the same mean thinking tokens (100)" in found.note


def test_no_thinking_at_all_has_no_scaling():
    found = scaling([point(0, "1/2", "cap=0"), point(10, 1)])
    assert found.value is None
    assert found.note.startswith("cap=0")


def test_near_equal_token_counts_are_unstable_and_named():
    found = scaling([point(1000, "1/2", "a"), point(1070, "2/3", "b"), point(5000, 1, "c")])
    assert found.unstable
    assert "a and b have nearly the same mean thinking tokens (1000 and 1070)" in found.note
    assert not scaling([point(1000, "1/2"), point(1072, 1)]).unstable  # 0.1003 doublings


def test_control_is_the_share_of_runs_within_their_limits_both_ends_included():
    four = [
        point(1024, 0, at_most=1024),
        point("1024.01", 0, at_most=1024),
        point(10, 0, at_least=10),
        point(9, 0, at_least=10),
    ]
    assert control(four).value == 50


def test_class_conditional_limits_exclude_the_run_that_they_come_from():
    default = Fraction(100)
    assert control([point(100, 0, below=default), point(100, 0, above=default)]).value == 0
    assert control([point(99, 0, below=default), point(101, 0, above=default)]).value == 100


def test_control_without_a_limit_is_undefined_and_names_the_runs():
    assert control([point(1, 0), point(2, 0)]).value is None
    mixed = control([point(1, 0, "capped", at_most=2), point(2, 0, "free")])
    assert mixed.value is None
    assert "free" in mixed.note
    assert "capped" not in mixed.note


@settings(deadline=None)
@given(curves)
def test_performance_is_the_best_accuracy(points):
    assert performance(points).value == pytest.approx(100 * max(float(p.accuracy) for p in points))


def test_performance_of_several_runs_states_its_selection_bias():
    assert "optimistic" in performance([point(1, 0), point(2, 1)]).note
    assert performance([point(1, 0)]).note is None


def test_means_are_exact_and_weigh_questions_alike():
    run = runs.run([[True, False, False], [True]], [[10, 10, 11], [4]])
    found = tally(run)
    assert found.accuracy == Fraction(2, 3)
    assert found.mean_thinking == (Fraction(31, 3) + 4) / 2


def test_thirds_add_up_to_the_published_percentage():
    assert tally(runs.run(runs.graded(11, 30), 1)).accuracy == Fraction(11, 30)


AT_ONCE = Delimiters(NO_THINKING, (), (), frozenset(), (), ())


def test_without_thinking_the_answers_tokens_are_the_axis_and_a_cap_is_no_control():
    run = runs.run([True, True], 0, budget=4, delimiters=AT_ONCE)
    assert tally(run).mean_thinking == 1  # the answer is one token
    [one] = series([run])
    [found] = one.points({run.id: tally(run)})
    assert found.at_most is None
    value = control([found])
    assert value.value is None
    assert "a cap is a cap on its answer" in value.note
