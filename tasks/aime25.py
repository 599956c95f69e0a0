"""AIME 2025, both papers: 30 competition problems whose answers are whole numbers from 0 to 999.

A row of the hub's data, shortened:

    {"id": "0", "problem": "Find the sum of all integer bases $b>9$ …", "answer": "70"}

The problem alone is the prompt. Other copies carry an instruction in `prompt`; it is taken off, so
that the question is the same wherever it was read.
"""

from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample, hash_id
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

INSTRUCTION = "\nPlease reason step by step, and put your final answer within \\boxed{}."


def sample(row: Row) -> Sample:
    problem = row["problem"] if "problem" in row else row["prompt"].removesuffix(INSTRUCTION)
    return Sample(id=hash_id(problem), prompt=problem, target=str(row["answer"]))


AIME25 = Benchmark(
    name="aime25",
    sample=sample,
    grader="integer",
    strictness={"minimum": 0, "maximum": 999},
    file="aime25.jsonl",
    hub=Hub("math-ai/aime25", revision="563bb8404243c5f09de6ec262f2db674fe5bce9b", split="test"),
    published="2025-02-06",
    licence="Apache-2.0",
)


@task
def aime25(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(AIME25, **arguments)
