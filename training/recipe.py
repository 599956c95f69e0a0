"""What a training recipe may say: frozen dataclasses that validate themselves, read from YAML.

based_on: s1.yaml                            another recipe, which this one changes in places
source:   {nano: {examples: 80000}}          where examples come from
model:    {shape: {…}} or {pretrained: …}    new weights, or a checkpoint to go on from
training: {…}                                how
output:   runs/nano                          where the checkpoint goes
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from s1_eval.errors import UserError
from s1_eval.training.examples import Example
from s1_eval.training.nano.source import Nano
from s1_eval.training.reasoning import Reasoning

SOURCES: Mapping[str, type[Any]] = {"nano": Nano, "reasoning": Reasoning}
BASE = "based_on"


@dataclass(frozen=True, slots=True)
class Shape:
    """A Qwen2 model of this shape with new weights and tied embeddings."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    initializer_range: float = 0.02
    rope_theta: float = 10_000.0

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"model.shape: hidden_size={self.hidden_size} can't be divided among "
                f"num_attention_heads={self.num_attention_heads}"
            )


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters on every linear layer but the head (arXiv 2106.09685). Needs peft; the
    frozen weights stay in bfloat16, and the checkpoint has the adapters merged in."""

    rank: int
    alpha: int
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rank", "alpha"):
            if getattr(self, name) < 1:
                raise UserError(f"model.lora.{name}={getattr(self, name)}: give 1 or more")


@dataclass(frozen=True, slots=True)
class Model:
    """Exactly one of: `shape` for new weights with nano's tokenizer; `pretrained`, a
    checkpoint's name or folder, with its own tokenizer.

    revision: of a checkpoint on the hub. pad_token: in place of the tokenizer's own.
    """

    shape: Shape | None = None
    pretrained: str | None = None
    revision: str | None = None
    pad_token: str | None = None
    lora: Lora | None = None

    def __post_init__(self) -> None:
        if (self.shape is None) == (self.pretrained is None):
            raise UserError("model: give exactly one of shape, pretrained")

    @property
    def name(self) -> str:
        return self.pretrained or "nano"


@dataclass(frozen=True, slots=True)
class Training:
    """How to train. A step's batch is counted in examples or in tokens: exactly one of

    batch_size: examples per step over all processes, `micro_batch_size` of them at a time.
    tokens_per_batch: tokens per step over all processes, padding included.

    max_steps: stop earlier than the epochs. max_length: the block; a longer example is refused,
    or with `truncate` cut, and counted. warmup_ratio: of the steps, rounded up, in place of
    `warmup_steps`. padding_free: the rows of a micro-batch become one row, in which none sees
    another. save_steps: leave a checkpoint to resume from every so many steps. save_dtype: of
    the final weights. liger: layer kernels of liger-kernel.
    """

    learning_rate: float
    tokens_per_batch: int | None = None
    batch_size: int | None = None
    micro_batch_size: int = 1
    epochs: int = 1
    max_steps: int | None = None
    max_length: int = 4096
    truncate: bool = False
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup_steps: int = 0
    warmup_ratio: float | None = None
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.95
    bf16: bool = True
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    gradient_checkpointing: bool = False
    padding_free: bool = False
    liger: bool = False
    seed: int = 0
    logging_steps: int = 50
    save_steps: int | None = None
    save_dtype: Literal["float32", "bfloat16"] = "float32"
    report_to: Literal["none", "trackio", "wandb"] = "none"

    def __post_init__(self) -> None:
        if (self.tokens_per_batch is None) == (self.batch_size is None):
            raise UserError("training: give exactly one of batch_size, tokens_per_batch")
        for name in (
            *("learning_rate", "tokens_per_batch", "batch_size", "micro_batch_size", "epochs"),
            *("max_steps", "max_length", "logging_steps", "save_steps"),
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"training.{name}={value!r}: give more than 0")
        if self.batch_size is not None and self.batch_size % self.micro_batch_size:
            raise UserError(
                f"training.batch_size={self.batch_size} can't be divided into micro-batches of "
                f"micro_batch_size={self.micro_batch_size}"
            )
        if self.warmup_ratio is not None:
            if not 0 <= self.warmup_ratio < 1:
                raise UserError(f"training.warmup_ratio={self.warmup_ratio}: give a share below 1")
            if self.warmup_steps:
                raise UserError("training: give only one of warmup_steps, warmup_ratio")

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
        return self.source


def load(path: Path) -> Recipe:
    """The recipe in the YAML file `path`. Raises UserError on anything that is not one."""
    data = checked(Recipe, based(path), "the recipe")
    source = data["source"]
    if not isinstance(source, Mapping) or len(source) != 1 or not set(source) <= set(SOURCES):
        raise UserError(f"source: give exactly one of {', '.join(SOURCES)}, with its settings")
    [(name, settings)] = source.items()
    model = checked(Model, data["model"], "model")
    for key, cls in (("shape", Shape), ("lora", Lora)):
        if key in model:
            model[key] = read(cls, model[key], f"model.{key}")
    return Recipe(
        source=read(SOURCES[name], settings, f"source.{name}"),
        model=Model(**model),
        training=read(Training, data["training"], "training"),
        **{key: data[key] for key in ("output",) if key in data},
    )


def based(path: Path) -> Any:
    """What the YAML file `path` says, over what the recipe that it is based on says. A value of
    null takes a key of the base away."""
    data = parse(path)
    if not isinstance(data, Mapping) or BASE not in data:
        return data
    name = data[BASE]
    if not isinstance(name, str):
        raise UserError(f"{path}: {BASE}={name!r}: give the file name of a recipe")
    return _over({k: v for k, v in data.items() if k != BASE}, based(path.parent / name))


def _over(changes: Any, base: Any) -> Any:
    if not isinstance(changes, Mapping) or not isinstance(base, Mapping):
        return changes
    merged = {**base, **{k: _over(v, base.get(k)) for k, v in changes.items()}}
    return {k: v for k, v in merged.items() if not (k in changes and v is None)}


def parse(path: Path) -> Any:
    """What the YAML file `path` says. Raises UserError where it is none."""
    import yaml

    try:
        return yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"no recipe at {path} ({error.strerror}): see training/recipes/") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {error}") from None


def read(cls: type[Any], data: Any, where: str) -> Any:
    """`data` as a `cls`. Raises UserError on a wrong key or value; `where` names the place."""
    data = checked(cls, data, where)
    hints = get_type_hints(cls)
    for name, value in data.items():
        if complaint := _complaint(hints[name], value):
            raise UserError(f"{where}.{name}={value!r}: {complaint}")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})


def _complaint(hint: Any, value: Any) -> str:
    """What to type instead of `value` where `hint` is expected; empty if it fits."""
    if get_origin(hint) is Literal:
        options = get_args(hint)
        return "" if value in options else f"choose from {', '.join(options)}"
    if get_origin(hint) is tuple:
        member = get_args(hint)[0]
        fits = isinstance(value, list) and not any(_complaint(member, v) for v in value)
        return "" if fits else f"give a list: {_complaint(member, None)} for each"
    kinds = get_args(hint) or (hint,)
    if value is None and NoneType in kinds:
        return ""
    if bool in kinds:
        return "" if isinstance(value, bool) else "give true or false"
    if int in kinds:
        fits = isinstance(value, int) and not isinstance(value, bool)
        return "" if fits else "give a whole number"
    if float in kinds:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if fits else "give a number (YAML reads 1e-3 as text: write 1.0e-3)"
    return "" if isinstance(value, str) else "give a text"


def checked(cls: type[Any], data: Any, where: str) -> dict[str, Any]:
    """`data` if it is a mapping with no unknown and every required key of `cls`."""
    if not isinstance(data, Mapping):
        raise UserError(f"{where} has to be a mapping, not {data!r}")
    known = {f.name: f for f in dataclasses.fields(cls)}
    for key in data:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UserError(f"{where} has no key {key!r}: {hint}choose from {', '.join(known)}")
    for name, f in known.items():
        if f.default is f.default_factory and name not in data:
            raise UserError(f"{where} lacks the key {name!r}")
    return dict(data)
