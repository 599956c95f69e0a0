"""What a recipe of fine-tuning may say: frozen dataclasses that validate themselves.

based_on: s1.yaml                            another recipe, which this one changes in places
source:   {nano: {examples: 80000}}          where examples come from
model:    {shape: {…}} or {pretrained: …}    new weights, or a checkpoint to go on from
training: {…}                                how
output:   runs/nano                          where the checkpoint goes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from s1_eval.engines.models import resolve_model
from s1_eval.errors import UserError
from s1_eval.training.examples import Example
from s1_eval.training.nano.source import Nano
from s1_eval.training.reasoning import Reasoning
from s1_eval.training.recipe_files import based, find, read
from s1_eval.typed import Count, Positive, Says, Settings

SOURCES: Mapping[str, type[Any]] = {"nano": Nano, "reasoning": Reasoning}

PositiveFloat = Annotated[
    float, Gt(0), Says("a number above 0 (YAML reads 1e-3 as text: write 1.0e-3)")
]


@dataclass(frozen=True, slots=True)
class Shape(Settings):
    """A Qwen2 model of this shape with new weights and tied embeddings."""

    hidden_size: Positive
    intermediate_size: Positive
    num_hidden_layers: Positive
    num_attention_heads: Positive
    max_position_embeddings: Positive
    initializer_range: PositiveFloat = 0.02
    rope_theta: PositiveFloat = 10_000.0

    def check(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"hidden_size={self.hidden_size} can't be divided among "
                f"num_attention_heads={self.num_attention_heads}"
            )

    def config(self, vocabulary: int | None, **ids: int) -> Any:
        """The configuration of such a model (`transformers.Qwen2Config`). vocabulary: entries of
        its tokenizer. ids: of its special tokens."""
        from transformers import Qwen2Config

        return Qwen2Config(
            vocab_size=vocabulary,
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            num_key_value_heads=self.num_attention_heads,
            max_position_embeddings=self.max_position_embeddings,
            initializer_range=self.initializer_range,
            rope_parameters={"rope_type": "default", "rope_theta": self.rope_theta},
            tie_word_embeddings=True,
            **ids,
        )


@dataclass(frozen=True, slots=True)
class Lora(Settings):
    """Low-rank adapters on every linear layer but the head (arXiv 2106.09685). Needs peft; the
    frozen weights stay in bfloat16, and the checkpoint has the adapters merged in."""

    rank: Positive
    alpha: Positive
    dropout: Annotated[float, Ge(0), Lt(1), Says("a share below 1")] = 0.0


@dataclass(frozen=True, slots=True)
class Model(Settings):
    """Exactly one of: `shape` for new weights with nano's tokenizer; `pretrained`, a
    checkpoint's name, folder or GGUF file, with its own tokenizer.

    revision: of a checkpoint on the hub. pad_token: in place of the tokenizer's own.
    """

    shape: Shape | None = None
    pretrained: str | None = None
    revision: str | None = None
    pad_token: str | None = None
    lora: Lora | None = None

    def check(self) -> None:
        if (self.shape is None) == (self.pretrained is None):
            raise UserError("give exactly one of shape, pretrained")

    @property
    def name(self) -> str:
        return self.pretrained or "nano"

    @property
    def source(self) -> str:
        """The folder, GGUF file or hub name behind `pretrained`; `nano` is the embedded model."""
        assert self.pretrained is not None
        return resolve_model(self.pretrained)


@dataclass(frozen=True, slots=True)
class Training(Settings):
    """How to train. A step's batch is counted in examples or in tokens: exactly one of

    batch_size: examples per step over all processes, `micro_batch_size` of them at a time.
    tokens_per_batch: tokens per step over all processes, padding included.

    max_steps: stop earlier than the epochs. max_length: the block; a longer example is refused,
    or with `truncate` cut, and counted. warmup_ratio: of the steps, rounded up, in place of
    `warmup_steps`. padding_free: the rows of a micro-batch become one row, in which none sees
    another. save_steps: leave a checkpoint to resume from every so many steps. save_dtype: of
    the final weights. liger: layer kernels of liger-kernel.
    """

    learning_rate: PositiveFloat
    tokens_per_batch: Positive | None = None
    batch_size: Positive | None = None
    micro_batch_size: Positive = 1
    epochs: Positive = 1
    max_steps: Positive | None = None
    max_length: Positive = 4096
    truncate: bool = False
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup_steps: Count = 0
    warmup_ratio: Annotated[float, Ge(0), Lt(1), Says("a share below 1")] | None = None
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.95
    bf16: bool = True
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    gradient_checkpointing: bool = False
    padding_free: bool = False
    liger: bool = False
    seed: int = 0
    logging_steps: Positive = 50
    save_steps: Positive | None = None
    save_dtype: Literal["float32", "bfloat16"] = "float32"
    report_to: Literal["none", "trackio", "wandb"] = "none"

    def check(self) -> None:
        if (self.tokens_per_batch is None) == (self.batch_size is None):
            raise UserError("give exactly one of batch_size, tokens_per_batch")
        if self.batch_size is not None and self.batch_size % self.micro_batch_size:
            raise UserError(
                f"batch_size={self.batch_size} can't be divided into micro-batches of "
                f"micro_batch_size={self.micro_batch_size}"
            )
        if self.warmup_ratio and self.warmup_steps:
            raise UserError("give only one of warmup_steps, warmup_ratio")

    def warmup(self, steps: int) -> int:
        """How many of `steps` the learning rate rises for."""
        return ceil(self.warmup_ratio * steps) if self.warmup_ratio else self.warmup_steps


@dataclass(frozen=True, slots=True)
class Recipe:
    source: Iterable[Example] | Reasoning
    model: Model
    training: Training
    output: str = "runs/sft"

    def examples(self, tokenizer: Any) -> Iterable[Example]:
        """The source's examples, in the words of this model's format."""
        if isinstance(self.source, Reasoning):
            return self.source.render(self.source.rows(), tokenizer, self.model.name)
        if isinstance(self.source, Nano):
            self.source.refuse(tokenizer, self.model.name)
        return self.source


@dataclass(frozen=True, slots=True)
class _File(Settings):
    """A recipe's file: `source` has one key, which names the kind of source."""

    source: Any
    model: Model
    training: Training
    output: str = "runs/sft"


def load(recipe: str | Path) -> Recipe:
    """The recipe in a YAML file, or one of ours by its name. Raises UserError on anything that is
    not one."""
    found = read(_File, based(find(recipe)))
    source = found.source
    if not isinstance(source, Mapping) or len(source) != 1 or not set(source) <= set(SOURCES):
        raise UserError(f"source: give exactly one of {', '.join(SOURCES)}, with its settings")
    [(kind, settings)] = source.items()
    examples = read(SOURCES[kind], settings, f"source.{kind}")
    return Recipe(examples, found.model, found.training, found.output)
