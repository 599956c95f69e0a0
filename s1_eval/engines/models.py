"""What a model's name means: `nano` is the one inside this package, a path is a folder, and
anything else a name on the Hugging Face Hub. Loading models is the engines' business.
"""

from __future__ import annotations

import re
from pathlib import Path

from s1_eval.errors import UserError

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def resolve_model(name: str) -> str:
    """The folder or Hub name that loaders take for `name`.

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
    if not _HUB_NAME.fullmatch(name) or name.startswith("."):
        raise UserError(
            f"there is no model folder {name!r}: give `nano`, a folder with a config.json, "
            "or a name on the Hugging Face Hub such as simplescaling/s1.1-32B"
        )
    return name


def _instead(folder: Path) -> str:
    if (folder / "adapter_config.json").is_file():
        return (
            "it holds an adapter; merge it into its base model (PEFT's `merge_and_unload`, then "
            "`save_pretrained`, the tokenizer's too) and give that folder"
        )
    if any(folder.glob("*.gguf")):
        return (
            "it holds GGUF weights; load them with transformers' `from_pretrained(FOLDER, "
            "gguf_file=FILE)`, model and tokenizer, `save_pretrained` both, and give that folder, "
            "or serve the file and use s1_api"
        )
    return "give a model's own folder"
