"""Other people's results as sample records: lm-eval sample files of tasks that are not ours (the s1
fork, or stock lm-eval with a reasoning model), Inspect logs of other tasks, and tables (JSONL,
JSON, CSV) whose columns the user names. What a file does not say is asked for or `unknown`, never
guessed. How a text is split into thinking and response stands in `transcripts`.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError
from s1_eval.json_lines import MAX_LINE, parse, read_lines
from s1_eval.key_values import split_pair
from s1_eval.records.foreign_inspect import ended_by, recorded, tokens_of, verdict
from s1_eval.records.foreign_rows import (
    CAP,
    ENDED,
    REPEATED,
    Count,
    File,
    Given,
    Grade,
    as_text,
    each_epoch,
    give_verdict,
    make_row,
    ungraded_verdict,
)
from s1_eval.records.inspect_logs import read_log
from s1_eval.records.lm_eval_lines import kept_records, metric_verdict
from s1_eval.records.located import KEY
from s1_eval.records.readers import (
    READERS,
    Located,
    Reader,
    Tell,
    read_inspect,
    read_lm_eval,
    read_ours,
)
from s1_eval.records.sample import SampleRow, as_row
from s1_eval.records.transcripts import KNOWN, NO_MARKS, Marks, find_marks
from s1_eval.thinking import CUT

_TABLES = frozenset({".jsonl", ".json", ".csv"})
_LARGEST = 1 << 30
"""Bytes of a JSON list, which can't be read piece by piece."""

