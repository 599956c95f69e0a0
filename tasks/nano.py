"""Nano: the arithmetic that the embedded model thinks about. 500 problems that it was not trained
on, made by the generator; the answer is the last value, modulo 100.

    Compute mod 100.
    S=47
    A*8
    B+5
    C*7*6

The text above is a whole prompt; its answer is 02.
"""

from collections.abc import Iterator
from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Row, Sample
from s1_eval.harness import lm_eval_tasks
from s1_eval.harness.inspect_decorator import Task, inspect_task, task
from s1_eval.training.nano.problems import held_out


def rows() -> Iterator[Row]:
    for problem in held_out():
        yield problem.row


def sample(row: Row) -> Sample:
    return Sample(id=row["id"], prompt=row["question"], target=row["answer"])


NANO = Benchmark(
    name="nano",
    sample=sample,
    grader="integer",
    strictness={"minimum": 0, "maximum": 99},
    generate=rows,
)


@task
def nano(**arguments: Any) -> Task:
    """data: a file of rows to read instead of the generated problems."""
    return inspect_task(NANO, **arguments)


def load(**told: Any) -> dict[str, Any]:
    """For `s1_nano.yaml`, which other lm-eval tasks may include."""
    return lm_eval_tasks.load(NANO, **told)
