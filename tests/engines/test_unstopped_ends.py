"""End tokens that the template writes and nothing stops at are named."""

import pytest

from s1_eval.engines.checkpoints import eos_ids, load_tokenizer, unstopped_ends
from s1_eval.engines.models import resolve_model

TURN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}END\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize(
    ("end", "named"), [("<|im_start|>", ["<|im_start|>"]), ("<|im_end|>", []), ("", [])]
)
def test_a_turn_that_closes_with_no_stop(end, named):
    source = resolve_model("nano")
    tokenizer = load_tokenizer(source)
    tokenizer.chat_template = TURN.replace("END", end)
    assert unstopped_ends(tokenizer, eos_ids(source, tokenizer)) == named


def test_a_template_that_fails_names_nothing():
    source = resolve_model("nano")
    tokenizer = load_tokenizer(source)
    tokenizer.chat_template = "{{ raise_exception('no') }}"
    assert unstopped_ends(tokenizer, eos_ids(source, tokenizer)) == []
