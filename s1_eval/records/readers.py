"""Reading runs back from any mix of files and folders: our own records, Inspect logs and lm-eval
sample files. A kind of file is one entry in `READERS`; what is common to all of them (searching
folders, validation, putting rows together into runs) happens once, here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Any, NoReturn, cast

from s1_eval.errors import UserError
from s1_eval.json_lines import read_lines
from s1_eval.records.failures import Failure, read_failures
from s1_eval.records.inspect_logs import is_inspect, superseded
from s1_eval.records.inspect_logs import read_inspect as read_inspect
from s1_eval.records.located import KEY as KEY
from s1_eval.records.located import Located as Located
from s1_eval.records.located import Reader as Reader
from s1_eval.records.run import RunRecord, as_record, settings_in
from s1_eval.records.sample import SHARED_FIELDS, OwnRow, Shared, as_row, shared_of, unjudged
from s1_eval.records.schema import fits, validate_run, validate_sample
from s1_eval.records.store import PACKED, RUN, SAMPLES, recorded, samples_in

OTHER_EPOCHS = "other_epochs"
"""Where a line of an lm-eval sample file keeps the records of a question's further epochs."""

Tell = Callable[[str], None]
"""Told, in a whole sentence, about what was not taken or needs a remark."""

LeaveOut = Callable[[UserError, "Sequence[Run]"], None]
"""Told of runs that a computation has no use for, and why; raises that where it must be said."""

NOTHING_LEFT = "nothing is left to work with: all of it was skipped, see there"


def refuse(error: UserError, runs: Sequence[Run]) -> None:
    """Leaves nothing out."""
    raise error


_LEFT_IN_THE_FILE = frozenset(
    (
        *("traces", "question", "thinking", "response", "step_scores"),
        *("doc", "arguments", "resps", "filtered_resps"),
        *("doc_id", "doc_hash", "prompt_hash", "target_hash", "filter", "metrics"),
    )
)
"""Nobody computes with them, and they are most of a file: full texts, and lm-eval's own keys."""

_DROPPED = _LEFT_IN_THE_FILE.union(SHARED_FIELDS)

MAY_DIFFER = frozenset(
    (
        *("seconds", "machine_seconds", "waiting_seconds", "prefill_seconds", "decode_seconds"),
        *("verifier_seconds", "reused_tokens", "cached_tokens", "flops"),
        *("confidence", "sample_confidence", "threshold"),
    )
)
"""What two executions of one deterministic sample need not agree on. Which of two samples that
happen to begin alike reads that first is a matter of their timing. So is which rows share a batch,
which moves the last digits of log-probabilities."""


_VERDICT = frozenset({"correct", "answered", "answer", "target", "rule", "scores"})
"""What a row has only once it is judged."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was read: at least one row, no (sample_id, epoch) twice.

    record: the run record; only `SHARED_FIELDS` where the log had none.
    rows: sample records without what `record` says already and without full texts and traces.
    budget: the limit on thinking tokens, None without one.
    sources: the files it was read from.
    failed: the samples that were asked for and have no row, since the engine gave no answer.
    """

    record: RunRecord
    rows: Sequence[OwnRow]
    budget: int | None
    sources: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()

    @property
    def id(self) -> str:
        return self.record["run_id"]

    @property
    def model(self) -> str:
        return self.record["model"]

    @property
    def task(self) -> str:
        return self.record["task"]

    @property
    def method(self) -> str:
        return self.record["method"]

    @property
    def params(self) -> Mapping[str, Any]:
        """The method's settings."""
        return settings_in(self.record)


