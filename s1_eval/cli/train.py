"""`s1-train`: the command line of training, given the evaluation's own questions, which curation
keeps out of the training data. The training room itself knows no harness."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from s1_eval.training.curation.reference import Reference
from s1_eval.training.main import main as train


def main(argv: Sequence[str] | None = None) -> int:
    """See `s1_eval.training.main`."""
    return train(argv, evaluation_questions)


def evaluation_questions(task: str) -> list[Reference]:
    """The questions of a task as it asks them, from where its data comes from. Raises UserError
    for an unknown task or unreadable data."""
    from s1_eval.harness.benchmark import benchmark

    about = benchmark(task)
    return [
        Reference(f"{task} {sample.id}", sample.prompt, about.secret)
        for sample in about.load().samples
    ]


if __name__ == "__main__":
    sys.exit(main())
