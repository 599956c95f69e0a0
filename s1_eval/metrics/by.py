"""Runs taken apart by what their questions' metadata says: by level, by subject, by contest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from s1_eval.errors import UserError
from s1_eval.records import OwnRow, Run


def apart(runs: Sequence[Run], column: str) -> Iterator[tuple[Any, list[Run]]]:
    """Each value of a column, from low to high, with the runs' rows that have it; None comes last
    and has those without one. A question with a list of values is in each.

    Raises UserError where no row has the column, naming those that there are.
    """
    values: dict[Any, None] = {}
    of_question: dict[tuple[str, str], list[Any]] = {}
    for run in runs:
        for row in run.rows:
            found = _values(row, column)
            values.update(dict.fromkeys(found))
            of_question.setdefault((run.task, row["sample_id"]), found)
    if not values.keys() - {None}:
        known = sorted({name for run in runs for row in run.rows for name in _metadata(row)})
        there = f"their metadata has {', '.join(known)}" if known else "they have no metadata"
        raise UserError(f"--by {column}: no record has it; {there}")
    for value in sorted(values, key=_place):
        restricted = []
        for run in runs:
            rows = [row for row in run.rows if value in _values(row, column)]
            failed = tuple(
                each
                for each in run.failed
                if value in of_question.get((run.task, each.sample_id), [None])
            )
            if rows:
                restricted.append(replace(run, rows=rows, failed=failed))
        yield value, restricted


def _metadata(row: OwnRow) -> Mapping[str, Any]:
    known = row.get("metadata")
    return known if isinstance(known, Mapping) else {}


def _values(row: OwnRow, column: str) -> list[Any]:
    found = _metadata(row).get(column)
    several = (found or [None]) if isinstance(found, list | tuple) else [found]
    return [v if isinstance(v, str | int | float | None) else str(v) for v in several]


def _place(value: Any) -> tuple[bool, bool, float, str]:
    number = isinstance(value, int | float)
    return value is None, not number, value if number else 0, str(value)
