"""A cut answer counts only if it states a final answer, and states it whole."""

import pytest

from s1_eval.answers import grader
from s1_eval.answers.cut import grade_ended

WHOLE = [
    ("math", r"so it is \boxed{3}", "3"),
    ("math", r"\boxed{\frac{1}{2}} because 3 + 4 = 7 and", r"\frac{1}{2}"),
    ("math", "Final Answer: 12\n", "12"),
    ("math", "Final Answer: 12\nTo see this, divide 3 by 20", "12"),
    ("math", "Final Answer: 12. The division of 3 by 20", "12"),
    ("math", r"The final answer is $\frac{1}{2}$", r"\frac{1}{2}"),
    ("math", r"**Final Answer:** \(x = 5\) since 7", "5"),
    ("math", "Final Answer: east\nThe", "east"),
    ("integer", "Final Answer: 012\nbecause 7", "12"),
    ("integer", r"It is $\boxed{12}$ as 7", "12"),
    ("choice", "Answer: C\nsince", "C"),
    ("choice", "The answer is (C) since", "C"),
    ("choice", r"\boxed{B} and", "B"),
]

CUT = [
    ("math", "we find the division of 3 by 20"),  # the last number in sight
    ("math", "Final Answer: the division of 3 by 20"),
    ("math", "Final Answer: The division of 3 by 20.\nFirst, 20"),
    ("math", "Final Answer: we compute $3+4$, then $5$ and"),
    ("math", "Final Answer: 12"),  # of 1234?
    ("math", "Final Answer: 12."),  # of 12.5?
    ("math", "Final Answer: 12 "),  # of 12 + 5?
    ("math", "Final Answer: 12 chickens minus"),
    ("math", "Final Answer: $12"),
    ("math", "Final Answer:"),
    ("math", r"the box is \boxed{12"),
    ("math", r"the box is \boxed 12"),
    ("math", "It is $x = 5$"),
    ("math", "3"),
    ("integer", "Final Answer: the division of 3 by 20\nFirst, 20"),
    ("integer", "Final Answer: 12"),
    ("integer", "3 times 4 is 12"),
    ("choice", "I would rule out (A) and look at (B)"),
    ("choice", "Answer: C"),  # of Chlorine?
]


@pytest.mark.parametrize(("name", "answer", "target"), WHOLE)
def test_a_final_answer_that_was_stated_whole_counts(name, answer, target):
    verdict = grade_ended(grader(name), answer, target, cut=True)
    assert (verdict.answered, verdict.correct) == (True, True)


@pytest.mark.parametrize(("name", "answer"), CUT)
def test_what_a_cut_answer_happens_to_show_is_no_answer(name, answer):
    for target in ("3", "20", "12", "5", "C", "B"):
        if name != "choice" or target.isalpha():
            verdict = grade_ended(grader(name), answer, target, cut=True)
            assert (verdict.answered, verdict.correct, verdict.answer) == (False, False, "")


@pytest.mark.parametrize(("name", "answer"), CUT)
def test_an_answer_that_was_not_cut_is_graded_as_ever(name, answer):
    plain = grader(name)
    mine = grade_ended(plain, answer, "3", cut=False)
    assert (mine.answered, mine.rule) == ((v := plain.grade(answer, "3")).answered, v.rule)