def read_runs(
    paths: Iterable[str | Path],
    readers: Sequence[Reader] | None = None,
    tell: Tell | None = None,
) -> list[Run]:
    """Every run in the files and folders, in the order they are found; folders are searched to
    any depth. A run may be spread over files.

    tell: told of every file and run in a folder that can't be taken, and why, and of what a run's
    numbers rest on. Without it the first one raises.
    Raises UserError, naming file and line, on what is missing, damaged, half-written or no record
    of ours, and on paths with nothing to read.
    """
    given = [Path(path) for path in paths]
    collection = _Collection(tell, {path.resolve() for path in given})
    for path in given:
        collection.search(path, READERS if readers is None else readers)
    runs = collection.finish()
    if given and not runs:
        names = ", ".join(map(str, given))
        raise UserError(f"nothing is left to read in {names}: all of it was skipped, see there")
    return runs


def read_rows(runs: Iterable[Run], readers: Sequence[Reader] | None = None) -> Iterator[Located]:
    """The rows of runs that `read_runs` gave, whole as they stand in their files, traces included,
    each sample once."""
    known = READERS if readers is None else readers
    wanted = {run.id: {(row["sample_id"], row["epoch"]): row for row in run.rows} for run in runs}
    for source in dict.fromkeys(source for run in runs for source in run.sources):
        for located in _read(Path(source), _only_reader(Path(source), known)):
            samples = wanted.get(located.row["run_id"], {})
            row = samples.pop((located.row["sample_id"], located.row["epoch"]), None)
            if row is None:
                continue
            if unjudged(located.row):  # another file of the run has the verdict
                told = {name: value for name, value in row.items() if name in _VERDICT}
                located = located._replace(row=as_row({**located.row, **told}))
            yield located


def readable(
    path: Path, readers: Sequence[Reader] = (), tell: Tell | None = None
) -> list[tuple[Path, Reader]]:
    """A file, or every file in a folder that a reader knows, with what reads it; logs that a retry
    replaced are left out. Raises UserError where there is none."""
    readers = readers or READERS
    if path.is_file():
        return [(path, _only_reader(path, readers))]
    if not path.is_dir():
        if path.exists() or path.is_symlink():
            raise UserError(f"{path} is {_kind(path)}: give a regular file or a folder")
        raise UserError(f"there is no file or folder {path}")
    files = [*_files(path)]
    found = [
        (file, reader) for file in files if file.is_file() and (reader := _reader(file, readers))
    ]
    for file in files:
        if tell and not file.is_file():  # to open a pipe would wait for ever
            tell(f"passed over {file}: it is {_kind(file)}")
    if not found:
        raise UserError(f"nothing to read in {path}: looked for {_looked_for(readers)}")
    replaced: dict[Path, Path] = {}
    for reader in readers:
        replaced.update(reader.superseded([file for file, by in found if by is reader]))
    for file, by in replaced.items():
        if tell:
            tell(f"passed over {file}: {by.name} is a finished run of the same task")
    return [(file, reader) for file, reader in found if file not in replaced]


def collect(rows: Iterable[Located]) -> list[Run]:
    """Rows put together into runs by their `run_id`. A sample that is there twice with the same
    result is taken once. Raises UserError on an invalid row, a contradiction, or a run that has
    fewer samples than its record planned."""
    collection = _Collection(None, set())
    collection.add(_gathered(rows, {}), in_folder=False)
    return collection.finish()


