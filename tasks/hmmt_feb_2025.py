"""HMMT February 2025: 30 problems of the Harvard-MIT Mathematics Tournament, with answers in closed
form."""

from typing import Any

from s1_eval.evaluation.matharena import contest
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

HMMT_FEB_2025 = contest("hmmt_feb_2025", published="2025-02-15", revision="caf7304")


@task
def hmmt_feb_2025(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(HMMT_FEB_2025, **arguments)
