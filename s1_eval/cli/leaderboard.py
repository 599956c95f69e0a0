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

from s1_eval.cli import export, foreign
from s1_eval.cli.options import add_resampling, allowance, comma_list
from s1_eval.errors import UserError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("leaderboard", help="a page of results; a regression gate for CI")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _add_build(actions)
    _add_check(actions)
    export.add_parser(actions)


def _add_build(actions: Any) -> None:
    parser = actions.add_parser("build", help="write a static page, leaderboard.md and .json")
    parser.add_argument("paths", nargs="+", type=Path, metavar="RUNS", help="folders or files")
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
    add_resampling(parser)
    foreign.add_options(parser)
    parser.set_defaults(run=build)


def _add_check(actions: Any) -> None:
    parser = actions.add_parser(
        "check", help="exit 1 if a run is worse than the baseline's with the same settings"
    )
    parser.add_argument("new", nargs="+", type=Path, metavar="NEW", help="folders or files")
    parser.add_argument("--baseline", nargs="+", type=Path, required=True, metavar="BASE")
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
    add_resampling(parser, "the resampling tests")
    foreign.add_options(parser)
    parser.set_defaults(run=check)


def build(args: argparse.Namespace) -> int:
    from rich.console import Console

    from s1_eval.metrics import score
    from s1_eval.records import read_rows, read_runs
    from s1_eval.report.leaderboard import build as write

    readers = foreign.readers(args)
    runs = read_runs(args.paths, readers)
    entries = score(runs, args.seed, args.resamples, args.common_questions)
    rows = (row for path in args.paths for row in read_rows(path, readers))
    page = write(runs, entries, rows, args.out, args.title, args.traces)
    Console(stderr=True).print(f"Open {page}", markup=False)
    return 0


def check(args: argparse.Namespace) -> int:
    from s1_eval.metrics.gate import Tolerance
    from s1_eval.metrics.gate import check as compare
    from s1_eval.records import read_runs
    from s1_eval.report import regressions

    tolerance = Tolerance(args.max_drop, args.max_rise, args.alpha)
    readers = foreign.readers(args)
    comparisons = compare(
        read_runs(args.new, readers),
        read_runs(args.baseline, readers),
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
