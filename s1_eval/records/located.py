"""What a reader of a kind of file is, and what it gives: rows, each with the place it stands at.
The readers themselves stand in `readers`, `inspect_logs` and `foreign`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from s1_eval.records.run import RunRecord
from s1_eval.records.sample import SampleRow

KEY = "s1_eval"
"""Where an Inspect score's metadata, or its output's, holds the sample record."""


VERDICT = "s1_eval_verdict"
"""Where the metadata of a score of ours holds the verdict on an answer that has no whole record, on
a task of others or by a model of others: fields of the row, and the `grader`."""


class Located(NamedTuple):
    """A row and where it stands. What a file gives is checked when it is put into a run. The run
    record is None if the file holds none. line: of a file that has one whole row a line and can be
    gone back into, from 1."""

    row: SampleRow
    file: str
    where: str
    run: RunRecord | None
    line: int | None = None


def _none(paths: Sequence[Path]) -> dict[Path, Path]:
    return {}


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of file. looks_for: its description in messages. sniff: cheap, by name and first
    bytes. read: the rows one by one; raises UserError with file and line on damage. superseded:
    which of a folder's files another one replaces, by that one."""

    looks_for: str
    sniff: Callable[[Path], bool]
    read: Callable[[Path], Iterator[Located]]
    superseded: Callable[[Sequence[Path]], Mapping[Path, Path]] = _none
