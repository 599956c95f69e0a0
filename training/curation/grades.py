"""Stage 4, and the teacher's own answers: whether an attempt is right, by our checker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from s1_eval.answers import grader
from s1_eval.errors import UserError
from s1_eval.training.curation.question import Question


def grade(attempts: Iterable[tuple[Question, str]]) -> Iterator[tuple[str, bool | None]]:
    """(id, right?) for each question and a model's answer to it, in order; None where no checker
    can decide: the question has no answer that it could read."""
    with ThreadPoolExecutor(8) as threads:
        yield from threads.map(lambda attempt: (attempt[0].id, _right(*attempt)), attempts)


def _right(question: Question, attempt: str) -> bool | None:
    if not question.grader or not question.answer:
        return None
    check = grader(question.grader)
    try:
        check.check_target(question.answer)
    except UserError:
        return None
    return check.grade(attempt, question.answer).correct
