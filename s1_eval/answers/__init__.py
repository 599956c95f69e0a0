"""Answers: extracting the final one from a text and deciding whether it is right."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import Any

from s1_eval.answers.grading import Grader, Verdict
from s1_eval.errors import UserError

__all__ = ["GRADERS", "Grader", "Verdict", "grader"]

GRADERS: Mapping[str, str] = {
    "choice": "s1_eval.answers.choices:ChoiceGrader",
    "integer": "s1_eval.answers.integers:IntegerGrader",
    "math": "s1_eval.answers.mathematics:MathGrader",
}


def grader(name: str, /, **strictness: Any) -> Grader:
    """The grader called `name`, as strict as `strictness` says: the fields of `IntegerGrader`,
    `ChoiceGrader` or, for `math`, of `Strictness`.

    Raises UserError for an unknown grader or setting.
    """
    if name not in GRADERS:
        raise UserError(f"grader={name!r} is unknown: give one of {', '.join(GRADERS)}")
    make = pkgutil.resolve_name(GRADERS[name])
    try:
        made: Grader = make(**strictness)
    except TypeError as error:
        raise UserError(f"grader {name!r} does not take these settings: {error}") from error
    return made
