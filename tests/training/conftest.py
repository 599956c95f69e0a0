"""A tokenizer with Qwen2.5's rules and chat template, and a tiny model of its architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

CORPUS = (
    "Find the number of positive integers less than 1000 that are divisible by neither 5 nor 7.",
    "Wait, let me check that again. First, we count the multiples of 5.\n\nThere are 199.\n",
    "So the answer is \\boxed{686}. Then $x^2 + 3x = 10$, hence $x = 2$ or $x = -5$.\n\n",
    "Think for up to 64 tokens. 64 steps left, 63 steps left. think answer Answer: user assistant",
) * 4
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_pad|>"]


@pytest.fixture(scope="session")
def qwen() -> Any:
    """Qwen2.5's splitting, merges over a few texts, special tokens and chat template."""
    import trl
    from transformers import Qwen2Tokenizer

    template = Path(trl.__file__).parent / "chat_templates" / "qwen2_5.jinja"
    base = Qwen2Tokenizer(pad_token=SPECIAL[0], unk_token=SPECIAL[0], eos_token=SPECIAL[2])
    tokenizer = base.train_new_from_iterator(
        CORPUS, 600, new_special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.chat_template = template.read_text()
    return tokenizer


@pytest.fixture(scope="session")
def qwen_folder(qwen: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a two-layer Qwen2 with that tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("qwen")
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(qwen) + 8,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=qwen.eos_token_id,
        pad_token_id=qwen.pad_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    qwen.save_pretrained(folder)
    return folder
