"""BRUMO 2025: 30 problems of the Brown University Mathematics Olympiad."""

from typing import Any

from s1_eval.evaluation.matharena import contest
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

BRUMO_2025 = contest("brumo_2025", published="2025-04", revision="eb53de3")


@task
def brumo_2025(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(BRUMO_2025, **arguments)
