"""MATH-500: 500 problems of the MATH test set, the selection of "Let's verify step by step".

A row of the data, shortened:

    {"unique_id": "test/precalculus/807.json", "problem": "Convert the point $(0,3)$ …",
     "answer": "\\left( 3, \\frac{\\pi}{2} \\right)", "subject": "Precalculus", "level": 2, …}

The problem alone is the prompt. Answers are compared as mathematics.
"""

from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample
from s1_eval.harness.inspect_decorator import Task, inspect_task, task


def sample(row: Row) -> Sample:
    return Sample(
        id=row["unique_id"],
        prompt=row["problem"],
        target=row["answer"],
        metadata={"subject": row["subject"], "level": row["level"]},
    )


MATH500 = Benchmark(
    name="math500",
    sample=sample,
    grader="math",
    file="math500.jsonl",
    hub=Hub(
        "HuggingFaceH4/MATH-500",
        revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
        split="test",
    ),
    published="2021-03-05",
    licence="MIT",
)


@task
def math500(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(MATH500, **arguments)
