"""`s1-eval check`: why an answer counts as right or wrong."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from s1_eval.answers import GRADERS, grader
from s1_eval.answers.grading import Verdict
from s1_eval.errors import UserError
from s1_eval.thinking.render import printable


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "check",
        help="grade one answer and explain the verdict",
        usage="%(prog)s [--json] [--grader NAME] [--set KEY=VALUE] [--option TEXT] -- GOLD ANSWER",
    )
    parser.add_argument("gold", metavar="GOLD", help="the right answer")
    parser.add_argument("answer", metavar="ANSWER", help="the answer, or the text that holds it")
    parser.add_argument("--option", action="append", default=[], help="text of option A, B, …")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
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


def report(verdict: Verdict) -> dict[str, Any]:
    """The JSON form: equal, rule, gold_read_as, answer_read_as, milliseconds, and what the text
    was found to say."""
    fields = dataclasses.asdict(verdict)
    return {"equal": fields.pop("correct"), **fields}


def settings(given: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE`s as keyword arguments: JSON where the value is JSON, else text."""
    found: dict[str, Any] = {}
    for setting in given:
        key, equals, value = setting.partition("=")
        if not (equals and key.isidentifier()):
            raise UserError(f"--set {setting}: give KEY=VALUE, e.g. --set degrees=false")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