class _Collection:
    """Runs while they are put together from files. A file counts as a whole or not at all."""

    def __init__(self, tell: Tell | None, named: Collection[Path]) -> None:
        """named: what the user gave by its own name, as absolute paths."""
        self._tell, self._named = tell, named
        self._runs: dict[str, _Collected] = {}
        self._broken: dict[str, _Collected] = {}
        self._contradicted: set[str] = set()
        self._read: set[Path] = set()

    def search(self, path: Path, readers: Sequence[Reader]) -> None:
        """Take in a file, or every file in a folder that a reader knows."""
        for file, reader in readable(path, readers, self._tell):
            self._take(file, reader)

    def _take(self, file: Path, reader: Reader) -> None:
        absolute = file.resolve()
        if absolute in self._read:  # given twice, or by itself and in its folder
            return
        self._read.add(absolute)
        in_folder = absolute not in self._named
        staged: dict[str, _Collected] = {}
        try:
            self.add(_gathered(_read(file, reader), staged), in_folder)
        except UserError as error:
            if self._tell is None or not in_folder:
                raise
            self._tell(f"skipped {error}")
            for run_id, run in staged.items():
                self._broken.setdefault(run_id, run).rows.update(run.rows)

    def add(self, staged: Mapping[str, _Collected], in_folder: bool) -> None:
        for run_id, run in staged.items():
            run.in_folder = in_folder
            first = self._runs.setdefault(run_id, run)
            if first is not run and run_id not in self._contradicted:
                try:
                    first.merge(run)
                except UserError as error:
                    self._contradicted.add(run_id)
                    self._unfit(error, first.in_folder or in_folder)

    def finish(self) -> list[Run]:
        finished = []
        for run_id, run in self._runs.items():
            if run_id in self._contradicted:
                continue
            try:
                lost = self._broken.get(run_id)
                if lost is not None and not lost.rows.keys() <= run.rows.keys():
                    raise UserError(
                        f"run {run_id} in {', '.join(run.sources)}: the rest of its samples is in "
                        f"{', '.join(lost.sources)}, which can't be read"
                    )
                finished.append(run.finish())
            except UserError as error:
                self._unfit(error, run.in_folder)
            else:
                if self._tell and (remark := run.remark()):
                    self._tell(remark)
        return finished

    def _unfit(self, error: UserError, in_folder: bool) -> None:
        if self._tell is None or not in_folder:
            raise error
        self._tell(f"skipped {error}")


def _gathered(rows: Iterable[Located], into: dict[str, _Collected]) -> dict[str, _Collected]:
    """`into`, with the rows in it by their runs. Raises UserError on a row that does not fit."""
    for located in rows:
        row, run_id = located.row, located.row.get("run_id")
        run = into.get(run_id) if isinstance(run_id, str) else None
        if run is None or not fits(row):
            validate_sample(row, located.where)
        if run is None:
            run = into[row["run_id"]] = _Collected(_record(located), row["budget"])
        run.add(located)
    return into


