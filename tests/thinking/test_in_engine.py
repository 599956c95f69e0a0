"""What was forced inside one request is read back as the trace that it is."""

import pytest

from s1_eval.thinking import Segment
from s1_eval.thinking.in_engine import Strings, read_forced

START, WAIT, NEWLINE, END, NUDGE = (1, 2), (8,), (0,), (1, 3), (4, 5)
STRINGS = Strings(START, WAIT, NEWLINE, END, NUDGE)


def read(*pieces, strings=STRINGS, cap=100, num_ignores=1, nudge_after_eos=True):
    """pieces: tuples are forced, lists sampled."""
    ids = [id for piece in pieces for id in piece]
    forced = [isinstance(piece, tuple) for piece in pieces for _ in piece]
    return read_forced(
        (7,),
        ids,
        forced,
        strings,
        cap=cap,
        num_ignores=num_ignores,
        nudge_after_eos=nudge_after_eos,
        cut="budget",
    )


def test_an_ignored_end_and_the_models_own():
    trace = read(START, [9, 9], WAIT, [8, 9], END, [6])
    assert trace.segments == (
        Segment("delimiter", "forced", START),
        Segment("thinking", "sampled", (9, 9)),
        Segment("thinking", "forced", WAIT),
        Segment("thinking", "sampled", (8, 9)),  # a "Wait" of the model's own
        Segment("delimiter", "forced", END),
        Segment("answer", "sampled", (6,)),
    )
    assert (trace.exit_reason, trace.num_ignores_used) == ("natural", 1)


@pytest.mark.parametrize("newline", [NEWLINE, ()])
@pytest.mark.parametrize("nudge", [NUDGE, ()])
def test_a_cut_has_its_newline_and_its_nudge(newline, nudge):
    strings = Strings(START, WAIT, NEWLINE, END, nudge)
    trace = read(START, [9, 9], newline + END + nudge, [6], strings=strings, cap=2, num_ignores=0)
    assert trace.exit_reason == "budget"
    assert trace.ids("delimiter") == START + newline + END
    assert trace.ids("nudge") == nudge
    assert trace.ids("thinking") == (9, 9)


def test_an_end_that_could_not_be_ignored_for_want_of_room_is_a_cut():
    strings = Strings(START, WAIT, NEWLINE, END, ())
    assert read(START, [9], END, strings=strings, cap=2).exit_reason == "budget"


def test_no_thinking_and_no_answer():
    trace = read(START, END, num_ignores=0)
    assert (trace.thinking_tokens, trace.answer_tokens, trace.exit_reason) == (0, 0, "natural")


def test_an_opened_prompt_needs_no_start():
    assert read([9], END, strings=Strings((), WAIT, NEWLINE, END, NUDGE), num_ignores=0).ids(
        "thinking"
    ) == (9,)


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        (([9, 9, 9],), "did not open"),
        (([*START], [9], END), "did not open"),
        ((START, [9, 9]), "has no end"),
        ((START, [9], (6,), END), "nobody asked for"),
    ],
)
def test_what_is_no_forced_chain_is_refused(pieces, says):
    with pytest.raises(RuntimeError, match=says):
        read(*pieces)
