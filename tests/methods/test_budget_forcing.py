"""Budget forcing over arbitrary token sequences: the properties that every chain must have."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedEngine, ToyTokenizer

from s1_eval.engines import Stop
from s1_eval.errors import UserError
from s1_eval.methods import settings as method_settings
from s1_eval.thinking import Trace

TOKENIZER = ToyTokenizer()
END = TOKENIZER.id("<|im_start|>")
EOS = TOKENIZER.id("<|im_end|>")
PIECES = ["<|im_start|>", "<|im_end|>", "think", "Wait", "\n", "a", "<", "/", ">", ".\n"]
PROMPT = len(
    TOKENIZER.encode("<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n")
)

scripts = st.lists(st.sampled_from([TOKENIZER.id(p) for p in PIECES]), max_size=60)
caps = st.none() | st.just("auto") | st.integers(1, 40)
formats = st.sampled_from(["s1", "think_tags", "<|im_start|>think...<|im_start|>answer"])


@settings(max_examples=400, deadline=None)
@given(
    script=scripts,
    cap=caps,
    ignores=st.integers(0, 4),
    minimum=st.integers(0, 12),
    string=st.sampled_from(["Wait", "", "Wait, let me check."]),
    format=formats,
    room=st.integers(-3, 400),
    cyclic=st.booleans(),
)
def test_every_chain_keeps_the_invariants(
    solve, script, cap, ignores, minimum, string, format, room, cyclic
):
    if isinstance(cap, int):
        minimum = min(minimum, cap)
    engine = ScriptedEngine(script, context_length=PROMPT + 12 + room, cyclic=cyclic)
    outcome = solve(
        engine,
        "budget_forcing",
        max_thinking_tokens=cap,
        num_ignores=ignores,
        min_thinking_tokens=minimum,
        ignore_string=string,
        thinking_format=format,
    )
    (trace,) = outcome.traces
    answering = bool(engine.calls) and engine.calls[-1].stop.ids == engine.info.eos_ids
    thinking_calls = engine.calls[: len(engine.calls) - answering]

    first_limit = thinking_calls[0].max_tokens if thinking_calls else 0
    last = thinking_calls[-1].generation if thinking_calls else None
    stops = [c.generation.stop_ids for c in thinking_calls if c.generation.reason == "stop"]
    if isinstance(cap, int):
        assert trace.thinking_tokens <= cap
        assert outcome.budget == cap
    assert trace.thinking_tokens <= first_limit

    if trace.exit_reason in ("natural", "eos"):
        assert len(stops) == len(thinking_calls) == ignores + 1
        assert trace.num_ignores_used == ignores
        assert (trace.exit_reason == "eos") == (stops[-1][0] == EOS)
        assert trace.thinking_tokens >= minimum
        assert bool(trace.ids("nudge")) == (trace.exit_reason == "eos")
    else:
        ended_by_length = last is None or last.reason == "length"
        no_room_to_ignore = (
            trace.num_ignores_used < ignores
            and trace.thinking_tokens + len(TOKENIZER.encode(string)) >= first_limit
        )
        assert ended_by_length or no_room_to_ignore
        assert (trace.exit_reason == "budget") == (first_limit == cap)
        assert trace.text(TOKENIZER.decode, "nudge") == "\nFinal Answer:"

    fed = trace.prompt + trace.ids()
    assert trace.thinking_tokens + trace.answer_tokens + len(
        trace.ids("delimiter") + trace.ids("nudge")
    ) == len(trace.ids())
    assert trace.forced_tokens + len(trace.ids(origin="sampled")) == len(trace.ids())
    assert trace.generated_tokens == sum(
        len(c.generation.ids) + len(c.generation.stop_ids) for c in engine.calls
    )
    for before, after in itertools.pairwise(engine.calls):
        kept = before.prompt + before.generation.ids
        assert after.prompt[: len(kept)] == kept
    for call in engine.calls:
        assert fed[: len(call.prompt)] == call.prompt
    for call in thinking_calls[1:]:
        assert call.stop.min_tokens >= 1
    if answering:
        assert len(fed) <= engine.info.context_length
        assert engine.calls[-1].stop == Stop(engine.info.eos_ids)
    assert Trace.from_dict(trace.to_dict(TOKENIZER.decode)) == trace


def text(trace: Trace, role=None, origin=None) -> str:
    return TOKENIZER.decode(trace.ids(role, origin))


def test_a_natural_end_is_replaced_by_the_delimiter_and_nothing_else(solve):
    engine = ScriptedEngine("\na\n<|im_start|>\n4<|im_end|>")
    outcome = solve(engine, "budget_forcing", max_thinking_tokens=50)
    (trace,) = outcome.traces
    assert text(trace) == "<|im_start|>think\na\n<|im_start|>answer\n4"
    assert (trace.exit_reason, trace.thinking_tokens, trace.answer_tokens) == ("natural", 3, 2)
    assert trace.generated_tokens == 3 + 1 + 2 + 1
    assert outcome.answer == "4"


def test_a_cut_gets_a_newline_the_delimiter_and_the_nudge(solve):
    engine = ScriptedEngine("abcd5<|im_end|>")
    outcome = solve(engine, "budget_forcing", max_thinking_tokens=4)
    assert text(outcome.traces[0]) == ("<|im_start|>thinkabcd\n<|im_start|>answer\nFinal Answer:5")
    assert outcome.exit_reason == "budget"
    assert outcome.answer == "Final Answer:5"


@pytest.mark.parametrize("ending", ["\n", ".\n"])
def test_a_cut_right_after_a_newline_gets_no_second_one(solve, ending):
    engine = ScriptedEngine(f"ab{ending}5<|im_end|>")
    (trace,) = solve(engine, "budget_forcing", max_thinking_tokens=3).traces
    assert text(trace, "delimiter") == "<|im_start|>think<|im_start|>answer"


def test_wait_follows_the_trace_directly_and_counts_as_thinking(solve):
    engine = ScriptedEngine("a\n<|im_start|>b\n<|im_end|>c\n<|im_start|>4<|im_end|>")
    (trace,) = solve(engine, "budget_forcing", num_ignores=2).traces
    assert text(trace, "thinking") == "a\nWaitb\nWaitc\n"
    assert text(trace, "thinking", "forced") == "WaitWait"
    assert (trace.num_ignores_used, trace.thinking_tokens, trace.stripped) == (2, 8, 4)
    assert trace.exit_reason == "natural"


def test_a_chain_that_the_cap_ends_during_its_ignores_is_a_cap_hit(solve):
    engine = ScriptedEngine("aa<|im_start|>" * 9)
    (trace,) = solve(engine, "budget_forcing", num_ignores=9, max_thinking_tokens=6).traces
    assert text(trace, "thinking") == "aaWaitaa"
    assert trace.exit_reason == "budget"


def test_a_cap_smaller_than_the_ignore_string_cuts_before_it(solve):
    engine = ScriptedEngine("a<|im_start|>4<|im_end|>")
    (trace,) = solve(
        engine,
        "budget_forcing",
        num_ignores=1,
        max_thinking_tokens=3,
        ignore_string="Wait, let me check.",
    ).traces
    assert text(trace, "thinking") == "a"
    assert (trace.exit_reason, trace.num_ignores_used) == ("budget", 0)


def test_ignoring_without_a_string_only_continues(solve):
    engine = ScriptedEngine("a<|im_start|>b<|im_start|>4<|im_end|>")
    (trace,) = solve(engine, "budget_forcing", num_ignores=1, ignore_string="").traces
    assert text(trace, "thinking") == "ab"
    assert trace.num_ignores_used == 1


def test_without_a_thinking_format_the_chain_is_the_answer(solve):
    outcome = solve(ScriptedEngine("ab4<|im_end|>"), "budget_forcing", thinking_format="none")
    assert (outcome.answer, outcome.thinking_tokens, outcome.exit_reason) == ("ab4", 0, "eos")
    assert not outcome.traces[0].answer_cut
    cut = solve(
        ScriptedEngine("ab4"), "budget_forcing", thinking_format="none", max_thinking_tokens=2
    )
    assert (cut.answer, cut.exit_reason) == ("ab", "budget")
    assert cut.traces[0].answer_cut


def test_a_minimum_keeps_the_end_from_being_sampled(solve):
    engine = ScriptedEngine("a<|im_start|>b<|im_end|>c<|im_start|>4<|im_end|>")
    (trace,) = solve(engine, "budget_forcing", min_thinking_tokens=3).traces
    assert text(trace, "thinking") == "abc"
    assert (trace.exit_reason, trace.num_ignores_used) == ("natural", 0)


def test_thinking_that_ends_by_end_of_sequence_is_ended_by_force(solve):
    engine = ScriptedEngine("a<|im_end|>4<|im_end|>")
    (trace,) = solve(engine, "budget_forcing").traces
    assert text(trace) == "<|im_start|>thinka\n<|im_start|>answer\nFinal Answer:4"
    assert (trace.exit_reason, trace.answer_exit) == ("eos", "eos")


def test_end_of_sequence_ends_thinking_like_the_delimiter_where_asked(solve):
    engine = ScriptedEngine("a<|im_end|>4<|im_end|>")
    (trace,) = solve(engine, "budget_forcing", nudge_after_eos=False).traces
    assert text(trace) == "<|im_start|>thinka<|im_start|>answer4"
    assert trace.exit_reason == "eos"


@pytest.mark.parametrize(
    ("script", "params", "room", "exit", "answer"),
    [
        ("a<|im_start|>45<|im_end|>", {}, 400, "eos", "45"),
        ("a<|im_start|>45 \n", {"max_answer_tokens": 4}, 400, "budget", "45 \n"),
        ("a<|im_start|>45", {"max_thinking_tokens": 9}, 14, "context", None),
        ("ab4<|im_end|>", {"thinking_format": "none"}, 400, "eos", "ab4"),
        ("ab4<|im_end|>", {"thinking_format": "none", "until_thinking": ("4",)}, 400, "stop", "ab"),
        ("ab4", {"thinking_format": "none", "max_thinking_tokens": 2}, 400, "budget", "ab"),
    ],
)
def test_the_record_says_why_the_answer_ended(solve, script, params, room, exit, answer):
    engine = ScriptedEngine(script, context_length=PROMPT + room, cyclic=exit == "context")
    outcome = solve(engine, "budget_forcing", **params)
    assert outcome.answer_exit == outcome.traces[0].answer_exit == exit
    assert answer is None or outcome.answer == answer


def test_a_ban_keeps_thinking_from_going_on_after_a_forced_end(solve):
    spilling = "ab<|im_start|>think5<|im_end|>"
    (trace,) = solve(ScriptedEngine(spilling), "budget_forcing", max_thinking_tokens=2).traces
    assert text(trace, "answer") == "<|im_start|>think5"
    banned = {"max_thinking_tokens": 2, "ban_delimiters": True}
    (trace,) = solve(ScriptedEngine(spilling), "budget_forcing", **banned).traces
    assert text(trace, "answer") == "think5"
    natural = ScriptedEngine("a<|im_start|>4<|im_start|>5<|im_end|>")
    (trace,) = solve(natural, "budget_forcing", ban_delimiters=True).traces
    assert text(trace, "answer") == "4<|im_start|>5"


def test_a_delimiter_of_ordinary_tokens_is_not_banned_but_refused(solve):
    engine = ScriptedEngine("a")
    with pytest.raises(UserError, match="ban_delimiters: scripted writes '<think>' as 3 tokens"):
        solve(engine, "budget_forcing", ban_delimiters=True, thinking_format="think_tags")
    assert engine.calls == []


def test_a_multi_token_delimiter_is_found_and_stripped_whole(solve):
    engine = ScriptedEngine("ab</think>4<|im_end|>")
    (trace,) = solve(engine, "budget_forcing", thinking_format="think_tags").traces
    assert text(trace) == "<think>\nab</think>4"
    assert (trace.exit_reason, trace.stripped) == ("natural", 4 + 1)


def test_a_prompt_that_leaves_no_room_is_an_unanswered_question_not_a_crash(solve):
    engine = ScriptedEngine("aaaa", context_length=PROMPT + 3)
    outcome = solve(engine, "budget_forcing", max_thinking_tokens=10)
    assert (outcome.exit_reason, outcome.thinking_tokens) == ("context", 0)
    assert engine.calls == []
    assert outcome.traces[0].answer_cut


def test_auto_is_the_room_that_the_context_leaves(solve):
    engine = ScriptedEngine("a", context_length=PROMPT + 2 + 30 + 1 + 2 + 3 + 100, cyclic=True)
    outcome = solve(engine, "budget_forcing", max_thinking_tokens="auto")
    assert (outcome.exit_reason, outcome.thinking_tokens) == ("context", 30)
    assert outcome.answer_tokens == 100


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"max_thinking_tokens": 0}, "give a whole number of 1 or more"),
        ({"max_thinking_tokens": -1}, "give a whole number of 1 or more"),
        ({"max_thinking_tokens": True}, "give a whole number of 1 or more"),
        ({"max_thinking_tokens": "lots"}, "`auto`"),
        ({"num_ignores": -1}, "give a whole number of 0 or more"),
        ({"num_ignores": 1.5}, "give a whole number of 0 or more"),
        ({"min_thinking_tokens": 9, "max_thinking_tokens": 8}, "lower the minimum"),
        ({"max_answer_tokens": 0}, "1 or more"),
        ({"thinking_format": "xml"}, "think_tags"),
        ({"max_thinking": 3}, "did you mean 'max_thinking_tokens'"),
        ({"temperature_thinking": -1.0}, "0 (greedy) or more"),
    ],
)
def test_bad_settings_are_refused_with_what_to_type(params, says):
    with pytest.raises(UserError, match=re.escape(says)):
        method_settings("budget_forcing", params)


def test_a_delimiter_that_cannot_be_encoded_is_refused_before_anything_is_generated(solve):
    engine = ScriptedEngine("a")
    with pytest.raises(UserError, match="can't encode"):
        solve(engine, "budget_forcing", thinking_format="«...»")
    assert engine.calls == []


def test_a_thinking_temperature_of_its_own_leaves_the_answer_alone(solve):
    engine = ScriptedEngine("a<|im_start|>4<|im_end|>")
    solve(engine, "budget_forcing", temperature_thinking=0.7)
    assert [c.sampling.temperature for c in engine.calls] == [0.7, 0.0]
