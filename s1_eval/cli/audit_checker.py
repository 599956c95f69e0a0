"""`s1-eval audit-checker`: recorded answers graded again, by our checker and by others, and every
disagreement listed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from s1_eval import __version__
from s1_eval.answers import Grader, grader
from s1_eval.answers.pool import Failed, Pool
from s1_eval.cli import opponents
from s1_eval.cli.check import add_grader, settings
from s1_eval.cli.inputs import Inputs, add_paths
from s1_eval.errors import UserError
from s1_eval.json_lines import JsonObject
from s1_eval.thinking.render import printable

OURS = "s1_eval"
RECORDED = "recorded"

_GOLD = ("target", "gold", "gold_answer", "true_answer")
_ANSWER = ("response", "answer", "generated_answers")
_CORRECT = ("correct", "is_correct", "equal")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "audit-checker",
        help="grade recorded answers again with several checkers and list where they disagree",
        description="The checkers compare; what each of them is given was extracted by ours. "
        "PATHs are what `s1-eval score` reads, or JSON lines with "
        f"{'/'.join(_GOLD)} and {'/'.join(_ANSWER)}, and optionally {'/'.join(_CORRECT)}.",
    )
    add_paths(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_grader(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    answers = read(args.paths, Inputs(args, counted=False))
    found = audit(answers, grader(args.grader, **settings(args.set)))
    if args.json:
        print(json.dumps(found))  # noqa: T201
    else:
        _print(found)
    return 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """An answer as a file has it. correct: the grade beside it, None without one."""

    where: str
    gold: str
    answer: str
    correct: bool | None


def read(paths: Sequence[str], inputs: Inputs) -> list[Recorded]:
    """The answers of all paths: of runs, those that `s1-eval score` counts, each once. Raises
    UserError where a path has none."""

    def is_plain(path: str) -> bool:
        file = Path(path)
        return file.is_file() and not any(reader.sniff(file) for reader in inputs.readers)

    plain = [path for path in paths if is_plain(path)]
    runs = inputs.runs(path for path in paths if path not in plain)
    found = [one for row in inputs.rows(runs) for one in _recorded(row.where, row.row)]
    for path in plain:
        answers = [one for where, row in _plain_rows(Path(path)) for one in _recorded(where, row)]
        if not answers:
            raise UserError(
                f"{path} has no answers to grade: give our records, an Inspect log, an lm-eval "
                f"sample file, or JSON lines with {'/'.join(_GOLD)} and {'/'.join(_ANSWER)}"
            )
        found += answers
    return found


def _plain_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    from s1_eval.json_lines import read_lines

    try:
        yield from ((f"{path} line {number}", row) for number, row in read_lines(path))
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}") from error


def _recorded(where: str, row: Mapping[str, Any]) -> Iterator[Recorded]:
    gold = next((row[key] for key in _GOLD if key in row), None)
    answers = next((row[key] for key in _ANSWER if key in row), None)
    verdicts = ("recorded_correct", *_CORRECT)
    correct = next((row[key] for key in verdicts if isinstance(row.get(key), bool)), None)
    if gold is None or answers is None:
        return
    for answer in answers if isinstance(answers, list) else [answers]:
        yield Recorded(where, str(gold), str(answer), correct)


def audit(answers: Sequence[Recorded], ours: Grader) -> JsonObject:
    """`checkers`: per checker its version, how many answers it called correct, its disagreements
    with ours, its mean and largest milliseconds, what it failed on. `disagreements`: every answer
    that not all agree on, with each verdict."""
    from concurrent.futures import ThreadPoolExecutor

    for gold in dict.fromkeys(recorded.gold for recorded in answers):
        ours.check_target(gold)
    # The other checkers have limits of their own, which come first.
    pool = Pool(module=opponents.__name__, processor_seconds=20, seconds=120, megabytes=8_192)
    try:
        missing = pool.ask({})
        with ThreadPoolExecutor(pool.size) as threads:
            rows = list(threads.map(lambda r: _graded(r, ours, pool, missing), answers))
    finally:
        pool.close()
    versions = {OURS: __version__, RECORDED: "", **opponents.versions()}
    return {
        "answers": len(rows),
        "checkers": {name: _summary(name, versions[name], rows, missing) for name in versions},
        "disagreements": [row for row in rows if len(set(_verdicts(row).values())) > 1],
    }


def _graded(recorded: Recorded, ours: Grader, pool: Pool, missing: Mapping[str, Any]) -> JsonObject:
    """One answer with the verdicts of all. An empty answer is nobody's to compare."""
    verdict = ours.grade(recorded.answer, recorded.gold)
    verdicts: JsonObject = {
        OURS: {"equal": verdict.correct, "milliseconds": verdict.milliseconds},
        RECORDED: {"equal": recorded.correct},
    }
    for name in opponents.versions():
        if name in missing or not verdict.answer:
            continue
        question = {"checker": name, "gold": recorded.gold, "answer": verdict.answer}
        try:
            verdicts[name] = pool.ask(question)
        except Failed as failure:
            verdicts[name] = {"equal": False, "raised": str(failure)}
    return {**asdict(recorded), "rule": verdict.rule, "verdicts": verdicts}


def _verdicts(row: Mapping[str, Any]) -> dict[str, bool]:
    return {
        name: verdict["equal"]
        for name, verdict in row["verdicts"].items()
        if verdict["equal"] is not None
    }


def _summary(
    name: str, version: str, rows: Sequence[Mapping[str, Any]], missing: Mapping[str, Any]
) -> JsonObject:
    graded = [row for row in rows if name in _verdicts(row)]
    times = [row["verdicts"][name].get("milliseconds") for row in graded]
    known = [t for t in times if t is not None]
    return {
        "version": version,
        "missing": missing.get(name),
        "graded": len(graded),
        "correct": sum(_verdicts(row)[name] for row in graded),
        "disagreements": sum(_verdicts(row)[name] != _verdicts(row)[OURS] for row in graded),
        "raised": sum(bool(row["verdicts"][name].get("raised")) for row in graded),
        "mean_milliseconds": sum(known) / len(known) if known else None,
        "max_milliseconds": max(known, default=None),
    }


def _print(found: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(title=f"{found['answers']} recorded answers")
    table.add_column("checker")
    for heading in ("graded", "correct", "not as ours", "raised", "mean ms", "max ms"):
        table.add_column(heading, justify="right")
    for name, summary in found["checkers"].items():
        label = f"{name} ({summary['version']})" if summary["version"] else name
        if summary["missing"]:
            table.add_row(label, Text(f"missing: {summary['missing']}"))
            continue
        counts = [str(summary[key]) for key in ("graded", "correct", "disagreements", "raised")]
        times = [summary[key] for key in ("mean_milliseconds", "max_milliseconds")]
        table.add_row(label, *counts, *("" if t is None else f"{t:.2f}" for t in times))
    console.print(table)
    for row in found["disagreements"]:
        said = ", ".join(f"{n} {'yes' if equal else 'no'}" for n, equal in _verdicts(row).items())
        lines = (row["where"], f"gold {row['gold']}", f"answer {row['answer']}", row["rule"], said)
        console.print(Text("\n  ".join(printable(line) for line in lines)))
