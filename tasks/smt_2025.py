"""SMT 2025: 53 problems of the Stanford Math Tournament, held in April and released in July."""

from typing import Any

from s1_eval.evaluation.matharena import contest
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

SMT_2025 = contest("smt_2025", published="2025-04", revision="6336c9d")


@task
def smt_2025(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(SMT_2025, **arguments)
