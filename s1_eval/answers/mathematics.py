"""Mathematical answers of any form, as in MATH-500."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from s1_eval.answers.equivalence import Strictness, check_readable, compare
from s1_eval.answers.extract import extract, left_out
from s1_eval.answers.grading import Verdict


class MathGrader:
    """Equal by `equivalence.compare`, as strict as the settings of `Strictness` say."""

    name: ClassVar[str] = "math"

    def __init__(self, **strictness: Any) -> None:
        self.strictness = Strictness(**strictness)

    def __repr__(self) -> str:
        return f"MathGrader({self.strictness})"

    def check_target(self, target: str) -> None:
        check_readable(target)

    def grade(self, answer: str, target: str, options: Sequence[str] = ()) -> Verdict:
        began = time.perf_counter()
        found = extract(answer)
        if not found.text:
            milliseconds = 1000 * (time.perf_counter() - began)
            rule = f"{found.rule}: no answer{left_out(answer)}"
            return Verdict(False, False, "", rule, milliseconds=milliseconds)
        compared = compare(target, found.text, self.strictness)
        return Verdict(
            correct=compared.equal,
            answered=True,
            answer=found.text,
            rule=f"{found.rule}: {compared.rule}{left_out(answer)}",
            gold_read_as=compared.gold_read_as,
            answer_read_as=compared.answer_read_as,
            milliseconds=1000 * (time.perf_counter() - began),
        )
