"""Sources in order: each is held against the evaluation and against those before it."""

from __future__ import annotations

from s1_eval.training.curation.decontaminate import decontaminate
from s1_eval.training.curation.overlap import Reference
from s1_eval.training.curation.question import Question

LONG = "one two three four five six seven eight"


def decided(pool: list[tuple[str, str]], evaluation=(), secret=()) -> list[tuple[str, str]]:
    """(reason, detail) for each (source, text)."""
    asked = [Question(f"{source}/{n}", source, text) for n, (source, text) in enumerate(pool)]
    return [(d.reason, d.detail) for d in decontaminate(asked, evaluation, secret)]


def test_an_earlier_source_is_protected_from_later_ones():
    pool = [("a", f"{LONG} nine"), ("b", f"zero {LONG}"), ("b", "something else")]
    assert decided(pool) == [("", ""), ("shared words", f"a/0: {LONG}"), ("", "")]


def test_questions_of_one_source_may_resemble_each_other_but_not_be_the_same():
    pool = [("a", f"{LONG} nine"), ("a", f"{LONG} ten"), ("a", f"{LONG} nine")]
    assert decided(pool) == [("", ""), ("", ""), ("exact duplicate", "a/0")]


def test_what_was_dropped_protects_nothing():
    evaluation = [Reference("math500 1", "red green blue white black pink grey gold")]
    pool = [("a", f"red green blue white black pink grey gold {LONG}"), ("b", LONG)]
    assert decided(pool, evaluation)[1] == ("", "")


def test_a_short_evaluation_question_is_found_whole():
    evaluation = [Reference("math500 1", "Compute $\\sin 60^\\circ$.")]
    pool = [("a", "compute  $\\sin 60^\\circ$."), ("a", "Now compute $\\sin 60^\\circ$.")]
    assert decided(pool, evaluation) == [
        ("shared words", "math500 1: compute $\\sin 60^\\circ$."),
        ("", ""),
    ]


def test_words_of_a_secret_source_are_not_written():
    assert decided([("gpqa", LONG), ("b", LONG)], secret=["gpqa"])[1] == ("shared words", "gpqa/0")
