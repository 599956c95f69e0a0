"""What a verifier's name means: `nano-prm` is the one inside this package, anything else a folder
or a name on the Hugging Face Hub, with its format before a colon where the model does not show
it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from s1_eval.engines.models import resolve_model
from s1_eval.errors import UserError
from s1_eval.verifiers.formats import FORMATS
from s1_eval.verifiers.protocol import Verifier

NANO_PRM = "nano-prm"


def open_verifier(spec: str, **args: Any) -> Verifier:
    """The verifier that `spec` names: `nano-prm`, `MODEL` or `FORMAT:MODEL`. `args` are settings
    of `TransformersVerifier`.

    Raises UserError on an unknown format, model or setting.
    """
    from s1_eval.verifiers.transformers import TransformersVerifier

    format, model = parse_verifier(spec)
    source = _folder() if model == NANO_PRM else resolve_model(model)
    try:
        return TransformersVerifier(source, format, name=model, **args)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise UserError(f"--verifier {spec}: {error}") from error


def parse_verifier(spec: str) -> tuple[str | None, str]:
    """(format, model); the format is None where `spec` does not say one."""
    format, colon, model = spec.partition(":")
    if colon and format in FORMATS:
        if not model:
            raise UserError(f"--verifier {spec}: give a model after the colon")
        return format, model
    if not spec:
        raise UserError("--verifier is empty: give a process reward model, e.g. nano-prm")
    return None, spec


def _folder() -> str:
    folder = Path(__file__).parent.parent / "nano_prm"
    if not (folder / "config.json").is_file():
        raise UserError(
            "the embedded verifier nano-prm is missing from this installation: make it with "
            "`s1-train prm training/recipes/nano_prm.yaml`"
        )
    return str(folder)