_FORK = {"max_tokens_thinking": CAP, "thinking_n_ignore": "num_ignores"}
"""The s1 fork's generation arguments, and what they are here."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the user says about files that do not say it themselves.

    columns: where a field comes from, see `parse_columns`. where: columns and the one value that
    they have in the rows to read. delimiters: of the thinking; None looks for them in the file.
    count: the number of tokens of a text. grade: grades all answers of others again. grade_as: the
    verdict on a sample record of ours by the grader that its task names. ungraded: take rows that
    nobody graded, with None for `correct`: to be shown, no sample records. skip_bad: leave out rows
    that can't be read. tell: told of them, and of what else should be known.
    """

    columns: Mapping[str, Source] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    delimiters: Marks | None = None
    count: Count | None = None
    grade: Grade | None = None
    grade_as: Callable[[SampleRow, Mapping[str, Any]], Mapping[str, Any]] | None = None
    ungraded: bool = False
    skip_bad: bool = False
    tell: Tell = lambda _: None

    def skip(self, error: UserError) -> None:
        """Tell of a row that can't be read. Raises the error where such rows are refused."""
        if not self.skip_bad:
            raise error
        self.tell(f"skipped {error}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a field comes from. kind: `column` (dots lead into objects and lists), `text`, or
    `name` (a pattern whose group is searched in the file's name). among: a column's values that
    mean true."""

    kind: str
    value: str
    among: frozenset[str] | None = None

    def of(self, row: Mapping[str, Any], path: Path, where: str) -> Any:
        if self.kind == "text":
            return self.value
        if self.kind == "name":
            found = re.search(self.value, path.name)
            if not found:
                raise UserError(f"{where}: {self.value!r} is not in the file's name")
            return found[1]
        value = _inside(row, self.value, where)
        return value if self.among is None else as_text(value) in self.among


def parse_columns(pairs: Sequence[str]) -> dict[str, Source]:
    """`FIELD=COLUMN`, `FIELD=COLUMN:VALUE|VALUE` (true for these), `FIELD==TEXT` (the same in every
    row), `FIELD=~PATTERN` (one group, searched in the file's name)."""
    found = {}
    for pair in pairs:
        form = "FIELD=COLUMN, e.g. correct=grading:A"
        name, value = split_pair(pair, "--columns", form, filled=True)
        if not name.isidentifier():
            raise UserError(f"--columns {pair}: give {form}")
        if value.startswith("="):
            found[name] = Source("text", value[1:])
        elif value.startswith("~"):
            try:
                groups = re.compile(value[1:]).groups
            except re.error as error:
                raise UserError(f"--columns {pair}: no regular expression: {error}") from error
            if groups != 1:
                raise UserError(f"--columns {pair}: put one pair of brackets around what is meant")
            found[name] = Source("name", value[1:])
        else:
            column, colon, values = value.partition(":")
            found[name] = Source("column", column, frozenset(values.split("|")) if colon else None)
    return found


def parse_where(pairs: Sequence[str]) -> dict[str, str]:
    """`COLUMN=VALUE`: the rows to read."""
    form = "COLUMN=VALUE, e.g. filter=strict-match"
    return dict(split_pair(pair, "--where", form) for pair in pairs)


def parse_delimiters(given: str) -> Marks:
    """`START...END`, the start may be empty; `none` for a model that answers without thinking; or
    the end of a known format."""
    if given == "none":
        return NO_MARKS
    start, dots, end = given.partition("...")
    known = next((marks for marks in KNOWN if marks.shown == (end or given).strip()), None)
    if known:
        return known
    if not (dots and end.strip()) or "..." in end:
        raise UserError(
            f"--delimiters {given}: write it as START...END, e.g. '<think>...</think>', or none"
        )
    return Marks.of(start.strip(), end.strip())


def readers(told: Told) -> tuple[Reader, ...]:
    """`READERS`, with Inspect logs and lm-eval files of any origin, and tables if columns are
    named."""
    mine = [replace(reader, read=partial(_READ[reader.read], told)) for reader in READERS]
    tables = "tables (*.jsonl, *.json, *.csv)"
    table = Reader(
        tables if told.columns else f"{tables} whose columns --columns names",
        lambda path: bool(told.columns) and _is_table(path),
        partial(_table, told),
    )
    return (*mine, table)


def _is_table(path: Path) -> bool:
    return path.suffix in _TABLES and not path.name.startswith("results_")


def _ours(told: Told, path: Path) -> Iterator[Located]:
    for located in read_ours(path, told.skip):
        row = located.row
        judgeable = row.get("target") if told.grade else row.get("scores")
        if row.get("correct") is None and judgeable:  # else another file of the run may have it
            verdict = _told_verdict(told, row, partial(dict, row), path, located.where)
            located = located._replace(row=as_row({**row, **(verdict or {})}))
        yield located


def _told_verdict(
    told: Told, row: SampleRow, data: Callable[[], Mapping[str, Any]], path: Path, where: str
) -> Mapping[str, Any] | None:
    """What the user's options say of an answer of ours that has no verdict: by a grader, or by
    columns of `data`. None where they say nothing."""
    if told.grade is None and "correct" not in told.columns:
        return None
    columns = _columns(told, data(), path, where, but=told.columns.keys() - _VERDICT)
    answer = row.get("answer") or row["response"].strip()
    given = {"answer": answer, "target": row["target"], **columns}
    cut = row.get("answer_exit") in CUT
    recorded = give_verdict(given, row["response"], cut, told.grade, where)
    return {**{name: given[name] for name in _VERDICT}, **recorded}


Make = Callable[[], Given]
OnBad = Callable[[UserError], None]
Unit = tuple[str, Make]
"""A row of a file: where it stands, and what makes the fields that it gives."""


def _inspect(told: Told, path: Path) -> Iterator[Located]:
    def given(log: Any, sample: Any, where: str) -> Given:
        fields = recorded(log, sample)
        row = sample.model_dump(mode="json") if told.columns or told.where else {}
        if not _wanted(row, told, where):
            return {}
        ended = ended_by(sample)
        if not ended:
            return fields | _columns(told, row, path, where)
        if told.count is None or not sample.output.choices:
            fields = tokens_of(sample) | fields
        about = _columns(told, row, path, where, but=REPEATED)
        return fields | about | _UNANSWERED | {ENDED: ended}

    def judge(sample: Any, row: SampleRow, where: str) -> Mapping[str, Any]:
        """The verdict on an answer of ours that our scorer did not grade."""
        about = (sample.metadata or {}).get(KEY)
        found = _told_verdict(told, row, partial(sample.model_dump, mode="json"), path, where)
        if found is None:
            if not sample.scores and about is not None and told.grade_as is not None:
                return told.grade_as(row, about)
            if told.ungraded and not sample.scores:
                return ungraded_verdict(row["response"])
            return verdict(sample, row, where)
        return found

    def other(log: Any, sample: Any, where: str) -> Unit:
        return where, partial(given, log, sample, where)

    return _read(told, path, "inspect", lambda _: read_log(path, other, judge))


_VERDICT = frozenset({"correct", "answered", "answer", "target"})
_UNANSWERED = {"correct": False, "answered": False, "answer": "", "exit_reason": "unknown"}


def _columns(
    told: Told, row: Mapping[str, Any], path: Path, where: str, but: Collection[str] = ()
) -> Given:
    """What the columns say that the user named, but for some of them."""
    return {n: source.of(row, path, where) for n, source in told.columns.items() if n not in but}


def _table(told: Told, path: Path) -> Iterator[Located]:
    def given(row: Mapping[str, Any], where: str) -> Given:
        if not _wanted(row, told, where):
            return {}
        return _columns(told, row, path, where)

    def units(on_bad: OnBad) -> Iterator[Unit]:
        for where, row in _rows(path, on_bad):
            yield where, partial(given, row, where)

    return _read(told, path, "table", units)


def _wanted(row: Mapping[str, Any], told: Told, where: str) -> bool:
    return all(as_text(_inside(row, name, where)) == value for name, value in told.where.items())


def _rows(path: Path, on_bad: OnBad) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.suffix == ".jsonl":
        for number, row in read_lines(path, on_bad):
            yield f"{path} line {number}", row
    elif path.suffix == ".csv":
        csv.field_size_limit(MAX_LINE)  # transcripts are longer than the module expects
        with path.open(encoding="utf-8", newline="") as file:
            try:
                for number, cells in enumerate(csv.DictReader(file, strict=True), 1):
                    yield f"{path} row {number}", cells
            except (csv.Error, UnicodeDecodeError) as error:
                raise UserError(f"{path} is no CSV table: {error}") from error
    else:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"{path} is too large for one JSON list: write it as JSONL")
        table = parse(b'{"rows":' + path.read_bytes() + b"}", str(path))["rows"]
        if not isinstance(table, list):
            raise UserError(f"{path} holds no list of rows")
        for number, row in enumerate(table, 1):
            if not isinstance(row, dict):
                raise UserError(f"{path} row {number} is no JSON object")
            yield f"{path} row {number}", row


def _lm_eval(told: Told, path: Path) -> Iterator[Located]:
    """Our own lines as they are; others are put together from what lm-eval recorded."""
    first = next(read_lines(path, _nobody), None)
    if first is None or "run_id" in first[1]:
        yield from read_lm_eval(path)
        return
    results = _results(path)
    wanted = _one_filter(told, path)

    def given(row: Mapping[str, Any], where: str) -> Given:
        if not _wanted(row, wanted, where):
            return {}
        return _recorded(row, path, results, where) | _columns(told, row, path, where)

    def units(on_bad: OnBad) -> Iterator[Unit | Located]:
        for number, row in read_lines(path, on_bad):
            where = f"{path} line {number}"
            kept = [*kept_records(row)]
            if not kept:
                yield where, partial(given, row, where)
            elif _wanted(row, wanted, where):
                yield from _answered(wanted, row, kept, path, where)

    yield from _read(wanted, path, "lm-eval", units)


def _answered(
    told: Told, line: Mapping[str, Any], kept: Sequence[dict[str, Any]], path: Path, where: str
) -> Iterator[Located]:
    """The records of a line with its verdict, which is one for all repeats, so that of several no
    one's is known."""
    scores = {name: line[name] for name in line.get("metrics", ()) if name in line}
    scores.pop(_NO_METRIC, None)
    for fields in kept:
        run = fields.pop("run", None)
        row = as_row({**fields, "target": as_text(line.get("target", ""))})
        if row["sample_id"].isdigit():  # with --samples, lm-eval tells a model another number
            row["sample_id"] = as_text(line.get("doc_id", row["sample_id"]))
        found = _told_verdict(told, row, lambda: {**line, "scores": scores}, path, where)
        if found is None and len(kept) == 1:
            value = next(iter(scores.values())) if len(scores) == 1 else None
            found = metric_verdict(value, line.get("filtered_resps"), row["response"])
            if found["correct"] is None and scores:
                found["scores"] = scores
        yield Located(as_row({**row, **(found or {})}), str(path), where, run)


_NO_METRIC = "bypass"
"""lm-eval's metric where it is told to predict only."""


def _one_filter(told: Told, path: Path) -> Told:
    """The filter to read where a file has each row once for each of several filters. They differ
    in the verdict alone, so grading again needs none of them in particular."""
    if "filter" in told.where:
        return told
    rows = read_lines(path, _nobody)
    names = [*dict.fromkeys(as_text(row["filter"]) for _, row in rows if "filter" in row)]
    if len(names) < 2:
        return told
    several = f"{path} has every sample once for each filter ({', '.join(names)[:300]})"
    if told.grade is None:
        raise UserError(
            f"{several}: choose one by the column `filter`, e.g. --where 'filter={names[0]}', or "
            "grade again with --regrade GRADER"
        )
    told.tell(f"{several}: read once, since they are graded again")
    return replace(told, where={**told.where, "filter": names[0]})


def _recorded(row: Mapping[str, Any], path: Path, results: Mapping[str, Any], where: str) -> Given:
    """What an lm-eval line and its results file say."""
    prompt, arguments = _request(row.get("arguments"))
    repeats = [text for each in _inside(row, "resps", where) for text in _listed(each)]
    if not repeats or not all(isinstance(text, str) for text in repeats):
        raise UserError(
            f"{where} holds no generated text in `resps`: thinking can be read from tasks of "
            "output type generate_until alone"
        )
    given: Given = {
        "sample_id": as_text(row.get("doc_id")),
        "target": row.get("target", ""),
        "task": re.sub(r"_\d{4}-\d\d-\d\dT.*$", "", path.stem.removeprefix("samples_")),
        "transcript": repeats,
        "prompt": prompt,
    }
    if isinstance(results.get("model_name"), str):
        given["model"] = results["model_name"]
    settings = {ours: arguments[theirs] for theirs, ours in _FORK.items() if theirs in arguments}
    given["method"] = "budget_forcing" if settings else "plain"
    if settings.get(CAP) not in (None, "auto"):
        given["budget"] = settings[CAP]
    given.update(settings)
    limit = arguments.get("max_gen_toks", arguments.get("max_new_tokens"))
    if isinstance(limit, int):
        given["most_tokens"] = limit
    scores = [name for name in row.get("metrics", ("exact_match",)) if name in row]
    if _FORK_VERDICTS in row:  # one for each repeat
        given["correct"] = row[_FORK_VERDICTS]
    elif len(scores) == 1 and len(repeats) == 1:
        given["correct"] = row[scores[0]]
    return given


_FORK_VERDICTS = "exact_matches"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _request(arguments: Any) -> tuple[str, Mapping[str, Any]]:
    """Prompt and generation settings of a request, in the old form (a list) or the new (an
    object)."""
    if isinstance(arguments, dict):
        arguments = [list(each.values()) for each in arguments.values() if isinstance(each, dict)]
    if isinstance(arguments, list) and arguments and isinstance(arguments[0], list):
        settings = next((each for each in arguments[0] if isinstance(each, dict)), {})
        return next((each for each in arguments[0] if isinstance(each, str)), ""), settings
    return "", {}


def _results(path: Path) -> Mapping[str, Any]:
    """The results file of the same time, if it lies beside the samples."""
    stamp = re.search(r"_(\d{4}-\d\d-\d\dT[^/]*)\.jsonl$", path.name)
    beside = path.with_name(f"results_{stamp[1]}.json") if stamp else None
    if beside is None or not beside.is_file():
        return {}
    return parse(beside.read_bytes(), str(beside))


_READ: Mapping[Any, Callable[[Told, Path], Iterator[Located]]] = {
    read_ours: _ours,
    read_inspect: _inspect,
    read_lm_eval: _lm_eval,
}
"""What reads the files of our own readers once there is more to be told."""


def _nobody(error: UserError) -> None:
    """Told of what is told in another pass."""


def _look(told: Told, units: Callable[[OnBad], Iterator[Unit | Located]]) -> File:
    """One pass over the texts of a file, before its rows are made. What can't be read is left to
    the second pass."""
    found = File(told.delimiters)
    ends: list[str] = []

    def texts() -> Iterator[tuple[str, str, str]]:
        for unit in units(_nobody):
            if isinstance(unit, Located):
                continue
            try:
                rows = each_epoch(unit[1](), unit[0], graded=True)
            except UserError:
                continue
            for row in rows:
                thinking = as_text(row.get("thinking"))
                if thinking.strip():
                    found.thinks = True
                    ends.append(thinking.rstrip()[-100:])
                apart = thinking if thinking.strip() else None
                text = apart or row.get("transcript") or row.get("response")
                yield unit[0], as_text(row.get("prompt")), as_text(text)

    if told.delimiters is None:
        found.marks = find_marks(texts())
    else:
        for _ in texts():
            pass
    marks = found.marks
    found.apart_closes = marks is not None and any(marks.closed_by(end) for end in ends)
    return found


def _read(
    told: Told, path: Path, harness: str, units: Callable[[OnBad], Iterator[Unit | Located]]
) -> Iterator[Located]:
    """The rows of a file. units: its rows, told about damaged ones."""
    file: File | None = None
    seen: dict[tuple[str, str, int], str] = {}
    nth: Counter[tuple[str, str]] = Counter()
    held: Located | None = None
    left_out = cut = cut_right = 0

    def leave_out(error: UserError) -> None:
        nonlocal left_out
        told.skip(error)
        left_out += 1

    for unit in units(leave_out):
        if isinstance(unit, Located):
            yield unit
            continue
        where, make = unit
        file = file or _look(told, units)
        try:
            made = [
                make_row(given, where, harness, file, told.count, told.grade, told.ungraded)
                for given in each_epoch(make(), where, told.grade is not None or told.ungraded)
            ]
            for each in made:
                row = each.row
                question = (row["run_id"], row["sample_id"])
                if each.nth:
                    nth[question] += 1
                    row["epoch"] = nth[question]
                first = seen.setdefault((*question, row["epoch"]), where)
                if first is not where:
                    raise UserError(_twice(where, row, first))
        except UserError as error:
            leave_out(error)
            continue
        for each in made:
            if each.cut:
                cut += 1
                cut_right += bool(each.row.get("recorded_correct"))
            if held:
                yield held
            held = Located(each.row, str(path), where, None)
    if held:
        if left_out:
            held.row["left_out"] = left_out
        yield held
    elif file and told.where and not left_out:
        wanted = " ".join(f"{column}={value}" for column, value in told.where.items())
        raise UserError(f"{path}: no row has {wanted}: give --where a value that its rows have")
    if cut and file and file.marks:
        right = f"; {cut_right} of them the file itself counts as right" if cut_right else ""
        told.tell(
            f"{path}: {cut} of {len(seen)} rows do not end their thinking ({file.marks.shown}) "
            f"and count as cut, without an answer{right}"
        )


def _twice(where: str, row: SampleRow, first: str) -> str:
    return (
        f"{where}: sample {row['sample_id']!r:.200}, epoch {row['epoch']}, stands at {first} "
        "already: if every row is another sample of its question, add --columns epoch=COLUMN or "
        "epoch==nth; if the file holds several models or settings, name their columns, e.g. "
        "--columns model=COLUMN, or read one of them with --where COLUMN=VALUE"
    )


def _inside(row: Any, column: str, where: str) -> Any:
    value = row
    for part in [column] if column in row else column.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError):
            names = ", ".join(map(str, row)) if isinstance(row, dict) else ""
            raise UserError(f"{where} has no {column!r}: its columns are {names[:500]}") from None
    return value
