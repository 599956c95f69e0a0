"""MathArena Apex 2025: the 12 problems of that year's contests that models solved least.

Some stand in their contests' own sets too: no group pools both.
"""

from typing import Any

from s1_eval.evaluation.matharena import contest
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

APEX_2025 = contest("apex_2025", published="2025", revision="16b1f4c")


@task
def apex_2025(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(APEX_2025, **arguments)
