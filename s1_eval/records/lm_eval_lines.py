"""What a line of an lm-eval sample file says of a task that is not ours: the records of our models'
answers, which travel among the request's arguments, and the verdict of the task's own metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from s1_eval.records.located import KEY

INVALID = "[invalid]"
"""What lm-eval's regular expressions leave where they find no answer."""


def kept_records(line: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The records of a line, one for each repeat; none where another model answered."""
    arguments = line.get("arguments")
    for request in arguments.values() if isinstance(arguments, dict) else ():
        for each in request.values() if isinstance(request, dict) else ():
            found = each.get(KEY) if isinstance(each, dict) else None
            yield from (dict(row) for row in found or () if isinstance(row, dict))


def metric_verdict(value: Any, filtered: Any, response: str) -> dict[str, Any]:
    """The verdict as fields of a row: `correct` is None where the value is neither 1 nor 0.

    value: of the metric. filtered: what the task's filter made of the response.
    """
    while isinstance(filtered, list | tuple) and len(filtered) == 1:
        filtered = filtered[0]
    answer = filtered.strip() if isinstance(filtered, str) else response.strip()
    answer = "" if answer == INVALID else answer
    known = isinstance(value, bool | int | float) and value in (0, 1)
    return {
        "correct": bool(value) if known else None,
        "answered": bool(known and value) or bool(response.strip() and answer),
        "answer": answer,
    }
