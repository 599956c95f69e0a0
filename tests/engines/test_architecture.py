"""FLOPs from a configuration are those that PyTorch counts while the model runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from s1_eval.engines.architecture import DENSE, MIXED, Architecture, architecture_of
from s1_eval.engines.models import resolve_model

SMALL = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 120,
    "sliding_window": 3,
    "pad_token_id": 0,
    "max_position_embeddings": 64,
}
EXPERTS = {
    "moe_intermediate_size": 24,
    "num_experts_per_tok": 2,
    "num_experts": 5,
    "num_local_experts": 5,
    "n_routed_experts": 5,
    "moe_num_experts": 5,
    "moe_k": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "mlp_only_layers": [2],
    "shared_expert_intermediate_size": 40,
}


def model_of(kind: str, **settings):
    from transformers import AutoConfig, AutoModelForCausalLM

    default = AutoConfig.for_model(kind)
    more = {name: value for name, value in EXPERTS.items() if hasattr(default, name)}
    given = SMALL | (more if kind in MIXED else {}) | settings
    config = AutoConfig.for_model(kind, **given)
    config._experts_implementation = "eager"
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()


def counted(model, ids, cache=None):
    """(FLOPs, cache). The angles of rotary embeddings, an outer product once per pass, are none of
    the layers' work."""
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        out = model(torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1)
    by_module = counter.get_flop_counts()
    angles = sum(sum(of.values()) for name, of in by_module.items() if "rotary_emb" in name)
    return counter.get_total_flops() - angles, out.past_key_values


@pytest.mark.parametrize("kind", sorted(DENSE | MIXED))
def test_every_known_architecture_is_counted_exactly(kind):
    model = model_of(kind)
    found = architecture_of(model.config)
    total, cache = 0, None
    for token in range(6):
        flops, cache = counted(model, [token + 1], cache)
        total += flops
        assert flops == found.flops(token, token + 1, 1)
    assert total == found.flops(0, 6, 6)


def test_nano_prefill_and_decode():
    """In one pass over a prompt PyTorch counts all pairs of tokens, those too that no token may
    attend to; the rest is equal."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(resolve_model("nano"), attn_implementation="eager")
    found = architecture_of(model.config)
    n = 200
    flops, cache = counted(model, [5] * n)
    masked = n * n - n * (n + 1) // 2
    ((window, per_pair),) = found.attention
    assert window is None
    assert flops == found.flops(0, n, 1) + masked * per_pair
    flops, _ = counted(model, [7], cache)
    assert flops == found.flops(n, n + 1, 1)


def test_parts_add_up_and_a_window_ends_attention():
    found = Architecture(10, 3, ((None, 1), (4, 2)))
    assert found.flops(0, 2, 1) == 20 + 3 + 3 * 1 + 3 * 2
    assert found.flops(6, 8) == 20 + (7 + 8) * 1 + (4 + 4) * 2
    for middle in range(9):
        assert found.flops(0, middle) + found.flops(middle, 8) == found.flops(0, 8)


def test_what_is_not_known_exactly_has_no_count():
    from transformers import AutoConfig

    assert architecture_of(AutoConfig.for_model("mamba")) is None
    own = SimpleNamespace(model_type="llama")  # of a checkpoint's own code
    assert architecture_of(SimpleNamespace(get_text_config=lambda decoder: own)) is None
    config = model_of("qwen3").config
    config.layer_types = ["linear_attention"] * 4
    assert architecture_of(config) is None
