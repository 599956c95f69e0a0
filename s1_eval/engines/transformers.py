"""The `transformers` engine: any causal language model of the library, on a CPU or one GPU.

One worker thread owns the model and decodes whatever is in flight as one batch; calls come from
any thread and any event loop. Here: model files and requests. The thread is in
`s1_eval.engines.worker`, the decoding itself in `s1_eval.engines.decoding`.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import s1_eval
from s1_eval.engines.architecture import architecture_of
from s1_eval.engines.checkpoints import context_length as context_length_of
from s1_eval.engines.checkpoints import (
    eos_ids,
    fingerprint,
    load_config,
    load_model,
    load_tokenizer,
)
from s1_eval.engines.continuation import banned_early, check_room
from s1_eval.engines.models import resolve_model
from s1_eval.engines.protocol import EngineInfo, Generation, Sampling, Stop, Tokenizer, settings_of
from s1_eval.engines.watching import watch
from s1_eval.engines.worker import Worker
from s1_eval.errors import UserError
from s1_eval.thinking import AS_IT_IS, Chat

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from s1_eval.engines.decoding import Decoder, Row

_LOGGER = logging.getLogger(__name__)

DTYPES = ("auto", "float32", "bfloat16", "float16")


class TransformersEngine:
    """A model in this process, decoding on a thread of its own until `close`.

    Seeded sampling is exact per request: it does not depend on what else is in flight.
    """

    def __init__(
        self,
        model: str,
        *,
        device: str | None = None,
        dtype: str | None = None,
        max_batch_size: int = 128,
        revision: str | None = None,
        trust_remote_code: bool = False,
        kv_cache_tokens: int | None = None,
        context_length: int | None = None,
        chat: Chat = AS_IT_IS,
    ) -> None:
        """Load a model.

        model: `nano`, a folder, or a name on the Hugging Face Hub, there at `revision`.
        device: None is `cuda` where there is one, else `cpu`.
        dtype: one of `DTYPES`; None is `float32` on a CPU, elsewhere `auto`, the checkpoint's.
        max_batch_size: requests that decode at once; others wait.
        kv_cache_tokens: tokens whose keys and values are held at once, those of finished
            requests included, which prompts that continue them take up. None is what fits half
            of a GPU's free memory, and on a CPU 2 GiB or 32 times the weights if that is less.
        context_length: None is the model's; give a shorter one, or that of a model without any.
        chat: how conversations become prompts.

        Raises UserError on settings or a model that can't be used.
        """
        _check_sizes(
            max_batch_size=max_batch_size,
            kv_cache_tokens=kv_cache_tokens,
            context_length=context_length,
        )
        import torch

        source = resolve_model(model)
        where = _device(device)
        kind = dtype or ("float32" if where.type == "cpu" else "auto")
        if kind not in DTYPES:
            raise UserError(f"dtype={dtype!r}: choose from {', '.join(DTYPES)}")
        hub: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
        config = load_config(model, source, **hub)
        length = context_length_of(model, config, context_length)
        self._tokenizer = load_tokenizer(source, **hub)
        loaded = load_model(model, source, config, kind, **hub)
        loaded.to(where).eval()
        self._model: PreTrainedModel | None = loaded
        self._vocabulary = _vocabulary(loaded, self._tokenizer)
        decoder = _decoder(
            loaded, self._tokenizer, self._vocabulary, max_batch_size, kv_cache_tokens
        )
        self._info = EngineInfo(
            engine="transformers",
            model=model,
            context_length=length,
            eos_ids=eos_ids(source, self._tokenizer, revision, config),
            dtype=str(loaded.dtype).removeprefix("torch."),
            fingerprint=fingerprint(source, revision),
            seeding="request",
            chat=chat,
            prefix_cache=decoder.tokens is not None,
            architecture=architecture_of(config),
            batch=max_batch_size,
            versions={"s1_eval": s1_eval.__version__}
            | {n: importlib.metadata.version(n) for n in ("tokenizers", "torch", "transformers")},
            settings=settings_of(
                device=where.type, revision=revision, trust_remote_code=trust_remote_code or None
            ),
        )
        self._worker: Worker[Row, Generation] = Worker(
            "the transformers engine", lambda: decoder, inside=torch.inference_mode
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        tokenizer: Tokenizer = self._tokenizer
        return tokenizer

    @property
    def model(self) -> PreTrainedModel | None:
        """The loaded weights, for log-likelihoods while nothing is in flight; None once closed."""
        return self._model

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        """See `Engine.generate`. Raises UserError also on an id outside the vocabulary."""
        from s1_eval.engines.decoding import Row

        check_room(self._info, prompt, max_tokens)
        if not self._vocabulary.issuperset(prompt):
            strange = next(id for id in prompt if id not in self._vocabulary)
            raise UserError(
                f"the prompt has the id {strange}, which the tokenizer of {self._info.model} does "
                "not have: encode the prompt with this engine's own tokenizer"
            )
        banned = banned_early(stop, self._tokenizer) if stop.min_tokens else frozenset[int]()
        row = Row(prompt, max_tokens, stop, sampling, banned, self._tokenizer, watch())
        return await self._worker.run(row)

    def close(self) -> None:
        """Stop the thread and free the model. Calls in flight fail with RuntimeError."""
        self._worker.close()
        self._model = None


def _check_sizes(**sizes: int | None) -> None:
    for name, size in sizes.items():
        if size is not None and (not isinstance(size, int) or size < 1):
            raise UserError(f"{name}={size!r}: give a whole number of 1 or more")


def _device(name: str | None) -> torch.device:
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise UserError(f"device={name!r} can't be used ({error}): give cpu or cuda") from error
    return torch.device(name)


def _decoder(
    model: Any,
    tokenizer: Tokenizer,
    vocabulary: frozenset[int],
    max_rows: int,
    tokens: int | None,
) -> Decoder:
    """A decoder of `model` that has been seen to be right. Raises UserError without one."""
    import torch

    from s1_eval.engines import attention, decoding, selfcheck
    from s1_eval.engines.halving import Halving

    attention.share_heads(model)
    with torch.inference_mode():
        selfcheck.check(model, vocabulary, tokenizer)
        chooser = decoding.Chooser(vocabulary, model.device)
        decoder = Halving(partial(decoding.decoder, model, chooser), max_rows, tokens)
    if decoder.tokens is None:
        _LOGGER.warning(
            "%s decodes its requests one after the other: they can't share a batch and stay "
            "exact. For many of them use the vllm engine.",
            type(model).__name__,
        )
    return decoder


def _vocabulary(model: Any, tokenizer: Any) -> frozenset[int]:
    """The ids that tokenizer and model both have; output layers are often padded beyond."""
    size = model.get_input_embeddings().weight.shape[0]
    return frozenset(id for id in tokenizer.get_vocab().values() if id < size)
