"""The contests of 2025 in one: AIME, HMMT, BRUMO, CMIMC and SMT. Every question is asked and graded
as in its own task; the one interval is stratified by contest."""

from typing import Any

from s1_eval.evaluation.groups import group
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

CONTESTS_2025 = group(
    "contests_2025",
    "aime25",
    "hmmt_feb_2025",
    "brumo_2025",
    "cmimc_2025",
    "smt_2025",
    "hmmt_nov_2025",
)


@task
def contests_2025(**arguments: Any) -> Task:
    """data: a folder that has the file of each, instead of the hub."""
    return inspect_task(CONTESTS_2025, **arguments)
