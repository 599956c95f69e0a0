"""AIME 2026, both papers: 30 competition problems whose answers are whole numbers from 0 to 999.

MathArena's copy, with MathArena's instruction; see `s1_eval.evaluation.matharena`.
"""

from typing import Any

from s1_eval.evaluation.matharena import BOXED, contest
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

AIME26 = contest(
    "aime26",
    dataset="aime_2026",
    published="2026-02-05",
    revision="2548a41",
    grader="integer",
    strictness={"minimum": 0, "maximum": 999},
    instruction=f"{BOXED}\nThe answer is an integer between 0 and 999 inclusive.",
)


@task
def aime26(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(AIME26, **arguments)
