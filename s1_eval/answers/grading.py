"""The interface between a benchmark and a checker: a grader reads an answer and says whether it
is right. Every harness adapter calls `Grader.grade` and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verdict:
    """correct: the answer equals the target. answered: an answer could be found at all.
    answer: the answer as it was extracted, itself a target to compare others with; empty if none.
    rule: what extracted it, then what decided, e.g. "boxed: exact numbers". gold_read_as,
    answer_read_as: how each side was understood. milliseconds: wall-clock time of the verdict."""

    correct: bool
    answered: bool
    answer: str
    rule: str
    gold_read_as: str = ""
    answer_read_as: str = ""
    milliseconds: float = 0.0


class Grader(Protocol):
    """Grades the answer part of a trace, never its thinking. Safe to call from any thread."""

    @property
    def name(self) -> str: ...

    def check_target(self, target: str) -> None:
        """Raises UserError if `target` can't be read: a benchmark's fault, found at load time."""
        ...

    def grade(self, answer: str, target: str, options: Sequence[str] = ()) -> Verdict:
        """Never raises on any `answer`; what can't be read is not answered and not correct. May
        take seconds: an event loop calls it by `asyncio.to_thread`.

        options: the texts of a multiple-choice question's options in the order they were shown;
            other graders ignore them.
        """
        ...
