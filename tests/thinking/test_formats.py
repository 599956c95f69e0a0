"""Formats: parsing, detection, and the ids of every delimiter."""

from __future__ import annotations

import pytest
from scripted import CHATML, ToyTokenizer

from s1_eval.errors import UserError
from s1_eval.thinking import bind, detect_format, parse_format

THINK_CHATML = CHATML + "{# answers follow </think> #}"
OPENING_CHATML = CHATML.replace("assistant\n", "assistant\n<think>\n") + "{# </think> #}"


def test_the_template_shows_the_format():
    assert detect_format(ToyTokenizer(), "m").name == "s1"
    assert detect_format(ToyTokenizer(chat_template=THINK_CHATML), "m").name == "think_tags"


@pytest.mark.parametrize("model", ["simplescaling/s1-32B", "hub/s1.1-32B/"])
def test_a_plain_chatml_template_is_s1_only_under_an_s1_name(model):
    tokenizer = ToyTokenizer(chat_template=CHATML)
    assert detect_format(tokenizer, model).name == "s1"
    with pytest.raises(UserError, match="thinking_format=think_tags"):
        detect_format(tokenizer, "Qwen/Qwen2.5-7B-Instruct")


def test_a_model_without_a_template_is_named():
    with pytest.raises(UserError, match="base-7b has no chat template"):
        detect_format(ToyTokenizer(chat_template=None), "base-7b")


def test_a_template_that_opens_the_thinking_is_not_doubled():
    opened = bind("auto", ToyTokenizer(chat_template=OPENING_CHATML), "m")
    assert opened.start == ()
    assert bind("think_tags", ToyTokenizer(chat_template=THINK_CHATML), "m").start != ()


def test_single_token_stops_go_by_id_and_longer_ones_by_text():
    tokenizer = ToyTokenizer()
    s1 = bind("s1", tokenizer, "m")
    assert s1.stop_ids == {tokenizer.id("<|im_start|>")}
    tags = bind("think_tags", tokenizer, "m", extra_stops=("<|im_end|>",))
    assert tags.stop_strings == ("</think>",)
    assert tags.stop_ids == {tokenizer.id("<|im_end|>")}


@pytest.mark.parametrize("spec", ["<r>...</r>", {"start": "<r>", "end": "</r>"}])
def test_explicit_delimiters(spec):
    format = parse_format(spec)
    assert format is not None
    assert (format.start, format.end, format.stops) == ("<r>", "</r>", ("</r>",))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nonsense", "is unknown"),
        ("a...b...c", "is unknown"),
        ("<r>...", "empty end"),
        ({"start": "a"}, "give exactly start, end"),
    ],
)
def test_an_unreadable_format_is_refused(spec, says):
    with pytest.raises(UserError, match=says):
        parse_format(spec)
