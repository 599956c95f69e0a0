"""A model before its weights: tokenizer and configuration, which tell within a second whether a
run's thinking format, chat template and prompts are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from s1_eval.engines.checkpoints import context_length, eos_ids, load_config, load_tokenizer
from s1_eval.engines.models import resolve_model
from s1_eval.engines.protocol import EngineInfo, Generation, Sampling, Stop, Tokenizer
from s1_eval.thinking import AS_IT_IS, Chat

LENGTH_SETTINGS = ("context_length", "max_model_len")
"""What the engines call a shorter context."""


class Preview:
    """An engine that generates nothing. Its `info` does not know the weights' part."""

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        trust_remote_code: bool = False,
        chat: Chat = AS_IT_IS,
        **settings: Any,
    ) -> None:
        """settings: an engine's others. Raises UserError on a model that no engine can load."""
        source = resolve_model(model)
        hub: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
        config = load_config(model, source, **hub)
        shorter = next((settings[n] for n in LENGTH_SETTINGS if settings.get(n) is not None), None)
        self.tokenizer: Tokenizer = load_tokenizer(source, **hub)
        self.info = EngineInfo(
            engine="preview",
            model=model,
            context_length=context_length(model, config, shorter),
            eos_ids=eos_ids(source, self.tokenizer, revision, config),
            dtype="unknown",
            fingerprint="unknown",
            seeding="none",
            chat=chat,
        )

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        raise RuntimeError("the weights are not loaded")

    def close(self) -> None:
        """Nothing to free."""
