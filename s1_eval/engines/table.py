"""The table of engines: which name before the slash opens which engine. The command line, Inspect's
providers and lm-eval's models are all made from it, so that `s1_hf/nano` means one thing. Adding
one touches its own file, this table and its test."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from s1_eval.engines.models import is_gguf
from s1_eval.engines.protocol import Engine
from s1_eval.errors import UserError
from s1_eval.libraries import needs
from s1_eval.thinking import AS_IT_IS, Chat
from s1_eval.typed import check_types


@dataclass(frozen=True, slots=True)
class Listed:
    """An engine in the table.

    path: its class, as `module:Class`; the module is not imported before it is needed.
    served: a server has the weights, so there is nothing to look at before it is asked.
    scores: where log-likelihoods come from: its own `model` of transformers (`weights`), its
        coroutine `score` (`prompts`, see `s1_eval.engines.vllm`), or nowhere.
    gguf: it reads a model that is one GGUF file.
    device: it has a `device`; the others run where their server does, or what vLLM was built for.
    """

    path: str
    served: bool = False
    scores: Literal["weights", "prompts"] | None = None
    gguf: bool = False
    device: bool = False


ENGINES: dict[str, Listed] = {
    "s1_hf": Listed(
        "s1_eval.engines.transformers:TransformersEngine", scores="weights", gguf=True, device=True
    ),
    "s1_vllm": Listed("s1_eval.engines.vllm:VLLMEngine", scores="prompts"),
    "s1_api": Listed("s1_eval.engines.completions:CompletionsEngine", served=True),
}


RELEASED = "released"
"""The one argument of a model that is no engine's: when it was released, for its records."""


def parse_model(spec: str) -> tuple[str, str]:
    """`engine/model` taken apart, e.g. `s1_hf/nano`. Raises UserError on anything else."""
    engine, slash, model = spec.partition("/")
    if not slash or not model or engine not in ENGINES:
        raise UserError(
            f"--model {spec}: give an engine and a model, e.g. s1_hf/nano; "
            f"the engines are {', '.join(ENGINES)}"
        )
    return engine, model


def extra_of(engine: str) -> str:
    """The extra of this package that installs what an engine needs, e.g. `hf` for `s1_hf`."""
    return engine.removeprefix("s1_")


def open_engine(engine: str, model: str, /, **args: Any) -> Engine:
    """The engine called `engine`, with `model` loaded. `args` are the engine's own settings and
    those of its chat: `chat_template_kwargs`, `chat_template`, `system`; see `Chat.take`.

    Raises UserError on an unknown engine, model or setting.
    """
    _check(engine, model)
    chat, own = _own(args)
    if chat != AS_IT_IS:
        own["chat"] = chat
    with needs(extra_of(engine)):
        opened: Engine = construct(ENGINES[engine].path, model, **own)
    return opened


def preview(engine: str, model: str, /, **args: Any) -> Engine | None:
    """The model without its weights, see `Preview`; None where opening the engine itself costs no
    more, because a server has them.

    Raises UserError as `open_engine` does, but for what only the weights can tell.
    """
    _check(engine, model)
    if ENGINES[engine].served:
        return None
    from s1_eval.engines.preview import Preview

    chat, own = _own(args)
    with needs(extra_of(engine)):
        return Preview(model, chat=chat, **own)


def _check(engine: str, model: str) -> None:
    if engine not in ENGINES:
        raise UserError(f"unknown engine {engine!r}: choose from {', '.join(ENGINES)}")
    listed = ENGINES[engine]
    if is_gguf(model) and not (listed.gguf or listed.served):
        able = ", ".join(name for name, other in ENGINES.items() if other.gguf)
        raise UserError(
            f"{engine} reads no GGUF: give {model} to {able}, or unpack it once with "
            f"`s1-train unpack {model} FOLDER` and give the folder"
        )


def _own(args: Mapping[str, Any]) -> tuple[Chat, dict[str, Any]]:
    """The chat's settings, and the engine's own."""
    return Chat.take({name: value for name, value in args.items() if name != RELEASED})


def construct(path: str, model: str, /, **settings: Any) -> Any:
    """What the class at `path`, a `module:Class`, makes of a model. Raises UserError on a setting
    that it does not have, or a value of another type."""
    made = pkgutil.resolve_name(path)
    check_types(made, settings)
    try:
        return made(model, **settings)
    except TypeError as error:
        if not re.search("unexpected keyword|multiple values", str(error)):
            raise
        raise UserError(f"{error}; see the arguments of {path}") from error
