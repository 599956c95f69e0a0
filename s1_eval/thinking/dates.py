"""Today's date in a chat template: pinned, so that a run that goes on tomorrow asks what it asked.

Templates that print it call transformers' `strftime_now`; a variable of that name goes before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from s1_eval.errors import UserError

_TWO_DATES = ("2001-02-03", "2022-11-30")
"""Without a year, month, day or weekday in common."""


def on(day: str | None) -> dict[str, Any]:
    """The template variables that make it `day` (YYYY-MM-DD); none for None.

    Raises UserError where it is no date.
    """
    if day is None:
        return {}
    try:
        found = date.fromisoformat(day)
    except (TypeError, ValueError):
        raise UserError(f"template_date={day!r:.50}: give a date as YYYY-MM-DD") from None
    return {"strftime_now": datetime(found.year, found.month, found.day).strftime}


def pinned(
    template: object, render: Callable[[Mapping[str, Any]], str], day: str | None = None
) -> str | None:
    """The date that a run's prompts are to show: `day`, else today's (UTC). None where the template
    shows none, found by rendering it on two dates. render: a prompt with further variables."""
    if "strftime_now" not in str(template):
        return None
    one, other = (render(on(each)) for each in _TWO_DATES)
    if one == other:
        return None
    return day or datetime.now(UTC).date().isoformat()
