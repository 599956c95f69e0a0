"""Making a run's folder whole again after its files were damaged: by a disk, an editor, a copy that
was cut short. A kill damages nothing, and needs none of this."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from s1_eval.errors import UserError
from s1_eval.json_lines import AppendedLines, parse, raw_lines
from s1_eval.packing import SUFFIX, Damaged
from s1_eval.records.schema import fits, validate_sample
from s1_eval.records.store import PACKED, RUN, SAMPLES, recorded, samples_in

BAD = "samples.bad.jsonl"


def repair(folder: Path) -> list[str]:
    """Take out of a run's folder what can't be read, and keep it beside: lines in `BAD`, a damaged
    `run.json` as `run.json.bad`. What was done and what it costs, a sentence each.

    Raises UserError where the folder holds no run, or a process is writing to it.
    """
    path = samples_in(folder)
    if path is None:
        raise UserError(f"{folder} holds no {SAMPLES} or {PACKED}: give the folder of one run")
    said = []
    with AppendedLines(path, folder, "repair it then") as lines:
        try:
            record = recorded(folder)
            if record is None:
                said.append(f"{folder} has no {RUN}: {_AGAIN}")
        except UserError as error:
            record = None
            os.replace(folder / RUN, folder / f"{RUN}.bad")
            said.append(f"{error}: moved to {RUN}.bad; {_AGAIN}")
        bad = kept = 0
        damaged = False
        try:
            if cut := lines.repair():
                said.append(cut)
        except UserError as error:
            said.append(str(error))
            damaged = True
        new = path.with_name(f"{SAMPLES}.tmp{SUFFIX if path.name == PACKED else ''}")
        new.unlink(missing_ok=True)
        with (
            AppendedLines(new, folder, "repair it then") as good,
            (folder / BAD).open("ab") as aside,
        ):
            for number, line in enumerate(raw_lines(path), 1):
                if isinstance(line, Damaged):
                    said.append(f"{path}: {line}")
                    damaged = True
                    continue
                try:
                    _check(line, None if record is None else record["run_id"], str(number))
                except UserError:
                    bad += 1
                    aside.write(line if line.endswith(b"\n") else line + b"\n")
                else:
                    kept += 1
                    good.append_line(line if line.endswith(b"\n") else line + b"\n")
            good.close()
            with new.open("ab") as closed:
                os.fsync(closed.fileno())
        if damaged:
            whole = path.with_name(f"{path.name}.bad")
            shutil.copyfile(path, whole)
            said.append(f"{path}: what can't be unpacked is kept as {whole.name}")
        if bad or damaged:
            os.replace(new, path)
            said.append(
                f"{path}: {bad} bad lines were moved to {BAD} and {kept} kept; the command that "
                "made the run asks the questions of what is missing again, and nothing else"
            )
        else:
            new.unlink()
        if not (folder / BAD).stat().st_size:
            (folder / BAD).unlink()
    return said


_AGAIN = (
    "the command that made the run writes it again and keeps every row of its own; when the run "
    "began, and on which machine, is lost"
)


def _check(line: bytes, run_id: str | None, where: str) -> None:
    """Raises UserError on a line that is no row of the run."""
    row = parse(line, where)
    if not fits(row):
        validate_sample(row, where)
    if run_id not in (None, row["run_id"]):
        raise UserError(f"{where} is of another run")
