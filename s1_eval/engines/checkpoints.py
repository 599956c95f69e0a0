"""What engines read of a checkpoint: its tokenizer, its configuration, its end-of-sequence ids and
its fingerprint, which all cost little, and its weights. Which checkpoint a name means is
`s1_eval.engines.models`' business.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from s1_eval import libraries
from s1_eval.engines.models import is_gguf, resolve_model
from s1_eval.errors import UserError
from s1_eval.thinking import is_special


def located(source: str) -> dict[str, Any]:
    """`source` as the library's loaders take it: a GGUF file is named apart from its folder."""
    if not is_gguf(source):
        return {"pretrained_model_name_or_path": source}
    path = Path(source)
    return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}


def load_tokenizer(
    source: str, revision: str | None = None, trust_remote_code: bool = False
) -> Any:
    """The transformers tokenizer of `source`: a folder, a GGUF file, or a Hub name.

    Raises UserError where there is none.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            **located(source), revision=revision, trust_remote_code=trust_remote_code
        )
        if not _keeps_spaces(tokenizer):
            # Some transformers of version 5 read byte-level vocabularies (DeepSeek's, also in
            # Llama and Qwen checkpoints) by the rules of the class that the checkpoint names.
            plain = PreTrainedTokenizerFast.from_pretrained(**located(source), revision=revision)
            tokenizer = plain if _keeps_spaces(plain) else tokenizer
    except Exception as error:  # whatever a checkpoint's own files lead the library to
        raise UserError(
            f"the tokenizer of {source} can't be loaded: {_said(error)}{_lacking(source)}"
        ) from error
    if not tokenizer.chat_template and not is_gguf(source):
        tokenizer.chat_template = _processor_template(source, revision)
    return tokenizer


def _lacking(source: str) -> str:
    """What a SentencePiece vocabulary is read by, where that is missing: transformers then takes it
    for something else."""
    installed = {found.metadata["name"].lower() for found in distributions()}
    missing = [name for name in ("sentencepiece", "protobuf") if name not in installed]
    if missing and (Path(source) / "tokenizer.model").is_file():
        return f"; its vocabulary is SentencePiece's: pip install {' '.join(missing)}"
    return ""


def _keeps_spaces(tokenizer: Any) -> bool:
    """Whether a text comes back with the whitespace that it had. A vocabulary that can't spell it
    tells nothing."""
    text = "a b\nc"
    try:
        ids = tokenizer.encode(text, add_special_tokens=False)
    except Exception:  # the tokenizer's own, of any kind
        return True
    return bool(tokenizer.decode(ids, skip_special_tokens=False).strip() == text)


def _processor_template(source: str, revision: str | None) -> str | None:
    """The chat template that a model of images and text has with its processor alone."""
    from transformers.utils import cached_file

    try:
        path = cached_file(source, "chat_template.json", revision=revision)
        return str(json.loads(Path(str(path)).read_text(encoding="utf-8"))["chat_template"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load_config(name: str, source: str, **hub: Any) -> Any:
    """The configuration of `source`, which the user calls `name`; see `load_tokenizer`.

    Raises UserError where there is none, or it is of no model that goes on with text.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(**located(source), **hub)
        config.get_text_config(decoder=True)
    except Exception as error:  # as above
        raise UserError(f"the model {name} can't be loaded: {_said(error)}") from error
    if config.is_encoder_decoder or not (_loaders(config) or getattr(config, "auto_map", None)):
        raise UserError(
            f"{name} is a {config.model_type} model, which does not go on with a text: give a "
            "decoder-only language model, or one of images and text that has one in it"
        )
    return config


def load_model(name: str, source: str, config: Any, dtype: str, **hub: Any) -> Any:
    """The weights of `source`, in whatever class the library has for generating text with them: a
    model of images and text comes whole, and what a GGUF file holds in few bits comes unpacked.

    Raises UserError where they can't be loaded, or are not all there: the library would go on with
    random ones.
    """
    from transformers import AutoModelForCausalLM

    loader = next(iter(_loaders(config)), AutoModelForCausalLM)
    try:
        model, told = loader.from_pretrained(
            **located(source), config=config, dtype=dtype, output_loading_info=True, **hub
        )
    except Exception as error:  # the library's, the file format's and the checkpoint's are many
        raise UserError(f"the model {name} can't be loaded: {_said(error)}") from error
    if missing := sorted(told["missing_keys"]):
        raise UserError(
            f"the checkpoint {name} lacks {len(missing)} weights of {type(model).__name__}, "
            f"{missing[0]} among them, and they would be random: give the whole checkpoint of a "
            "language model (an adapter has to be merged into its base model first)"
        )
    if is_gguf(source):  # else the library takes it for packed weights, and saves none of them
        model.hf_quantizer, model.is_quantized = None, False
        model.config.__dict__.pop("quantization_config", None)
    return model


