"""`s1-train`, as the installed command and `accelerate launch -m` start it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from s1_eval.cli.pipe import quietly
from s1_eval.training.main import main as train


def main(argv: Sequence[str] | None = None) -> int:
    """See `s1_eval.training.main`."""
    return quietly(lambda: train(argv))


if __name__ == "__main__":
    sys.exit(main())
