"""Intervals hold their value, have a width, and are those of the literature where it has one."""

import math
from fractions import Fraction

import numpy as np
import pytest
import runs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from s1_eval.errors import UserError
from s1_eval.metrics import intervals
from s1_eval.metrics.points import Point, tally


def counts(right, of):
    return np.array([1.0] * right + [0.0] * (of - right))


@pytest.mark.parametrize(("right", "of"), [(0, 30), (1, 30), (12, 30), (30, 30), (250, 500)])
def test_wilson_is_the_textbook_interval(right, of):
    found = intervals.wilson(right / of, of)
    textbook = binomtest(right, of).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((textbook.low, textbook.high))


def test_a_limit_at_0_or_1_is_0_or_1():
    assert {intervals.proportion(counts(0, of)).low for of in range(2, 400)} == {0}
    assert {intervals.proportion(counts(of, of)).high for of in range(2, 400)} == {1}


def test_single_answers_have_wilsons_interval():
    assert intervals.accuracy(tally(runs.run(runs.graded(12, 30), 5))) == intervals.wilson(0.4, 30)


def test_few_successes_lower_the_limit_to_that_of_clopper_and_pearson():
    # Brown, Cai & DasGupta (2001), section 4.1.1, with the exact tail in place of Poisson's.
    found = intervals.proportion(counts(1, 30))
    exact = binomtest(1, 30).proportion_ci(0.90, method="exact")
    assert found.low == pytest.approx(exact.low)
    assert found.high == pytest.approx(intervals.wilson(1 / 30, 30).high)
    mirrored = intervals.proportion(counts(29, 30))
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low))


def test_the_guard_for_other_values_is_that_for_0_and_1_where_they_are_nearly_so():
    exact = intervals._guard(counts(2, 30))
    assert intervals._guard(counts(2, 30) * (1 - 1e-9)) == pytest.approx(exact, abs=0.003)


def test_epochs_that_agree_are_no_new_information():
    one, four = (
        intervals.accuracy(tally(runs.run([[right] * n for right in runs.graded(12, 30)], 5)))
        for n in (1, 4)
    )
    assert one == four


def test_epochs_that_differ_are():
    mixed = intervals.accuracy(tally(runs.run([[True, False]] * 29 + [[True, True]], 5)))
    assert mixed.high - mixed.low < 0.3
    # but never more than as many questions as there are answers
    least = intervals.wilson(31 / 60, 60)
    assert mixed.high - mixed.low > least.high - least.low


values = st.lists(st.integers(0, 4).map(lambda c: c / 4), min_size=2, max_size=60)


@settings(deadline=None, max_examples=200)
@given(values)
def test_a_proportion_holds_its_value_and_has_a_width(found):
    x = np.array(found)
    span = intervals.proportion(x, 4)
    assert 0 <= span.low <= x.mean() <= span.high <= 1
    assert span.high - span.low > 1e-3


@settings(deadline=None, max_examples=200)
@given(values, st.integers(0, 2**31))
def test_a_difference_holds_its_value_has_a_width_and_turns_with_its_sides(found, seed):
    x = np.array(found)
    d = x - np.random.default_rng(seed).permutation(x[: len(x)])
    span, turned = intervals.difference(d, 4), intervals.difference(-d, 4)
    assert -1 <= span.low <= d.mean() <= span.high <= 1
    assert span.high - span.low > 1e-3
    assert (turned.low, turned.high) == pytest.approx((-span.high, -span.low), abs=0.01)


def test_a_limit_of_tangos_interval_is_where_his_test_rejects():
    d = np.array([1.0] * 9 + [-1.0] + [0.0] * 34)
    span = intervals.difference(d)
    for limit in (span.low, span.high):
        n, b, c = 44, 9, 1
        q = _tango_share(n, b, c, limit)
        z = (b - c - n * limit) / math.sqrt(n * (2 * q + limit * (1 - limit)))
        assert abs(z) == pytest.approx(1.959964, abs=1e-4)


def _tango_share(n, b, c, delta):
    """The most likely share of losses at a true difference delta, by a search."""
    q = np.linspace(max(0, -delta), (1 - delta) / 2, 2_000_001)[1:-1]
    rest = 1 - delta - 2 * q
    return q[np.argmax(b * np.log(q + delta) + c * np.log(q) + (n - b - c) * np.log(rest))]


