"""What a training will take, from the recipe and the model's configuration alone: sizes, memory
per GPU, checkpoints. The arithmetic stands in docs/training.md; nothing is loaded or allocated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1_eval.engines.checkpoints import located
from s1_eval.errors import UserError
from s1_eval.training.recipe import Lora, Model, Training

CONFIGS = Path(__file__).parent / "configs"
"""Published configurations, by the last part of a checkpoint's name."""

FULL, HALF = 4, 2
"""Bytes of a float32 and of a bfloat16."""

HEAD_TILE = 4096 * 32768
"""Logits that TRL's fused head holds at a time."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Parameters: of the whole model, of one decoder layer, of final norm and head, and of the
    adapters, 0 without."""

    total: int
    layer: int
    tail: int
    adapters: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes on one GPU.

    state: weights, gradients and AdamW's two moments.
    saved: activations kept from the forward pass until the backward pass needs them.
    working: the most that is alive at a time besides.
    """

    state: int
    saved: int
    working: int

    @property
    def total(self) -> int:
        return self.state + self.saved + self.working


def config_of(model: Model, vocabulary: int | None = None) -> Any:
    """The model's configuration without a download: of a folder, of `configs/`, or cached.

    vocabulary: entries of the tokenizer, where new weights follow it.
    Raises UserError where there is none.
    """
    from transformers import AutoConfig

    if model.shape is not None:
        return model.shape.config(vocabulary)
    published = CONFIGS / f"{model.name.rsplit('/', 1)[-1]}.json"
    where = model.source
    try:
        return AutoConfig.from_pretrained(
            **located(
                str(published) if published.is_file() and not Path(where).exists() else where
            ),
            revision=model.revision,
            local_files_only=True,
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"the configuration of {model.name} is neither here nor cached: download its "
            f"config.json first ({error})"
        ) from error


def on_meta(config: Any, dtype: Any = None) -> Any:
    """The model without memory behind its weights."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype or torch.float32)


def sizes(config: Any, lora: Lora | None = None) -> Sizes:
    model = on_meta(config)
    tail = [model.base_model.norm.weight, model.get_output_embeddings().weight]
    linear = [m for m in model.base_model.modules() if type(m).__name__ == "Linear"]
    return Sizes(
        total=sum(p.numel() for p in model.parameters()),
        layer=sum(p.numel() for p in model.base_model.layers[0].parameters()),
        tail=sum(p.numel() for p in tail),
        adapters=sum(lora.rank * (m.in_features + m.out_features) for m in linear) if lora else 0,
    )


def memory(config: Any, training: Training, found: Sizes, tokens: int, processes: int) -> Memory:
    """Of one GPU that works on `tokens` tokens at a time, one of `processes` that share the
    model by FSDP2. `found` is of the same configuration."""
    learned = found.adapters or found.total
    state = learned * (FULL + FULL + 2 * FULL) // processes
    if found.adapters:
        state += found.total * HALF
    kept, gradients = layer_activations(config, tokens)
    if training.attention == "eager":
        kept += config.num_attention_heads * tokens**2 * (FULL + HALF)
    hidden = tokens * config.hidden_size
    saved = config.num_hidden_layers * (HALF * hidden if training.gradient_checkpointing else kept)
    layer = gradients + (kept if training.gradient_checkpointing else 0)
    head = FULL * (HEAD_TILE + hidden + (0 if found.adapters else found.tail))
    if processes > 1:
        layer += 4 * HALF * found.layer
        head += HALF * (2 * found.layer + found.tail)
    elif training.bf16 and not found.adapters:
        layer += HALF * found.layer
        head += HALF * found.total
    return Memory(state, saved, max(layer, head))


def layer_activations(config: Any, tokens: int) -> tuple[int, int]:
    """Bytes of one decoder layer in bfloat16: (kept for its backward pass, gradients alive at its
    MLP)."""
    hidden, inner = config.hidden_size, config.intermediate_size
    key_value = config.num_key_value_heads * hidden // config.num_attention_heads
    return (
        HALF * tokens * (4 * inner + 17 * hidden + 6 * key_value),
        HALF * tokens * (3 * inner + hidden),
    )


def checkpoint_bytes(found: Sizes, training: Training) -> tuple[int, int]:
    """(of a checkpoint to resume from, of the final weights)."""
    final = found.total * (HALF if training.save_dtype == "bfloat16" else FULL)
    return (found.adapters or found.total) * 3 * FULL, final
