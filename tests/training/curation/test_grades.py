"""Attempts are graded by our checker; what it can't decide counts as neither right nor wrong."""

from __future__ import annotations

import pytest

from s1_eval.training.curation import domains
from s1_eval.training.curation.grades import grade
from s1_eval.training.curation.question import Question


@pytest.mark.parametrize(
    ("grader", "answer", "attempt", "right"),
    [
        ("math", r"\frac{1}{2}", r"It is $\boxed{0.5}$.", True),
        ("math", "3", r"It is $\boxed{4}$.", False),
        ("integer", "025", "Final Answer: 25", True),
        ("choice", "B", "The answer is (B).", True),
        ("math", "3", "", False),
        ("", "3", "3", None),
        ("math", "", "3", None),
        ("integer", "a proof", "3", None),
    ],
)
def test_an_attempt_is_right_wrong_or_undecided(grader, answer, attempt, right):
    question = Question("q", answer=answer, grader=grader)
    assert list(grade([(question, attempt)])) == [("q", right)]


@pytest.mark.parametrize(
    ("reply", "domain"),
    [
        ("11", "11"),
        ("The domain is 05 (Combinatorics).", "05"),
        ("First 11, no: 51", "51"),
        ("1105", domains.UNCLASSIFIED),
        ("99", domains.UNCLASSIFIED),
        ("", domains.UNCLASSIFIED),
    ],
)
def test_a_reply_names_a_domain_by_its_code(reply, domain):
    assert domains.parse(reply) == domain


def test_the_prompt_lists_every_domain_and_ends_with_the_question():
    prompt = domains.prompt("Why?")
    assert all(f"{code} {title}" in prompt for code, title in domains.MSC.items())
    assert prompt.endswith("Question:\nWhy?")
