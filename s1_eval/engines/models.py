"""What a model's name means: `nano` is the one inside this package, a path is a folder or a GGUF
file, and anything else a name on the Hugging Face Hub. Loading models is the engines' business.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from s1_eval.errors import UserError

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def is_gguf(source: str) -> bool:
    """Whether a model is one file, weights, configuration and tokenizer together."""
    return source.endswith(".gguf")


def resolve_model(name: str) -> str:
    """The folder, GGUF file or Hub name that loaders take for `name`.

    Raises UserError where it can be neither.
    """
    if name == "nano":
        folder = Path(__file__).parent.parent / "nano"
        if not (folder / "config.json").is_file():
            raise UserError(
                "the embedded model nano is missing from this installation: "
                "make it with `s1-train sft training/recipes/nano.yaml`"
            )
        return str(folder)
    path = Path(name).expanduser()
    if name and path.is_dir():
        if not (path / "config.json").is_file():
            raise UserError(f"{name} is a folder without a config.json: {_instead(path)}")
        return str(path)
    if is_gguf(name) and path.is_file():
        _check_gguf(path)
        return str(path)
    if not _HUB_NAME.fullmatch(name) or name.startswith("."):
        raise UserError(
            f"there is no model folder {name!r}: give `nano`, a folder with a config.json, "
            "a GGUF file, or a name on the Hugging Face Hub such as simplescaling/s1.1-32B"
        )
    return name


def _instead(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return (
            "it holds an adapter; merge it into its base model (PEFT's `merge_and_unload`, then "
            "`save_pretrained`, the tokenizer's too) and give that folder"
        )
    if files := sorted(folder.glob("*.gguf")):
        return f"it holds GGUF weights: give the file itself, e.g. {files[0]}"
    return "give a model's own folder"


def _check_gguf(path: Path) -> None:
    """Raises UserError on a file that is no whole model, before a library reads it."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise UserError(f"{path} is no GGUF file, whatever its name says: give a model's")
    if re.search(r"-\d{5}-of-\d{5}$", path.stem):
        raise UserError(
            f"{path} is one part of a model in several files: join them with llama.cpp's "
            "`llama-gguf-split --merge`, and give the whole"
        )
    if importlib.util.find_spec("gguf") is None:
        raise UserError(f"{path} is read with the package gguf: pip install gguf")
