"""Early exit: where the model is asked, when its answer is believed, and what that costs."""

from __future__ import annotations

from itertools import islice

import pytest
from scripted import ScriptedEngine, ToyTokenizer

from s1_eval.errors import UserError
from s1_eval.methods import settings

TOKENIZER = ToyTokenizer()
END = "<|im_end|>"


def text(trace, role: str) -> str:
    return TOKENIZER.decode(trace.ids(role))


def probes(*answers: str, thought: str = "aaaa") -> str:
    """A script that thinks `thought` up to each checkpoint and then gives the next answer."""
    return "".join(f"{thought}{answer}{END}" for answer in answers)


EVERY_FOUR = {"first_checkpoint": 4, "spacing": 1.0001}
"""Checkpoints at 4, 5, 6, …; scripts think one token between them."""


def test_checkpoints_lie_geometrically():
    params = settings("early_exit", {"first_checkpoint": 100, "spacing": 1.5})
    assert list(islice(params.checkpoints(), 5)) == [100, 150, 225, 338, 507]
    late = settings("early_exit", {"first_checkpoint": 4, "min_thinking_tokens": 9})
    assert next(late.checkpoints()) == 9
    crowded = settings("early_exit", {"first_checkpoint": 1, "spacing": 1.0001})
    assert list(islice(crowded.checkpoints(), 4)) == [1, 2, 3, 4]


def test_it_stops_once_the_last_answers_agree_and_gives_the_last_of_them(solve):
    script = f"aaaa7{END}b8{END}c08{END}d8{END}eeee"
    outcome = solve(ScriptedEngine(script), "early_exit", agreeing=3, **EVERY_FOUR)
    final = outcome.traces[0]
    assert outcome.answer == "Final Answer:8"
    assert text(final, "thinking") == "aaaabcd"
    assert (final.exit_reason, final.answer_exit) == ("early", "eos")
    assert [c["agreed"] for c in outcome.extra["checkpoints"]] == [1, 1, 2, 3]
    assert [c["answer"] for c in outcome.extra["checkpoints"]] == ["7", "8", "8", "8"]
    assert [c["thinking_tokens"] for c in outcome.extra["checkpoints"]] == [4, 5, 6, 7]
    assert outcome.chosen == (0,)
    assert outcome.thinking_tokens == 7


def test_every_sampled_token_is_counted_once_and_the_trunk_with_the_chain(solve):
    engine = ScriptedEngine(f"aaaa7{END}b8{END}c8{END}dddd")
    outcome = solve(engine, "early_exit", agreeing=2, **EVERY_FOUR)
    sampled = sum(len(c.generation.ids) + len(c.generation.stop_ids) for c in engine.calls)
    assert outcome.generated_tokens == sampled == 6 + 3 * 2
    assert [trace.generated_tokens for trace in outcome.traces] == [6 + 2, 2, 2]
    assert outcome.extra["probe_tokens"] == 6
    assert [c["probe_tokens"] for c in outcome.extra["checkpoints"]] == [2, 2, 2]


def test_a_probe_leaves_the_chain_as_it_was(solve):
    engine = ScriptedEngine(f"aaaa7{END}b8{END}<|im_start|>9{END}")
    outcome = solve(engine, "early_exit", **EVERY_FOUR)
    final = outcome.traces[0]
    assert TOKENIZER.decode(final.ids()) == "<|im_start|>thinkaaaab<|im_start|>answer9"
    assert (final.exit_reason, outcome.answer, final.stripped) == ("natural", "9", 2)
    assert engine.calls[2].prompt == (*final.prompt, *final.ids()[:6])
    assert len(outcome.traces) == 3


def test_the_cap_is_held_whatever_the_checkpoints_are(solve):
    engine = ScriptedEngine(f"aaaa7{END}b8{END}c9{END}d1{END}e2{END}", cyclic=True)
    outcome = solve(engine, "early_exit", max_thinking_tokens=6, agreeing=9, **EVERY_FOUR)
    assert (outcome.exit_reason, outcome.thinking_tokens, outcome.budget) == ("budget", 6, 6)
    assert [c["thinking_tokens"] for c in outcome.extra["checkpoints"]] == [4, 5]
    never = solve(ScriptedEngine("aaaa", cyclic=True), "early_exit", max_thinking_tokens=6)
    assert (never.extra["checkpoints"], len(never.traces)) == ([], 1)


