"""Grades and domains from a JSONL file, in place of asking models."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError
from s1_eval.training.curation.asking import read_answers


def values(path: Path, column: str, ids: Sequence[str]) -> dict[str, Any]:
    """One value for each of `ids`. Raises UserError where one is missing."""
    rows = {row["id"]: row.get(column) for row in read_answers(path)}
    _refuse_gaps(path, column, rows, ids)
    return {id: rows[id] for id in ids}


def grades(path: Path, ids: Sequence[str]) -> dict[str, dict[str, bool | None]]:
    """By model. Rows are {id, model, correct}. Raises UserError where a model lacks one."""
    found: dict[str, dict[str, bool | None]] = {}
    for row in read_answers(path):
        if "model" not in row or row.get("correct") not in (True, False, None):
            raise UserError(f"{path}: give {{id, model, correct}} on each line")
        found.setdefault(str(row["model"]), {})[row["id"]] = row.get("correct")
    for model, graded in found.items():
        _refuse_gaps(path, f"grade of {model}", graded, ids)
    if not found:
        raise UserError(f"{path} has no grades")
    return found


def _refuse_gaps(path: Path, what: str, found: Container[str], ids: Sequence[str]) -> None:
    if missing := [id for id in ids if id not in found]:
        raise UserError(
            f"{path} has no {what} for {len(missing)} of {len(ids)} questions, the first is "
            f"{missing[0]}: record them, or give models in its place"
        )
