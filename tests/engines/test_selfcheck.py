"""The check of a loaded model: what decodes right passes, with every kind of cache, and what would
score as if it could not think is refused."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from s1_eval.engines.models import resolve_model
from s1_eval.engines.transformers import TransformersEngine, _vocabulary
from s1_eval.errors import UserError

RECURRENT = {
    "layer_types": ["linear_attention", "full_attention"],
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "intermediate_size": 64,
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
KINDS = {
    "nano": ("Batched", {}),
    "gpt2": ("Batched", {"n_embd": 32, "n_layer": 2, "n_head": 2}),  # positions are absolute
    "qwen3_next": ("OneByOne", {"hidden_size": 32, **RECURRENT}),
    "mamba": ("OneByOne", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}),
}


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(resolve_model("nano"))


def build(kind: str, tokenizer: Any, dtype: str = "float32") -> Any:
    """Random weights do for all but nano: only the bookkeeping is at stake."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    if kind == "nano":
        return AutoModelForCausalLM.from_pretrained(resolve_model("nano"), dtype=dtype).eval()
    torch.manual_seed(0)
    settings = {"vocab_size": len(tokenizer), "initializer_range": 0.5, **KINDS[kind][1]}
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings)).eval()


def check(model: Any, tokenizer: Any) -> None:
    import torch

    from s1_eval.engines import selfcheck

    with torch.inference_mode():
        selfcheck.check(model, _vocabulary(model, tokenizer), tokenizer)


def change_calls(model: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Have every call of `model` go through `change`, behind the same signature."""
    forward = model.forward

    @functools.wraps(forward)
    def changed(*args: Any, **kwargs: Any) -> Any:
        change(kwargs)
        return forward(*args, **kwargs)

    model.forward = changed


@pytest.mark.parametrize("kind", KINDS)
def test_what_decodes_right_passes(tokenizer, kind):
    from s1_eval.engines import decoding

    model = build(kind, tokenizer)
    check(model, tokenizer)
    assert decoding._can_share(model) == (KINDS[kind][0] == "Batched")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_short_numbers_are_no_fault(tokenizer, dtype):
    check(build("nano", tokenizer, dtype), tokenizer)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_swallows_its_cache_is_refused(tokenizer, kind):
    from s1_eval.engines.decoding import cache_name

    model = build(kind, tokenizer)
    name = cache_name(model)
    change_calls(model, lambda given: given.pop(name, None))
    with pytest.raises(UserError, match=r"cache.*pip install 'transformers"):
        check(model, tokenizer)


@pytest.mark.parametrize("kind", ["nano", "gpt2"])
def test_a_mask_that_is_not_used_is_refused(tokenizer, kind):
    model = build(kind, tokenizer)
    change_calls(model, lambda given: given.pop("attention_mask", None))
    with pytest.raises(UserError, match="does not decode right"):
        check(model, tokenizer)


@pytest.mark.parametrize("kind", ["nano", "gpt2"])
def test_positions_that_are_not_used_are_refused(tokenizer, kind):
    model = build(kind, tokenizer)

    def misplace(given: dict[str, Any]) -> None:
        if "position_ids" in given:
            given["position_ids"] = given["position_ids"] // 2

    change_calls(model, misplace)
    with pytest.raises(UserError, match="does not decode right"):
        check(model, tokenizer)


@pytest.mark.parametrize("lost", ["a step", "what was kept"])
def test_keys_and_values_that_are_lost_are_refused(tokenizer, monkeypatch, lost):
    from s1_eval.engines import decoding

    update, join = decoding.Columns.update, decoding.Batched._join

    def forgetful(self, keys, values, *args, **kwargs):
        found = update(self, keys, values, *args, **kwargs)
        if keys.shape[-2] == 1:
            self.keys[:, :, -1] = 0
        return found

    def mistaken(self, group):
        return join(self, [j._replace(kept=None) if j.shared else j for j in group])

    if lost == "a step":
        monkeypatch.setattr(decoding.Columns, "update", forgetful)
    else:
        monkeypatch.setattr(decoding.Batched, "_join", mistaken)
    with pytest.raises(UserError, match="does not decode right"):
        check(build("nano", tokenizer), tokenizer)


def test_logits_that_are_no_numbers_are_refused(tokenizer):
    import torch

    model = build("nano", tokenizer)
    with torch.no_grad():
        model.model.norm.weight[0] = torch.nan
    with pytest.raises(UserError, match="nan"):
        check(model, tokenizer)


def test_a_single_nan_is_not_lost_among_good_rows(tokenizer, monkeypatch):
    from s1_eval.engines import selfcheck

    offs = iter([0.0, float("nan"), *[0.0] * 20])
    monkeypatch.setattr(selfcheck, "_off", lambda *args: next(offs))
    with pytest.raises(UserError, match="nan"):
        check(build("nano", tokenizer), tokenizer)


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_a_cache_is_taken_by_either_name(tokenizer, name):
    """Whichever of the two is the installed version's own."""
    from s1_eval.engines.decoding import cache_name

    model = build("nano", tokenizer)
    forward, theirs = model.forward, cache_name(model)

    def renamed(*args: Any, **kwargs: Any) -> Any:
        assert name == theirs or theirs not in kwargs
        return forward(*args, **{theirs if key == name else key: kwargs[key] for key in kwargs})

    signature = inspect.signature(forward)
    renamed.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[
            p.replace(name=name) if p.name == theirs else p for p in signature.parameters.values()
        ]
    )
    model.forward = renamed
    assert cache_name(model) == name
    check(model, tokenizer)


@pytest.mark.parametrize("more", ["memory=None", "**kwargs", "memory=None, **kwargs"])
def test_a_forward_that_declares_no_known_name_is_refused_by_its_names(tokenizer, more):
    model = build("nano", tokenizer)
    model.forward = eval(f"lambda input_ids, {more}: None")  # noqa: S307
    with pytest.raises(UserError, match=r"cache, past_key_values, cache_params, it has input_ids"):
        check(model, tokenizer)


def test_an_engine_refuses_before_it_is_asked(monkeypatch):
    from s1_eval.engines import decoding

    forward = decoding.Batched._forward

    def blind(self, layers, ids, mask, positions):
        return forward(self, layers, ids, mask, positions * 0)

    monkeypatch.setattr(decoding.Batched, "_forward", blind)
    with pytest.raises(UserError, match="does not decode right"):
        TransformersEngine("nano")
