"""What a task's name may be: one of ours, or one that a door knows. Doors that lead to a harness
stand in `s1_eval.harness` and are called by name, since nothing here knows a harness."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import BENCHMARKS, Benchmark, benchmark, check_arguments
from s1_eval.evaluation.questions import open_questions
from s1_eval.evaluation.tables import is_data_set, is_table
from s1_eval.libraries import needs

GraderSpec = str | Mapping[str, Any]
"""A grader's name, or a mapping with it as `name` beside its settings."""


@dataclass(frozen=True, slots=True)
class Door:
    """A kind of name. form: as it is typed. knows: whether a name is of the kind.
    opens: where the function is, as `module:name`, of a name, a grader or None, and the task's
        arguments, that returns the benchmark. Raises UserError on what it can't."""

    form: str
    knows: Callable[[str], bool]
    opens: str


def _of_package(name: str) -> bool:
    """Whether a name begins with a package that has Inspect tasks, installed or not."""
    package, slash, _ = name.partition("/")
    installed = {each.name for each in entry_points(group="inspect_ai")}
    return bool(slash) and package in {*installed, "inspect_evals"}


QUESTIONS = Door(
    "FILE.jsonl, .csv, … or OWNER/NAME of the hub",
    lambda name: is_table(name) or is_data_set(name),
    "s1_eval.evaluation.named:open_own",
)

DOORS: tuple[Door, ...] = (
    Door(
        "lm_eval/NAME",
        lambda name: name.startswith("lm_eval/"),
        "s1_eval.harness.lm_eval_foreign:open_task",
    ),
    Door(
        "file.py@NAME",
        lambda name: bool(re.search(r"\.py(@[\w.-]+)?$", name)),
        "s1_eval.harness.inspect_foreign:open_task",
    ),
    Door("inspect_evals/NAME", _of_package, "s1_eval.harness.inspect_foreign:open_task"),
    QUESTIONS,
)
"""In the order they are asked, after our own names. One's own questions come last."""


def open_own(name: str, grader: GraderSpec | None, arguments: Mapping[str, Any]) -> Benchmark:
    """The questions of a file or a data set, see `open_questions`."""
    check_arguments(name, open_questions, {"data": name, "grader": grader, **arguments})
    return open_questions(name, grader, **arguments)


def find_task(
    name: str, grader: GraderSpec | None = None, arguments: Mapping[str, Any] | None = None
) -> Benchmark:
    """The benchmark that is called `name`.

    grader: in place of the task's own, where its kind takes one. arguments: of the task itself.
    Raises UserError on a name that nobody knows, with the nearest names, before a model is loaded.
    """
    door = next((door for door in DOORS if name not in BENCHMARKS and door.knows(name)), None)
    if door is None:
        found = benchmark(name)
        if grader is not None:
            raise UserError("grader= is for one's own questions; a benchmark brings its own")
        return found.given(**arguments or {})
    with needs():
        opened: Benchmark = pkgutil.resolve_name(door.opens)(name, grader, arguments or {})
    return opened
