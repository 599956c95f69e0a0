"""GPQA Diamond: 198 graduate-level multiple-choice questions in biology, physics and chemistry.

A row of the data, without its text, which its authors ask to keep off the web:

    {"Record ID": "rec…", "Question": "…", "Correct Answer": "…", "Incorrect Answer 1": "…", …}

The prompt is the question, a blank line, and the options as `A) …`. Their order follows from the
record id alone, so it is the same everywhere.
"""

from typing import Any

from s1_eval.evaluation import gpqa
from s1_eval.evaluation.benchmark import Benchmark, Hub
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

GPQA_DIAMOND = Benchmark(
    name="gpqa_diamond",
    sample=gpqa.sample,
    grader="choice",
    strictness={"letters": "ABCD"},
    file="gpqa_dataset.encrypted.zip",
    read=gpqa.read_archive,
    hub=Hub(
        "Idavidrein/gpqa",
        revision="633f5ee89ab8ad4522a9f850766b73f62147ffdd",
        split="train",
        name="gpqa_diamond",
    ),
    secret=True,
    published="2023-11-20",
    licence="CC-BY-4.0",
)


@task
def gpqa_diamond(**arguments: Any) -> Task:
    """data: the original encrypted archive, or a folder that holds it, instead of the hub."""
    return inspect_task(GPQA_DIAMOND, **arguments)
