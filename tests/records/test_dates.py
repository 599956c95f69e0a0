"""Dates of questions and models: what is certain of a day, a month or a year."""

from __future__ import annotations

from datetime import date

import pytest

from s1_eval.errors import UserError
from s1_eval.records.dates import check_date, first_day, last_day


@pytest.mark.parametrize(
    ("given", "first", "last"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2026-02-14", date(2026, 2, 14), date(2026, 2, 14)),
    ],
)
def test_a_date_is_as_exact_as_it_is_given(given: str, first: date, last: date) -> None:
    assert (first_day(given), last_day(given)) == (first, last)
    assert check_date(given, "since") == given


@pytest.mark.parametrize("given", ["", "26-02", "2026-13", "2026-02-30", "2026-2", "soon", "2026-"])
def test_anything_else_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(UserError, match=r"released=.*give a date, e\.g\. 2026-02-14"):
        check_date(given, "released")


def test_what_yaml_makes_of_a_date_is_read_back() -> None:
    assert check_date(date(2026, 2, 14), "since") == "2026-02-14"
    assert check_date(2026, "since") == "2026"
