"""Grading an answer that a limit cut short. What it happens to show last is no answer, so only a
final answer that was stated as one, and wholly, counts: the rule for every harness and every vote.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from s1_eval.answers.extract import leading_number, prose
from s1_eval.answers.grading import Grader, Verdict

_GOES_ON = "7"
"""What might have followed the cut: it changes a number or a word that ran right up to it."""

_MARKER = re.compile(r"answer\b[*_\s]{0,4}(?::|is\b\s?:?)|####", re.IGNORECASE)
"""What announces a final answer; which one counts is the extractor's business."""

_CLOSED = re.compile(
    r"(?:[*_]{1,2}\s)?\s*(?:\$\$?[^$]+\$|\\\(.+?\\\)|\\\[.+?\\\]|\*\*[^*\n]+\*\*|\(?[A-Z]\))",
    re.DOTALL,
)
"""A value in something that closes: a formula, bold type, an option's letter."""

_STATED = re.compile(r"\n|[.;!](?=\s)")
"""The end of a statement: of its line or its sentence."""


def grade_ended(
    grader: Grader, answer: str, target: str, options: Sequence[str] = (), *, cut: bool
) -> Verdict:
    """`grader.grade`, told whether a limit `cut` the answer. Then it is unanswered unless it has a
    box whose brace is closed, or a final answer behind "Final Answer:" or the like that stands
    there first and whole: a closed formula, or a statement that ended before the cut did it in.
    """
    verdict = grader.grade(answer, target, options)
    if not cut or not verdict.answered or _explicit(grader, answer, options, verdict):
        return verdict
    return Verdict(
        correct=False,
        answered=False,
        answer="",
        rule="cut: no explicit final answer before the limit",
        gold_read_as=verdict.gold_read_as,
        milliseconds=verdict.milliseconds,
    )


def _explicit(grader: Grader, answer: str, options: Sequence[str], verdict: Verdict) -> bool:
    """Whether the verdict rests on a final answer that was stated whole."""
    rule = verdict.rule.partition(":")[0]
    if rule not in ("boxed", "after the marker"):
        return False
    if grader.grade(answer + _GOES_ON, "", options).answer != verdict.answer:
        return False
    announced = deque(_MARKER.finditer(answer), maxlen=1)
    return rule == "boxed" or any(_states(answer[m.end() :], verdict.answer) for m in announced)


def _states(text: str, value: str) -> bool:
    """Whether `text` begins with `value`, with no words before it, and the statement ends."""
    if _CLOSED.match(text):
        return True
    text = text.lstrip(" \t\r\n*_:")
    end = _STATED.search(text)
    if end is None:
        return False
    statement = text[: end.start()]
    if leading_number(statement):
        return True
    at = statement.casefold().find(value.casefold())
    if prose(statement[:at] if at >= 0 else statement):
        return False
    words = prose(value)
    return not words or (len(words) <= 2 and not any(c.isdigit() for c in value))
