"""`s1-eval leaderboard`: `build` a static page from recorded runs; `check` new runs against a
baseline in CI (exit 0 no regression, 1 regression, 2 could not compare); `export` to the formats of
others."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from s1_eval.cli import export
from s1_eval.cli.inputs import HELP, Inputs, add_paths
from s1_eval.cli.options import add_prices, add_resampling, allowance, comma_list, prices
from s1_eval.errors import UserError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("leaderboard", help="a page of results; a regression gate for CI")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _add_build(actions)
    _add_check(actions)
    export.add_parser(actions)


def _add_build(actions: Any) -> None:
    parser = actions.add_parser("build", help="write a static page, leaderboard.md and .json")
    add_paths(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the page")
    parser.add_argument("--title", default="Leaderboard")
    parser.add_argument(
        "--traces",
        choices=("open", "all", "none"),
        default="open",
        help="whose traces to publish: `open`, where records say that the questions are; `all`, "
        "also where they don't say; never those of benchmarks that must stay off the web (GPQA)",
    )
    parser.add_argument("--common-questions", action="store_true", help="as in `s1-eval score`")
    add_prices(parser)
    add_resampling(parser)
    parser.set_defaults(run=build)


def _add_check(actions: Any) -> None:
    parser = actions.add_parser(
        "check", help="exit 1 if a run is worse than the baseline's with the same settings"
    )
    add_paths(parser, "new", metavar="NEW")
    parser.add_argument("--baseline", nargs="+", required=True, metavar="BASE", help=HELP)
    parser.add_argument(
        "--max-drop", type=float, default=2.0, help="tolerated drop of accuracy, in points"
    )
    parser.add_argument(
        "--max-rise", type=float, default=10.0, help="tolerated rise of thinking tokens, in percent"
    )
    parser.add_argument(
        "--alpha", type=float, default=0.05, help="chance of any false alarm (Holm's correction)"
    )
    parser.add_argument(
        "--allow-different",
        type=comma_list(allowance("runs", "questions", "data", "checker")),
        default=[],
        metavar="WHAT,…",
        help="runs, questions, data, checker: compare although these differ",
    )
    parser.add_argument("--summary", type=Path, help="file to append a Markdown summary to")
    parser.add_argument("--json", action="store_true", help="a JSON object instead of the table")
    add_resampling(parser, "the simulated checks behind *Detectable*")
    parser.set_defaults(run=check)


def build(args: argparse.Namespace) -> int:
    from rich.console import Console

    from s1_eval.metrics import score, scored
    from s1_eval.report.leaderboard import build as write

    inputs = Inputs(args)
    found = inputs.runs(args.paths)
    entries = score(
        found, args.seed, args.resamples, args.common_questions, inputs.leave_out, prices(args)
    )
    runs = scored(entries, found)
    page = write(runs, entries, inputs.rows(runs), args.out, args.title, args.traces)
    Console(stderr=True).print(f"Open {page}", markup=False)
    return 0


def check(args: argparse.Namespace) -> int:
    from s1_eval.metrics.gate import Tolerance
    from s1_eval.metrics.gate import check as compare
    from s1_eval.report import regressions

    tolerance = Tolerance(args.max_drop, args.max_rise, args.alpha)
    inputs = Inputs(args)
    comparisons = compare(
        inputs.runs(args.new),
        inputs.runs(args.baseline, whole="runs" not in args.allow_different),
        tolerance,
        args.allow_different,
        args.seed,
        args.resamples,
    )
    found = any(comparison.regression for comparison in comparisons)
    summary = regressions.markdown(comparisons, tolerance, args.allow_different)
    if args.summary:
        try:
            with args.summary.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(summary)
        except OSError as error:
            raise UserError(f"can't write --summary {args.summary}: {error}") from error
    if args.json:
        report = {
            "regression": found,
            **asdict(tolerance),
            "allowed": args.allow_different,
            "seed": args.seed,
            "resamples": args.resamples,
            "comparisons": [asdict(comparison) for comparison in comparisons],
        }
        print(json.dumps(report, indent=2, allow_nan=False))  # noqa: T201
    else:
        sys.stdout.write(summary)
    return int(found)
