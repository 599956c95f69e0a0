"""Nano's tokenizer: everything budget forcing forces is exact, and nothing crashes it."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s1_eval.methods.class_conditional import PROMPTS
from s1_eval.thinking import bind
from s1_eval.training.nano.tokenizer import PIECES, build

TOKENIZER = build()


def encode(text: str) -> list[int]:
    return TOKENIZER.encode(text, add_special_tokens=False)


@given(st.text(string.printable))
def test_printable_ascii_comes_back_as_itself(text):
    assert TOKENIZER.decode(encode(text)) == text


@given(st.text())
def test_any_text_comes_back_in_its_composed_form(text):
    assert TOKENIZER.decode(encode(text)) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("opener", ["", "\n", "\n\n", "ok\n", "a"])
@pytest.mark.parametrize("word", ["Wait", "Hmm", "Alternatively"])
def test_an_ignore_string_is_one_token_wherever_it_stands(opener, word):
    assert encode(opener + word) == encode(opener) + encode(word)
    assert len(encode(word)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>think",
        "<|im_start|>answer",
        "\n<|im_start|>answer\nFinal Answer:",
        "<|im_start|>16 steps left\n",
        "A*8=76 was 76 ok\nC*7=67*6=02 was 24 fix\n",
        " two  spaces , and ' marks . ",
    ],
)
def test_what_is_forced_or_written_round_trips(text):
    assert TOKENIZER.decode(encode(text)) == text


def test_the_format_is_recognised_and_ends_at_one_token():
    delimiters = bind("auto", TOKENIZER, "nano")
    assert delimiters.format.name == "s1"
    assert delimiters.stop_ids == {TOKENIZER.convert_tokens_to_ids("<|im_start|>")}
    assert not delimiters.stop_strings


@pytest.mark.parametrize("prompt", [*PROMPTS.values(), "Think for up to 512 tokens."])
def test_instructions_are_a_few_tokens(prompt):
    assert len(encode(prompt)) <= 6


def test_the_generator_counts_tokens_as_the_tokenizer_does():
    text = "<|im_start|>8 steps left\nS=47\nA*8=76\nWait, let me check.\nA*8=76 was 76 ok\n"
    assert PIECES.findall(text) == [TOKENIZER.decode([id]) for id in encode(text)]


def test_a_chat_has_its_roles_and_no_system_prompt_of_its_own():
    messages = [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    assert TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\na<|im_end|>\n<|im_start|>user\nb<|im_end|>\n"
        "<|im_start|>assistant\nc<|im_end|>\n<|im_start|>assistant\n"
    )
