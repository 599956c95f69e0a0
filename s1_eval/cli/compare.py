"""`s1-eval compare`: two methods, or two models, on the same questions at equal budgets."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from s1_eval.cli import foreign
from s1_eval.cli.inputs import Inputs
from s1_eval.cli.options import COSTS, add_prices, allowance, comma_list, prices


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
        choices=("budget", *COSTS),
        help="what has to be equal: the limit on thinking (default), or the mean cost, between "
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
        type=comma_list(allowance("questions", "data", "checker", "load")),
        default=[],
        metavar="WHAT,…",
        help="questions, data, checker, load: compare although these differ",
    )
    parser.add_argument("--json", action="store_true", help="a JSON list instead of the table")
    add_prices(parser)
    foreign.add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.metrics.comparison import compare
    from s1_eval.report import comparison

    inputs = Inputs(args)
    found = compare(
        inputs.runs([args.first]),
        inputs.runs([args.second]),
        args.at,
        args.points,
        args.alpha,
        args.allow_different,
        prices(args),
    )
    if args.json:
        matched = [asdict(one) for one in found]
        print(json.dumps(matched, indent=2, allow_nan=False))  # noqa: T201
    else:
        sys.stdout.write(comparison.markdown(found, args.at, args.points, args.alpha))
    return 0
