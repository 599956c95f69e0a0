"""Integer answers, within a range where the benchmark has one: AIME (0 to 999) and the arithmetic
of the embedded model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from s1_eval.answers.extract import extract, last_number, leading_number, left_out, prose
from s1_eval.answers.forms import Relation, Scalar
from s1_eval.answers.grading import Verdict
from s1_eval.answers.latex import Unreadable
from s1_eval.answers.reading import read
from s1_eval.errors import UserError


@dataclass(frozen=True, slots=True)
class IntegerGrader:
    """minimum, maximum: the answers that the benchmark allows; others are wrong. None: any."""

    name: ClassVar[str] = "integer"
    minimum: int | None = None
    maximum: int | None = None

    def __post_init__(self) -> None:
        for field, value in (("minimum", self.minimum), ("maximum", self.maximum)):
            if value is not None and type(value) is not int:
                raise UserError(f"{field}={value!r}: give a whole number, or null for any")
        low, high = self.minimum, self.maximum
        if low is not None and high is not None and low > high:
            raise UserError(f"minimum={self.minimum} is over maximum={self.maximum}: swap them")

    def check_target(self, target: str) -> None:
        value = _whole_number(target)
        if value is None or not self._allows(value):
            low, high = (("any" if n is None else n) for n in (self.minimum, self.maximum))
            limits = "" if low == high == "any" else f" from {low} to {high}"
            hint = ", or give the grader minimum= and maximum=" if limits else ""
            raise UserError(
                f"the target {target[:80]!r} is not an integer{limits}: correct the data{hint}"
            )

    def _allows(self, value: int) -> bool:
        low = self.minimum is None or self.minimum <= value
        return low and (self.maximum is None or value <= self.maximum)

    def grade(self, answer: str, target: str, options: Sequence[str] = ()) -> Verdict:
        """Leading zeros don't count (`025` is 25); other numbers and other ranges are wrong."""
        began = time.perf_counter()
        found = extract(answer)
        value = _whole_number(found.text)
        if value is None and prose(found.text):
            value = _whole_number(leading_number(found.text) or last_number(found.text))
        gold = _whole_number(target)
        if not found.text:
            decided = "no answer"
        elif value is None:
            decided = "not an integer"
        elif not self._allows(value):
            decided = "out of range"
        else:
            decided = "integers"
        return Verdict(
            correct=decided == "integers" and value == gold,
            answered=bool(found.text),
            answer=found.text if value is None else str(value),
            rule=f"{found.rule}: {decided}{left_out(answer)}",
            gold_read_as="" if gold is None else str(gold),
            answer_read_as="" if value is None else str(value),
            milliseconds=1000 * (time.perf_counter() - began),
        )


def _whole_number(text: str) -> int | None:
    """The integer that all of `text` states; None where it states something else."""
    try:
        reading = read(text)
    except Unreadable:
        return None
    if isinstance(reading, Relation) and reading.value is not None:
        reading = reading.value
    if not isinstance(reading, Scalar) or reading.value is None or reading.value.denominator != 1:
        return None
    return reading.value.numerator
