"""The sign-flip test: exact, or as good as exact, down to the smallest p."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from s1_eval.metrics import paired
from s1_eval.metrics.paired import flip_signs


def every_choice(changes):
    """P by going through all choices of signs."""
    signs = np.array(list(product((1, -1), repeat=len(changes))))
    sums = signs @ np.abs(changes)
    return float((sums >= changes.sum() - 1e-9).mean())


@pytest.mark.parametrize(
    ("lost", "gained"), [(0, 0), (1, 0), (10, 3), (3, 10), (40, 2), (200, 150)]
)
def test_on_single_answers_it_is_mcnemars_exact_test(lost, gained):
    changes = np.array([1.0] * lost + [-1.0] * gained + [0.0] * 50)
    if not lost + gained:
        assert flip_signs(changes) == 1
        return
    exact = binomtest(lost, lost + gained, alternative="greater").pvalue
    assert flip_signs(changes) == pytest.approx(exact, rel=1e-9)
    both = binomtest(lost, lost + gained).pvalue
    assert flip_signs(changes, "two-sided") == pytest.approx(both, rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9), st.sampled_from([1, 3, 4, 16]))
def test_means_of_epochs_are_exact(found, epochs):
    changes = np.array(found) / epochs
    if changes.any():
        expected = every_choice(changes[changes != 0])
        assert flip_signs(changes) == pytest.approx(expected, rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e5, 1e5).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=10))
def test_few_questions_are_exact(found):
    changes = np.array(found)
    assert flip_signs(changes) == pytest.approx(every_choice(changes), rel=1e-9)


@pytest.mark.parametrize("shift", [0.2, 0.6, 1.0, 1.6])
def test_the_saddlepoint_is_near_the_exact_p_in_the_tail(shift):
    random = np.random.default_rng(3)
    changes = random.lognormal(0, 1, 18) * np.where(random.random(18) < 0.3 + shift / 2, 1, -1)
    exact = every_choice(changes)
    found = paired._saddlepoint(np.abs(changes), float(changes.sum()))
    assert found == pytest.approx(exact, rel=0.1)


def test_the_smallest_p_is_that_of_all_questions_worse():
    changes = np.random.default_rng(0).lognormal(7, 1, 60)
    assert flip_signs(changes) == pytest.approx(0.5**60)
    changes[changes.argmin()] *= -1
    assert flip_signs(changes) == pytest.approx(2 * 0.5**60, rel=0.5)


def test_no_change_on_the_whole_is_no_evidence():
    assert flip_signs(np.array([1.5, -1.5] * 20)) == pytest.approx(0.5, abs=0.1)
    assert flip_signs(np.array([1234.5, -1234.5] * 20), "two-sided") == pytest.approx(1, abs=0.1)
