"""`s1-eval repair`: take what can't be read out of a run's folder, so that the command that made
the run goes on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from s1_eval.thinking.render import printable


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "repair", help="take bad lines out of a run's folder and keep them beside"
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="RUN", help="the folder of a run")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.records.repair import repair

    for folder in args.folders:
        for sentence in repair(folder) or [f"{folder} is whole: nothing was done"]:
            print(printable(sentence))  # noqa: T201
    return 0
