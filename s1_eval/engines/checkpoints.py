"""What engines read of a checkpoint besides running it: its tokenizer, its end-of-sequence ids
and its fingerprint. Which checkpoint a name means is `s1_eval.engines.models`' business.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from s1_eval import libraries
from s1_eval.errors import UserError


def load_tokenizer(
    source: str, revision: str | None = None, trust_remote_code: bool = False
) -> Any:
    """The transformers tokenizer of `source`, a folder or a Hub name.

    Raises UserError where there is none.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            source, revision=revision, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError) as error:
        raise UserError(f"the tokenizer of {source} can't be loaded: {error}") from error


def eos_ids(source: str, tokenizer: Any, revision: str | None = None) -> frozenset[int]:
    """Ids that end a sequence, by the generation config of `source`, if any, and the tokenizer."""
    from transformers import GenerationConfig

    try:
        configured = GenerationConfig.from_pretrained(source, revision=revision).eos_token_id
    except (OSError, ValueError):
        configured = None
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(int(id) for id in (*ids, tokenizer.eos_token_id) if id is not None)


def unstopped_ends(tokenizer: Any, stops: frozenset[int]) -> list[str]:
    """The special tokens by which the chat template closes an assistant's turn, if none of them
    is among `stops`: a model that learned to end so would not be stopped. Empty where the template
    closes a turn with none, or can't be rendered."""
    said = "The result is 4711."
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": said}]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception:  # whatever a template makes Jinja raise
        return []
    closing = tokenizer.encode(text.rpartition(said)[2], add_special_tokens=False)
    special = [
        id
        for id in closing
        if tokenizer.decode([id], skip_special_tokens=False)
        != tokenizer.decode([id], skip_special_tokens=True)
    ]
    if stops.intersection(special):
        return []
    return [tokenizer.decode([id], skip_special_tokens=False) for id in special[:1]]


def fingerprint(source: str, revision: str | None = None) -> str:
    """SHA-256 over the names and contents of the configuration and the weights."""
    libraries.check(__name__)
    from transformers.utils import cached_file

    folder = Path(cached_file(source, "config.json", revision=revision)).parent
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    listing = "".join(f"{p.name} {_sha256(p)}\n" for p in (folder / "config.json", *weights))
    return hashlib.sha256(listing.encode()).hexdigest()


def _sha256(path: Path) -> str:
    """Of a file's content; the Hub's cache names large files by just that."""
    real = path.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", real.name):
        return real.name
    with real.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
