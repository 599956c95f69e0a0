"""Traces: counts, JSON form, and how they look in a terminal."""

from __future__ import annotations

import pytest
from rich.console import Console
from scripted import ToyTokenizer

from s1_eval.thinking import Outcome, Segment, Trace
from s1_eval.thinking.render import printable, render

TOKENIZER = ToyTokenizer()


def ids(text: str) -> tuple[int, ...]:
    return tuple(TOKENIZER.encode(text))


TRACE = Trace(
    prompt=ids("Q"),
    segments=(
        Segment("delimiter", "forced", ids("<|im_start|>think")),
        Segment("thinking", "sampled", ids("ab\n")),
        Segment("thinking", "forced", ids("Wait")),
        Segment("thinking", "sampled", ids("c")),
        Segment("delimiter", "forced", ids("\n<|im_start|>answer")),
        Segment("nudge", "forced", ids("\nFinal Answer:")),
        Segment("answer", "sampled", ids(" 4")),
    ),
    exit_reason="budget",
    stripped=2,
)


def test_counts_are_what_the_record_says_they_are():
    assert TRACE.thinking_tokens == 3 + 1 + 1
    assert TRACE.forced_tokens == 2 + 1 + 3 + 3
    assert TRACE.answer_tokens == 2
    assert TRACE.generated_tokens == 3 + 1 + 2 + 2
    assert TRACE.num_ignores_used == 1


def test_the_terminal_tells_forced_from_sampled_without_colour():
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        console.print(render(TRACE, TOKENIZER.decode))
    shown = capture.get()
    assert "⟦<|im_start|>think⟧ab\n⟦Wait⟧c⟦\n<|im_start|>answer⟧⟦\nFinal Answer:⟧ 4" in shown
    assert "thinking ended: budget" in shown


def test_control_characters_of_a_model_never_reach_the_terminal():
    assert printable("a\x1b[31mb\r\x07\u202ec\n\t") == "a\\x1b[31mb\\r\\x07\\u202ec\n\t"


@pytest.mark.parametrize(
    "damage",
    [
        {"exit_reason": "bored"},
        {"segments": [{"role": "thinking", "origin": "dreamt", "ids": []}]},
        {"segments": [{"role": "thinking"}]},
        {"prompt": 3},
    ],
)
def test_what_is_not_a_trace_is_refused(damage):
    with pytest.raises(ValueError, match="not a trace"):
        Trace.from_dict({**TRACE.to_dict(), **damage})


def test_an_outcome_counts_what_it_rests_on_and_pays_for_everything():
    other = Trace(ids("Q"), (Segment("thinking", "sampled", ids("abcd")),), "context")
    outcome = Outcome("4", (TRACE, other, TRACE), chosen=(0, 2))
    assert outcome.thinking_tokens == 2 * TRACE.thinking_tokens
    assert outcome.generated_tokens == 2 * TRACE.generated_tokens + 4
    assert outcome.exit_reason == "budget"
    assert Outcome("", (other,), chosen=()).exit_reason == "context"
