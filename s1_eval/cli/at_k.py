"""`s1-eval at-k`: pass@k, majority@k and best-of-k from one set of samples."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from s1_eval.cli.inputs import Inputs, add_paths
from s1_eval.cli.options import comma_list, from_zero, whole_numbers

if TYPE_CHECKING:
    from rich.console import Console

    from s1_eval.metrics.at_k import Curves
    from s1_eval.metrics.entries import Noted


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "at-k", help="pass@k (cov@k), maj@k and best-of-k for every k from one set of samples"
    )
    add_paths(parser)
    parser.add_argument(
        "--k", type=whole_numbers, default=[], metavar="K[,K]", help="default: 1, 2, 4, … and n"
    )
    parser.add_argument(
        "--keep",
        type=comma_list(float),
        default=[1.0],
        metavar="SHARE[,SHARE]",
        help="of votes by the model's confidence, the share of the chains that votes, the most "
        "confident; default: 1",
    )
    parser.add_argument("--json", action="store_true", help="a JSON list instead of the tables")
    parser.add_argument(
        "--seed",
        type=from_zero,
        default=0,
        help="of the choices of k where there are too many to try all",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from s1_eval.evaluation.grading import grouper
    from s1_eval.metrics.at_k import at_k

    inputs = Inputs(args)
    found = inputs.each(
        inputs.runs(args.paths),
        lambda run: at_k(run, grouper(run), args.k, args.seed, args.keep),
    )
    if args.json:
        print(json.dumps(found, indent=2, allow_nan=False))  # noqa: T201
        return 0
    console = Console()
    for each in found:
        _print(each, console)
    return 0


def _print(found: Curves, console: Console) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from s1_eval.report.table import fixed, marks, raised, span

    notes: dict[str, int] = {}

    def shown(metric: Noted) -> str:
        mark = marks(notes, filter(None, [metric["note"]]))
        return f"{fixed(metric['value'])}{mark}\n{span(metric)}"

    title = (
        f"{found['model']} on {found['task']}, {found['method']}: {found['questions']} questions, "
        f"{found['samples']} samples each"
    )
    every = found["at"]
    table = Table(
        title=Text(title, "bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("k", overflow="fold")
    for at in every:
        table.add_column(str(at["k"]), justify="right", no_wrap=True)
    figures = [{**at["metrics"], **at["differences"]} for at in every]
    for name in figures[0]:
        if name != "pass@1":
            table.add_row(name.replace("best-of-k, ", ""), *(shown(at[name]) for at in figures))
    table.add_row("tokens", *(fixed(at["generated_tokens"], 0) for at in every))
    table.add_row("verifier", *(fixed(at["verifier_tokens"], 0) for at in every))
    once = every[0]["metrics"]["pass@1"]
    console.print(table)
    console.print(
        Text(
            f"pass@1[avg-of-{found['samples']}] {fixed(once['value'])} {span(once)}. "
            "Percent and points, 95% intervals over questions; tokens (generated) and verifier "
            "(tokens read): means per question. pass@k is also known as cov@k; weighted and "
            "vanilla are best-of-k by the summed and the highest scores, which are the verifier's "
            "or confidences; conf@k is weighted by the model's confidence, measure by measure.",
            "dim",
        )
    )
    if found["missing"]:
        console.print(Text(f"{found['missing']} rows are missing, and no figure has seen them."))
    for note, number in notes.items():
        console.print(Text(f"{raised(number)} {note}"))
