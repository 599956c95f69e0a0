"""`s1-eval serve`: an OpenAI-compatible server that answers by any method."""

from __future__ import annotations

import argparse
from typing import Any

from s1_eval.cli.options import add_model
from s1_eval.errors import UserError


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "serve", help="an OpenAI-compatible server that answers by any method"
    )
    add_model(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    raise UserError("serve is not finished")
