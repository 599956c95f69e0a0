"""`s1-train`: the command line of training, given what the training room itself doesn't know: the
evaluation's own questions, which curation keeps out of the training data, and the results in
records, which a model's card shows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from s1_eval.cli.pipe import quietly
from s1_eval.training.curation.reference import Reference
from s1_eval.training.main import main as train


def main(argv: Sequence[str] | None = None) -> int:
    """See `s1_eval.training.main`."""
    return quietly(lambda: train(argv, evaluation_questions, results_of))


def evaluation_questions(task: str) -> list[Reference]:
    """The questions of a task as it asks them, from where its data comes from. Raises UserError
    for an unknown task or unreadable data."""
    from s1_eval.evaluation.benchmark import benchmark

    about = benchmark(task)
    return [
        Reference(f"{task} {sample.id}", sample.prompt, about.secret)
        for sample in about.load().samples
    ]


def results_of(paths: Sequence[Path]) -> str:
    """Control, Scaling and Performance of the records in `paths`, as Markdown tables."""
    from s1_eval.metrics import score
    from s1_eval.records import read_runs
    from s1_eval.report.table import markdown

    return markdown(score(read_runs(paths)))


if __name__ == "__main__":
    sys.exit(main())
