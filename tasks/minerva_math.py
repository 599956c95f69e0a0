"""Minerva's OCWCourses: 272 questions of MIT's open courses in the sciences (Lewkowycz et al.,
arXiv 2206.14858).

A row of the data, its words invented:

    {"problem": "How far away is …, in parsecs?", "solution": "… \\boxed{6.7}.",
     "type": "Introduction to Astronomy", "idx": 0}

Minerva's own four-shot prompt is for models that were not taught to follow instructions. These get
the data's publisher's (open-rs). The target is the last box of the solution, a number or a formula,
with a unit at times: a missing unit counts, another unit does not. The licence of the data is not
stated; the courses are CC BY-NC-SA 4.0, so it is read from the hub and never shipped.
"""

from typing import Any

from s1_eval.answers.extract import extract
from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample
from s1_eval.evaluation.questions import text_in
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

INSTRUCTION = (
    "Solve the following math problem efficiently and clearly.  The last line of your response "
    "should be of the following format: 'Therefore, the final answer is: $\\boxed{ANSWER}$. I hope "
    "it is correct' (without quotes) where ANSWER is just the final number or expression that "
    "solves the problem. Think step by step before answering."
)


def sample(row: Row) -> Sample:
    target = extract(row["solution"]).text
    if not target:
        raise ValueError("the solution states no answer")
    return Sample(
        id=str(row["idx"]),
        prompt=f"{INSTRUCTION}\n\n{text_in(row, 'problem')}",
        target=target,
        metadata={"subject": row.get("type")},
        question=row["problem"],
    )


MINERVA_MATH = Benchmark(
    name="minerva_math",
    sample=sample,
    grader="math",
    file="minerva_math.parquet",
    hub=Hub("knoveleng/Minerva-Math", revision="93d86e1", split="train"),
    published="2022-06-29",
    licence="CC BY-NC-SA 4.0",
    keep_unreadable=True,
)


@task
def minerva_math(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(MINERVA_MATH, **arguments)
