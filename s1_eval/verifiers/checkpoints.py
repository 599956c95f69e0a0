"""What every verifier reads from a checkpoint before its weights."""

from __future__ import annotations

from typing import Any

from s1_eval.engines.checkpoints import load_tokenizer
from s1_eval.errors import UserError
from s1_eval.verifiers.formats import FORMATS, Format, detect


def read_format(model: str, format: str | None, name: str) -> tuple[Format, Any, Any]:
    """The format of a model, bound to its tokenizer; the tokenizer; the model's configuration.

    model: a folder or a name on the Hugging Face Hub; name: what the user calls it.
    format: see `formats`; None is what the checkpoint shows.
    Raises UserError on an unknown format, or a model that can't be read or tells none.
    """
    from transformers import AutoConfig

    if format is not None and format not in FORMATS:
        raise UserError(f"unknown format {format!r}: choose from {', '.join(FORMATS)}")
    tokenizer = load_tokenizer(model)
    try:
        config = AutoConfig.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise UserError(f"the verifier {model} can't be loaded: {error}") from error
    format = format or detect(name, config.architectures or [], tokenizer)
    return FORMATS[format](tokenizer), tokenizer, config
