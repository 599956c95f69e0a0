"""What a verifier's name means: `nano-prm` is the one inside this package, anything else a folder
or a name on the Hugging Face Hub, with its format before a colon where the model does not show
it, and before all that the engine that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s1_eval.engines.models import is_gguf, resolve_model
from s1_eval.engines.table import construct, extra_of
from s1_eval.errors import UserError
from s1_eval.libraries import needs
from s1_eval.verifiers.checkpoints import read_format
from s1_eval.verifiers.formats import FORMATS
from s1_eval.verifiers.protocol import Verifier

NANO_PRM = "nano-prm"
ENGINES: Mapping[str, str] = {
    "s1_hf": "s1_eval.verifiers.transformers:TransformersVerifier",
    "s1_vllm": "s1_eval.verifiers.vllm:VLLMVerifier",
}
"""Called as the engines for policies are."""

VerifierSpec = str | Mapping[str, Any]
"""A name, `[ENGINE/][FORMAT:]MODEL`, or a mapping with it as `model` beside the engine's settings,
as solvers in Inspect and `--gen_kwargs` in lm-eval take it."""


def open_verifier(spec: VerifierSpec, /, **args: Any) -> Verifier:
    """The verifier that `spec` names, e.g. `nano-prm`. `args` are the engine's own settings.

    Raises UserError on an unknown format, model or setting.
    """
    named, settings = _taken_apart(spec)
    engine, format, model = parse_verifier(named)
    settings |= args
    if said := sorted({"format", "name"} & settings.keys()):
        raise UserError(
            f"--verifier {named}: {said[0]} is no setting, write [ENGINE/][FORMAT:]MODEL"
        )
    with needs(extra_of(engine)):
        opened: Verifier = construct(
            ENGINES[engine], _source(model), format=format, name=model, **settings
        )
    return opened


def check_verifier(spec: VerifierSpec | None) -> None:
    """Whether there is such a verifier, by its tokenizer and configuration alone: before any weight
    is loaded, the policy's too. Raises UserError as `open_verifier` does."""
    if spec is not None:
        engine, format, model = parse_verifier(spec)
        with needs(extra_of(engine)):
            read_format(_source(model), format, model)


def _source(model: str) -> str:
    if is_gguf(model):
        raise UserError(
            f"--verifier {model}: a GGUF file has no head that scores steps; give the folder or "
            "hub name of the process reward model that it was made from"
        )
    return _folder() if model == NANO_PRM else resolve_model(model)


def parse_verifier(spec: VerifierSpec) -> tuple[str, str | None, str]:
    """(engine, format, model); the format is None where `spec` does not say one.

    Raises UserError where it names no model.
    """
    name = _taken_apart(spec)[0]
    engine, slash, rest = name.partition("/")
    if not slash or engine not in ENGINES:
        engine, rest = "s1_hf", name
    format, colon, model = rest.partition(":")
    if colon and format in FORMATS:
        if not model:
            raise UserError(f"--verifier {spec}: give a model after the colon")
        return engine, format, model
    if not rest:
        raise UserError(f"--verifier {spec}: give a process reward model, e.g. nano-prm")
    return engine, None, rest


def _taken_apart(spec: VerifierSpec) -> tuple[str, dict[str, Any]]:
    """(name, settings)"""
    if isinstance(spec, str):
        return spec, {}
    settings = dict(spec) if isinstance(spec, Mapping) else {}
    name = settings.pop("model", None)
    if not isinstance(name, str):
        raise UserError(f"--verifier {spec}: give a name, or a mapping as {{model: nano-prm}}")
    return name, settings


def _folder() -> str:
    folder = Path(__file__).parent.parent / "nano_prm"
    if not (folder / "config.json").is_file():
        raise UserError(
            "the embedded verifier nano-prm is missing from this installation: make it with "
            "`s1-train prm training/recipes/nano_prm.yaml`"
        )
    return str(folder)
