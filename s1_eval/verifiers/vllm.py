"""Process reward models as vLLM's pooling models: a score's logits come back for every token.

vLLM batches whatever is in flight and keeps what it has read in its prefix cache, so a chain that
grew by a step costs that step and the rest of a block. Models with a reward head load as they are;
of causal language models vLLM makes classifiers over the two tokens that the format reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import nan
from typing import Any

from s1_eval import libraries
from s1_eval.engines.architecture import architecture_of
from s1_eval.engines.checkpoints import fingerprint
from s1_eval.engines.load import Load
from s1_eval.engines.prefixes import beginnings
from s1_eval.engines.protocol import settings_of
from s1_eval.engines.vllm import NEUTRAL
from s1_eval.engines.vllm_machine import Ask, import_vllm, start, versions
from s1_eval.errors import UserError
from s1_eval.verifiers.checkpoints import read_format
from s1_eval.verifiers.formats import Layout
from s1_eval.verifiers.protocol import Scored, VerifierInfo

REWARD_MODEL = "Qwen2ForProcessRewardModel"
"""The architecture with a head of two classes that vLLM has."""

REMEMBERED = 1_000_000
"""Scores of beginnings, about 140 bytes each."""


class VLLMVerifier:
    """A process reward model in vLLM, reading in a process of its own until `close`."""

    def __init__(
        self,
        model: str,
        format: str | None = None,
        *,
        name: str | None = None,
        dtype: str | None = None,
        **engine_args: Any,
    ) -> None:
        """Load a model.

        model: a folder or a name on the Hugging Face Hub; name: what records call it.
        format: see `formats`; None is what the checkpoint shows.
        dtype: None is `float32` on a CPU, elsewhere the checkpoint's.
        engine_args: vLLM's engine arguments, e.g. `tensor_parallel_size`, or
            `gpu_memory_utilization` where a policy has the same GPU.

        Raises UserError on settings or a model that can't be used, or without vLLM.
        """
        on_cpu = import_vllm()
        libraries.check(__name__)
        from vllm.config import PoolerConfig

        if refused := sorted({"revision", "trust_remote_code"} & engine_args.keys()):
            raise UserError(f"a verifier takes no {refused[0]}: give the folder of what you want")
        name = name or model
        self._format, tokenizer, config = read_format(model, format, name)
        head = self._format.head
        settings: dict[str, Any] = {
            "model": model,
            "dtype": dtype or ("float32" if on_cpu else _dtype(config.dtype)),
            "runner": "pooling",
            "pooler_config": PoolerConfig(task="token_classify", tok_pooling_type="ALL"),
        }
        if head == "value":
            raise UserError(
                f"vLLM has no model with the value head of {name}: leave s1_vllm/ out of --verifier"
            )
        if (REWARD_MODEL in (config.architectures or [])) != (head == "classes"):
            raise UserError(
                f"the verifier {name} has no head that {self._format.name} reads: it is of another "
                "format, say which as FORMAT:MODEL"
            )
        if head != "classes":
            good, bad = tokenizer.convert_ids_to_tokens(list(head))
            settings |= {
                "convert": "classify",
                "hf_overrides": {
                    "method": "no_post_processing",
                    "classifier_from_token": [bad, good],
                },
            }
        self._worker, config = start(name, settings | engine_args, own_process=True)
        loaded = config.model_config
        self._info = VerifierInfo(
            engine="vllm",
            model=name,
            format=self._format.name,
            step_separator=self._format.step_separator,
            context_length=loaded.max_model_len,
            dtype=_dtype(loaded.dtype),
            fingerprint=fingerprint(model),
            versions=versions(),
            settings=settings_of(**{n: v for n, v in engine_args.items() if n not in NEUTRAL}),
            architecture=architecture_of(config),
        )
        self._scores: dict[bytes, float] = {}
        self._load = Load()

    @property
    def info(self) -> VerifierInfo:
        return self._info

    async def score(self, question: str, chains: Sequence[Sequence[str]]) -> list[Scored]:
        """See `Verifier.score`."""
        layouts = [self._format.lay_out(question, steps) for steps in chains]
        return await asyncio.gather(*map(self._score, layouts))

    def close(self) -> None:
        """Free the verifier. Calls in flight fail with RuntimeError."""
        self._worker.close()

    async def _score(self, layout: Layout) -> Scored:
        ends = [end for end in layout.ends if end <= self._info.context_length]
        keys = beginnings(layout.ids, ends)
        known: dict[bytes, float] = {}
        seconds = 0.0
        # What vLLM takes from its cache comes without logits. Another request has mostly scored
        # that part by now; where not, or where it was forgotten, the chain is read as a whole.
        for from_cache in (True, False):
            known |= {k: score for k in keys if (score := self._scores.get(k)) is not None}
            if len(known) < len(keys):
                with self._load.one() as share:
                    logits = await self._read(layout.ids[: ends[-1]], from_cache)
                seconds += share.machine_seconds
                cached = ends[-1] - len(logits)
                scores = logits.float().softmax(-1)[:, 1].tolist()
                read = {
                    key: scores[end - 1 - cached]
                    for key, end in zip(keys, ends, strict=True)
                    if end > cached
                }
                known |= read
                if len(self._scores) > REMEMBERED:
                    self._scores.clear()
                self._scores |= read
        beyond = [nan] * (len(layout.ends) - len(ends))
        found = (*(known[key] for key in keys), *beyond)
        return Scored(found, layout.ends, layout.opening, seconds)

    async def _read(self, ids: Sequence[int], from_cache: bool) -> Any:
        """Logits of a wrong and a right step, [tokens, 2], of the last tokens that had to be
        read."""
        from vllm import PoolingParams

        params = PoolingParams(
            task="token_classify", use_activation=False, skip_reading_prefix_cache=not from_cache
        )
        return (await self._worker.run(Ask(ids, params))).outputs.data


def _dtype(dtype: Any) -> str:
    return str(dtype or "auto").removeprefix("torch.")
