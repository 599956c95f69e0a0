"""The options that say what other people's logs leave out, and the readers they make."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from s1_eval.errors import UserError
from s1_eval.thinking.render import printable

if TYPE_CHECKING:
    from s1_eval.records import Reader


def add_options(parser: argparse.ArgumentParser) -> None:
    """--tokenizer, --regrade, --columns, --where, --delimiters, --skip-bad."""
    from s1_eval.answers import GRADERS

    group = parser.add_argument_group(
        "other people's logs (Inspect logs, lm-eval files, JSONL, JSON, CSV)"
    )
    group.add_argument("--tokenizer", metavar="MODEL", help="counts the tokens of recorded texts")
    group.add_argument(
        "--regrade", choices=sorted(GRADERS), help="grade the recorded answers again by this"
    )
    group.add_argument(
        "--columns",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=COLUMN",
        help="where a field of the sample record comes from: FIELD=COLUMN (dots lead inwards), "
        "FIELD=COLUMN:VALUE|VALUE (true for these), FIELD==TEXT, or FIELD=~PATTERN in the file's "
        "name; fields that a record does not have are settings of the method; `transcript`, "
        "`thinking`, `response` and `prompt` are texts, `most_tokens` is the limit on all that was "
        "generated; `epoch0` counts from 0, and epoch==nth numbers a question's rows",
    )
    group.add_argument(
        "--where",
        nargs="+",
        action="extend",
        default=[],
        metavar="COLUMN=VALUE",
        help="read these rows alone, e.g. filter=strict-match of an lm-eval file",
    )
    group.add_argument(
        "--delimiters",
        metavar="START...END",
        help="what stands around the thinking in a transcript, if the file does not show it; a "
        "transcript without the end is cut. `none`: the model does not think",
    )
    group.add_argument("--skip-bad", action="store_true", help="skip damaged rows, naming them")


def readers(args: argparse.Namespace, counted: bool = True) -> tuple[Reader, ...]:
    """What reads the paths of a command with these options. counted: the command needs the numbers
    of tokens; without it a file need not tell them."""
    from s1_eval.records.foreign import Told, parse_columns, parse_delimiters, parse_where
    from s1_eval.records.foreign import readers as known

    count = _counter(args.tokenizer) if args.tokenizer else None
    return known(
        Told(
            columns=parse_columns(args.columns),
            where=parse_where(args.where),
            delimiters=None if args.delimiters is None else parse_delimiters(args.delimiters),
            count=count if counted or count else lambda _: 0,
            grade=_grader(args.regrade) if args.regrade else None,
            on_bad=(lambda error: _say(f"skipped: {error}")) if args.skip_bad else None,
            say=_say,
        )
    )


def _counter(model: str) -> Callable[[str], int]:
    from transformers import AutoTokenizer

    from s1_eval.engines.models import resolve_model

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            resolve_model(model) if model == "nano" else model
        )
    except (OSError, ValueError) as error:
        raise UserError(f"--tokenizer {model}: {str(error)[:300]}") from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def _grader(name: str) -> Callable[[str, str], tuple[bool, bool, str]]:
    from s1_eval.answers import grader

    chosen = grader(name)

    checked: set[str] = set()

    def grade(response: str, target: str) -> tuple[bool, bool, str]:
        if target not in checked:
            chosen.check_target(target)
            checked.add(target)
        verdict = chosen.grade(response, target)
        return verdict.correct, verdict.answered, verdict.answer

    return grade


def _say(message: str) -> None:
    print(f"s1-eval: {printable(message)}", file=sys.stderr)  # noqa: T201
