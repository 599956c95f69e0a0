"""Answers: extracting the final one from a text and deciding whether it is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from s1_eval.answers.grading import Grader, Verdict
from s1_eval.answers.integers import IntegerGrader
from s1_eval.errors import UserError

__all__ = ["GRADERS", "Grader", "Verdict", "grader"]

GRADERS: Mapping[str, Callable[..., Grader]] = {"integer": IntegerGrader}


def grader(name: str, **strictness: Any) -> Grader:
    """The grader called `name`, as strict as `strictness` says (the grader's own fields).

    Raises UserError for an unknown grader or setting.
    """
    if name not in GRADERS:
        raise UserError(f"grader={name!r} is unknown: give one of {', '.join(sorted(GRADERS))}")
    try:
        return GRADERS[name](**strictness)
    except TypeError as error:
        raise UserError(f"grader {name!r} does not take these settings: {error}") from error
