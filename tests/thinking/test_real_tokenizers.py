"""Tokenizers that Mistral ships: SentencePiece, which puts blanks before texts, and tekken, which
builds prompts by itself and reads no special token in a text.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import mistral_common
import pytest
import transformers
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from scripted import ScriptedEngine

from s1_eval.engines import checkpoints
from s1_eval.engines.checkpoints import load_tokenizer
from s1_eval.errors import UserError
from s1_eval.methods import Policy
from s1_eval.thinking import AS_IT_IS, detect, encode_exactly, in_ids

SHIPPED = Path(mistral_common.__file__).parent / "data"
QUESTION = {"role": "user", "content": "What is 2 + 2?"}


@pytest.fixture(scope="module")
def sentencepiece(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if transformers.__version__.startswith("5.0."):
        pytest.skip("transformers 5.0 puts blanks between all pieces of SentencePiece: refused")
    folder = tmp_path_factory.mktemp("sentencepiece")
    shutil.copy(SHIPPED / "tokenizer.model.v1", folder / "tokenizer.model")
    settings = {
        "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "chat_template": "{{ bos_token }}{% for m in messages %}[INST] {{ m.content }} [/INST]"
        "{% endfor %}",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return load_tokenizer(str(folder))


@pytest.fixture(scope="module")
def tekken(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Mistral's own vocabulary with the special tokens of its thinking models beside the old."""
    folder = tmp_path_factory.mktemp("tekken")
    data = json.loads((SHIPPED / "tekken_240911.json").read_text("utf-8"))
    names = [str(t["token_str"].value) for t in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]
    names += ["[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"]
    data["special_tokens"] = [
        {"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(names)
    ]
    data["config"]["version"] = "v13"
    (folder / "tekken.json").write_text(json.dumps(data))
    (folder / "config.json").write_text('{"model_type": "mistral"}')
    return load_tokenizer(str(folder))


@pytest.mark.parametrize("text", ["</think>", "Wait", "\nFinal Answer:", "\n</think>\n\n"])
def test_a_forced_string_gets_no_blank_that_sentencepiece_would_add(sentencepiece, text):
    before = sentencepiece.encode("4, I think.", add_special_tokens=False)
    forced = encode_exactly(sentencepiece, text, "m")
    shown = sentencepiece.decode(before)
    assert sentencepiece.decode([*before, *forced]) == shown + text
    naive = sentencepiece.encode(text, add_special_tokens=False)
    if text == "</think>":  # what an encoding of the text alone would have put there
        assert sentencepiece.decode([*before, *naive]) == shown + " " + text


def test_an_end_of_many_pieces_is_stopped_on_by_its_text(sentencepiece):
    delimiters = in_ids(detect("think_tags", sentencepiece, "m").format, sentencepiece, "m")
    assert (delimiters.stop_ids, delimiters.stop_strings) == (frozenset(), ("</think>",))


def test_a_sequence_begins_once(sentencepiece):
    engine = ScriptedEngine("x")
    engine.tokenizer = sentencepiece
    policy = Policy.bind(engine, "none")
    begin = sentencepiece.bos_token_id
    for ids in (
        policy.encode_raw("2 + 2 ="),
        policy.encode_raw("<s>2 + 2 ="),
        policy.encode_chat([QUESTION]),
    ):
        assert (ids[0], ids.count(begin)) == (begin, 1)


def test_tekken_is_asked_for_ids_and_its_thinking_is_found(tekken):
    found = detect("auto", tekken, "m")
    assert (found.format.name, found.state, found.source) == ("mistral", "on", "template")
    begin, end = (tekken.convert_tokens_to_ids(token) for token in ("[THINK]", "[/THINK]"))
    delimiters = in_ids(found.format, tekken, "m")
    assert (delimiters.start, delimiters.end) == ((begin,), (end,))
    assert delimiters.stop_ids == {end}
    prompt = AS_IT_IS.encode(tekken, [QUESTION], "m")
    own = tekken.apply_chat_template([QUESTION], tokenize=True, return_dict=False)
    assert list(prompt) == list(own)
    # The text of the prompt, read again, is other ids.
    text = tekken.decode(list(prompt), skip_special_tokens=False)
    assert tekken.encode(text, add_special_tokens=False) != list(prompt)


def test_a_system_text_reaches_tekkens_prompt(tekken):
    chat = replace(AS_IT_IS, system="Answer in one word.")
    prompt = chat.encode(tekken, [QUESTION], "m")
    assert "Answer in one word." in tekken.decode(list(prompt), skip_special_tokens=False)


def test_what_reads_sentencepiece_is_named_where_it_is_missing(tmp_path, monkeypatch):
    (tmp_path / "tokenizer.model").write_bytes(b"\x0e")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(UserError) as told:
        load_tokenizer(str(tmp_path))
    assert "pip install" not in str(told.value)
    monkeypatch.setattr(checkpoints, "distributions", list)
    with pytest.raises(UserError, match="pip install sentencepiece protobuf"):
        load_tokenizer(str(tmp_path))
