"""`s1-eval compute-optimal`: the curves of search strategies over their width, and the choice among
them by difficulty."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_eval.cli.inputs import Inputs, add_paths
from s1_eval.cli.options import at_least_one, from_zero
from s1_eval.errors import UserError

if TYPE_CHECKING:
    from s1_eval.metrics.strategies import Strategy


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "compute-optimal",
        help="accuracy of search strategies by width and tokens, and of the best choice among them",
    )
    add_paths(parser)
    parser.add_argument(
        "--difficulty",
        required=True,
        metavar="RUN",
        help="samples of the same questions with another seed, to estimate difficulty from; they "
        "are charged",
    )
    parser.add_argument(
        "--difficulty-by",
        choices=("oracle", "verifier"),
        default="oracle",
        help="pass@1, which takes the right answers, or the verifier's mean score",
    )
    parser.add_argument("--bins", type=at_least_one, default=5)
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    parser.add_argument("--json", action="store_true", help="a JSON list instead of the table")
    parser.add_argument("--seed", type=from_zero, default=0, help="of the folds")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.metrics.strategies import curves

    inputs = Inputs(args)
    estimates = inputs.runs([args.difficulty])
    if len(estimates) > 1:
        raise UserError(
            f"--difficulty {args.difficulty} holds {len(estimates)} runs: give one, e.g. as "
            "PATH:METHOD"
        )
    found = curves(
        inputs.runs(args.paths),
        estimates[0],
        args.difficulty_by,
        args.bins,
        args.seed,
        inputs.leave_out,
    )
    if args.out:
        from s1_eval.report import plots

        args.out.mkdir(parents=True, exist_ok=True)
        for x in ("tokens", "samples"):
            plots.save(plots.strategies(found, x), args.out / f"accuracy_vs_{x}")
    if args.json:
        print(json.dumps(found, indent=2, allow_nan=False))  # noqa: T201
    else:
        _print(found)
    return 0


def _print(found: Sequence[Strategy]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from s1_eval.report.table import UNDEFINED, fixed, span

    console = Console()
    widths = sorted({point["samples"] for each in found for point in each["points"]})
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("N", overflow="fold")
    for width in widths:
        table.add_column(str(width), justify="right", no_wrap=True)
    for each in found:
        at = {point["samples"]: point for point in each["points"]}
        table.add_row(
            each["strategy"],
            *(
                f"{fixed(at[width]['accuracy']['value'])}\n{span(at[width]['accuracy'])}\n"
                f"{fixed(at[width]['tokens'], 0)} tokens"
                if width in at
                else UNDEFINED
                for width in widths
            ),
        )
    console.print(table)
    console.print(
        Text(
            "Accuracy in percent, 95% intervals over questions; mean tokens per question, the "
            "verifier's included, and the estimate's for compute-optimal, which takes in each bin "
            "of difficulty the strategy that does best on the other half of the questions.",
            "dim",
        )
    )
