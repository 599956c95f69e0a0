"""The shipped checkpoint: small, whole, loadable, with the tokenizer that the code builds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from s1_eval.engines.models import resolve_model
from s1_eval.thinking import bind
from s1_eval.training.nano.tokenizer import build

FOLDER = Path(resolve_model("nano"))
FILES = {
    "README.md",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "training.json",
}


def test_only_nano_is_embedded():
    assert resolve_model("simplescaling/s1.1-32B") == "simplescaling/s1.1-32B"
    assert FOLDER.is_dir()


def test_it_is_whole_and_under_8_megabytes():
    assert {path.name for path in FOLDER.iterdir()} == FILES
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 8_000_000


def test_its_tokenizer_is_the_one_that_the_code_builds():
    from transformers import AutoTokenizer

    shipped, built = AutoTokenizer.from_pretrained(FOLDER), build()
    assert shipped.get_vocab() == built.get_vocab()
    assert shipped.chat_template == built.chat_template
    assert shipped.eos_token == "<|im_end|>"
    assert bind("auto", shipped, "nano") == bind("auto", built, "nano")


def test_vllm_on_a_cpu_can_load_its_shape():
    config = json.loads((FOLDER / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert config["hidden_size"] // config["num_attention_heads"] in (32, 64)
    assert config["max_position_embeddings"] == 4096


@pytest.mark.parametrize("start", ["<|im_start|>think"])
def test_it_thinks_through_an_easy_problem(start):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModelForCausalLM.from_pretrained(FOLDER)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Compute mod 100.\nS=47\nA*8\nB+5"}],
        tokenize=False,
        add_generation_prompt=True,
    )
    ids = tokenizer(prompt + start, add_special_tokens=False, return_tensors="pt").input_ids
    with torch.inference_mode():
        out = model.generate(ids, max_new_tokens=60, do_sample=False)
    assert tokenizer.decode(out[0, ids.shape[1] :]) == (
        "\nS=47\nA*8=76\nB+5=81\n<|im_start|>answer\nFinal Answer: 81<|im_end|>"
    )
