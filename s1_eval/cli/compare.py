"""`s1-eval compare`: two methods, or two models, on the same questions at equal budgets."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_eval.cli import foreign
from s1_eval.cli.options import add_resampling, allowance, comma_list
from s1_eval.errors import UserError

if TYPE_CHECKING:
    from s1_eval.records import Reader, Run


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "compare", help="the paired difference of two methods or models at equal compute"
    )
    for side in ("first", "second"):
        parser.add_argument(
            side,
            metavar=side.upper(),
            help="a folder or file, or PATH:METHOD where it holds several methods, e.g. "
            "runs/nano:budget_forcing",
        )
    parser.add_argument(
        "--at",
        default="budget",
        choices=("budget", "thinking_tokens", "generated_tokens"),
        help="what has to be equal: the limit on thinking (default), or the mean tokens, between "
        "whose neighbouring runs a side is interpolated",
    )
    parser.add_argument(
        "--points", type=float, default=5.0, help="the difference to plan questions for"
    )
    parser.add_argument(
        "--alpha", type=float, default=0.05, help="chance of any false finding (Holm's correction)"
    )
    parser.add_argument(
        "--allow-different",
        type=comma_list(allowance("questions", "data", "checker")),
        default=[],
        metavar="WHAT,…",
        help="questions, data, checker: compare although these differ",
    )
    parser.add_argument("--json", action="store_true", help="a JSON list instead of the table")
    add_resampling(parser, "the resampling")
    foreign.add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.metrics.comparison import compare
    from s1_eval.report import comparison

    readers = foreign.readers(args)
    found = compare(
        _side(args.first, readers),
        _side(args.second, readers),
        args.at,
        args.points,
        args.alpha,
        args.allow_different,
        args.seed,
        args.resamples,
    )
    if args.json:
        matched = [asdict(one) for one in found]
        print(json.dumps(matched, indent=2, allow_nan=False))  # noqa: T201
    else:
        sys.stdout.write(comparison.markdown(found, args.at, args.points, args.alpha))
    return 0


def _side(given: str, readers: Sequence[Reader]) -> list[Run]:
    """The runs of a path, of one method if the argument names one after a colon."""
    from s1_eval.metrics.series import method_label
    from s1_eval.records import read_runs

    path, colon, method = given.rpartition(":")
    if not colon or Path(given).exists():
        return read_runs([Path(given)], readers)
    runs = read_runs([Path(path)], readers)
    chosen = [run for run in runs if method_label(run) == method]
    if not chosen:
        known = ", ".join(sorted({method_label(run) for run in runs}))
        raise UserError(f"{given}: no run of {method!r} in {path}; it holds {known}")
    return chosen
