"""Other people's results as sample records: lm-eval sample files of tasks that are not ours (the s1
fork, or stock lm-eval with a reasoning model), Inspect logs of other tasks, and tables (JSONL,
JSON, CSV) whose columns the user names. What a file does not say is asked for, never guessed.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError
from s1_eval.records.foreign_inspect import recorded
from s1_eval.records.lines import MAX_LINE, parse, read_lines
from s1_eval.records.readers import (
    READERS,
    Located,
    Reader,
    read_inspect,
    read_lm_eval,
    read_ours,
)
from s1_eval.records.sample import SAMPLE_FIELDS, SHARED_FIELDS

ENDS = ("</think>", "<|im_start|>answer")
"""What closes the thinking in a transcript."""

_STARTS = ("<think>", "<|im_start|>think")
_TABLES = frozenset({".jsonl", ".json", ".csv"})
_LARGEST = 1 << 30
"""Bytes of a JSON list, which can't be read piece by piece."""

_TEXTS = ("thinking", "response", "transcript")
_CAP = "max_thinking_tokens"
_FORK = {"max_tokens_thinking": _CAP, "thinking_n_ignore": "num_ignores"}
"""The s1 fork's generation arguments, and what they are here."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the user says about files that do not say it themselves.

    columns: where a field comes from, see `parse_columns`.
    count: the number of tokens of a text. grade: (correct, answered, answer) of a response and
    its target. on_bad: told about a damaged line, which is then skipped; None refuses it.
    """

    columns: Mapping[str, Source] = field(default_factory=dict)
    count: Callable[[str], int] | None = None
    grade: Callable[[str, str], tuple[bool, bool, str]] | None = None
    on_bad: Callable[[UserError], None] | None = None


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
        return value if self.among is None else _text(value) in self.among