def test_an_unreadable_answer_agrees_with_nothing(solve):
    script = f"aaaa{END}b{END}c7{END}d{END}e8{END}f8{END}"
    outcome = solve(ScriptedEngine(script), "early_exit", agreeing=2, **EVERY_FOUR)
    assert [c["agreed"] for c in outcome.extra["checkpoints"]] == [0, 0, 1, 0, 1, 2]


def test_a_confident_answer_is_believed_at_once(solve):
    sure = ScriptedEngine(f"aaaa7{END}bb", confident=lambda n: 0.01)
    params = {"agreeing": None, "confidence": 0.9, **EVERY_FOUR}
    outcome = solve(sure, "early_exit", **params)
    [checkpoint] = outcome.extra["checkpoints"]
    assert (outcome.exit_reason, outcome.answer) == ("early", "Final Answer:7")
    assert checkpoint["confidence"] == pytest.approx(2.718281828**-0.01, abs=1e-3)
    unsure = ScriptedEngine(f"aaaa7{END}b<|im_start|>8{END}", confident=lambda n: 0.2)
    assert solve(unsure, "early_exit", **{**params, "spacing": 2.0}).answer == "8"


def test_a_confidence_that_the_engine_does_not_tell_is_refused(solve):
    with pytest.raises(UserError, match=r"logprobs=0: the engine scripted tells no.*use s1_hf"):
        solve(ScriptedEngine(f"aaaa7{END}"), "early_exit", confidence=0.9, **EVERY_FOUR)


def test_an_answer_that_the_probes_limit_cut_is_given_in_full(solve):
    script = "aaaa" + "8.\nx" + "b" + "8.\nx" + f"8.\nyes{END}"
    engine = ScriptedEngine(script)
    outcome = solve(engine, "early_exit", agreeing=2, probe_tokens=3, **EVERY_FOUR)
    assert outcome.exit_reason == "early"
    assert [c["agreed"] for c in outcome.extra["checkpoints"]] == [1, 2]
    assert text(outcome.traces[0], "answer") == "8.\nyes"
    assert [trace.generated_tokens for trace in outcome.traces] == [5 + 6, 3, 3]


def test_an_end_that_two_requests_write_together_is_found(solve):
    """`</think>` is four tokens here, and a checkpoint falls between them; what is sampled behind
    it in the second request is taken out with it."""
    engine = ScriptedEngine(f"aa</7{END}think>b8{END}")
    checkpoints = {"first_checkpoint": 4, "spacing": 1.75}
    outcome = solve(engine, "early_exit", thinking_format="think_tags", **checkpoints)
    final = outcome.traces[0]
    assert text(final, "thinking") == "aa"
    assert (final.exit_reason, outcome.answer) == ("natural", "8")
    sampled = sum(len(c.generation.ids) + len(c.generation.stop_ids) for c in engine.calls)
    assert outcome.generated_tokens == sampled


def test_an_end_that_many_requests_write_is_found_too(solve):
    engine = ScriptedEngine(f"aa<7{END}/6{END}think5{END}>8{END}")
    outcome = solve(
        engine, "early_exit", thinking_format="think_tags", first_checkpoint=3, spacing=1.0001
    )
    final = outcome.traces[0]
    assert text(final, "thinking") == "aa"
    assert (final.exit_reason, outcome.answer) == ("natural", "8")
    sampled = sum(len(c.generation.ids) + len(c.generation.stop_ids) for c in engine.calls)
    assert outcome.generated_tokens == sampled


def test_ignored_ends_go_on_between_checkpoints(solve):
    engine = ScriptedEngine(f"aa<|im_start|>b7{END}c7{END}d7{END}")
    outcome = solve(engine, "early_exit", num_ignores=1, **EVERY_FOUR)
    assert text(outcome.traces[0], "thinking") == "aaWaitbcd"
    assert (outcome.exit_reason, outcome.num_ignores_used) == ("early", 1)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"agreeing": None}, "never exits early: give one of them, e.g. agreeing=3"),
        ({"agreeing": 0}, "agreeing=0: give a whole number of 1 or more"),
        ({"spacing": 1.0}, "spacing=1.0: give a number above 1"),
        ({"confidence": 1.5}, "confidence=1.5: give a number above 0 and up to 1"),
        ({"first_checkpoint": 0}, "first_checkpoint=0: give a whole number of 1 or more"),
    ],
)
def test_settings_that_mean_nothing_are_refused(params, said):
    with pytest.raises(UserError, match=said):
        settings("early_exit", params)


def test_without_a_thinking_format_there_is_nothing_to_leave_early(solve):
    with pytest.raises(UserError, match="thinking_format=none has none: use plain"):
        solve(ScriptedEngine("a"), "early_exit", thinking_format="none")
