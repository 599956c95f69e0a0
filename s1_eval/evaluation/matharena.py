"""MathArena's copies of contests (https://matharena.ai): one layout, one prompt.

A row: `{"problem_idx": 1, "problem": "…", "answer": "…", "problem_type": ["Algebra"]}`; some have a
`source` in place of the type. The data's licence is CC BY-NC-SA 4.0 unless said otherwise: it is
read from the hub and never shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample
from s1_eval.evaluation.questions import text_in

BOXED = "Put your final answer within \\boxed{}."
"""MathArena's instruction for contests; the problem follows after a blank line."""


def contest(
    name: str,
    *,
    published: str,
    revision: str | None,
    grader: str = "math",
    strictness: Mapping[str, Any] | None = None,
    instruction: str = BOXED,
    dataset: str | None = None,
    licence: str = "CC BY-NC-SA 4.0",
    date_of: Callable[[Row], str | None] = lambda row: None,
) -> Benchmark:
    """The benchmark of one data set. dataset: its name there, where it is not `name`. date_of: when
    a row's question became public, see `Sample`. The others: see `Benchmark` and `Hub`."""

    def sample(row: Row) -> Sample:
        labels = {label: row[label] for label in ("problem_type", "source") if label in row}
        return Sample(
            id=str(row["problem_idx"]),
            prompt=f"{instruction}\n\n{text_in(row, 'problem')}",
            target=text_in(row, "answer"),
            metadata=labels,
            published=date_of(row),
            question=row["problem"],
        )

    return Benchmark(
        name=name,
        sample=sample,
        grader=grader,
        strictness=strictness or {},
        file=f"{name}.parquet",
        hub=Hub(f"MathArena/{dataset or name}", revision, "train"),
        published=published,
        licence=licence,
        keep_unreadable=grader == "math",
    )