def parse_columns(pairs: Sequence[str]) -> dict[str, Source]:
    """`FIELD=COLUMN`, `FIELD=COLUMN:VALUE|VALUE` (true for these), `FIELD==TEXT` (the same in every
    row), `FIELD=~PATTERN` (one group, searched in the file's name)."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (equals and name.isidentifier() and value):
            raise UserError(f"--columns {pair}: write it as FIELD=COLUMN, e.g. correct=grading:A")
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
    return read_ours(path, told.on_bad)


def _inspect(told: Told, path: Path) -> Iterator[Located]:
    def other(log: Any, sample: Any, where: str) -> Located:
        given = recorded(log, sample)
        row = sample.model_dump(mode="json") if told.columns else {}
        given.update({n: source.of(row, path, where) for n, source in told.columns.items()})
        return _located(given, path, where, "inspect", told)

    return read_inspect(path, other)


def _table(told: Told, path: Path) -> Iterator[Located]:
    for where, row in _rows(path, told):
        given = {name: source.of(row, path, where) for name, source in told.columns.items()}
        yield _located(given, path, where, "table", told)


def _rows(path: Path, told: Told) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.suffix == ".jsonl":
        for number, row in read_lines(path, told.on_bad):
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
    first = next(read_lines(path, told.on_bad), None)
    if first is None or "run_id" in first[1]:
        yield from read_lm_eval(path)
        return
    results = _results(path)
    for number, row in read_lines(path, told.on_bad):
        where = f"{path} line {number}"
        given = _recorded(row, path, results, where)
        given.update({n: source.of(row, path, where) for n, source in told.columns.items()})
        yield _located(given, path, where, "lm-eval", told)


def _recorded(
    row: Mapping[str, Any], path: Path, results: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """What an lm-eval line and its results file say."""
    arguments = _generation_arguments(row.get("arguments"))
    given: dict[str, Any] = {
        "sample_id": _text(row.get("doc_id")),
        "target": _text(row.get("target", "")),
        "task": re.sub(r"_\d{4}-\d\d-\d\dT.*$", "", path.stem.removeprefix("samples_")),
        "transcript": _inside(row, "resps.0.0", where),
    }
    if isinstance(results.get("model_name"), str):
        given["model"] = results["model_name"]
    settings = {ours: arguments[theirs] for theirs, ours in _FORK.items() if theirs in arguments}
    given["method"] = "budget_forcing" if settings else "plain"
    if settings.get(_CAP) not in (None, "auto"):
        given["budget"] = settings[_CAP]
    given.update(settings)
    limit = arguments.get("max_gen_toks", arguments.get("max_new_tokens"))
    if isinstance(limit, int):
        given["most_tokens"] = limit
    scores = [name for name in row.get("metrics", ("exact_match",)) if name in row]
    if len(scores) == 1:
        given["correct"] = row[scores[0]]
    return given


def _generation_arguments(arguments: Any) -> Mapping[str, Any]:
    """The generation settings of a request, in the old form (a list) or the new (an object)."""
    if isinstance(arguments, dict):
        arguments = [list(each.values()) for each in arguments.values() if isinstance(each, dict)]
    if isinstance(arguments, list) and arguments and isinstance(arguments[0], list):
        return next((each for each in arguments[0] if isinstance(each, dict)), {})
    return {}


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


def _located(given: dict[str, Any], path: Path, where: str, harness: str, told: Told) -> Located:
    """A sample record of what is given. Raises UserError that names what is missing and the option
    that tells it."""
    most = given.pop("most_tokens", None)
    texts = {name: _text(given.pop(name, "")) for name in _TEXTS}
    if texts["transcript"]:
        texts["thinking"], texts["response"], closed = split(texts["transcript"])
        given.setdefault("thinking_closed", closed)
    closed = given.pop("thinking_closed", None)
    _count(given, texts, told, where)
    _grade(given, texts["response"], told, where)
    if "exit_reason" not in given and closed:
        given["exit_reason"] = "natural"
    elif "exit_reason" not in given and closed is not None and most is not None:
        cut = given["generated_tokens"] >= _whole(most, "most_tokens", where)
        given["exit_reason"] = "context" if cut else "eos"
    names = ("model", "task", "method", "sample_id", "exit_reason")
    if missing := [name for name in names if not _text(given.get(name))]:
        raise UserError(_missing(where, missing))
    budget = _whole(given["budget"], "budget", where) if "budget" in given else None
    params = {n: _number(v) for n, v in given.items() if n not in SAMPLE_FIELDS}
    row: dict[str, Any] = {
        "harness": harness,
        "engine": "not recorded",
        **{name: _text(given[name]) for name in ("model", "task", "method", "sample_id")},
        "method_params": params,
        "budget": budget,
        "epoch": _whole(given.get("epoch", 1), "epoch", where),
        "target": _text(given.get("target", "")),
        "answer": _text(given.get("answer", "")),
        "correct": given["correct"],
        "answered": given["answered"],
        "exit_reason": _text(given["exit_reason"]),
        "verifier_tokens": 0,
        "seconds": None,
        "seed": None,
        "response": texts["response"],
        **{
            name: _whole(given.get(name, 0), name, where)
            for name in ("thinking_tokens", "answer_tokens", "generated_tokens")
        },
        **{
            name: _whole(given.get(name, 0), name, where)
            for name in ("forced_tokens", "num_ignores_used")
        },
    }
    shared = [row[name] for name in SHARED_FIELDS if name != "run_id"]
    row["run_id"] = hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:12]
    return Located(row, str(path), where, None)


def split(transcript: str) -> tuple[str, str, bool]:
    """(thinking, answer, whether the thinking was closed) of a transcript with think tags or the
    s1 delimiters. A transcript without any delimiter is an answer without thinking."""
    for end, start in zip(ENDS, _STARTS, strict=True):
        before, found, after = transcript.partition(end)
        if found:
            return before.partition(start)[2] or before, after, True
        if start in transcript:
            return transcript.partition(start)[2], "", False
    return "", transcript, True


def _count(given: dict[str, Any], texts: Mapping[str, str], told: Told, where: str) -> None:
    """Token counts of what has a text and no count."""
    for name, text in (("thinking_tokens", "thinking"), ("answer_tokens", "response")):
        if name in given:
            continue
        if told.count is None:
            raise UserError(
                f"{where} does not say {name}: add --tokenizer MODEL to count them, or "
                f"--columns {name}=COLUMN"
            )
        given[name] = told.count(texts[text])
    if "generated_tokens" not in given:
        parts = [_whole(given[n], n, where) for n in ("thinking_tokens", "answer_tokens")]
        given["generated_tokens"] = sum(parts)


def _grade(given: dict[str, Any], response: str, told: Told, where: str) -> None:
    if told.grade is not None:
        verdict = told.grade(response, _text(given.get("target", "")))
        given["correct"], given["answered"], given["answer"] = verdict
        return
    if "correct" not in given:
        raise UserError(
            f"{where} does not say which answers are right: add --regrade GRADER, or "
            "--columns correct=COLUMN, or correct=COLUMN:VALUE"
        )
    given["correct"] = _truth(given["correct"], "correct", where)
    if "answered" in given:
        given["answered"] = _truth(given["answered"], "answered", where)
    elif "answer" in given:
        given["answered"] = bool(_text(given["answer"]))
    elif given["correct"]:
        given["answered"] = True
    else:
        raise UserError(
            f"{where} does not say whether a wrong answer is one at all: add --regrade GRADER, "
            "or --columns answered=COLUMN or answer=COLUMN"
        )


def _missing(where: str, names: Sequence[str]) -> str:
    how = {
        "sample_id": "sample_id=COLUMN",
        "exit_reason": "most_tokens=COLUMN (the limit that may have cut a transcript; or "
        "exit_reason==natural if nothing cut its thinking)",
    }
    options = " ".join(how.get(name, f"{name}==NAME") for name in names)
    return f"{where} does not say its {', '.join(names)}: add --columns {options}"


def _inside(row: Any, column: str, where: str) -> Any:
    value = row
    for part in [column] if column in row else column.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError):
            names = ", ".join(map(str, row)) if isinstance(row, dict) else ""
            raise UserError(f"{where} has no {column!r}: its columns are {names[:500]}") from None
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: Any) -> Any:
    """A number that a file's name or a CSV cell spells, as the number."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value) else value


def _whole(value: Any, name: str, where: str) -> int:
    number = _number(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if type(number) is not int:
        raise UserError(f"{where}: {name} is {value!r:.100}, not a whole number")
    return number


def _truth(value: Any, name: str, where: str) -> bool:
    if isinstance(value, int | float) and not math.isnan(value) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false", "0", "1"):
        return value.lower() in ("true", "1")
    raise UserError(
        f"{where}: {name} is {value!r:.100}, neither true nor false: say which values are, e.g. "
        f"--columns {name}=COLUMN:yes"
    )
