"""The public chat templates of `../shared/data/templates`, each with a small byte-level tokenizer
that has its family's tokens, so that it renders and encodes the real forms."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("S1_EVAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
FOLDER = DATA / "templates"


@cache
def families() -> Mapping[str, Mapping[str, Any]]:
    """By name; empty where the data is absent."""
    path = FOLDER / "families.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def template(name: str) -> str | None:
    """The family's chat template; a base model has none."""
    file = families()[name]["template"]
    return None if file is None else (FOLDER / file).read_text()


@cache
def family_tokenizer(name: str) -> Any:
    """A transformers tokenizer of bytes and of the tokens that the family's has."""
    return tokenizer(template(name), **families()[name])


def tokenizer(chat_template: str | None, **tokens: Any) -> Any:
    """tokens: `plain`, `special`, `eos`, `bos`, `more_eos`, as in families.json."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({piece: id for id, piece in enumerate(alphabet)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    eos = tokens.get("eos") or "<|im_end|>"
    special = [eos, *filter(None, [tokens.get("bos")]), *tokens.get("more_eos", ())]
    special += [*tokens.get("special", ()), *re.findall(r"<\|[a-z_]+\|>", chat_template or "")]
    inner.add_special_tokens([AddedToken(t, special=True) for t in dict.fromkeys(special)])
    inner.add_tokens([AddedToken(t, special=False) for t in tokens.get("plain", ())])
    made = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=eos, bos_token=tokens.get("bos")
    )
    made.chat_template = chat_template
    return made
