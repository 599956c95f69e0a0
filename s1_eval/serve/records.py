"""Recorded runs as the page asks for them: rows found again by their ids. In memory is what a list
shows of a row; its texts stay in its file, or, where a file can't be gone back into, in a temporary
one. A run may be unfinished, and a row ungraded: nothing is computed from them here.
"""

from __future__ import annotations

import json
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from sys import intern
from threading import Lock
from typing import IO, Literal, cast

from s1_eval.errors import UserError
from s1_eval.json_lines import MAX_LINE, parse
from s1_eval.metrics.series import describe, dials_on, method_label
from s1_eval.names import natural
from s1_eval.records import Located, Reader, Run, SampleRow, readable
from s1_eval.records.readers import Tell
from s1_eval.records.run import RunRecord, as_record
from s1_eval.records.sample import as_row, shared_of
from s1_eval.records.schema import fits, validate_run, validate_sample

Verdict = Literal["right", "wrong", "no answer", "not graded"]
Key = tuple[str, int]
"""(sample_id, epoch)."""

_LISTED = 200
"""Characters of a target or an answer that a list shows."""
_ROWS = 4
"""Whole rows that are kept for the requests that follow: the traces of one question."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What lists show of a row. thinking_tokens: None where nobody counted them. file, at: where
    the row is, by the number of its file and bytes from its begin."""

    sample_id: str
    epoch: int
    target: str
    answer: str
    verdict: Verdict
    thinking_tokens: int | None
    exit_reason: str
    file: int
    at: int

    @property
    def key(self) -> Key:
        return self.sample_id, self.epoch


@dataclass(slots=True)
class ShownRun:
    """A run, with a row for each question that it has answered so far. sources: its files."""

    record: RunRecord
    budget: int | None
    entries: dict[Key, Entry] = field(default_factory=dict)
    sources: dict[str, Reader] = field(default_factory=dict)
    _sorted: list[Entry] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.record["run_id"]

    @property
    def label(self) -> str:
        """The method and the dials that are on."""
        run = Run(self.record, (), self.budget)
        return describe(method_label(run), dials_on(run))

    @property
    def benchmark(self) -> tuple[str, str]:
        """Runs of equal ones were asked the same questions by the same ids."""
        return self.record["task"], json.dumps(self.record.get("dataset"), sort_keys=True)

    @property
    def in_order(self) -> Sequence[Entry]:
        """Its rows by their questions' ids, as people count."""
        if len(self._sorted) != len(self.entries):
            self._sorted = sorted(self.entries.values(), key=_place)
        return self._sorted

    def found(self, text: str = "", verdict: str = "") -> list[Entry]:
        """The rows with this verdict that have the text in their id, target or answer."""
        text = text.strip().casefold()
        return [
            each
            for each in self.in_order
            if verdict in ("", each.verdict)
            and (not text or text in f"{each.sample_id}\n{each.target}\n{each.answer}".casefold())
        ]

    def beside(self, entry: Entry, verdict: str = "") -> tuple[Entry | None, Entry | None]:
        """The rows before and behind one, of those with a verdict."""
        rows = self.found(verdict=verdict)
        at = bisect_left(rows, _place(entry), key=_place)
        there = at < len(rows) and rows[at].key == entry.key
        behind = rows[at + there] if at + there < len(rows) else None
        return (rows[at - 1] if at else None), behind


