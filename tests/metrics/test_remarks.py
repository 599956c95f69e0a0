"""A table says how many answers were cut and what helps, and what became of the thinking."""

import pytest
import runs

from s1_eval.metrics import score
from s1_eval.report import table
from s1_eval.report.pages import cells
from s1_eval.thinking import Delimiters
from s1_eval.thinking.formats import NO_THINKING

NONE = Delimiters(NO_THINKING, (), (), frozenset(), (), ())


def scored(*changes, method="budget_forcing", **record):
    """One run with a row for each of `changes`."""
    made = runs.run([True] * len(changes), 5, method=method, **record)
    for row, change in zip(made.rows, changes, strict=True):
        row.update(change)
    return score([made], resamples=20)


def said(entries):
    """The notes of every form that a table has, once each."""
    [made] = table.tables(entries)
    notes: dict[str, int] = {}
    cells(entries[0], notes)
    assert list(notes) == list(made.notes)
    assert all(table.escape(note) in table.markdown(entries) for note in notes)
    assert all(note in table.text(entries) for note in notes)
    return [n for n in made.notes if not n.startswith(("no run", "one run", "no interval"))], made


def test_a_usual_table_has_no_such_note():
    notes, made = said(scored({"answer_exit": "eos"}, {"answer_exit": "stop"}, {}))
    assert notes == []
    assert made.rows[0][-1].mark == made.rows[0][-2].mark == ""


def test_copies_of_an_epoch_are_named():
    notes, _ = said(scored({}, {"copy": True}, {"copy": True}))
    assert "2 of 3 samples are copies" in " ".join(notes)


@pytest.mark.parametrize(
    ("method", "params", "helps"),
    [
        ("budget_forcing", {"max_answer_tokens": 64}, "raise max_answer_tokens=64"),
        ("plain", {"max_tokens": 100}, "raise max_tokens=100"),
        ("budget_forcing", {}, "raise max_answer_tokens"),
    ],
)
def test_answers_cut_at_their_limit_name_the_setting(method, params, helps):
    rows = ({"answer_exit": "budget"}, {"answer_exit": "eos"}, {"answer_exit": "budget"})
    notes, made = said(scored(*rows, method=method, params=params))
    assert notes == [f"2 of 3 answers were cut at their limit: {helps}"]
    assert made.rows[0][-1].mark


def test_answers_cut_by_the_context_ask_for_a_longer_one():
    [note], _ = said(scored({"answer_exit": "context"}, {"answer_exit": None}))
    assert note.startswith("1 of 2 answers were cut by the end of the context: load the model with")
    assert note.endswith("or lower max_thinking_tokens")
    unthinking, _ = said(scored({"answer_exit": "context"}, delimiters=NONE))
    assert (
        "1 of 1 answers were cut by the end of the context: load the model with a longer context"
        in unthinking
    )


def test_the_answers_of_a_vote_count_one_by_one():
    exits = ["budget", "eos", "budget", "stop"]
    notes, _ = said(scored({"answer_exit": "eos", "sample_answer_exits": exits}, method="sets"))
    assert notes == ["2 of 4 answers were cut at their limit: raise max_answer_tokens"]


def test_more_than_half_ended_by_end_of_sequence():
    eos = {"exit_reason": "eos"}
    half, _ = said(scored(eos, {}))
    assert half == []
    [note], made = said(scored(eos, eos, {}))
    assert "2 of 3 thoughts ended by end-of-sequence" in note
    assert made.rows[0][-2].mark
    unthinking, _ = said(scored({**eos, "thinking_tokens": 0}, {**eos, "thinking_tokens": 0}))
    assert not any("end-of-sequence" in note for note in unthinking)


def test_special_tokens_and_leaks_are_said():
    notes, _ = said(scored({"answer_special_tokens": 3, "leaked": 1}, {"leaked": 0}))
    assert "special tokens in answers, left out before grading: 3" in notes[1]
    assert "thinking went on in 1 of 2 answers" in notes[0]


def test_thinking_that_was_taken_for_answers_is_said():
    notes, _ = said(scored({"thinking_answers": 1}, {}, delimiters=NONE))
    assert any("1 of 2 answers hold an end of thinking" in note for note in notes)


@pytest.mark.parametrize(
    ("params", "helps"),
    [
        ({"max_thinking_tokens": None}, "max_answer_tokens"),
        ({"max_thinking_tokens": None, "max_answer_tokens": 64}, "max_answer_tokens=64"),
        ({"max_thinking_tokens": "auto", "max_answer_tokens": 64}, "max_answer_tokens=64"),
        ({"max_thinking_tokens": 90, "max_answer_tokens": 64}, "max_answer_tokens=64"),
        ({"max_thinking_tokens": 32, "max_answer_tokens": 64}, "max_thinking_tokens=32"),
        ({"max_thinking_tokens": 32, "max_answer_tokens": None}, "max_thinking_tokens=32"),
        (
            {"max_thinking_tokens": 64, "max_answer_tokens": 64},
            "max_thinking_tokens=64 and max_answer_tokens=64",
        ),
    ],
)
def test_without_thinking_the_limit_that_cut_the_answers_is_named(params, helps):
    exits = {"answer_exit": "budget", "sample_answer_exits": ["budget", "eos"]}
    entries = scored(exits, method="majority_vote", params=params, delimiters=NONE)
    assert f"1 of 2 answers were cut at their limit: raise {helps}" in said(entries)[0]


def test_without_thinking_the_tokens_are_said_to_be_those_of_the_answers():
    notes, made = said(scored({}, {}, method="majority_vote", delimiters=NONE))
    assert notes[-1] == "the model answers without thinking: these are the tokens of its answers"
    assert made.rows[0][-2].mark
    assert not made.rows[0][-1].mark
