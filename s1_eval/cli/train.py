"""`s1-train`, as the installed command and `accelerate launch -m` start it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from s1_eval.cli.ending import terminable
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
        how = "terminated" if ended_by else "interrupted"
        print(  # noqa: T201
            f"s1-train: {how}; --resume goes on from the last checkpoint, and curation goes on by "
            "itself",
            file=sys.stderr,
        )
        return 128 + (ended_by[0] if ended_by else signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