@dataclass(slots=True)
class _Collected:
    record: RunRecord
    budget: int | None
    rows: dict[tuple[str, int], OwnRow] = field(default_factory=dict)
    sources: dict[str, None] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    in_folder: bool = False

    def add(self, located: Located) -> None:
        row = located.row
        self._check(row, row["budget"], located.where)
        # JSON makes new strings for every row, names included: shared, they need half the memory.
        kept = {intern(name): value for name, value in row.items() if name not in _DROPPED}
        for name in ("sample_id", "target", "exit_reason"):
            kept[name] = intern(cast(str, kept[name]))
        self.sources[located.file] = None
        self._put(cast(OwnRow, kept), located.where)

    def merge(self, other: _Collected) -> None:
        """Take in what another file has of the same run."""
        where = ", ".join(other.sources)
        self._check(other.record, other.budget, where)
        for row in other.rows.values():
            self._put(row, where)
        self.sources.update(other.sources)

    def _check(self, row: Shared, budget: int | None, where: str) -> None:
        for name in SHARED_FIELDS:
            if row.get(name) != self.record[name]:
                raise UserError(
                    f"{where}: {name} is {row.get(name)!r:.200}, but run "
                    f"{self.record['run_id']} has {self.record[name]!r:.200}"
                )
        if budget != self.budget:
            raise UserError(
                f"{where}: budget is {budget}, but run {self.record['run_id']} has "
                f"{self.budget}: a run has one; name the setting that it comes from too, e.g. "
                "--columns max_thinking_tokens=COLUMN"
            )

    def _put(self, slim: OwnRow, where: str) -> None:
        """Add a row. Of two of one sample the one with a verdict is kept."""
        key = (slim["sample_id"], slim["epoch"])
        if unjudged(slim):  # its target may not be known either
            there = self.rows.setdefault(key, slim)
            if there is not slim and not _same(there, slim, _VERDICT):
                self._twice(slim, where)
            return
        target = self.targets.setdefault(slim["sample_id"], slim["target"])
        if target != slim["target"]:
            raise UserError(
                f"{where}: sample {slim['sample_id']!r:.200} has the target "
                f"{slim['target']!r:.100}, but {target!r:.100} before: two questions with one id; "
                "give one file only, or another column with --columns sample_id=COLUMN"
            )
        first = self.rows.setdefault(key, slim)
        if unjudged(first) and _same(first, slim, _VERDICT):
            self.rows[key] = slim
        elif first is not slim and not _same(first, slim):
            self._twice(slim, where)

    def _twice(self, slim: OwnRow, where: str) -> NoReturn:
        raise UserError(
            f"{where}: sample {slim['sample_id']!r:.200}, epoch {slim['epoch']}, of run "
            f"{self.record['run_id']} is there twice with different results (read so far: "
            f"{', '.join(self.sources)}): give only one of the files"
        )

    def finish(self) -> Run:
        planned = self.record.get("planned_samples")
        failed = self._failed()
        have = len(self.rows) + len(failed)
        if planned is not None and have < planned:
            raise UserError(
                f"{', '.join(self.sources)} has {have} of {planned} samples, and those "
                "that finish first are not like the rest: finish the run with the command that "
                "started it"
            )
        if unknown := [row for row in self.rows.values() if unjudged(row)]:
            raise UserError(_unknown(self.record, self.sources, unknown, len(self.rows)))
        rows, sources = tuple(self.rows.values()), tuple(self.sources)
        return Run(self.record, rows, self.budget, sources, failed)

    def _failed(self) -> tuple[Failure, ...]:
        """What the folders of our own records say failed and no file has a row of."""
        ours = [Path(source).parent for source in self.sources if _is_ours(Path(source))]
        there = {key: each for folder in ours for key, each in read_failures(folder).items()}
        return tuple(each for key, each in there.items() if key not in self.rows)

    def remark(self) -> str | None:
        """What the reader of the run's numbers must know."""
        ended = [row for row in self.rows.values() if row.keys() & {"error", "limit"}]
        if not ended:
            return None
        first = ended[0]
        why = f"error {first['error']!r:.100}" if "error" in first else f"limit {first['limit']}"
        own = self.record["harness"] == "lm-eval"
        again = "the same command with --use_cache" if own else "`inspect eval-retry`"
        return (
            f"{', '.join(self.sources)}: {len(ended)} of {len(self.rows)} samples ended by an "
            f"error or a limit (sample {first['sample_id']!r:.50}: {why}) and count as unanswered; "
            f"{again} asks those with an error again"
        )


def _record(located: Located) -> RunRecord:
    if located.run is None:
        return as_record(shared_of(located.row))
    return validate_run(located.run, f"{located.where}: run record")


def _unknown(run: RunRecord, sources: Iterable[str], rows: Sequence[OwnRow], of: int) -> str:
    """What to say of rows whose verdict is not known."""
    first, task = rows[0], run["task"]
    if run["harness"] == "serve":
        return (
            f"{', '.join(sources)}: sample {first['sample_id']!r:.200} was recorded without a "
            "target, so nobody knows whether it is right: `s1-eval view` shows it; to have such a "
            "run scored, ask with a target, in extra_body={'s1_eval': {'target': …}}"
        )
    scores = first.get("scores") or {}
    said = ", ".join(f"{name} {value!r:.60}" for name, value in scores.items())
    shown = f" has {said}" if said else ""
    name = next(iter(scores), "NAME")
    return (
        f"{', '.join(sources)}: whether the answer is right is not known for {len(rows)} of {of} "
        f"samples of {task} (sample {first['sample_id']!r:.50}{shown}): "
        + ("" if said else "give lm-eval's own sample file of them too; or ")
        + f"say whose count, e.g. --columns correct=scores.{name}, with :VALUE where right is none "
        "of 1 and true; or grade again with --regrade GRADER"
    )


