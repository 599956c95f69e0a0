"""HMMT November 2025: 30 problems of the Harvard-MIT Mathematics Tournament's easier half.

No commit of the data is known here: the one that is read is recorded.
"""

from typing import Any

from s1_eval.evaluation.matharena import contest
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

HMMT_NOV_2025 = contest("hmmt_nov_2025", published="2025-11", revision=None)


@task
def hmmt_nov_2025(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(HMMT_NOV_2025, **arguments)
