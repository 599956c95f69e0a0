"""What this package needs of its libraries: which extra of ours installs one that is missing, and
what is borrowed beyond documented interfaces, module by module, with the versions that are tested.
A library that moves one of these names is refused by name where the name would first be used, not
noticed by its numbers.

What can't be said as a name is checked where it happens: `s1_eval.engines.selfcheck` runs a model.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from s1_eval.errors import UserError

EXTRAS: Mapping[str, str] = {
    "accelerate": "train",
    "datasets": "api",
    "httpx": "api",
    "inspect_ai": "inspect",
    "lm_eval": "lm-eval",
    "prometheus_client": "serve",
    "starlette": "serve",
    "tenacity": "api",
    "tokenizers": "api",
    "torch": "hf",
    "transformers": "api",
    "trl": "train",
    "uvicorn": "serve",
    "vllm": "vllm",
}
"""The smallest extra of this package that installs a library, by the name that is imported."""

BORROWED: Mapping[str, tuple[str, ...]] = {
    "s1_eval._registry": (
        "inspect_ai._util.registry:registry_info",
        "inspect_ai.scorer._scorer:scorer_register",
    ),
    "s1_eval.cli.opponents": (
        "lm_eval.tasks.hendrycks_math.utils:process_results",
        "lm_eval.tasks.minerva_math.utils:get_unnormalized_answer",
        "lm_eval.tasks.minerva_math.utils:is_equiv",
        "lm_eval.tasks.minerva_math.utils:normalize_final_answer",
    ),
    "s1_eval.engines.attention": ("transformers:PreTrainedConfig._attn_implementation",),
    "s1_eval.engines.checkpoints": (
        "transformers.models.auto.modeling_auto:MODEL_FOR_CAUSAL_LM_MAPPING",
        "transformers.models.auto.modeling_auto:MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
        "transformers.utils:cached_file",
    ),
    "s1_eval.engines.decoding": (
        "transformers:PreTrainedModel._is_stateful",
        "transformers.cache_utils:DynamicSlidingWindowLayer",
    ),
    "s1_eval.engines.vllm": (
        "vllm.envs:VLLM_USE_V2_MODEL_RUNNER",
        "vllm.logprobs:FlatLogprobs.append_fast",
        "vllm.sampling_params:RequestOutputKind.CUMULATIVE",
        "vllm.sampling_params:RequestOutputKind.FINAL_ONLY",
        "vllm.sampling_params:SamplingParams",
    ),
    "s1_eval.engines.vllm_machine": (
        "vllm.distributed:cleanup_dist_env_and_memory",
        "vllm.engine.arg_utils:EngineArgs",
        "vllm.envs:VLLM_ENABLE_V1_MULTIPROCESSING",
        "vllm.platforms:current_platform.is_cpu",
        "vllm.v1.engine.core_client:InprocClient",
        "vllm.v1.engine.exceptions:EngineDeadError",
        "vllm.v1.engine.llm_engine:LLMEngine.abort_request",
        "vllm.v1.engine.llm_engine:LLMEngine.add_request",
        "vllm.v1.engine.llm_engine:LLMEngine.from_engine_args",
        "vllm.v1.engine.llm_engine:LLMEngine.step",
    ),
    "s1_eval.harness.inspect_choices": (
        "inspect_ai._util.answer:answer_character",
        "inspect_ai.solver._multiple_choice:parse_answers",
    ),
    "s1_eval.harness.inspect_errors": ("inspect_ai._util.error:PrerequisiteError",),
    "s1_eval.harness.inspect_foreign": (
        "inspect_ai._eval.context:init_task_context",
        "inspect_ai._eval.loader:load_tasks",
        "inspect_ai._util.registry:registry_find",
        "inspect_ai._util.registry:registry_info",
        "inspect_ai._util.registry:registry_params",
        "inspect_ai._util.registry:registry_unqualified_name",
        "inspect_ai.log._transcript:Transcript",
        "inspect_ai.log._transcript:init_transcript",
        "inspect_ai.model._model:init_sample_model_data",
        "inspect_ai.scorer._scorer:unique_scorer_name",
        "inspect_ai.solver._task_state:set_sample_state",
        "inspect_ai.util._store:init_subtask_store",
    ),
    "s1_eval.harness.inspect_providers": (
        "inspect_ai.model._generate_config:active_generate_config",
    ),
    "s1_eval.harness.inspect_solving": (
        "inspect_ai._util.registry:registry_lookup",
        "inspect_ai.solver._solver:solver_register",
    ),
    "s1_eval.harness.lm_eval_foreign": (
        "lm_eval.api.instance:Instance.args",
        "lm_eval.api.task:ConfigurableTask.process_results",
        "lm_eval.api.task:Task.apply_filters",
        "lm_eval.api.task:Task.build_all_requests",
        "lm_eval.api.task:Task.set_config",
        "lm_eval.api.task:Task.set_fewshot_seed",
        "lm_eval.defaults:DEFAULT_OTHER_SEED",
        "lm_eval.defaults:DEFAULT_RANDOM_SEED",
        "lm_eval.tasks:TaskManager.all_subtasks",
        "lm_eval.tasks:TaskManager.task_index",
    ),
    "s1_eval.harness.lm_eval_hook": (
        "lm_eval.api.registry:model_registry.register",
        "lm_eval.tasks.manager:TaskIndex.build",
    ),
    "s1_eval.harness.lm_eval_models": (
        "lm_eval.api.model:CacheHook",
        "lm_eval.api.model:LM.set_cache_hook",
        "lm_eval.api.model:TemplateLM._encode_pair",
        "lm_eval.api.model:TemplateLM._loglikelihood_tokens",
        "lm_eval.api.model:hash_args",
        "lm_eval.models.huggingface:HFLM",
        "lm_eval.models.utils:has_bos_prefix",
        "lm_eval.utils:get_rolling_token_windows",
        "lm_eval.utils:make_disjoint_window",
    ),
    "s1_eval.harness.lm_eval_tasks": ("lm_eval.tasks._yaml_loader:load_yaml",),
    "s1_eval.serve.server": (
        "uvicorn:Server.capture_signals",
        "uvicorn:Server.handle_exit",
        "uvicorn.protocols.http.auto:AutoHTTPProtocol",
    ),
    "s1_eval.training.sft": (
        "transformers:Trainer._get_output_dir",
        "transformers:Trainer._save_checkpoint",
        "transformers:Trainer.get_train_dataloader",
        "trl:SFTTrainer._save_checkpoint",
    ),
    "s1_eval.verifiers.vllm": ("vllm.config:PoolerConfig",),
}
"""By module of ours, as `module:name` of theirs."""


@contextmanager
def needs(extra: str | None = None) -> Iterator[None]:
    """Around what imports a library of an extra: raises UserError, with what to install, where it
    is missing.

    extra: the one that installs all that is needed here; by default the smallest with the library.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in EXTRAS:
            raise
        raise UserError(
            f"{library} is not installed, and this needs it: "
            f"pip install 's1-eval[{extra or EXTRAS[library]}]'"
        ) from error


