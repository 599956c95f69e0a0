"""The contests of 2026 in one: AIME and HMMT. Every question is asked and graded as in its own
task; the one interval is stratified by contest."""

from typing import Any

from s1_eval.evaluation.groups import group
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

CONTESTS_2026 = group("contests_2026", "aime26", "hmmt_feb_2026")


@task
def contests_2026(**arguments: Any) -> Task:
    """data: a folder that has the file of each, instead of the hub."""
    return inspect_task(CONTESTS_2026, **arguments)
