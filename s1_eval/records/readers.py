"""Reading runs back from any mix of files and folders: our own records, Inspect logs and lm-eval
sample files. A kind of file is one entry in `READERS`; what is common to all of them (validation,
putting rows together into runs) happens once, in `collect`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple

from s1_eval.errors import UserError
from s1_eval.records.lines import parse, read_lines
from s1_eval.records.sample import SHARED_FIELDS
from s1_eval.records.schema import fits, validate_run, validate_sample
from s1_eval.records.store import RUN, SAMPLES

KEY = "s1_eval"
"""Where an Inspect score's metadata holds the sample record."""

OTHER_EPOCHS = "other_epochs"
"""Where a line of an lm-eval sample file keeps the records of a question's further epochs."""

_LEFT_IN_THE_FILE = frozenset(
    (
        *("traces", "response", "doc", "arguments", "resps", "filtered_resps"),
        *("doc_id", "doc_hash", "prompt_hash", "target_hash", "filter", "metrics"),
    )
)
"""Nobody computes with them, and they are most of a file: full texts, and lm-eval's own keys."""

_DROPPED = _LEFT_IN_THE_FILE.union(SHARED_FIELDS)

_MAY_DIFFER = frozenset({"seconds", "reused_tokens", "verifier_seconds"})
"""What two executions of one deterministic sample need not agree on."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was read: at least one row, no (sample_id, epoch) twice.

    record: the run record; only `SHARED_FIELDS` where the log had none.
    rows: sample records without what `record` says already and without full texts and traces.
    budget: the limit on thinking tokens, None without one.
    sources: the files it was read from.
    """

    record: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    budget: int | None
    sources: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return str(self.record["run_id"])

    @property
    def model(self) -> str:
        return str(self.record["model"])

    @property
    def task(self) -> str:
        return str(self.record["task"])

    @property
    def method(self) -> str:
        return str(self.record["method"])

    @property
    def params(self) -> Mapping[str, Any]:
        """The method's settings."""
        params: Mapping[str, Any] = self.record["method_params"]
        return params


