"""Integer answers within a range: AIME (0 to 999) and the arithmetic of the embedded model."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from s1_eval.answers.extract import extract, last_number
from s1_eval.answers.grading import Verdict
from s1_eval.errors import UserError

_SEPARATORS = re.compile(r"\{,\}|\\[,!;: ]|,")
_LEADING = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?![\d,]*\s*[-+*/^=])")
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class IntegerGrader:
    """minimum, maximum: the answers that the benchmark allows; others are wrong."""

    name: ClassVar[str] = "integer"
    minimum: int = 0
    maximum: int = 999

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise UserError(f"minimum={self.minimum} is over maximum={self.maximum}: swap them")

    def check_target(self, target: str) -> None:
        value = _whole(target)
        if value is None or not self.minimum <= value <= self.maximum:
            raise UserError(
                f"the target {target[:80]!r} is not an integer from {self.minimum} to "
                f"{self.maximum}: correct the data, or give grader minimum= and maximum="
            )

    def grade(self, answer: str, target: str, options: Sequence[str] = ()) -> Verdict:
        """Leading zeros don't count (`025` is 25); other numbers and other ranges are wrong."""
        began = time.perf_counter()
        found = extract(answer)
        value = _read(found.text)
        gold = _whole(target)
        if not found.text:
            decided = "no answer"
        elif value is None:
            decided = "not an integer"
        elif not self.minimum <= value <= self.maximum:
            decided = "out of range"
        else:
            decided = "integer"
        return Verdict(
            correct=decided == "integer" and value == gold,
            answered=bool(found.text),
            answer=found.text,
            rule=f"{found.rule}: {decided}",
            gold_read_as="" if gold is None else str(gold),
            answer_read_as="" if value is None else str(value),
            milliseconds=1000 * (time.perf_counter() - began),
        )


def _read(text: str) -> int | None:
    """The integer that an extracted answer states: all of it, what it begins with, or the last
    number in it."""
    value = _whole(text)
    if value is not None:
        return value
    text = text.lstrip("$\\( ")
    leading = _LEADING.match(text)
    return _whole(leading.group() if leading else last_number(text))


def _whole(text: str) -> int | None:
    text = _SEPARATORS.sub("", text.replace("−", "-").strip(" $.")).strip()
    whole, _, decimals = text.partition(".")
    if len(whole) > _LONGEST or decimals.strip("0") or not re.fullmatch(r"[-+]?[0-9]+", whole):
        return None
    return int(whole)
