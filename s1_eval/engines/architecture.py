"""What a model computes for a token, from its configuration alone: multiplications and additions of
matrices, each as one of two operations, as PyTorch's own counter counts them. Norms, activations
and embeddings looked up are left out there and here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

DENSE = frozenset(
    (
        *("arcee", "cohere", "cohere2", "ernie4_5", "exaone4", "gemma", "gemma2", "gemma3_text"),
        *("glm", "glm4", "granite", "helium", "hunyuan_v1_dense", "llama", "ministral", "mistral"),
        *("olmo", "olmo2", "olmo3", "phi3", "qwen2", "qwen3", "seed_oss", "smollm3", "starcoder2"),
    )
)
MIXED = frozenset(
    (
        *("ernie4_5_moe", "glm4_moe", "gpt_oss", "granitemoe", "mixtral", "olmoe", "phimoe"),
        *("qwen2_moe", "qwen3_moe"),
    )
)
"""Model types, as `config.json` names them, for which a test holds the count against PyTorch's.
Those of MIXED have experts."""

UNGATED = frozenset(("arcee", "starcoder2"))
"""Two matrices make their feed-forward layer, not three."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """FLOPs of a decoder.

    per_token: of every token that is read, through all layers; of experts the active ones.
    per_sampled: of the output layer, for every id that is sampled.
    attention: (window, FLOPs per pair of a token and one that it attends to, over all layers with
        that window); None is a window without end. A token attends to itself and all before it.
    """

    per_token: int
    per_sampled: int
    attention: tuple[tuple[int | None, int], ...]

    def flops(self, start: int, end: int, sampled: int = 0) -> int:
        """Of reading the tokens at the positions from `start` up to `end`, what comes before them
        being known, and of sampling so many ids."""
        pairs = sum(each * _pairs(start, end, window) for window, each in self.attention)
        return self.per_token * (end - start) + pairs + self.per_sampled * sampled

    def to_dict(self) -> dict[str, Any]:
        """For a run record."""
        return asdict(self)


def _pairs(start: int, end: int, window: int | None) -> int:
    """Pairs of a token at `start` up to `end` and one that it attends to."""
    if window is None:
        return (end * (end + 1) - start * (start + 1)) // 2
    full = max(start, min(end, window))
    return _pairs(start, full, None) + (end - full) * window


def architecture_of(config: Any) -> Architecture | None:
    """config: of `transformers`, whatever else it has beside its text model. None where the model
    type is not among those that are known exactly, or does more than this one's code reads."""
    try:
        return _counted(config.get_text_config(decoder=True))
    except (AttributeError, StopIteration, TypeError):  # a checkpoint's own, of a known name
        return None


def _counted(text: Any) -> Architecture | None:
    kind = text.model_type
    if kind not in DENSE | MIXED:
        return None
    windows = _windows(text)
    if windows is None:
        return None
    hidden, heads = text.hidden_size, text.num_attention_heads
    width = getattr(text, "head_dim", None) or hidden // heads
    kept = getattr(text, "num_key_value_heads", None) or heads
    projections = 2 * hidden * width * (heads + kept)
    per_pair = 4 * heads * width
    matrices = 2 if kind in UNGATED else 3
    total = 0
    for layer in range(len(windows)):
        total += projections
        experts = _experts(text, layer) if kind in MIXED else None
        total += matrices * hidden * text.intermediate_size if experts is None else experts
    return Architecture(
        per_token=2 * total,
        per_sampled=2 * hidden * text.vocab_size,
        attention=tuple((window, per_pair * layers) for window, layers in Counter(windows).items()),
    )


def _windows(text: Any) -> Sequence[int | None] | None:
    """Of each layer; None where a layer is neither full nor sliding attention."""
    size = getattr(text, "sliding_window", None)
    if not getattr(text, "use_sliding_window", True):
        size = None
    kinds = getattr(text, "layer_types", None)
    if kinds is None:
        return [size] * text.num_hidden_layers
    known = {"full_attention": None, "sliding_attention": size}
    if not set(kinds) <= known.keys() or ("sliding_attention" in kinds and size is None):
        return None
    return [known[kind] for kind in kinds]


def _experts(text: Any, layer: int) -> int | None:
    """Weights that a token meets in the layer: its router, the experts that it is sent to and
    those that all are. None where the layer has no experts."""
    if _is_dense(text, layer):
        return None
    hidden = text.hidden_size
    number = _first(text, "num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    active = _first(text, "num_experts_per_tok", "moe_k")
    inner = _first(text, "moe_intermediate_size", "intermediate_size")
    shared = getattr(text, "shared_expert_intermediate_size", 0)
    gate = hidden if shared else 0
    for name in ("n_shared_experts", "moe_num_shared_experts"):
        shared += (getattr(text, name, 0) or 0) * inner
    return int(hidden * number + gate + 3 * hidden * (active * inner + shared))


def _is_dense(text: Any, layer: int) -> bool:
    if layer < (getattr(text, "first_k_dense_replace", 0) or 0):
        return True
    if layer in (getattr(text, "mlp_only_layers", None) or ()):
        return True
    if text.model_type == "ernie4_5_moe":
        first, last = text.moe_layer_start_index, text.moe_layer_end_index
        last = last if last >= 0 else text.num_hidden_layers - 1
        return not (first <= layer <= last and (layer + 1) % text.moe_layer_interval == 0)
    return bool((layer + 1) % getattr(text, "decoder_sparse_step", 1))


def _first(text: Any, *names: str) -> int:
    return next(int(value) for name in names if (value := getattr(text, name, None)) is not None)
