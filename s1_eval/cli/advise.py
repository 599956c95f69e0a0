"""`s1-eval advise`: how much thinking a question deserves, from runs at several budgets."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from s1_eval.cli.inputs import Inputs, add_paths
from s1_eval.cli.options import COSTS, add_prices, from_zero, prices


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "advise", help="which budget, or which rule to stop by, from runs at several budgets"
    )
    add_paths(parser)
    parser.add_argument(
        "--at", default="generated_tokens", choices=COSTS, help="what to save; default: %(default)s"
    )
    add_prices(parser)
    parser.add_argument(
        "--points", type=float, default=2.0, help="points of accuracy that may be lost"
    )
    parser.add_argument("--out", type=Path, help="folder for the picture and advice.md")
    parser.add_argument("--json", action="store_true", help="a JSON list instead of the text")
    parser.add_argument("--seed", type=from_zero, default=0, help="of the folds")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.metrics.advice import advise

    inputs = Inputs(args)
    runs = inputs.runs(args.paths)
    found = advise(
        runs,
        inputs.rows(runs),
        args.at,
        args.points,
        args.seed,
        inputs.leave_out,
        prices(args),
    )
    if args.json:
        print(json.dumps(found, indent=2, allow_nan=False))  # noqa: T201
    if args.json and not args.out:
        return 0
    from s1_eval.report import advice

    said = advice.markdown(found)
    if not args.json:
        print(said)  # noqa: T201
    if args.out:
        advice.write(found, said, args.out)
    return 0
