"""Writing a run: `samples.jsonl`, to which finished samples are appended one line each, and
`run.json` beside it. A killed run opened again goes on where it stopped."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from s1_eval.errors import UserError
from s1_eval.records.lines import parse, read_lines
from s1_eval.records.run import differences
from s1_eval.records.schema import fits, validate_run, validate_sample

SAMPLES, RUN = "samples.jsonl", "run.json"


class RunWriter:
    """The records of one run in one folder, open for appending.

    done: (sample_id, epoch) of every sample that is already there.
    recovered: what opening had to repair, one sentence for the user; None if nothing.
    """

    def __init__(self, folder: str | Path, run: Mapping[str, Any]) -> None:
        """Open `folder` for the run record `run`, creating it or resuming what is there.

        A last line that was cut short by a kill is taken off; every line that was finished is
        kept. Raises UserError where the folder holds another run, where a line before the last
        one is damaged, or where another process is writing.
        """
        validate_run(run)
        self.folder = Path(folder)
        self.run_id: str = run["run_id"]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[bytes] = (self.folder / SAMPLES).open("a+b")
        except OSError as error:
            raise UserError(
                f"can't write to {self.folder} ({error}): choose another --out"
            ) from error
        try:
            self._lock()
            run = self._joined(run)
            self.recovered = self._repair()
            self.done = self._done()
            _write_atomically(self.folder / RUN, run)
        except BaseException:
            self._file.close()
            raise

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a finished sample. It survives the death of this process."""
        line = json.dumps(row, allow_nan=False) + "\n"
        self._file.write(line.encode())
        self._file.flush()
        self.done.add((row["sample_id"], row["epoch"]))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _joined(self, run: Mapping[str, Any]) -> Mapping[str, Any]:
        """`run` as the folder has it: begun when it was begun, on one machine more perhaps."""
        there = recorded(self.folder)
        if there is None:
            return run
        if "grader" not in there:
            raise UserError(
                f"{self.folder} was recorded by s1_eval {there['versions']['s1_eval']}, whose "
                "records do not hold all that a run depends on, so it can be scored but not gone "
                "on with: choose another --out"
            )
        if there["run_id"] != run["run_id"]:
            changed = "; ".join(
                f"{name} is {json.dumps(old)} there and {json.dumps(new)} now"
                for name, (old, new) in differences(there, run).items()
            )
            raise UserError(
                f"{self.folder} holds another run ({changed[:1000]}): choose another --out, "
                "or repeat the command that made it"
            )
        machines = [*(there.get("hardware") or ()), *(run.get("hardware") or ())]
        kept = {key: there[key] for key in ("started",) if key in there}
        if machines:
            kept["hardware"] = [m for i, m in enumerate(machines) if m not in machines[:i]]
        return {**run, **kept}

    def _lock(self) -> None:
        if sys.platform == "win32":
            return
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"another process is writing to {self.folder}: wait for it, or choose another --out"
            ) from error

    def _repair(self) -> str | None:
        """Make the file end with a whole line."""
        size = self._file.seek(0, os.SEEK_END)
        start = _start_of_last_line(self._file, size)
        self._file.seek(start)
        tail = self._file.read()
        if not tail:
            return None
        try:
            parse(tail, "")
        except UserError:
            self._file.truncate(start)
            return f"{self.folder / SAMPLES}: a half-written last line was cut off"
        self._file.write(b"\n")  # whole, only its line end is missing
        self._file.flush()
        return None

    def _done(self) -> set[tuple[str, int]]:
        done = set()
        path = self.folder / SAMPLES
        for number, row in read_lines(path):
            if row.get("run_id") != self.run_id:
                raise UserError(
                    f"{path} line {number} belongs to run {row.get('run_id')!r}, this is run "
                    f"{self.run_id}: choose another --out"
                )
            if not fits(row):
                validate_sample(row, f"{path} line {number}")
            done.add((row["sample_id"], row["epoch"]))
        return done


def recorded(folder: str | Path) -> dict[str, Any] | None:
    """The run record in `folder`, None without one. Raises UserError where it is damaged."""
    path = Path(folder) / RUN
    if not path.exists():
        return None
    there: dict[str, Any] = parse(path.read_bytes(), str(path))
    validate_run(there, str(path))
    return there


def _start_of_last_line(file: IO[bytes], size: int) -> int:
    """Where the bytes after the last line end begin; `size` if there are none."""
    block = 1 << 16
    end = size
    while end > 0:
        begin = max(0, end - block)
        file.seek(begin)
        at = file.read(end - begin).rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        end = begin
    return 0


def _write_atomically(path: Path, record: Mapping[str, Any]) -> None:
    """Readers see the old file or the new one, never half of one."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=2, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
