"""`s1-eval`: one subcommand per file of this folder. Exit codes: 0 done, 1 samples or the engine
failed, 2 bad input, 130 interrupted, 143 terminated, 141 when its output was closed; for
`leaderboard check` 1 is a regression."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from s1_eval import __version__
from s1_eval.cli import (
    advise,
    at_k,
    audit_checker,
    check,
    compare,
    compute_optimal,
    contamination,
    doctor,
    leaderboard,
    plan,
    repair,
    score,
    serve,
    sweep,
    view,
)
from s1_eval.cli.ending import disk_trouble, said_interrupted, terminable
from s1_eval.cli.inputs import say
from s1_eval.cli.pipe import quietly
from s1_eval.errors import UserError
from s1_eval.libraries import needs
from s1_eval.thinking.render import printable

COMMANDS = (
    *(plan, sweep, serve, score, advise, compare, at_k, compute_optimal, leaderboard),
    *(doctor, check, audit_checker, contamination, repair, view),
)


def parser() -> argparse.ArgumentParser:
    """The whole command line. Importing it loads no model library."""
    top = argparse.ArgumentParser(
        prog="s1-eval", description="Does this model get better when it thinks longer?"
    )
    top.add_argument("--version", action="version", version=f"s1-eval {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add_parser(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; a user's mistake is its message alone and exit code 2."""
    return quietly(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    ended_by: list[int] = []
    try:
        try:
            with needs(), terminable() as ended_by:
                code: int = args.run(args)
            sys.stdout.flush()  # what was skipped is said below the result
        finally:
            say(args)
    except UserError as error:
        # Names of files and columns come from other people.
        print(f"s1-eval: {printable(str(error))}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return said_interrupted("s1-eval", ended_by, "the same command goes on from here")
    except OSError as error:
        trouble = disk_trouble(error)
        if trouble is None:
            raise
        print(f"s1-eval: {printable(trouble)}", file=sys.stderr)  # noqa: T201
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
