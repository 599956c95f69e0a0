"""Multiple choice: the answer is a letter, or the text of an option."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from s1_eval.answers.extract import extract_option, left_out
from s1_eval.answers.grading import Verdict
from s1_eval.errors import UserError


@dataclass(frozen=True, slots=True)
class ChoiceGrader:
    """letters: the letters that the options were shown with, in order. Where a question comes with
    its options, as many letters count as there are options."""

    name: ClassVar[str] = "choice"
    letters: str = "ABCDEFGHIJ"

    def __post_init__(self) -> None:
        text = self.letters
        if not (text.isascii() and text.isalpha() and text.isupper()) or len(set(text)) < len(text):
            raise UserError(f"letters={text!r}: give different capital letters, e.g. ABCD")

    def check_target(self, target: str) -> None:
        if len(target) != 1 or target not in self.letters:
            raise UserError(f"the target {target[:80]!r} is none of the letters {self.letters}")

    def grade(self, answer: str, target: str, options: Sequence[str] = ()) -> Verdict:
        """No credit, and not answered, where the answer names no option or more than one."""
        began = time.perf_counter()
        found = extract_option(answer, options, self.letters)
        return Verdict(
            correct=bool(found.text) and found.text == target,
            answered=bool(found.text),
            answer=found.text,
            rule=f"{found.rule}: {'letters' if found.text else 'no answer'}{left_out(answer)}",
            gold_read_as=target,
            answer_read_as=found.text,
            milliseconds=1000 * (time.perf_counter() - began),
        )
