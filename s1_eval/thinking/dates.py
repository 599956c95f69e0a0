"""Today's date in a chat template: pinned, so that a run that goes on tomorrow asks what it asked.

Templates that print it call `strftime_now`, which transformers defines. A macro of that name, put
before the template, goes before it in every version; newer ones take no function as a variable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime

from s1_eval.errors import UserError

_CALLED = "strftime_now"
_TWO_DATES = ("2001-02-03", "2022-11-30")
"""Without a year, month, day or weekday in common."""


def at(template: str, day: str) -> str:
    """The template in which it is `day` (YYYY-MM-DD). Raises UserError where that is no date."""
    from jinja2 import Environment, nodes

    try:
        found = date.fromisoformat(day)
    except (TypeError, ValueError):
        raise UserError(f"template_date={day!r:.50}: give a date as YYYY-MM-DD") from None
    noon = datetime(found.year, found.month, found.day, 12)
    tree = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(template)  # noqa: S701
    texts = {const.value for const in tree.find_all(nodes.Const) if isinstance(const.value, str)}
    cases = "".join(
        f"{{%- if format == {json.dumps(text)} -%}}{{{{- {json.dumps(noon.strftime(text))} -}}}}"
        "{%- endif -%}"
        for text in sorted(text for text in texts if "%" in text)
    )
    return f"{{%- macro {_CALLED}(format) -%}}{cases}{{%- endmacro -%}}{template}"


def pinned(
    template: str | None, render: Callable[[str], str], day: str | None = None
) -> str | None:
    """The date that a run's prompts are to show: `day`, else today's (UTC). None where the template
    shows none, found by rendering it on two dates. render: a prompt as a template writes it."""
    if template is None or _CALLED not in template:
        return None
    one, other = (render(at(template, each)) for each in _TWO_DATES)
    if one == other:
        return None
    return day or datetime.now(UTC).date().isoformat()
