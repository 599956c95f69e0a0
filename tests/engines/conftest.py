"""What the engines' tests share: the pseudo-model's vocabulary as a real tokenizer's files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pseudo_model import PIECES


@pytest.fixture(scope="session")
def pseudo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder without weights: configuration and tokenizer."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import GlmConfig, PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({piece: id for id, piece in enumerate(PIECES)}))
    longest_first = sorted(PIECES, key=len, reverse=True)
    inner.pre_tokenizer = pre_tokenizers.Split(
        Regex("|".join(re.escape(piece) for piece in longest_first)), "isolated"
    )
    inner.decoder = decoders.Fuse()
    folder = tmp_path_factory.mktemp("pseudo")
    GlmConfig().save_pretrained(folder)  # a kind of model without a tokenizer class of its own
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, extra_special_tokens=["<|im_start|>"]
    )
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.save_pretrained(folder)
    return folder
