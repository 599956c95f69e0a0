"""Rows without padding: several examples in one row, none of which may see another. Whether a
model's attention keeps them apart is tried out before training, on a small model of its class.
"""

from __future__ import annotations

from typing import Any

from s1_eval.errors import UserError

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "initializer_range": 0.3,
    "vocab_size": 128,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
LENGTHS = (5, 9, 2)


def refuse_leaks(config: Any, attention: str) -> None:
    """Raises UserError where a model of this configuration, with this implementation of
    attention, sees other examples of its row."""
    found = leak(config, attention)
    if found > 0.05:
        raise UserError(
            f"with attention={attention}, {config.model_type} models see the other examples of "
            f"their row (logits change by {found:.2g} of their size): take training.attention="
            "flash_attention_2 or sdpa, or padding_free: false"
        )


def leak(config: Any, attention: str) -> float:
    """How much the logits of packed examples differ from those of each alone, as a share of
    their size; 0 but for rounding where none sees another."""
    import copy

    import torch
    from transformers import AutoModelForCausalLM

    small = copy.deepcopy(config)
    for name, value in SMALL.items():
        if hasattr(small, name):
            setattr(small, name, value)
    if getattr(small, "layer_types", None):
        small.layer_types = small.layer_types[: SMALL["num_hidden_layers"]]
    cuda = torch.cuda.is_available()
    device, dtype = ("cuda", torch.bfloat16) if cuda else ("cpu", torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(small, dtype=dtype, attn_implementation=attention)
        model = model.to(device).eval()
        rows = [torch.randint(128, (1, n), device=device) for n in LENGTHS]
    with torch.inference_mode():
        alone = torch.cat([model(row, use_cache=False).logits for row in rows], dim=1)
        packed = model(**together(rows), use_cache=False).logits
    return float((packed - alone).abs().max() / alone.abs().max())


def together(rows: Any) -> dict[str, Any]:
    """Rows (each 1 x length) as one row, told apart by positions that begin anew, as TRL's
    collator lays them out."""
    import torch

    return {
        "input_ids": torch.cat(rows, dim=1),
        "position_ids": torch.cat(
            [torch.arange(row.shape[1], device=row.device) for row in rows]
        ).unsqueeze(0),
    }
