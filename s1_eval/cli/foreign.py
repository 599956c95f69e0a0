"""The options that say what other people's logs leave out, and the readers they make."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from s1_eval.errors import UserError

if TYPE_CHECKING:
    from s1_eval.records import Reader, SampleRow
    from s1_eval.records.foreign_rows import Grade


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


def readers(
    args: argparse.Namespace, tell: Callable[[str], None], counted: bool = True
) -> tuple[Reader, ...]:
    """What reads the paths of a command with these options. tell: told what should be known of the
    files. counted: the command needs the numbers of tokens; without it a file need not tell them.
    """
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
            grade_as=_grade_as,
            skip_bad=args.skip_bad,
            tell=tell,
        )
    )


def _counter(model: str) -> Callable[[str], int]:
    from s1_eval.engines.checkpoints import load_tokenizer
    from s1_eval.engines.models import resolve_model

    try:
        tokenizer = load_tokenizer(resolve_model(model) if model == "nano" else model)
    except UserError as error:
        raise UserError(f"--tokenizer {model}: {str(error)[:300]}") from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def _grader(name: str) -> Grade:
    from s1_eval.answers import grader
    from s1_eval.answers.cut import grade_ended

    chosen = grader(name)
    checked: set[str] = set()

    def grade(response: str, target: str, cut: bool) -> tuple[bool, bool, str]:
        if target not in checked:
            chosen.check_target(target)
            checked.add(target)
        verdict = grade_ended(chosen, response, target, cut=cut)
        return verdict.correct, verdict.answered, verdict.answer

    return grade


def _grade_as(row: SampleRow, about: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row, graded by the grader that our task left in an Inspect sample's metadata."""
    from s1_eval.evaluation.benchmark import open_grader
    from s1_eval.evaluation.run import graded

    return graded(row, open_grader(about["grader"]), about["options"])