def _same(one: OwnRow, other: OwnRow, but: Collection[str] = ()) -> bool:
    names = (one.keys() | other.keys()) - MAY_DIFFER - {*but}
    return all(one.get(name) == other.get(name) for name in names)


def _read(file: Path, reader: Reader) -> Iterator[Located]:
    count = 0
    try:
        for located in reader.read(file):
            count += 1
            yield located
    except OSError as error:
        raise UserError(f"can't read {file}: {error}") from error
    if not count:
        raise UserError(f"{file} holds no sample yet: run its command first, or leave it out")


def _only_reader(file: Path, readers: Sequence[Reader]) -> Reader:
    found = _reader(file, readers)
    if found is None:
        raise UserError(f"can't tell what {file} is: looked for {_looked_for(readers)}")
    return found


def _files(folder: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise UserError(f"can't search {folder}: {error}") from error

    for directory, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        yield from (Path(directory, name) for name in sorted(names))


def _kind(path: Path) -> str:
    """What something is that is no file with contents to read."""
    return "a link to nothing" if not path.exists() else "a pipe, a socket or a device"


def _reader(path: Path, readers: Sequence[Reader]) -> Reader | None:
    return next((reader for reader in readers if reader.sniff(path)), None)


def _looked_for(readers: Sequence[Reader]) -> str:
    return "; ".join(reader.looks_for for reader in readers)


def _is_ours(path: Path) -> bool:
    return path.name in (SAMPLES, PACKED)


def read_ours(path: Path, on_bad: Callable[[UserError], None] | None = None) -> Iterator[Located]:
    """The rows of a run of ours. on_bad: see `read_lines`."""
    samples_in(path.parent)
    run = recorded(path.parent)
    if run is None:
        raise UserError(f"{path} has no {RUN} beside it: copy the run's whole folder")
    seekable = path.name == SAMPLES

    def skip(error: UserError) -> None:
        if on_bad is None:
            raise error
        on_bad(error)
        run["left_out"] = run.get("left_out", 0) + 1
        if "planned_samples" in run:  # `collect` refuses a run that has fewer
            run["planned_samples"] -= 1

    for number, row in read_lines(path, skip):
        where = f"{path} line {number}"
        if row.get("run_id") != run["run_id"]:
            raise UserError(f"{where}: run_id is {row.get('run_id')!r:.50}, {RUN} says otherwise")
        yield Located(as_row(row), str(path), where, run, number if seekable else None)


def read_lm_eval(path: Path) -> Iterator[Located]:
    """The rows that one of our lm-eval tasks wrote, every epoch of every line."""
    for number, row in read_lines(path):
        where = f"{path} line {number}"
        if "run_id" not in row:
            raise UserError(
                f"{where} has no sample record: it was not written by one of our lm-eval tasks "
                "(s1_nano, s1_aime24, …)"
            )
        others = row.pop(OTHER_EPOCHS, [])
        if not (isinstance(others, list) and all(isinstance(other, dict) for other in others)):
            raise UserError(f"{where}: {OTHER_EPOCHS} is not a list of sample records")
        for epoch in (row, *others):
            run, asked = epoch.pop("run", None), row.get("doc")
            known = isinstance(run, dict) and run.get("secret") is False
            if known and isinstance(asked, dict) and isinstance(asked.get("prompt"), str):
                epoch["question"] = asked["prompt"]
            yield Located(as_row(epoch), str(path), where, run)


READERS: tuple[Reader, ...] = (
    Reader(f"our records ({SAMPLES} or {PACKED}, with {RUN} beside it)", _is_ours, read_ours),
    Reader("Inspect logs (*.eval, or *.json)", is_inspect, read_inspect, superseded),
    Reader(
        "lm-eval sample files (samples_<task>_<time>.jsonl)",
        lambda p: p.name.startswith("samples_") and p.suffix == ".jsonl",
        read_lm_eval,
    ),
)
"""In the order they are asked. To read another kind of file, add its entry here."""
