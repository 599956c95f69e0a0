"""What a benchmark's file needs of Inspect, and what stands for it where Inspect is not installed:
a sweep and lm-eval read the benchmark alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s1_eval.evaluation.benchmark import Benchmark

if TYPE_CHECKING:
    from inspect_ai import Task, task
else:
    try:
        from inspect_ai import Task, task
    except ModuleNotFoundError:
        Task = Any

        def task(function):
            return function


__all__ = ["Task", "inspect_task", "task"]


def inspect_task(benchmark: Benchmark, data: str | None = None, **arguments: Any) -> Task:
    """See `s1_eval.harness.inspect_tasks.inspect_task`."""
    from s1_eval.harness import inspect_tasks

    return inspect_tasks.inspect_task(benchmark, data, **arguments)
