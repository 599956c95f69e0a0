"""HMMT February 2026: 33 problems of the Harvard-MIT Mathematics Tournament, with answers in closed
form."""

from typing import Any

from s1_eval.evaluation.matharena import contest
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

HMMT_FEB_2026 = contest("hmmt_feb_2026", published="2026-02-14", revision="afb530a")


@task
def hmmt_feb_2026(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(HMMT_FEB_2026, **arguments)
