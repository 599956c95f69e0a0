"""`s1-eval score`: Control, Scaling and Performance of runs that any harness left, and the audit of
their budgets."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from s1_eval.cli.inputs import Inputs, add_paths
from s1_eval.cli.options import COSTS, add_prices, add_resampling, prices
from s1_eval.metrics.entries import Entry


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "score", help="score recorded runs: ours, Inspect logs, lm-eval sample files, tables"
    )
    add_paths(parser)
    parser.add_argument("--json", action="store_true", help="a JSON list instead of the table")
    parser.add_argument("--out", type=Path, help="folder for table, pictures and report.html")
    parser.add_argument(
        "--x",
        choices=COSTS,
        help="a table of cost and accuracy, of what a correct answer costs, and of the runs that "
        "nothing else beats for as little; with --out its picture too",
    )
    add_prices(parser)
    add_resampling(parser)
    parser.add_argument(
        "--common-questions",
        action="store_true",
        help="compare runs of different question sets on the questions they share",
    )
    parser.add_argument(
        "--by",
        metavar="COLUMN",
        help="also for the questions of each level, subject, contest or other value of their "
        "metadata",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.metrics import score, scored
    from s1_eval.metrics.front import fronts, stand
    from s1_eval.metrics.scoring import whole

    inputs = Inputs(args)
    runs = inputs.runs(args.paths)
    entries = score(
        runs,
        args.seed,
        args.resamples,
        args.common_questions,
        inputs.leave_out,
        prices(args),
        args.by,
    )
    found = fronts(scored(whole(entries), runs), args.x, prices(args)) if args.x else []
    if args.out:
        from s1_eval.report import write

        write(scored(entries, runs), args.out, entries, args.x)
    if args.json:
        stand(whole(entries), found)
        print(json.dumps(entries, indent=2, allow_nan=False))  # noqa: T201
        return 0
    from rich.console import Console

    from s1_eval.report import audit

    _print(entries)
    print()  # noqa: T201
    audit.render(whole(entries), Console())
    if found:
        from s1_eval.report import costs

        print(f"\n{costs.markdown(found)}")  # noqa: T201
    hint = f"report.html with plots: {args.out}" if args.out else "Plots: add --out FOLDER"
    Console(stderr=True).print(hint, markup=False)
    return 0


def report(folders: Sequence[Path], out: Path) -> int:
    """What a sweep ends with: the table on the terminal, everything in `out`."""
    from rich.console import Console

    from s1_eval.records import read_runs
    from s1_eval.report import write

    _print(write(read_runs(folders), out))
    Console(stderr=True).print(f"Table, pictures and report.html: {out}", markup=False)
    return 0


def _print(entries: Sequence[Entry]) -> None:
    from rich.console import Console

    from s1_eval.report import render

    render(entries, Console())
