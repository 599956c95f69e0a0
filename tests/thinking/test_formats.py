"""Formats: parsing, detection, and the ids of every delimiter."""

from __future__ import annotations

import pytest
from scripted import CHATML, ToyTokenizer

from s1_eval.errors import UserError
from s1_eval.thinking import bind, detect, detect_format, encode_exactly, parse_format

OPENING_CHATML = CHATML.replace("assistant\n", "assistant\n<think>\n")
STRIPPING_CHATML = CHATML.replace(
    "m.content", "m.content.split('<think>')[0].split('</think>')[-1]"
)


def test_the_template_shows_the_format():
    assert detect_format(ToyTokenizer(), "m").name == "s1"
    assert detect_format(ToyTokenizer(chat_template=OPENING_CHATML), "m").name == "think_tags"
    assert detect_format(ToyTokenizer(chat_template=STRIPPING_CHATML), "m").name == "none"


@pytest.mark.parametrize("model", ["simplescaling/s1-32B", "hub/s1.1-32B/"])
def test_a_plain_chatml_template_is_s1_only_under_an_s1_name(model):
    tokenizer = ToyTokenizer(chat_template=CHATML)
    assert detect_format(tokenizer, model).name == "s1"
    for other in ("Qwen/Qwen2.5-7B-Instruct", "s1-models/Qwen2.5-7B-Instruct", "hub/not-s1-32B"):
        assert detect_format(tokenizer, other).name == "none"


def test_a_model_without_a_template_shows_no_thinking():
    found = detect("auto", ToyTokenizer(chat_template=None), "base-7b")
    assert (found.state, found.source, found.format.name) == ("none", "none", "none")


def test_a_template_that_opens_the_thinking_is_not_doubled():
    opened = bind("auto", ToyTokenizer(chat_template=OPENING_CHATML), "m")
    assert opened.start == ()
    assert bind("think_tags", ToyTokenizer(chat_template=CHATML), "m").start != ()


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


def test_the_four_parts_of_a_format():
    format = parse_format(
        {"start": "<t>", "stop": "<e>", "end": "<e>\\n<answer>", "answer_close": "</answer>"}
    )
    assert format is not None
    assert (format.start, format.stops, format.end) == ("<t>", ("<e>",), "<e>\n<answer>")
    assert format.answer_close == "</answer>"


@pytest.mark.parametrize(
    ("spec", "start", "end"),
    [
        ("[THINK]...[/THINK]", "[THINK]", "[/THINK]"),
        (r"<think>\n...\n</think>\n\n", "<think>\n", "\n</think>\n\n"),
        ('{"start": "[THINK]", "end": "[/THINK]"}', "[THINK]", "[/THINK]"),
    ],
)
def test_a_format_as_it_is_typed(spec, start, end):
    format = parse_format(spec)
    assert format is not None
    assert (format.start, format.end, format.stops) == (start, end, (end.strip(),))


def test_whitespace_that_an_end_begins_with_is_the_forced_ends_alone():
    bound = bind(r"<r>...\n</r>\n", ToyTokenizer(), "m")
    tokenizer = ToyTokenizer()
    assert tokenizer.decode(bound.newline) == "\n"
    assert tokenizer.decode(bound.end) == "</r>\n"


class Blank(ToyTokenizer):
    """Adds a blank before what it encodes and drops it from the front of what it decodes, as
    SentencePiece tokenizers do."""

    def encode(self, text, *, add_special_tokens=False):
        return super().encode(" " + text)

    def decode(self, token_ids, *, skip_special_tokens=False):
        return super().decode(token_ids).removeprefix(" ")


def test_no_blank_gets_in_before_a_forced_text():
    tokenizer = Blank()
    ids = encode_exactly(tokenizer, "</think>", "m")
    before = tokenizer.encode("Wait")
    assert tokenizer.decode([*before, *ids]) == "Wait</think>"
    assert tokenizer.decode([*before, *tokenizer.encode("</think>")]) == "Wait </think>"
