"""BeyondAIME: 100 problems by ByteDance Seed, harder than AIME's, whose answers are whole numbers.

A row of the data, its words invented:

    {"problem": "Find the number of triples …", "answer": 281}

The problem alone is the prompt. The data is CC0-1.0; no commit of it is known here, and the one
that is read is recorded. It was announced in April 2025 and released later.
"""

from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample, hash_id
from s1_eval.harness.inspect_decorator import Task, inspect_task, task


def sample(row: Row) -> Sample:
    return Sample(id=hash_id(row["problem"]), prompt=row["problem"], target=str(row["answer"]))


BEYOND_AIME = Benchmark(
    name="beyond_aime",
    sample=sample,
    grader="integer",
    file="beyond_aime.parquet",
    hub=Hub("ByteDance-Seed/BeyondAIME", revision=None, split="test"),
    published="2025-04",
    licence="CC0-1.0",
)


@task
def beyond_aime(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(BEYOND_AIME, **arguments)
