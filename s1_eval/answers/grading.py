"""The interface between a benchmark and a checker: a grader reads an answer and says whether it
is right. Every harness adapter calls `Grader.grade` and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verdict:
    """correct: the answer equals the target. answered: an answer could be read at all.
    answer: the answer as it was extracted, empty if none. rule: what extracted and decided."""

    correct: bool
    answered: bool
    answer: str
    rule: str


class Grader(Protocol):
    """Grades the answer part of a trace, never its thinking. Safe to call from any thread."""

    name: str

    def check_target(self, target: str) -> None:
        """Raises UserError if `target` can't be read: a benchmark's fault, found at load time."""
        ...

    def grade(self, answer: str, target: str) -> Verdict:
        """Never raises on any `answer`; what can't be read is not answered and not correct."""
        ...

    def extract(self, answer: str) -> str:
        """The answer within an answer text, empty if none can be read."""
        ...

    def equal(self, answer: str, other: str) -> bool:
        """Whether two answer texts give the same answer; for votes, where no target is known."""
        ...
