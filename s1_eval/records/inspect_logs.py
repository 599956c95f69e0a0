"""Reading Inspect logs: which files are logs, which of them a retry has replaced, and the rows in
them. A sample with a record of ours is a row whoever graded it; what a sample without one says
stands in `foreign_inspect`.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from s1_eval.errors import UserError
from s1_eval.json_lines import MAX_LINE
from s1_eval.libraries import needs
from s1_eval.records.foreign_inspect import (
    ended_by,
    labels_of,
    our_verdict,
    question_of,
    target_of,
    tokens_of,
    verdict,
)
from s1_eval.records.located import KEY, Located
from s1_eval.records.run import RunRecord, as_record, differences, run_id, run_record
from s1_eval.records.sample import SampleRow, as_row, shared_of

T = TypeVar("T")

Judge = Callable[[Any, SampleRow, str], Mapping[str, Any]]
"""`correct`, `answered`, `answer`, … of a sample that our scorer did not grade: from the sample,
its ungraded record, and where it stands."""

_NO_DATA = dict.fromkeys(("id", "revision", "fingerprint"))

_HEAD = re.compile(rb'\s*\{\s*"(version|status)"\s*:')


def is_inspect(path: Path) -> bool:
    """Whether a file is a log. The manifest `logs.json` that `inspect eval-set` leaves, an object
    of logs by their names, is none."""
    if path.suffix == ".eval":
        return True
    if path.suffix != ".json":
        return False
    with path.open("rb") as file:
        head = file.read(256)
    return bool(_HEAD.match(head)) and all(key in head for key in (b'"status"', b'"eval"'))


def superseded(paths: Sequence[Path]) -> dict[Path, Path]:
    """The logs that a finished one of the same task id replaces: every attempt of `inspect
    eval-retry` and `eval-set` begins with what the last one had, so the newest holds it all."""
    tasks: dict[str, list[tuple[bool, str, bool, float, Path]]] = {}
    for path in paths if len(paths) > 1 else ():
        try:
            log = _read(path, header_only=True)
        except UserError:  # reading the file says so again
            continue
        attempt = (log.status == "success", log.eval.created, log.results is not None)
        tasks.setdefault(log.eval.task_id, []).append((*attempt, path.stat().st_mtime, path))
    replaced = {}
    for attempts in tasks.values():
        finished, *_, best = max(attempts)
        if finished:
            replaced.update({path: best for *_, path in attempts if path != best})
    return replaced


def read_log(
    path: Path,
    other: Callable[[Any, Any, str], T],
    judge: Judge = verdict,
) -> Iterator[Located | T]:
    """The rows of the samples that a solver of ours answered. A sample that an error or a limit
    ended is an unanswered row with `error` or `limit`.

    other: what becomes of any other sample, from the log's header, the sample, and where it
    stands. judge: the verdict where our scorer gave none; by default the log's own.
    """
    log, samples = _open(path)
    runs = _Runs()
    about: _Ours | None = None
    waiting: list[tuple[Any, str]] = []
    while True:
        try:
            sample = next(samples, None)
        except Exception as error:
            raise UserError(f"{path} is damaged: {str(error)[:200]!r}") from error
        if sample is None:
            break
        where = f"{path} sample {sample.id!r} epoch {sample.epoch}"
        found = _record(log, sample)
        if found is not None:
            row, run, graded = found
            if run is not None:
                row, run = runs.joined(row, run)
                if unasked := (log.eval.dataset.samples or 0) - len(
                    log.eval.dataset.sample_ids or ()
                ):
                    run["unasked"] = unasked
            about = about or _Ours(run, row["budget"])
            if ended_by(sample):
                row = as_row({**row, **_unanswered(sample)})
            elif not graded:
                row = as_row({**row, **judge(sample, row, where)})
            if run and run.get("secret") is False:
                row["question"] = question_of(sample)
            yield Located(row, str(path), where, run)
        elif ended_by(sample):
            waiting.append((sample, where))
        else:
            yield other(log, sample, where)
    for sample, where in waiting:
        if about is None:
            yield other(log, sample, where)
        else:
            yield Located(about.row(sample), str(path), where, about.run)


def read_inspect(path: Path) -> Iterator[Located]:
    """The rows of a log that solvers of ours answered. Raises UserError at any other sample."""
    return read_log(path, _refuse)


def _refuse(log: Any, sample: Any, where: str) -> NoReturn:
    raise UserError(
        f"{where} has no sample record: {ended_by(sample)}"
        if ended_by(sample)
        else f"{where} has no sample record: no solver or task of s1_eval answered it; run it "
        "with one of the tasks in tasks/"
    )


def _read(path: Path, header_only: bool) -> Any:
    with needs("inspect"):
        from inspect_ai.log import read_eval_log

    try:
        if path.suffix == ".eval":
            _check_members(path)
        return read_eval_log(str(path), header_only=header_only)
    except UserError:
        raise
    except Exception as error:  # whatever a damaged archive makes the library raise
        raise UserError(f"{path} is no readable Inspect log: {str(error)[:200]!r}") from error


def _check_members(path: Path) -> None:
    """Raises UserError on a log with a sample larger than any record may be: a small archive may
    unpack to more than the memory holds."""
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda each: each.file_size, default=None)
    if largest and largest.file_size > MAX_LINE:
        raise UserError(
            f"{path}: {largest.filename:.100} unpacks to {largest.file_size:,} bytes, and a sample "
            f"may have {MAX_LINE:,}: leave the log out, or write it again without that sample"
        )


def _open(path: Path) -> tuple[Any, Iterator[Any]]:
    """The log's header and its samples. Raises UserError if the evaluation did not finish."""
    from inspect_ai.log import read_eval_log_samples

    log = _read(path, header_only=path.suffix == ".eval")
    if log.status != "success":
        raise UserError(
            f"{path}: the evaluation's status is {log.status!r}, and the samples that finish first "
            f"are not like the rest: finish it with `inspect eval-retry {path}`"
        )
    if path.suffix != ".eval":
        return log, iter(log.samples or [])
    try:
        return log, iter(read_eval_log_samples(str(path), all_samples_required=False))
    except Exception as error:
        raise UserError(f"{path} is no readable Inspect log: {str(error)[:200]!r}") from error


