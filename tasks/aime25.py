"""AIME 2025, both papers: 30 competition problems whose answers are whole numbers from 0 to 999.

A row of the hub's data, shortened:

    {"id": "0", "problem": "Find the sum of all integer bases $b>9$ …", "answer": "70"}

The problem alone is the prompt. Other copies carry an instruction in `prompt`; it is taken off, so
that the question is the same wherever it was read.
"""

import hashlib
from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample
from s1_eval.harness import lm_eval_tasks
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

INSTRUCTION = "\nPlease reason step by step, and put your final answer within \\boxed{}."


def sample(row: Row) -> Sample:
    problem = row["problem"] if "problem" in row else row["prompt"].removesuffix(INSTRUCTION)
    return Sample(id=problem_id(problem), prompt=problem, target=str(row["answer"]))


def problem_id(problem: str) -> str:
    """The copies number the problems differently or not at all; the words are the same."""
    return hashlib.sha256(" ".join(problem.split()).encode()).hexdigest()[:12]


AIME25 = Benchmark(
    name="aime25",
    sample=sample,
    grader="integer",
    strictness={"minimum": 0, "maximum": 999},
    file="aime25.jsonl",
    hub=Hub("math-ai/aime25", revision="563bb8404243c5f09de6ec262f2db674fe5bce9b", split="test"),
)


@task
def aime25(data: str | None = None) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(AIME25, data)


def load(data: str | None = None, **_: Any) -> dict[str, Any]:
    """For lm-eval (`s1_aime25.yaml`), which passes on all its metadata."""
    return lm_eval_tasks.load(AIME25, data)