def test_all_against_none_is_not_certain():
    span = intervals.difference(np.ones(20))
    assert span.high == 1
    assert 0.6 < span.low < 0.9


def test_a_mean_of_symmetric_values_has_students_interval():
    x = np.array([-3.0, -1, 0, 1, 3]) + 10
    error = x.std(ddof=1) / math.sqrt(5)
    span = intervals.mean(x)
    assert (span.low, span.high) == pytest.approx((10 - 2.776445 * error, 10 + 2.776445 * error))


def test_a_limit_of_a_mean_is_where_halls_transformation_reaches_students_t():
    x = np.array([1.0] * 20 + [10, 20, 40])
    span, n = intervals.mean(x), len(x)
    error, skewness = x.std(ddof=1) / math.sqrt(n), intervals.skewness(x)
    for limit, t in ((span.low, 2.073873), (span.high, -2.073873)):
        s = (x.mean() - limit) / error / math.sqrt(n)
        bent = s + skewness * s**2 / 3 + skewness**2 * s**3 / 27 + skewness / (6 * n)
        assert math.sqrt(n) * bent == pytest.approx(t, abs=1e-5)


def test_a_long_tail_reaches_further_up():
    span = intervals.mean(np.array([1.0] * 20 + [10, 20, 40]))
    assert span.high - (20 + 70) / 23 > 1.5 * ((20 + 70) / 23 - span.low)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=60))
def test_a_mean_holds_its_value(found):
    x = np.array(found, dtype=float)
    span = intervals.mean(x, lowest=0)
    if span is None:
        assert len(set(found)) == 1
    else:
        assert 0 <= span.low <= x.mean() <= span.high
        assert span.low < span.high


def test_a_median_has_an_interval_from_six_questions_on():
    assert intervals.median(np.arange(5.0)) is None
    span = intervals.median(np.arange(6.0))
    assert (span.low, span.high) == (0, 5)


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (intervals.proportion, [1.0]),
        (intervals.difference, [1.0]),
        (intervals.mean, [5.0]),
        (intervals.mean, [5.0, 5.0, 5.0]),
        (intervals.proportion, [0.3, 0.3]),
        (intervals.difference, [0.3, 0.3]),
    ],
)
def test_one_question_or_no_variance_has_no_interval_and_a_reason(make, x):
    assert make(np.array(x)) is None
    assert intervals.reason(np.array(x)).startswith("no interval: ")


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf")])
def test_a_count_that_is_none_is_refused(bad):
    run = runs.run([True, False], 5)
    rows = [{**run.rows[0], "thinking_tokens": bad}, run.rows[1]]
    with pytest.raises(UserError, match="sample 'q000': thinking_tokens is"):
        tally(type(run)(run.record, rows, None))


def point(label="run", **limits):
    return Point(label, Fraction(0), Fraction(0), **limits)


def test_an_enforced_cap_is_held_for_sure_and_a_missed_one_is_broken():
    at_cap = np.array([64.0] * 29 + [3.0])
    span, undecided = intervals.control([point(at_most=64), point(at_most=40)], [at_cap, at_cap])
    assert (span.low, span.high, undecided) == (50, 50, [])
    short = np.array([1.0] * 9 + [3.0])
    assert intervals.control([point(at_least=5)], [short])[0].high == 0


def test_more_runs_make_each_harder_to_decide():
    x = np.arange(30.0)  # a mean of 14.5, its error 1.6
    alone, _ = intervals.control([point(at_most=18)], [x])
    among, undecided = intervals.control([point(str(i), at_most=18) for i in range(30)], [x] * 30)
    assert (alone.low, among.low, among.high) == (100, 0, 100)
    assert len(undecided) == 30


def test_a_class_is_held_against_the_unprompted_run_question_by_question():
    default = np.arange(30.0) * 100
    shorter, longer = default - 1 - np.arange(30) % 2, default + 1 + np.arange(30) % 2
    of = {"below": Fraction(1450)}, {"above": Fraction(1450)}
    span, _ = intervals.control([point(**each) for each in of], [shorter, longer], default)
    assert span.low == 100
    span, _ = intervals.control([point(**each) for each in of], [longer, shorter], default)
    assert span.high == 0
