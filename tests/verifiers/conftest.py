# ruff: noqa: S106
"""Tiny randomly initialised checkpoints of the published process reward models, in the layout the
hub has them: architectures, key names, special tokens and chat templates are the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CORPUS = [
    "Compute 2 + 2. Step 1: two and two - that is 4.",
    "So the answer is \\boxed{4}.\n\nThe final answer is 4. 0123456789",
    "Janet has 3 ducks + eggs ки\nki",
]
QWEN_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' %}"
    "{{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{%- endif %}"
    "{%- for m in messages %}"
    "{{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
LLAMA_TEMPLATE = (
    "{{- bos_token }}{{- '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{{- 'Cutting Knowledge Date: December 2023<|eot_id|>' }}"
    "{%- for m in messages %}{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
    "{{- m['content'] | trim + '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
SHAPE = {
    "hidden_size": 128,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def byte_level(special: list[str], template: str | None, **names: str) -> Any:
    """A byte-level BPE tokenizer, as Llama 3 and Qwen have."""
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=template, **names)
    made.add_special_tokens({"additional_special_tokens": special})
    return made


def sentencepiece() -> Any:
    """A tokenizer with `▁` for spaces, as Mistral has: `+`, `-` and `ки` are tokens."""
    import tokenizers
    from tokenizers import decoders, models, normalizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    backend.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    words = [word for text in CORPUS for word in text.split()] + ["+", "-", "ки"] * 20
    backend.train_from_iterator([*words, *CORPUS, "\n"], trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", backend.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def save(folder: Path, tokenizer: Any, config: Any, causal: Any, head: dict[str, Any]) -> Path:
    """A checkpoint with the published key names: backbone, output layer, and `head`."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = causal(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2)
    folder.mkdir(parents=True)
    tokenizer.save_pretrained(folder)
    state = {k: v.clone().contiguous() for k, v in model.state_dict().items()}
    state |= {name: 0.2 * torch.randn(shape) for name, shape in head.items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory) -> dict[str, Path]:
    """Format name to folder."""
    from transformers import (
        LlamaConfig,
        LlamaForCausalLM,
        MistralConfig,
        MistralForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    root = tmp_path_factory.mktemp("hub")
    size = SHAPE["hidden_size"]
    chatml = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    headers = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    made = {}

    tokenizer = byte_level(headers, LLAMA_TEMPLATE, bos_token=headers[0], eos_token=headers[3])
    made["rlhflow"] = save(
        root / "Llama3.1-8B-PRM-Deepseek-Data",
        tokenizer,
        LlamaConfig(vocab_size=len(tokenizer), architectures=["LlamaForCausalLM"], **SHAPE),
        LlamaForCausalLM,
        {},
    )
    tokenizer = byte_level([*chatml, "<extra_0>"], QWEN_TEMPLATE, eos_token="<|im_end|>")
    remote = {"AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel"}
    made["qwen_math_prm"] = save(
        root / "Qwen2.5-Math-PRM-7B",
        tokenizer,
        Qwen2Config(
            vocab_size=len(tokenizer),
            architectures=["Qwen2ForProcessRewardModel"],
            auto_map=remote,
            **SHAPE,
        ),
        Qwen2ForCausalLM,
        {
            "score.0.weight": (size, size),
            "score.0.bias": (size,),
            "score.2.weight": (2, size),
            "score.2.bias": (2,),
        },
    )
    tokenizer = byte_level(chatml, QWEN_TEMPLATE, bos_token="<|endoftext|>", eos_token="<|im_end|>")
    made["skywork"] = save(
        root / "Skywork-o1-Open-PRM-Qwen-2.5-1.5B",
        tokenizer,
        Qwen2Config(vocab_size=len(tokenizer), architectures=["Qwen2ForPrmModel"], **SHAPE),
        Qwen2ForCausalLM,
        {"v_head.summary.weight": (1, size), "v_head.summary.bias": (1,)},
    )
    tokenizer = sentencepiece()
    made["math_shepherd"] = save(
        root / "math-shepherd-mistral-7b-prm",
        tokenizer,
        MistralConfig(
            vocab_size=len(tokenizer),
            architectures=["MistralForCausalLM"],
            sliding_window=64,
            **SHAPE,
        ),
        MistralForCausalLM,
        {},
    )
    return made
