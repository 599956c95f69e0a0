"""`s1-train`, as the installed command and `accelerate launch -m` start it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from s1_eval.cli.ending import said_interrupted, terminable
from s1_eval.cli.pipe import quietly
from s1_eval.training.main import main as train


def main(argv: Sequence[str] | None = None) -> int:
    """See `s1_eval.training.main`. Exit codes when it is ended from outside: those of `s1-eval`."""
    return quietly(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    # One of several processes may wait for the others where no Python runs: it has to be killable.
    alone = os.environ.get("WORLD_SIZE", "1") == "1"
    ended_by: list[int] = []
    try:
        with terminable() if alone else nullcontext(ended_by) as ended_by:
            return train(argv)
    except KeyboardInterrupt:
        advice = "--resume goes on from the last checkpoint, and curation goes on by itself"
        return said_interrupted("s1-train", ended_by, advice)


if __name__ == "__main__":
    sys.exit(main())
