"""Answers: extracting the final one from a text and deciding whether it is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from s1_eval.answers.choices import ChoiceGrader
from s1_eval.answers.equivalence import Comparison, Strictness, compare
from s1_eval.answers.extract import Extraction, extract
from s1_eval.answers.grading import Grader, Verdict
from s1_eval.answers.integers import IntegerGrader
from s1_eval.answers.mathematics import MathGrader
from s1_eval.errors import UserError

__all__ = [
    "GRADERS",
    "Comparison",
    "Extraction",
    "Grader",
    "Strictness",
    "Verdict",
    "compare",
    "extract",
    "grader",
]

GRADERS: Mapping[str, Callable[..., Grader]] = {
    "choice": ChoiceGrader,
    "integer": IntegerGrader,
    "math": MathGrader,
}


def grader(name: str, /, **strictness: Any) -> Grader:
    """The grader called `name`, as strict as `strictness` says: the fields of `IntegerGrader`,
    `ChoiceGrader` or, for `math`, of `Strictness`.

    Raises UserError for an unknown grader or setting.
    """
    if name not in GRADERS:
        raise UserError(f"grader={name!r} is unknown: give one of {', '.join(sorted(GRADERS))}")
    try:
        return GRADERS[name](**strictness)
    except TypeError as error:
        raise UserError(f"grader {name!r} does not take these settings: {error}") from error
