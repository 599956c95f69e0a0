"""Dates as people know them, `2026-02-14`, `2026-02` or `2026`: two of them are compared by what is
certain."""

from __future__ import annotations

import calendar
import re
from datetime import date

from s1_eval.errors import UserError

_FORM = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?")


def check_date(given: object, option: str) -> str:
    """`given` as text, YAML's dates and years included. Raises UserError on what is no date."""
    text = str(given)
    if not is_date(text):
        raise UserError(f"{option}={text:.40}: give a date, e.g. 2026-02-14 or 2026-02")
    return text


def is_date(text: str) -> bool:
    """Whether a text is a date."""
    try:
        first_day(text)
    except ValueError:
        return False
    return True


def first_day(text: str) -> date:
    """The earliest day that a date may mean. Raises ValueError on anything else."""
    return _day(text, last=False)


def last_day(text: str) -> date:
    """The latest day that a date may mean. Raises ValueError on anything else."""
    return _day(text, last=True)


def _day(text: str, last: bool) -> date:
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no date")
    year, month, day = (None if part is None else int(part) for part in found.groups())
    assert year is not None
    month = month if month is not None else 12 if last else 1
    if day is None:
        date(year, month, 1)  # raises on a month that is none
        day = calendar.monthrange(year, month)[1] if last else 1
    return date(year, month, day)
