# ruff: noqa: S603
"""The plan for models that this machine can't hold: their sizes, their sharding, their memory, held
against real wrapping and a real forward and backward pass over tensors without memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from s1_eval.errors import UserError
from s1_eval.training import plan
from s1_eval.training.recipe import Model, load

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
DOCS = Path(__file__).parents[2] / "docs" / "training.md"
GB = 1e9


def planned(name: str):
    recipe = load(RECIPES / f"{name}.yaml")
    config = plan.config_of(recipe.model)
    return recipe, config, plan.sizes(config, recipe.model.lora)


def test_the_32b_model_has_the_published_size():
    _, config, found = planned("s1_32b")
    assert found.total == 32_763_876_352, "Qwen2.5-32B's safetensors index: 65,527,752,704 bytes"
    assert found.layer * 64 + 2 * config.vocab_size * 5120 + 5120 == found.total
    assert found.tail == 152_064 * 5120 + 5120


def test_adapters_are_counted():
    assert planned("s1_7b_lora")[2].adapters == 80_740_352


@pytest.mark.parametrize(
    ("recipe", "gpus", "state", "total", "gpu"),
    [
        ("s1_32b", 16, 32.8, 77.3, 85.9),
        ("s1_1_32b", 16, 32.8, 61.4, 85.9),
        ("s1_32b", 8, 65.5, 110.0, 151.4),
        ("s1_7b_lora", 1, 16.5, 21.4, 25.8),
        ("s1_1.5b", 1, 24.7, 30.0, 34.4),
    ],
)
def test_memory_is_what_the_docs_work_out_and_fits_the_gpu_they_name(
    recipe, gpus, state, total, gpu
):
    loaded, config, found = planned(recipe)
    need = plan.memory(config, loaded.training, found, loaded.training.max_length, gpus)
    assert need.state / GB == pytest.approx(state, abs=0.05)
    assert need.total / GB == pytest.approx(total, abs=0.05)
    assert need.total / GB < gpu
    row = f"| {recipe} | {gpus} | {state:.1f} |"
    assert any(
        line.startswith(row) and f"| {total:.1f} |" in line
        for line in DOCS.read_text().splitlines()
    )


def test_checkpoints_of_the_32b_recipe():
    recipe, _, found = planned("s1_32b")
    assert plan.checkpoint_bytes(found, recipe.training) == (393_166_516_224, 65_527_752_704)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["s1_32b", "s1_1.5b"])
def test_activations_are_those_of_a_real_pass_over_tensors_without_memory(recipe):
    loaded, config, _ = planned(recipe)
    tokens = loaded.training.max_length
    (two, peak), (four, _) = (passed(config, layers, tokens) for layers in (2, 4))
    layer_input = 2 * tokens * config.hidden_size
    assert four - two == 2 * layer_input
    assert peak == pytest.approx(
        layer_input + sum(plan.layer_activations(config, tokens)), rel=0.05
    )


def passed(config, layers: int, tokens: int) -> tuple[int, int]:
    """Bytes of activations after the forward pass, and at most, in a model of so many layers in
    bfloat16 with gradient checkpointing."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker
    from transformers import AutoModelForCausalLM

    config.num_hidden_layers = layers
    config.layer_types = ["full_attention"] * layers
    with FakeTensorMode():
        model = AutoModelForCausalLM.from_config(
            config, dtype=torch.bfloat16, attn_implementation="sdpa"
        )
        model.gradient_checkpointing_enable()
        model.train()
        tracker = MemTracker()
        tracker.track_external(model)
        with tracker:
            hidden = model.model(torch.zeros(1, tokens, dtype=torch.long), use_cache=False)
            kept = activations(tracker.get_tracker_snapshot("current"))
            hidden.last_hidden_state.sum().backward()
        return kept, activations(tracker.get_tracker_snapshot("peak"))


def activations(snapshot) -> int:
    [kinds] = snapshot.values()
    return sum(n for kind, n in kinds.items() if str(kind).endswith(("ACT", "TEMP")))


@pytest.mark.slow
def test_fsdp2_wraps_every_layer_and_gives_each_of_16_gpus_a_sixteenth():
    script = Path(__file__).with_name("wrapped_32b.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout.splitlines()[-1])
    _, _, found = planned("s1_32b")
    layers = {f"model.layers.{n}": found.layer for n in range(64)}
    tail = {"model.norm": found.tail, "lm_head": found.tail}
    embedding = {"model.embed_tokens": 152_064 * 5120}
    assert seen["units"] == {"": 0} | embedding | layers | tail
    assert seen["mine"] * 16 == found.total
    assert seen["dtypes"] == ["torch.float32"]


@pytest.mark.parametrize(("name", "processes"), [("1gpu", 1), ("8gpu", 8), ("2x8gpu", 16)])
def test_accelerate_reads_the_configurations(name, processes):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(RECIPES.parent / "accelerate" / f"{name}.yaml"))
    assert config.num_processes == processes
    assert config.mixed_precision == "bf16"
    sharded = getattr(config, "fsdp_config", None) or {}
    assert sharded.get("fsdp_version") == (2 if processes > 1 else None)
    assert config.num_machines == max(1, processes // 8)


def test_a_configuration_that_is_not_here_is_named(monkeypatch):
    with pytest.raises(UserError, match="configuration of x/y is neither here nor cached"):
        plan.config_of(Model(pretrained="x/y"))