class Records:
    """Rows of any number of runs."""

    def __init__(self, tell: Tell, counted: bool = True) -> None:
        """tell: told, in whole sentences, of what can't be shown. counted: there was a tokenizer to
        count the tokens of texts without a count."""
        self.runs: dict[str, ShownRun] = {}
        self._tell, self._counted = tell, counted
        self._files: list[Path | None] = [None]  # the first is the temporary one
        self._kept: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (as long as this lives)
        self._lock = Lock()
        self.row = lru_cache(_ROWS)(self._row)

    def close(self) -> None:
        self._kept.close()

    def read(self, path: Path, readers: Sequence[Reader], method: str | None = None) -> None:
        """Take in a file, or every file in a folder that a reader knows. method: its runs alone.

        Raises UserError where there is nothing to read; a file that turns out damaged is told of,
        and what it had up to there is kept.
        """
        for file, reader in readable(path, readers, self._tell):
            number, starts = len(self._files), array("Q")
            self._files.append(file)
            try:
                for located in reader.read(file):
                    if located.line is not None and not starts:
                        starts = _line_starts(file)
                    self._add(located, number, starts, reader, method)
            except (UserError, OSError) as error:
                self._tell(f"skipped {error}")
        for run in self.runs.values():
            _ = run.in_order  # now, not while somebody waits for a row

    def _add(
        self, located: Located, number: int, starts: array[int], reader: Reader, method: str | None
    ) -> None:
        row = located.row
        try:
            _check(row, located.where)
            run = self.runs.get(row["run_id"]) or ShownRun(_record(located), row["budget"])
        except UserError as error:
            return self._tell(f"skipped {error}")
        if method not in (None, method_label(Run(run.record, (), run.budget))):
            return None
        key = row["sample_id"], row["epoch"]
        if key in run.entries:
            return self._twice(run, row, located)
        if located.line is None:
            number, at = 0, self._keep(row)
        else:
            at = starts[located.line - 1]
        run.entries[key] = self._entry(row, number, at)
        run.sources[located.file] = reader
        self.runs[run.id] = run
        return None

    def _twice(self, run: ShownRun, row: SampleRow, located: Located) -> None:
        there = run.entries[row["sample_id"], row["epoch"]]
        if self._entry(row, there.file, there.at) != there:
            self._tell(
                f"{located.where}: sample {row['sample_id']!r:.200} of run {run.id} is there twice "
                "with different results; the first is shown"
            )

    def _entry(self, row: SampleRow, file: int, at: int) -> Entry:
        return Entry(
            row["sample_id"],
            row["epoch"],
            intern(row["target"][:_LISTED]),
            row["answer"][:_LISTED],
            verdict_of(row),
            row["thinking_tokens"] if self.knows_tokens(row) else None,
            intern(row["exit_reason"]),
            file,
            at,
        )

    def knows_tokens(self, row: SampleRow) -> bool:
        """Whether its thinking tokens are a count that somebody made."""
        return self._counted or not row.get("recounted")

    def _keep(self, row: SampleRow) -> int:
        at = self._kept.tell()
        self._kept.write(json.dumps(row, default=str).encode() + b"\n")
        return at

    def _row(self, run_id: str, sample_id: str, epoch: int) -> SampleRow:
        """A whole row. Raises KeyError where there is none, UserError where its file has changed
        since it was read."""
        entry = self.runs[run_id].entries[sample_id, epoch]
        path = self._files[entry.file]
        if path is None:
            with self._lock:
                self._kept.seek(entry.at)
                line = self._kept.readline()
        else:
            with path.open("rb") as file:
                file.seek(entry.at)
                line = file.readline(MAX_LINE)
        where = f"{path or 'the temporary file'} at byte {entry.at}"
        changed = f"{where} has changed since it was read: start `s1-eval view` again"
        try:
            row = parse(line, where)
        except UserError as error:
            raise UserError(changed) from error
        if (row.get("run_id"), row.get("sample_id"), row.get("epoch")) != (run_id, *entry.key):
            raise UserError(changed)
        return as_row(row)

    def on_the_same_question(self, run: ShownRun, entry: Entry) -> Iterable[tuple[ShownRun, Entry]]:
        """The rows of all runs that were asked this question, that run's own epochs included."""
        for other in self.runs.values():
            if other.benchmark != run.benchmark:
                continue
            rows = other.in_order
            first = bisect_left(rows, _place(entry)[:2], key=lambda row: _place(row)[:2])
            for each in islice(rows, first, None):
                if each.sample_id != entry.sample_id:
                    break
                yield other, each


def _place(entry: Entry) -> tuple[list[str | int], str, int]:
    return natural(entry.sample_id), entry.sample_id, entry.epoch


def _line_starts(path: Path) -> array[int]:
    """Where each line begins, in bytes, and where the last one ends."""
    starts = array("Q", [0])
    with path.open("rb") as file:
        for line in file:
            starts.append(starts[-1] + len(line))
    return starts


def _check(row: SampleRow, where: str) -> None:
    if not fits(row) or not isinstance(row.get("run_id"), str):
        validate_sample(row, where)


def _record(located: Located) -> RunRecord:
    if located.run is not None:
        return validate_run(located.run, f"{located.where}: run record")
    return as_record(shared_of(validate_sample(located.row, located.where)))


def verdict_of(row: SampleRow) -> Verdict:
    """The verdict in a word."""
    if cast(bool | None, row["correct"]) is None:
        return "not graded"
    return "right" if row["correct"] else "wrong" if row["answered"] else "no answer"
