"""Writing a run: `samples.jsonl`, to which finished samples are appended one line each, or the same
packed, `samples.jsonl.zst`; `run.json` beside it, and `failures.jsonl` where some failed. A killed
run opened again goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, Self

from s1_eval.errors import UserError
from s1_eval.json_lines import AppendedLines, parse, read_lines, write_atomically
from s1_eval.packing import SUFFIX
from s1_eval.records.failures import Failure, FailureLog
from s1_eval.records.run import RunRecord, differences
from s1_eval.records.sample import SampleRow
from s1_eval.records.schema import fits, validate_run, validate_sample

SAMPLES, RUN = "samples.jsonl", "run.json"
PACKED = SAMPLES + SUFFIX


def samples_in(folder: Path) -> Path | None:
    """The file of a run's rows, packed or not; None without one. Raises UserError where there are
    both: neither says which of them counts."""
    there = [folder / name for name in (SAMPLES, PACKED) if (folder / name).is_file()]
    if len(there) > 1:
        raise UserError(
            f"{folder} holds both {SAMPLES} and {PACKED}: move one of them away; a run has one"
        )
    return there[0] if there else None


class RunWriter:
    """The records of one run in one folder, open for appending.

    path: the file of its rows.
    done: (sample_id, epoch) of every sample that is already there.
    failed: the failures that stand, by the same; to be asked again.
    recovered: what opening had to repair, one sentence for the user; None if nothing.
    """

    def __init__(
        self, folder: str | Path, run: RunRecord, *, packed: bool = False, once: bool = False
    ) -> None:
        """Open `folder` for the run record `run`, creating it or resuming what is there.

        packed: pack the rows; a run that was begun goes on as it was begun. once: nothing is
        written twice, so `done` stays what it is now, however many rows follow.

        A last line that was cut short by a kill is taken off; every line that was finished is
        kept. Raises UserError where the folder holds another run, where a line before the last
        one is damaged, or where another process is writing.
        """
        validate_run(run)
        self.folder = Path(folder)
        self.run_id: str = run["run_id"]
        self._once = once
        new = self.folder / (PACKED if packed else SAMPLES)
        self.path = samples_in(self.folder) or new
        self._lines = AppendedLines(self.path, self.folder, "choose another --out")
        try:
            run = self._joined(run)
            try:
                self.recovered = self._lines.repair()
            except UserError as error:
                self._damaged(error)
            self.done = self._done()
            self._failures = FailureLog(self.folder, self.done)
            write_atomically(self.folder / RUN, run)
        except BaseException:
            self._lines.close()
            raise

    def append(self, row: SampleRow) -> None:
        """Add a finished sample. It survives the death of this process."""
        self._lines.append(row)
        key = row["sample_id"], row["epoch"]
        if not self._once:
            self.done.add(key)
        self._failures.answered(key)

    def fail(self, failure: Failure) -> None:
        """Write down that a sample failed."""
        self._failures.add(failure)

    @property
    def failed(self) -> Mapping[tuple[str, int], Failure]:
        return self._failures.current

    def close(self) -> None:
        self._lines.close()
        self._failures.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _joined(self, run: RunRecord) -> RunRecord:
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
        joined = run.copy()
        if "started" in there:
            joined["started"] = there["started"]
        if machines:
            joined["hardware"] = [m for i, m in enumerate(machines) if m not in machines[:i]]
        return joined

    def _done(self) -> set[tuple[str, int]]:
        done = set()
        for number, row in read_lines(self.path, self._damaged):
            if row.get("run_id") != self.run_id:
                raise UserError(
                    f"{self.path} line {number} belongs to run {row.get('run_id')!r}, this is run "
                    f"{self.run_id}: choose another --out"
                )
            if not fits(row):
                try:
                    validate_sample(row, f"{self.path} line {number}")
                except UserError as error:
                    self._damaged(error)
            done.add((row["sample_id"], row["epoch"]))
        return done

    def _damaged(self, error: UserError) -> NoReturn:
        raise UserError(f"{error}\n{advice(self.folder)}") from error


def advice(folder: Path) -> str:
    """What to do about damage in a run's folder."""
    return (
        f"`s1-eval repair {folder}` takes out what can't be read and says what that costs; then "
        "the same command goes on"
    )


def recorded(folder: str | Path) -> RunRecord | None:
    """The run record in `folder`, None without one. Raises UserError where it is damaged."""
    path = Path(folder) / RUN
    if not path.is_file():
        return None
    try:
        return validate_run(parse(path.read_bytes(), str(path)), str(path))
    except UserError as error:
        raise UserError(f"{error}\n{advice(Path(folder))}") from error
