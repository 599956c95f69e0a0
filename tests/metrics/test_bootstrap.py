"""Resampling is paired, clustered, reproducible, and its intervals as wide as they should be."""

from fractions import Fraction

import numpy as np
import pytest
import runs
from hypothesis import given, settings
from hypothesis import strategies as st

from s1_eval.metrics import bootstrap, points
from s1_eval.metrics.bootstrap import Draws
from s1_eval.metrics.points import Point, tally


def as_draws(curve):
    """Points as their only resample."""
    return Draws(
        np.array([[float(p.accuracy) for p in curve]]),
        np.array([[float(p.thinking) for p in curve]]),
        30,
    )


def some_tallies(questions=20, count=3):
    random = np.random.default_rng(5)
    return [
        tally(
            runs.run(
                (random.random(questions) < 0.5).tolist(),
                random.integers(1, 1000, questions).tolist(),
            )
        )
        for _ in range(count)
    ]


def test_the_same_seed_gives_the_same_draws_and_another_seed_others():
    tallies = some_tallies()
    one, again, other = (bootstrap.draw(tallies, seed, 50) for seed in (1, 1, 2))
    assert np.array_equal(one.thinking, again.thinking)
    assert not np.array_equal(one.thinking, other.thinking)


def test_the_draws_do_not_depend_on_how_many_fit_into_memory(monkeypatch):
    tallies = some_tallies()
    at_once = bootstrap.draw(tallies, 0, 500)
    monkeypatch.setattr(bootstrap, "_WEIGHTS_AT_ONCE", 47)
    in_pieces = bootstrap.draw(tallies, 0, 500)
    assert np.allclose(at_once.thinking, in_pieces.thinking, rtol=1e-12)
    assert np.allclose(at_once.accuracy, in_pieces.accuracy, rtol=1e-12)


def test_draws_do_not_depend_on_the_order_of_rows_or_runs():
    tallies = some_tallies()
    straight, turned = bootstrap.draw(tallies, 0, 50), bootstrap.draw(tallies[::-1], 0, 50)
    assert np.allclose(straight.thinking, turned.thinking[:, ::-1], rtol=1e-12)


def test_runs_are_paired():
    tallies = some_tallies(count=1)
    draws = bootstrap.draw([*tallies, *tallies], 0, 100)
    assert np.allclose(draws.accuracy[:, 0], draws.accuracy[:, 1])


def test_epochs_of_a_question_stay_together():
    # Two questions, one always right and one always wrong: a resample is 0, 1/2 or 1 and nothing
    # in between, however many epochs there are.
    run = runs.run([[True] * 50, [False] * 50], 5)
    assert set(bootstrap.draw([tally(run)], 0, 200).accuracy[:, 0]) == {0.0, 0.5, 1.0}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 10**5), st.integers(0, 30), st.integers(1, 10**5)),
        min_size=2,
        max_size=5,
        unique_by=lambda run: run[0],
    )
)
def test_statistics_of_arrays_agree_with_the_exact_ones(curve):
    exact = [
        Point(f"run{i}", Fraction(t), Fraction(c, 30), at_most=cap)
        for i, (t, c, cap) in enumerate(curve)
    ]
    draws = as_draws(exact)
    assert bootstrap.scaling(draws)[0] == pytest.approx(points.scaling(exact).value)
    assert bootstrap.performance(draws)[0] == pytest.approx(points.performance(exact).value)


def test_scaling_of_equal_counts_is_undefined_and_left_out():
    draws = Draws(
        np.array([[0.1, 0.3], [0.1, 0.3], [0.1, 0.4]]), np.array([[5, 5], [4, 8], [2, 4.0]]), 30
    )
    slopes = bootstrap.scaling(draws)
    assert np.isnan(slopes).tolist() == [True, False, False]
    found = bootstrap.interval(slopes, 30)
    assert found.undefined == pytest.approx(1 / 3)
    assert 20 <= found.low < found.high <= 30


def test_counts_that_only_rounding_tells_apart_are_equal():
    draws = Draws(np.array([[0.1, 0.3]]), np.array([[3.0, np.nextafter(3.0, 4.0)]]), 30)
    assert np.isnan(bootstrap.scaling(draws)).all()


def test_no_interval_where_most_resamples_are_undefined_or_there_is_one_question():
    assert bootstrap.interval(np.array([1.0, np.nan, np.nan]), 30) is None
    assert bootstrap.interval(np.array([1.0, 2.0]), 1) is None


def test_no_interval_where_every_resample_gives_the_same():
    assert bootstrap.interval(np.full(100, 0.1) * 3, 30) is None


def test_few_questions_widen_the_interval_to_that_of_a_t_statistic():
    values = np.random.default_rng(0).normal(size=200_000)
    few, many = bootstrap.interval(values, 30), bootstrap.interval(values, 10_000)
    assert many.high == pytest.approx(1.96, abs=0.02)
    assert few.high == pytest.approx(2.045 * (30 / 29) ** 0.5, abs=0.03)


def test_cross_fitting_takes_away_what_selection_adds():
    random = np.random.default_rng(3)
    gains, honest = [], []
    for study in range(25):
        equal = [tally(runs.run((random.random(30) < 0.5).tolist(), 5)) for _ in range(8)]
        best = 100 * max(float(t.accuracy) for t in equal)
        gains.append(best - 50)
        honest.append(bootstrap.cross_fitted(equal, study) - 50)
    assert np.mean(gains) > 8  # the best of eight coins looks like 60%
    assert abs(np.mean(honest)) < 3


def test_cross_fitting_of_one_run_is_its_accuracy():
    odd = some_tallies(questions=7, count=1)
    assert bootstrap.cross_fitted(odd, 0) == pytest.approx(100 * float(odd[0].accuracy))