def unpack(file: Path, folder: Path) -> None:
    """The model in a GGUF file as a checkpoint folder, weights unpacked to bfloat16; whole or not
    there. Raises UserError on a file that is none, and on a folder that is there already."""
    if not is_gguf(str(file)) or not file.is_file():
        raise UserError(f"{file} is no GGUF file: give one that ends in .gguf")
    if folder.exists():
        raise UserError(f"{folder} exists: name a new folder")
    source = resolve_model(str(file))
    model = load_model(str(file), source, load_config(str(file), source), "bfloat16")
    unfinished = folder.with_name(f"{folder.name}.partial")
    model.save_pretrained(unfinished)
    load_tokenizer(source).save_pretrained(unfinished)
    unfinished.rename(folder)


def _loaders(config: Any) -> list[Any]:
    """The library's classes that generate text with such a model, the plainest first."""
    import transformers

    libraries.check(__name__)
    from transformers.models.auto import modeling_auto as auto

    known = (
        (auto.MODEL_FOR_CAUSAL_LM_MAPPING, transformers.AutoModelForCausalLM),
        (auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, transformers.AutoModelForImageTextToText),
    )
    return [loader for mapping, loader in known if type(config) in mapping]


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def context_length(name: str, config: Any, given: int | None) -> int:
    """Prompt and generation together, in tokens: what the configuration says, or less if `given`.

    Raises UserError where neither says it.
    """
    longest = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    if longest is None and given is None:
        raise UserError(
            f"{name} does not say how long its context is: give context_length, e.g. 8192"
        )
    if longest is not None and given is not None and given > longest:
        raise UserError(
            f"context_length={given} is over the {longest} tokens of {name}: give that or less"
        )
    length: Any = given or longest
    return int(length)


def eos_ids(
    source: str, tokenizer: Any, revision: str | None = None, config: Any = None
) -> frozenset[int]:
    """Ids that end a sequence, by the generation config of `source`, else its configuration, and
    by the tokenizer; those that the tokenizer has. config: the configuration, where it has been
    read already."""
    from transformers import AutoConfig, GenerationConfig

    try:
        beside = None if is_gguf(source) else GenerationConfig.from_pretrained
        configured = beside and beside(source, revision=revision).eos_token_id
    except (OSError, ValueError):
        configured = None
    if configured is None:
        try:
            config = config or AutoConfig.from_pretrained(**located(source), revision=revision)
            inner = config.get_text_config(decoder=True)
            configured = getattr(inner, "eos_token_id", None)
        except (OSError, ValueError):
            configured = None
    ids = configured if isinstance(configured, list | tuple) else [configured]
    found = {int(id) for id in (*ids, tokenizer.eos_token_id) if id is not None}
    return frozenset(found.intersection(tokenizer.get_vocab().values()))


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
    special = [id for id in closing if is_special(tokenizer, id)]
    if stops.intersection(special):
        return []
    return [tokenizer.decode([id], skip_special_tokens=False) for id in special[:1]]


def fingerprint(source: str, revision: str | None = None) -> str:
    """SHA-256 over the names and contents of the configuration and the weights; of a GGUF file,
    which holds both, over its content.

    Raises UserError where there is no such checkpoint.
    """
    if is_gguf(source):
        return _sha256(Path(source))
    libraries.check(__name__)
    from transformers.utils import cached_file

    try:
        folder = Path(cached_file(source, "config.json", revision=revision)).parent
    except OSError as error:
        raise UserError(f"the model {source} can't be loaded: {error}") from error
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    listing = "".join(f"{p.name} {_sha256(p)}\n" for p in (folder / "config.json", *weights))
    return hashlib.sha256(listing.encode()).hexdigest()


def _sha256(path: Path) -> str:
    """Of a file's content; the Hub's cache names large files by just that."""
    real = path.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", real.name):
        return real.name
    state = real.stat()
    return _read_sha256(real, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _read_sha256(path: Path, size: int, changed: int) -> str:
    """Once a process for each state of a file: checkpoints are large."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
