"""Soft caps: the string at a share of the cap, the line that may be finished behind it, and what
always holds."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, ToyTokenizer

from s1_eval.errors import UserError
from s1_eval.methods import METHODS, settings

TOKENIZER = ToyTokenizer()
END = "<|im_end|>"
PIECES = ["<|im_start|>", END, "think", "Wait", "\n", "a", "<", "/", ">", ".\n"]


def thought(outcome) -> str:
    return TOKENIZER.decode(outcome.traces[0].ids("thinking"))


def test_the_string_is_forced_at_its_share_of_the_cap_on_a_line_of_its_own(solve):
    engine = ScriptedEngine(f"aaaaaaaabb<|im_start|>4{END}")
    outcome = solve(
        engine, "wrap_up", max_thinking_tokens=20, wrap_up_at=0.4, wrap_up_string="End.\n"
    )
    trace = outcome.traces[0]
    assert thought(outcome) == "aaaaaaaa\nEnd.\nbb"
    assert [s.origin for s in trace.segments if s.role == "thinking"] == [
        "sampled",
        "forced",
        "sampled",
    ]
    assert (trace.exit_reason, outcome.answer) == ("natural", "4")
    assert (trace.wrap_ups, trace.num_ignores_used, trace.forced_tokens) == (1, 0, 2 + 5 + 2)
    assert outcome.extra == {"wrapped_up": True, "grace_used": 0}


def test_no_newline_is_added_where_the_thinking_ends_with_one(solve):
    engine = ScriptedEngine(f"aaaaaaa\n<|im_start|>4{END}")
    outcome = solve(
        engine, "wrap_up", max_thinking_tokens=20, wrap_up_at=0.4, wrap_up_string="End.\n"
    )
    assert thought(outcome) == "aaaaaaa\nEnd.\n"
    assert outcome.exit_reason == "natural", "the model may end at once when it is told to"


def test_thinking_that_ends_before_is_budget_forcings(solve):
    script = f"aaa<|im_start|>4{END}"
    ours = solve(
        ScriptedEngine(script),
        "wrap_up",
        max_thinking_tokens=20,
        grace_tokens=5,
        wrap_up_string=None,
    )
    theirs = solve(ScriptedEngine(script), "budget_forcing", max_thinking_tokens=20)
    assert ours.traces == theirs.traces
    assert (ours.budget, theirs.budget) == (25, 20)


def test_ends_are_ignored_up_to_the_call_and_not_behind_it(solve):
    engine = ScriptedEngine(f"aa<|im_start|>aaaaa<|im_start|>b<|im_start|>4{END}")
    params = {"max_thinking_tokens": 20, "wrap_up_at": 0.4, "wrap_up_string": "End.\n"}
    outcome = solve(engine, "wrap_up", num_ignores=9, **params)
    assert thought(outcome) == "aaWaitaaaaa\nEnd.\n"
    assert (outcome.num_ignores_used, outcome.exit_reason) == (1, "natural")


def test_a_call_does_not_follow_an_ignored_end_that_nobody_has_answered(solve):
    engine = ScriptedEngine(f"aaaaaaaa<|im_start|>ab<|im_start|>4{END}")
    params = {"max_thinking_tokens": 30, "wrap_up_at": 0.3, "wrap_up_string": "End.\n"}
    assert thought(solve(engine, "wrap_up", num_ignores=1, **params)) == "aaaaaaaaWaita\nEnd.\nb"


@pytest.mark.parametrize(
    ("script", "grace", "thinking", "used"),
    [
        ("aaaaaabb\ncc", 8, "aaaaaabb\n", 3),
        ("aaaaaabb.\ncc", 8, "aaaaaabb.\n", 3),
        ("aaaaaabbbbbbbbbb\n", 4, "aaaaaabbbb", 4),
        ("aaaaa\nbb\n", 8, "aaaaa\n", 0),
        ("aaaaaab<|im_start|>", 8, "aaaaaab", 1),
        ("aaaaaabb\ncc", 0, "aaaaaa", 0),
    ],
)
def test_a_line_may_be_finished_behind_the_cap(solve, script, grace, thinking, used):
    params = {"max_thinking_tokens": 6, "wrap_up_string": None, "grace_tokens": grace}
    outcome = solve(ScriptedEngine(script), "wrap_up", num_ignores=0, **params)
    assert thought(outcome) == thinking
    assert outcome.extra == {"wrapped_up": False, "grace_used": used}
    ended = "natural" if script.endswith("<|im_start|>") else "budget"
    assert (outcome.exit_reason, outcome.budget) == (ended, 6 + grace)


def test_an_end_within_the_grace_is_not_ignored(solve):
    params = {"max_thinking_tokens": 6, "wrap_up_string": "", "grace_tokens": 9, "num_ignores": 3}
    outcome = solve(ScriptedEngine("aaaaaab<|im_start|>ccc\n"), "wrap_up", **params)
    assert (thought(outcome), outcome.exit_reason) == ("aaaaaab", "natural")


def test_a_string_that_has_no_room_below_the_cap_is_refused(solve):
    engine = ScriptedEngine("aaaaaaaaa")
    params = {"max_thinking_tokens": 14, "wrap_up_at": 0.5, "wrap_up_string": "End.\n"}
    with pytest.raises(UserError, match=r"has 5 tokens.*there are 5: shorten it, lower wrap_up_at"):
        solve(engine, "wrap_up", **{**params, "max_thinking_tokens": 10})
    assert not engine.calls
    assert solve(engine, "wrap_up", **params).extra["wrapped_up"]


def test_a_string_that_an_ignored_end_has_taken_the_room_of_is_left_out(solve):
    engine = ScriptedEngine("aaaaa<|im_start|>aaaaaaaaa")
    params = {"max_thinking_tokens": 12, "wrap_up_at": 0.5, "wrap_up_string": "End.\n"}
    outcome = solve(engine, "wrap_up", num_ignores=1, **params)
    assert (thought(outcome), outcome.extra["wrapped_up"]) == ("aaaaaWaitaaaaaa", False)


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    script=st.lists(st.sampled_from([TOKENIZER.id(p) for p in PIECES]), max_size=60),
    cap=st.integers(1, 40) | st.just("auto"),
    grace=st.integers(0, 9),
    share=st.floats(0.05, 1),
    string=st.sampled_from([None, "", "End.\n", "Wait"]),
    ignores=st.integers(0, 3),
    format=st.sampled_from(["s1", "think_tags"]),
    room=st.integers(-3, 300),
    cyclic=st.booleans(),
)
def test_cap_and_grace_together_are_never_exceeded(
    solve, script, cap, grace, share, string, ignores, format, room, cyclic
):
    engine = ScriptedEngine(script, context_length=60 + room, cyclic=cyclic)
    if isinstance(cap, int) and string and ceil(share * cap) + len(string) + 1 >= cap:
        string = None
    outcome = solve(
        engine,
        "wrap_up",
        max_thinking_tokens=cap,
        grace_tokens=grace,
        wrap_up_at=share,
        wrap_up_string=string,
        num_ignores=ignores,
        thinking_format=format,
    )
    [trace] = outcome.traces
    if isinstance(cap, int):
        assert trace.thinking_tokens <= cap + grace == outcome.budget
        reasons = ("budget", "natural", "eos", "context")
        assert trace.thinking_tokens <= cap or trace.exit_reason in reasons
        assert trace.thinking_tokens < cap + grace or trace.exit_reason != "context"
    else:
        assert outcome.budget is None
    assert trace.num_ignores_used <= ignores
    assert trace.wrap_ups <= bool(string)
    sampled = sum(len(c.generation.ids) + len(c.generation.stop_ids) for c in engine.calls)
    assert outcome.generated_tokens == sampled
    assert len((*trace.prompt, *trace.ids())) <= engine.info.context_length


def test_control_holds_it_against_cap_and_grace():
    params = settings("wrap_up", {"max_thinking_tokens": 100, "grace_tokens": 20})
    assert METHODS["wrap_up"].describe(params)["control"] == {"at_most": 120}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "give max_thinking_tokens, e.g. max_thinking_tokens=4096"),
        ({"max_thinking_tokens": 10, "wrap_up_at": 0.0}, "a number above 0 and up to 1"),
        ({"max_thinking_tokens": 10, "min_thinking_tokens": 9}, "min_thinking_tokens=9 is over"),
        ({"max_thinking_tokens": 10, "grace_tokens": -1}, "grace_tokens=-1: give a whole number"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(params, said):
    with pytest.raises(UserError, match=said):
        settings("wrap_up", params)
