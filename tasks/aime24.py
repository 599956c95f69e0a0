"""AIME 2024, both papers: 30 competition problems whose answers are whole numbers from 0 to 999.

A row of the data, shortened:

    {"id": 60, "problem": "Every morning Aya goes for a $9$-kilometer-long walk …", "answer": "204"}

The problem alone is the prompt. Answers are zero-padded (`025`) and compared as integers. The data
is s1's own selection, in which figure code is left out where the problem can do without.
"""

from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample
from s1_eval.harness.inspect_decorator import Task, inspect_task, task


def sample(row: Row) -> Sample:
    return Sample(id=str(row["id"]), prompt=row["problem"], target=str(row["answer"]))


AIME24 = Benchmark(
    name="aime24",
    sample=sample,
    grader="integer",
    strictness={"minimum": 0, "maximum": 999},
    file="aime24.jsonl",
    hub=Hub("simplescaling/aime24_nofigures", revision="95fca17", split="train"),
    published="2024-01-31",
    licence="Apache-2.0",
)


@task
def aime24(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(AIME24, **arguments)
