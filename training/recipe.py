"""What a training recipe may say: frozen dataclasses that validate themselves, read from YAML.

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
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from s1_eval.errors import UserError
from s1_eval.training.examples import Example
from s1_eval.training.nano.source import Nano

SOURCES: Mapping[str, type[Any]] = {"nano": Nano}


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
class Model:
    """Exactly one of: `shape` for new weights with nano's tokenizer; `pretrained`, a
    checkpoint's name or folder, with its own tokenizer."""

    shape: Shape | None = None
    pretrained: str | None = None

    def __post_init__(self) -> None:
        if (self.shape is None) == (self.pretrained is None):
            raise UserError("model: give exactly one of shape, pretrained")


@dataclass(frozen=True, slots=True)
class Training:
    """tokens_per_batch: padding included. max_length: a longer example is refused. max_steps:
    stop earlier than the epochs."""

    learning_rate: float
    tokens_per_batch: int
    epochs: int = 1
    max_steps: int | None = None
    max_length: int = 4096
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.95
    bf16: bool = True
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    seed: int = 0
    logging_steps: int = 50

    def __post_init__(self) -> None:
        for name in ("learning_rate", "tokens_per_batch", "epochs", "max_length", "logging_steps"):
            if not getattr(self, name) > 0:
                raise UserError(f"training.{name}={getattr(self, name)!r}: give more than 0")


@dataclass(frozen=True, slots=True)
class Recipe:
    source: Iterable[Example]
    model: Model
    training: Training
    output: str = "runs/sft"


def load(path: Path) -> Recipe:
    """The recipe in the YAML file `path`. Raises UserError on anything that is not one."""
    data = checked(Recipe, parse(path), "the recipe")
    source = data["source"]
    if not isinstance(source, Mapping) or len(source) != 1 or not set(source) <= set(SOURCES):
        raise UserError(f"source: give exactly one of {', '.join(SOURCES)}, with its settings")
    [(name, settings)] = source.items()
    model = checked(Model, data["model"], "model")
    if "shape" in model:
        model["shape"] = read(Shape, model["shape"], "model.shape")
    return Recipe(
        source=read(SOURCES[name], settings, f"source.{name}"),
        model=Model(**model),
        training=read(Training, data["training"], "training"),
        **{key: data[key] for key in ("output",) if key in data},
    )


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
