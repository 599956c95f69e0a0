"""`s1-eval check`: why an answer counts as right or wrong."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from s1_eval.answers import GRADERS, grader
from s1_eval.answers.grading import Verdict
from s1_eval.answers.pool import shared_pool
from s1_eval.errors import UserError
from s1_eval.json_lines import JsonObject
from s1_eval.key_values import key_values
from s1_eval.thinking.render import printable


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "check",
        help="grade one answer, or a file of them, and explain the verdict",
        usage="%(prog)s [--json] [--grader NAME] [--set KEY=VALUE] [--option TEXT] -- GOLD ANSWER\n"
        "       %(prog)s [--json] --file PAIRS.jsonl",
    )
    parser.add_argument("gold", metavar="GOLD", nargs="?", help="the right answer")
    parser.add_argument(
        "answer", metavar="ANSWER", nargs="?", help="the answer, or the text that holds it"
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="PAIRS.jsonl",
        help="lines of grader (math, integer, choice), gold, answer (a whole response) and, where "
        "there are some, options: one verdict a line, in order",
    )
    parser.add_argument("--option", action="append", default=[], help="text of option A, B, …")
    parser.add_argument("--json", action="store_true", help="print one JSON object a verdict")
    add_grader(parser)
    parser.set_defaults(run=run)


def add_grader(parser: argparse.ArgumentParser) -> None:
    """The options that choose a grader and how strict it is."""
    parser.add_argument("--grader", choices=sorted(GRADERS), default="math")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the grader, e.g. degrees=false, tolerance=0.001, maximum=99",
    )


def run(args: argparse.Namespace) -> int:
    if args.file:
        if args.gold is not None or args.option or args.set:
            raise UserError("--file has the pairs and their options: give no GOLD, ANSWER or --set")
        for found in check_file(args.file):
            print(json.dumps(found) if args.json else _line(found), flush=True)  # noqa: T201
        return 0
    if args.answer is None:
        raise UserError("give GOLD and ANSWER, e.g. s1-eval check -- 5 'x = 5', or --file PAIRS")
    verdict = check(args.gold, args.answer, args.grader, settings(args.set), args.option)
    if args.json:
        print(json.dumps(report(verdict)))  # noqa: T201
        return 0
    print("equal" if verdict.correct else "not equal")  # noqa: T201
    for name, value in (
        ("extracted", verdict.answer or "nothing"),
        ("gold read as", verdict.gold_read_as),
        ("answer read as", verdict.answer_read_as),
        ("rule", verdict.rule),
        ("time", f"{verdict.milliseconds:.1f} ms"),
    ):
        print(f"  {name:<15} {printable(value)}")  # noqa: T201
    return 0


def check(
    gold: str,
    answer: str,
    name: str = "math",
    strictness: Mapping[str, Any] | None = None,
    options: Sequence[str] = (),
) -> Verdict:
    """The verdict of a grader. Raises UserError where it can't read `gold`."""
    chosen = grader(name, **(strictness or {}))
    chosen.check_target(gold)
    return chosen.grade(answer, gold, options)


def check_file(path: Path) -> Iterator[JsonObject]:
    """The JSON form of each line's verdict, in order; `{"error": …}` for a line that is no pair.

    Raises UserError where there is no such file.
    """
    from concurrent.futures import ThreadPoolExecutor

    try:
        lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}") from error
    if lines == [b""]:
        return
    with ThreadPoolExecutor(shared_pool().size) as threads:
        yield from threads.map(_check_line, lines)


def _check_line(line: bytes) -> JsonObject:
    try:
        pair = json.loads(line)
        if not isinstance(pair, dict):
            raise UserError("not an object: give grader, gold and answer")
        name, gold, answer = (_text(pair, field) for field in ("grader", "gold", "answer"))
        options = [] if pair.get("options") is None else pair["options"]
        if not (isinstance(options, list) and all(isinstance(o, str) for o in options)):
            raise UserError("options: give a list of texts")
        limited = name == "choice" and options
        settings = {"letters": ascii_uppercase[: len(options)]} if limited else {}
        return report(check(gold, answer, name, settings, options))
    except (ValueError, RecursionError) as error:  # of JSON, and UserError
        return {"error": str(error)}


def _text(pair: Mapping[str, Any], field: str) -> str:
    """A field of a pair; the gold may be a number."""
    value = pair.get(field)
    if field == "gold" and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise UserError(f"gold: {value} is no answer")
        return str(value)
    if not isinstance(value, str):
        raise UserError(f"{field}: give a text" + ("" if field in pair else "; it is missing"))
    return value


def _line(found: Mapping[str, Any]) -> str:
    if "error" in found:
        return printable(f"error: {found['error']}")
    return printable(f"{'equal' if found['equal'] else 'not equal'}: {found['rule']}")


def report(verdict: Verdict) -> JsonObject:
    """The JSON form: equal, rule, gold_read_as, answer_read_as, milliseconds, and what the text
    was found to say."""
    fields = dataclasses.asdict(verdict)
    return {"equal": fields.pop("correct"), **fields}


def settings(given: Sequence[str]) -> JsonObject:
    """The options of `add_grader` as keyword arguments. Raises UserError on what is none."""
    found = key_values(given, "--set")
    if bad := [key for key in found if not key.isidentifier()]:
        raise UserError(f"--set {bad[0]}=…: give KEY=VALUE, e.g. --set degrees=false")
    return found
