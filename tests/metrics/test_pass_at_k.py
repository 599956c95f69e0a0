"""pass@k is what drawing k of the n samples without replacement gives on average."""

from fractions import Fraction
from itertools import combinations

import pytest
import runs
from hypothesis import given, settings
from hypothesis import strategies as st

from s1_eval.errors import UserError
from s1_eval.metrics import pass_at_k, run_pass_at_k


@settings(deadline=None)
@given(st.data())
def test_it_equals_the_average_over_all_draws(data):
    n = data.draw(st.integers(1, 8))
    c = data.draw(st.integers(0, n))
    k = data.draw(st.integers(1, n))
    draws = [any(i < c for i in draw) for draw in combinations(range(n), k)]
    assert pass_at_k(n, c, k) == Fraction(sum(draws), len(draws))


def test_a_run_averages_over_its_questions():
    run = runs.run([[True, False], [False, False]], [[1, 1], [1, 1]])
    assert run_pass_at_k(run, 1) == Fraction(1, 4)
    assert run_pass_at_k(run, 2) == Fraction(1, 2)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 5), (4, 1, 0), (4, 5, 1), (4, -1, 1)])
def test_impossible_numbers_are_refused(n, c, k):
    with pytest.raises(UserError):
        pass_at_k(n, c, k)