class Located(NamedTuple):
    """A row and where it stands. The run record is None if the file holds none."""

    row: dict[str, Any]
    file: str
    where: str
    run: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of file. looks_for: its description in messages. sniff: cheap, by name and first
    bytes. read: the rows one by one; raises UserError with file and line on damage."""

    looks_for: str
    sniff: Callable[[Path], bool]
    read: Callable[[Path], Iterator[Located]]


def read_runs(paths: Iterable[str | Path], readers: Sequence[Reader] | None = None) -> list[Run]:
    """Every run in the files and folders, in the order they are found; folders are searched to
    any depth. A run may be spread over files.

    Raises UserError, naming file and line, on what is missing, damaged, half-written or no record
    of ours, and on a folder with nothing to read.
    """
    return collect(row for path in paths for row in read_rows(path, readers))


def collect(rows: Iterable[Located]) -> list[Run]:
    """Rows put together into runs by their `run_id`. A sample that is there twice with the same
    result is taken once. Raises UserError on an invalid row, a contradiction, or a run that has
    fewer samples than its record planned."""
    runs: dict[str, _Collected] = {}
    for located in rows:
        row, run_id = located.row, located.row.get("run_id")
        run = runs.get(run_id) if isinstance(run_id, str) else None
        if run is None or not fits(row):
            validate_sample(row, located.where)
        if run is None:
            run = runs[row["run_id"]] = _Collected(_record(located), row["budget"])
        run.add(located)
    return [run.finish() for run in runs.values()]


@dataclass(slots=True)
class _Collected:
    record: Mapping[str, Any]
    budget: int | None
    rows: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, None] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)

    def add(self, located: Located) -> None:
        row = located.row
        for name in SHARED_FIELDS:
            if row.get(name) != self.record[name]:
                raise UserError(
                    f"{located.where}: {name} is {row.get(name)!r:.200}, but run "
                    f"{self.record['run_id']} has {self.record[name]!r:.200}"
                )
        if row["budget"] != self.budget:
            raise UserError(
                f"{located.where}: budget is {row['budget']}, but run {self.record['run_id']} has "
                f"{self.budget}: a run has one; name the setting that it comes from too, e.g. "
                "--columns max_thinking_tokens=COLUMN"
            )
        target = self.targets.setdefault(row["sample_id"], row["target"])
        if target != row["target"]:
            raise UserError(
                f"{located.where}: sample {row['sample_id']!r:.200} has the target "
                f"{row['target']!r:.100}, but {target!r:.100} before: two questions with one id; "
                "give one file only, or another column with --columns sample_id=COLUMN"
            )
        # JSON makes new strings for every row, names included: shared, they need half the memory.
        slim = {intern(name): value for name, value in row.items() if name not in _DROPPED}
        for name in ("sample_id", "target", "exit_reason"):
            slim[name] = intern(slim[name])
        self.sources[located.file] = None
        first = self.rows.setdefault((row["sample_id"], row["epoch"]), slim)
        if first is not slim and not _same(first, slim):
            raise UserError(
                f"{located.where}: sample {row['sample_id']!r:.200}, epoch {row['epoch']}, of run "
                f"{self.record['run_id']} is there twice with different results (read so far: "
                f"{', '.join(self.sources)}): give only one of the files"
            )

    def finish(self) -> Run:
        planned = self.record.get("planned_samples")
        if planned is not None and len(self.rows) < planned:
            raise UserError(
                f"{', '.join(self.sources)} has {len(self.rows)} of {planned} samples, and those "
                "that finish first are not like the rest: finish the run with the command that "
                "started it"
            )
        return Run(self.record, tuple(self.rows.values()), self.budget, tuple(self.sources))


def _record(located: Located) -> Mapping[str, Any]:
    if located.run is None:
        return {name: located.row[name] for name in SHARED_FIELDS}
    validate_run(located.run, f"{located.where}: run record")
    return located.run


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    names = (one.keys() | other.keys()) - _MAY_DIFFER
    return all(one.get(name) == other.get(name) for name in names)


def read_rows(path: str | Path, readers: Sequence[Reader] | None = None) -> Iterator[Located]:
    """The rows of one file, or of every file in a folder that a reader knows, one by one and as
    they stand there, traces included. Raises UserError as `read_runs` does."""
    path = Path(path)
    known = READERS if readers is None else readers
    if path.is_dir():
        found = [(file, reader) for file in _files(path) if (reader := _reader(file, known))]
        if not found:
            raise UserError(f"nothing to read in {path}: looked for {_looked_for(known)}")
    elif path.is_file():
        only = _reader(path, known)
        if only is None:
            raise UserError(f"can't tell what {path} is: looked for {_looked_for(known)}")
        found = [(path, only)]
    else:
        raise UserError(f"there is no file or folder {path}")
    for file, reader in found:
        count = 0
        try:
            for located in reader.read(file):
                count += 1
                yield located
        except OSError as error:
            raise UserError(f"can't read {file}: {error}") from error
        if not count:
            raise UserError(f"{file} holds no sample yet: run its command first, or leave it out")


def _files(folder: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise UserError(f"can't search {folder}: {error}") from error

    for directory, folders, names in os.walk(folder, onerror=unreadable):
        folders.sort()
        yield from (Path(directory, name) for name in sorted(names))


def _reader(path: Path, readers: Sequence[Reader]) -> Reader | None:
    return next((reader for reader in readers if reader.sniff(path)), None)


def _looked_for(readers: Sequence[Reader]) -> str:
    return "; ".join(reader.looks_for for reader in readers)


def read_ours(path: Path, on_bad: Callable[[UserError], None] | None = None) -> Iterator[Located]:
    """The rows of a run of ours. on_bad: see `read_lines`."""
    beside = path.with_name(RUN)
    if not beside.is_file():
        raise UserError(f"{path} has no {RUN} beside it: copy the run's whole folder")
    run = parse(beside.read_bytes(), str(beside))
    validate_run(run, str(beside))

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
        yield Located(row, str(path), where, run)


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
            yield Located(epoch, str(path), where, epoch.pop("run", None))


def read_inspect(
    path: Path, other: Callable[[Any, Any, str], Located] | None = None
) -> Iterator[Located]:
    """The rows that our Inspect tasks scored. other: makes a row of a sample that they did not,
    from the log's header, the sample, and where it stands; without it that is refused."""
    from inspect_ai.log import read_eval_log, read_eval_log_samples

    try:
        if path.suffix == ".eval":
            log = read_eval_log(str(path), header_only=True)
            samples: Iterator[Any] = read_eval_log_samples(str(path), all_samples_required=False)
        else:
            log = read_eval_log(str(path))
            samples = iter(log.samples or [])
    except Exception as error:  # whatever a damaged archive makes the library raise
        raise UserError(f"{path} is no readable Inspect log: {str(error)[:200]!r}") from error
    if log.status != "success":
        raise UserError(
            f"{path}: the evaluation's status is {log.status!r}, and the samples that finish first "
            f"are not like the rest: finish it with `inspect eval-retry {path}`"
        )
    while True:
        try:
            sample = next(samples, None)
        except Exception as error:
            raise UserError(f"{path} is damaged: {str(error)[:200]!r}") from error
        if sample is None:
            return
        where = f"{path} sample {sample.id!r} epoch {sample.epoch}"
        records = [
            score.metadata[KEY]
            for score in (sample.scores or {}).values()
            if score.metadata and isinstance(score.metadata.get(KEY), dict)
        ]
        if not records and other is not None:
            yield other(log, sample, where)
            continue
        if not records:
            raise UserError(
                f"{where} has no sample record: it was not scored by an s1_eval task; run it with "
                "one of the tasks in tasks/"
            )
        row = dict(records[0])
        yield Located(row, str(path), where, row.pop("run", None))


def _is_inspect(path: Path) -> bool:
    if path.suffix == ".eval":
        return True
    if path.suffix != ".json":
        return False
    with path.open("rb") as file:
        head = file.read(256)
    return all(key in head for key in (b'"version"', b'"status"', b'"eval"'))


READERS: tuple[Reader, ...] = (
    Reader(f"our records ({SAMPLES} with {RUN} beside it)", lambda p: p.name == SAMPLES, read_ours),
    Reader("Inspect logs (*.eval, or *.json)", _is_inspect, read_inspect),
    Reader(
        "lm-eval sample files (samples_<task>_<time>.jsonl)",
        lambda p: p.name.startswith("samples_") and p.suffix == ".jsonl",
        read_lm_eval,
    ),
)
"""In the order they are asked. To read another kind of file, add its entry here."""
