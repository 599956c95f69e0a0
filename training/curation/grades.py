"""Stage 4, and the teacher's own answers: whether an attempt is right, by our checker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from s1_eval.answers import grader
from s1_eval.errors import UserError


@dataclass(frozen=True, slots=True)
class Attempt:
    """A model's answer to a question that is to be graded by `grader` (empty: by nobody)."""

    id: str
    grader: str
    answer: str
    attempt: str


def grade(attempts: Iterable[Attempt]) -> Iterator[tuple[str, bool | None]]:
    """(id, right?) for each, in order; None where no checker can decide: the question has no
    answer that it could read."""
    with ThreadPoolExecutor(8) as threads:
        yield from threads.map(_one, attempts)


def _one(attempt: Attempt) -> tuple[str, bool | None]:
    if not attempt.grader or not attempt.answer:
        return attempt.id, None
    check = grader(attempt.grader)
    try:
        check.check_target(attempt.answer)
    except UserError:
        return attempt.id, None
    return attempt.id, check.grade(attempt.attempt, attempt.answer).correct
