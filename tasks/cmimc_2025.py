"""CMIMC 2025: 40 problems of the Carnegie Mellon Informatics and Mathematics Competition."""

from typing import Any

from s1_eval.evaluation.matharena import contest
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

CMIMC_2025 = contest("cmimc_2025", published="2025-04", revision="d7c261c")


@task
def cmimc_2025(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(CMIMC_2025, **arguments)
