"""The faults that s1's notebook drops questions for, each by its rule."""

from __future__ import annotations

import pytest

from s1_eval.training.curation.quality import fault


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("What is the area? [asy] draw((0,0)); [/asy]", "[asy]"),
        ("Look at ![Image](x.png). How many?", "![Image]"),
        ("p1. Find x. p2. Find y.", "p1."),
        ("Then p999. holds", "p999."),
        ("**3.** Find x.", "**3.**"),
        ("see **B2** and answer", "**B2**"),
        ("**Note** that x is 3.", "**Note**"),  # as published: a digit anywhere on the line
    ],
)
def test_a_fault_is_quoted(question, found):
    assert fault("math", question) == found


@pytest.mark.parametrize(
    "question",
    [
        "What is 1 + 1?",
        "p0. is no number of a problem, nor p01.",
        "The map. Keep p = 3.",
        "**Note** that x is\n3.",
        "a ** b is 3 and c ** d",
    ],
)
def test_a_sound_question_has_none(question):
    assert fault("math", question) == ""


def test_aime_may_have_figures():
    assert fault("aime", "[asy] draw(); [/asy] Find x.") == ""
