"""Attention of one new id a row over keys and values that query heads share, on a CPU.

Before it calls torch's kernel with a mask, transformers copies all keys and values for every query
head that shares them, at every token. Here the query heads of a group stand where the kernel
expects the queries of several ids, and nothing is copied. Imports torch, so it is imported only
where a model is loaded.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from s1_eval import libraries

libraries.check(__name__)
from transformers import AttentionInterface, AttentionMaskInterface  # noqa: E402

NAME = "s1_grouped"
LIBRARY = "sdpa"
"""What transformers calls its own attention by torch's kernel."""


def share_heads(model: Any) -> None:
    """Have a text model of the library's own code attend so, where it would call torch's kernel on
    a CPU and its query heads share keys. Any other model stays as it is."""
    config = model.config
    heads = getattr(config, "num_attention_heads", None)
    if (
        model.device.type == "cpu"
        and config.get_text_config(decoder=True) is config
        and config._attn_implementation == LIBRARY
        and type(model).__module__.startswith("transformers.")
        and getattr(config, "num_key_value_heads", heads) != heads
    ):
        AttentionInterface.register(NAME, grouped)
        AttentionMaskInterface.register(NAME, AttentionMaskInterface()[LIBRARY])
        model.set_attn_implementation(NAME)


def grouped(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """The library's attention; see its `AttentionInterface`.

    query: [rows, query heads, ids, size]; key, value: [rows, key heads, columns, size]. Returns
    [rows, ids, query heads, size]. More than one id, and what else changes the result, is left to
    the library.
    """
    rows, heads, ids, _ = query.shape
    shared = key.shape[1]
    plain = attention_mask is None or attention_mask.shape[1:3] == (1, 1)
    changed = others.get("dropout") or any(
        others.get(name) is not None for name in ("cache", "position_bias")
    )
    if ids != 1 or heads == shared or not plain or changed:
        library = AttentionInterface()[LIBRARY]
        out: tuple[Tensor, None] = library(
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
        return out
    groups = query.reshape(rows, shared, heads // shared, query.shape[-1])
    attended = scaled_dot_product_attention(
        groups, key, value, attn_mask=attention_mask, scale=scaling
    )
    return attended.reshape(rows, 1, heads, value.shape[-1]), None
