"""The options that say what other people's logs leave out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

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
        "`thinking`, `response`, `prompt` and `question` are texts, `most_tokens` is the limit on "
        "all that was generated; `epoch0` counts from 0, and epoch==nth numbers a question's rows",
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
    args: argparse.Namespace,
    tell: Callable[[str], None],
    counted: bool = True,
    ungraded: bool = False,
) -> tuple[Reader, ...]:
    """What reads the paths of a command with these options, see `s1_eval.evaluation.reading`."""
    from s1_eval.evaluation.reading import readers

    return readers(
        tell,
        counted=counted,
        ungraded=ungraded,
        tokenizer=args.tokenizer,
        regrade=args.regrade,
        columns=args.columns,
        where=args.where,
        delimiters=args.delimiters,
        skip_bad=args.skip_bad,
    )