def _record(log: Any, sample: Any) -> tuple[SampleRow, RunRecord, bool] | None:
    """(row, run record, whether our scorer graded it) of a sample that our solver answered."""
    verdict = our_verdict(sample)
    if verdict and "run_id" in verdict:
        run = verdict.pop("run", None)
        return as_row(verdict), run, True
    found = (sample.output.metadata or {}).get(KEY)
    if not isinstance(found, dict) or not isinstance(found.get("run"), dict):
        return None
    row, run = dict(found), dict(found["run"])
    del row["run"]
    about = (sample.metadata or {}).get(KEY)
    if about is None:  # somebody else's task, whose data is known by its name alone
        dataset = {**_NO_DATA, "id": log.eval.dataset.name}
        run |= {"task": log.eval.task, "dataset": dataset, "secret": None}
    else:
        run = run_record(run, about)
    if verdict:
        run["grader"] = verdict.pop("grader")
    elif sample.scores:
        run["grader"] = {"name": ", ".join(scorer.name for scorer in log.eval.scorers or ())}
    run["run_id"] = run_id(run)
    record = as_record(run)
    told = {"target": target_of(sample), **labels_of(sample)}
    row = {**told, **row, **(verdict or {}), **shared_of(record)}
    return as_row(row), record, verdict is not None


def _unanswered(sample: Any) -> Mapping[str, Any]:
    return {**ended_by(sample), "answer": "", "correct": False, "answered": False}


_FRAMING = frozenset(f"prompting.{name}" for name in ("system", "turns", "around"))


class _Runs:
    """One log is of one task asked in one way. Where what solvers put around a question is made of
    its data, as the options of multiple choice are, its samples are of one run all the same, which
    is called after the first."""

    def __init__(self) -> None:
        self._first: RunRecord | None = None
        self._same: dict[str, bool] = {}

    def joined(self, row: SampleRow, run: RunRecord) -> tuple[SampleRow, RunRecord]:
        first = self._first = self._first or run
        id = run["run_id"]
        if id not in self._same:
            self._same[id] = {*differences(first, run)} <= _FRAMING
        if id == first["run_id"] or not self._same[id]:
            return row, run
        return as_row({**row, **shared_of(first)}), first


class _Ours:
    """What the samples of a log of ours share."""

    def __init__(self, run: RunRecord, budget: int | None) -> None:
        self.run, self.budget = run, budget

    def row(self, sample: Any) -> SampleRow:
        """The record of a sample that ended before its method did."""
        fields = {
            **shared_of(self.run),
            "budget": self.budget,
            "sample_id": str(sample.id),
            "epoch": sample.epoch,
            "target": target_of(sample),
            **labels_of(sample),
            **_unanswered(sample),
            **tokens_of(sample),
            "forced_tokens": 0,
            "verifier_tokens": 0,
            "exit_reason": "unknown",
            "num_ignores_used": 0,
            "seconds": None,
            "seed": None,
            "response": "",
        }
        return as_row(fields)
