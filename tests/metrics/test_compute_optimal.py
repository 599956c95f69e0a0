"""The compute-optimal choice on made-up strategies."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from s1_eval.errors import UserError
from s1_eval.metrics.compute_optimal import Measured, bins, compute_optimal

EASINESS = [i / 100 for i in range(100)]
HARD = [e < 0.5 for e in EASINESS]
SEARCH = Measured([float(h) for h in HARD], [30.0] * 100)
SAMPLE = Measured([float(not h) for h in HARD], [10.0] * 100)
STRATEGIES = {"search": SEARCH, "sample": SAMPLE}


def test_each_bin_gets_what_is_best_for_its_difficulty():
    found = compute_optimal(STRATEGIES, EASINESS, [0.0] * 100, number=4)
    assert found.strategies == (("search", "search", "sample", "sample"),) * 2
    assert fmean(found.accuracy) == 1.0
    assert fmean(SEARCH.accuracy) == fmean(SAMPLE.accuracy) == 0.5


def test_the_estimate_is_charged():
    found = compute_optimal(STRATEGIES, EASINESS, [7.0] * 100, number=4)
    assert fmean(found.tokens) == (30 + 10) / 2 + 7


def test_the_choice_is_never_made_on_the_questions_that_it_is_scored_on():
    rng = random.Random(0)  # noqa: S311
    noise = {
        str(i): Measured([float(rng.random() < 0.5) for _ in range(100)], [1.0] * 100)
        for i in range(50)
    }
    found = compute_optimal(noise, EASINESS, [0.0] * 100)
    assert fmean(found.accuracy) < 0.65
    assert max(fmean(m.accuracy) for m in noise.values()) > 0.55


def test_the_cheaper_of_equals_is_taken():
    same = {"dear": Measured([1.0] * 20, [9.0] * 20), "cheap": Measured([1.0] * 20, [1.0] * 20)}
    assert set(compute_optimal(same, EASINESS[:20], [0.0] * 20).strategies[0]) == {"cheap"}


def test_bins_are_of_equal_size_even_where_questions_are_equal():
    assert bins([0.5] * 10, 5) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert bins([0.9, 0.1, 0.5, 0.3], 2) == [1, 0, 1, 0]


def test_too_few_questions_are_refused():
    with pytest.raises(UserError, match="at least 10"):
        compute_optimal({"a": Measured([1.0] * 9, [1.0] * 9)}, EASINESS[:9], [0.0] * 9)
    with pytest.raises(UserError, match="every list per question"):
        compute_optimal(STRATEGIES, EASINESS[:50], [0.0] * 50)
