"""One question as every source yields it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the pool; an empty text is one that its source does not have.

    id: `<source>/<hash of the question's text>`, so it stays where other questions come and go.
    answer: the final answer, as `grader` reads a target. solution: how to get there.
    grader: of `s1_eval.answers.GRADERS`; empty where no checker of ours can decide (proofs,
        programs).
    domain: a code of `domains.MSC`.
    thinking, attempt, thinking_tokens: a teacher's trace, its answer and its length.
    """

    id: str = ""
    source: str = ""
    question: str = ""
    answer: str = ""
    solution: str = ""
    grader: str = "math"
    domain: str = ""
    thinking: str = ""
    attempt: str = ""
    thinking_tokens: int | None = None


def question_id(source: str, text: str, occurrence: int = 1) -> str:
    """occurrence: from 1, where a source has the same text several times."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{source}/{digest}" + (f"#{occurrence}" if occurrence > 1 else "")