def check(module: str) -> None:
    """Look up all that `module` borrows, before it does.

    Raises UserError where something has moved, ImportError without the library itself.
    """
    for name in BORROWED[module]:
        library = re.split("[.:]", name)[0]
        importlib.import_module(library)
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError) as error:
            raise UserError(f"{name} is not what it was ({error}): {versions(library)}") from error


def versions(library: str) -> str:
    """Which version of a library is installed, which are known to work, and what to type."""
    package = library.replace("_", "-")
    installed = "of unknown version"
    for name in (f"{package}-cpu", package):
        with suppress(importlib.metadata.PackageNotFoundError):
            installed = importlib.metadata.version(name)
    return (
        f"{package} {installed} is installed, and s1-eval is tested with {package}{tested(package)}"
        f": pip install '{package}{tested(package)}'"
    )


def tested(package: str) -> str:
    """The versions of a package that this one is tested with, e.g. `>=5,<5.25`; empty where this
    one is not installed."""
    try:
        required = importlib.metadata.requires("s1-eval") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    found = (re.match(rf"{package}(?:\[.*?\])?([<>=][^;]*)", text) for text in required)
    ranges = next((match[1] for match in found if match), "")
    return ",".join(sorted(ranges.replace(" ", "").split(","), reverse=True))
