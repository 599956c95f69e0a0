"""Query heads that share keys attend as in the library's own attention, without its copies."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from s1_eval.engines import attention

SHAPE = {
    **{"vocab_size": 64, "hidden_size": 48, "intermediate_size": 32, "num_hidden_layers": 2},
    **{"num_attention_heads": 6, "max_position_embeddings": 64},
}


def model(key_heads: int, **others: str) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(**SHAPE, num_key_value_heads=key_heads)
    return LlamaForCausalLM._from_config(config, **others).eval()


def step(model: LlamaForCausalLM) -> torch.Tensor:
    """The logits of a cached id behind rows of two lengths, padded on the left."""
    mask = torch.ones(2, 7, dtype=torch.long)
    mask[1, :3] = 0
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    ids = torch.arange(14).reshape(2, 7)
    with torch.inference_mode():
        read = model(
            ids[:, :6], attention_mask=mask[:, :6], position_ids=positions[:, :6], use_cache=True
        )
        return model(
            ids[:, 6:],
            attention_mask=mask,
            position_ids=positions[:, 6:],
            past_key_values=read.past_key_values,
        ).logits


@pytest.mark.parametrize("key_heads", [1, 2, 3])
def test_a_step_is_that_of_the_librarys_attention_and_copies_no_keys(key_heads, monkeypatch):
    llama = model(key_heads)
    expected = step(llama)
    attention.share_heads(llama)
    seen = []

    def kernel(query, key, value, **given):
        seen.append((query.shape[1], key.shape[1]))
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, **given)

    monkeypatch.setattr(attention, "scaled_dot_product_attention", kernel)
    torch.testing.assert_close(step(llama), expected, rtol=1e-4, atol=1e-5)
    assert seen == [(key_heads, key_heads)] * 2


@pytest.mark.parametrize(
    ("key_heads", "implementation"), [(6, "sdpa"), (2, "eager")], ids=["none shared", "another"]
)
def test_where_nothing_is_shared_or_the_kernel_is_another_the_model_stays(
    key_heads, implementation
):
    llama = model(key_heads, attn_implementation=implementation)
    attention.share_heads(llama)
    assert llama.config._attn_implementation == implementation
