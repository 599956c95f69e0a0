"""Methods on Inspect's providers that are not ours.

A provider with a completions server behind it is steered token by token through that server. Any
other has the dials its service offers, and what it reports: reasoning effort is class-conditional
control, a thinking budget token-conditional control (s1, section 3.2), and thinking tokens are
what the usage says.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from inspect_ai.model import ChatMessage, GenerateConfig, Model, ModelOutput, get_model

from s1_eval import libraries
from s1_eval.engines.load import LOAD
from s1_eval.engines.protocol import settings_of
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import grader_data, open_grader
from s1_eval.harness.inspect_models import MethodCall, framing_of
from s1_eval.methods import METHODS
from s1_eval.records.foreign_inspect import ANSWER_EXITS, read_tokens, thinking_exit
from s1_eval.records.readers import KEY
from s1_eval.records.run import held_fields
from s1_eval.thinking import Delimiters, ThinkingFormat
from s1_eval.typed import build, flat

libraries.check(__name__)
from inspect_ai.model._generate_config import active_generate_config  # noqa: E402

COMPLETIONS = ("vllm", "vllm-completions", "openai-api-completions")
"""Providers whose server takes token ids at /v1/completions."""

BUDGET_OPTION = ("anthropic", "bedrock", "google", "litellm-proxy", "openrouter")
"""Providers that pass Inspect's `reasoning_tokens` on as a thinking budget; servers that speak
OpenAI's protocol get vLLM's name for it."""

EFFORT: Mapping[str, Any] = {"short": "low", "default": "medium", "long": "high"}
"""What a length means to a service that has an effort; levels are levels there too."""

_SAYS = {"effort": "reasoning effort", "tokens": "thinking budget"}

NO_DELIMITERS = Delimiters(
    ThinkingFormat("reported by the provider", "", "", ()), (), (), frozenset(), (), ()
)

_NEUTRAL = frozenset(
    (
        *("max_connections", "adaptive_connections", "max_retries", "timeout", "attempt_timeout"),
        *("stream_idle_timeout", "batch", "cache", "seed", "fail_on_refusal"),
    )
)
"""Inspect's options that say how a service is asked, not what; the seed has a field of its own."""


async def same_server(model: Model) -> Model | None:
    """A model of ours on the completions server that `model` talks to; None without one."""
    api: Any = model.api
    if provider(model) not in COMPLETIONS:
        return None
    start = getattr(api, "_ensure_server_started", None)
    if start is not None:
        await start()
    # The port of a server that Inspect has started is whatever was free.
    named: dict[str, Any] = (
        {"server_name": f"started by {provider(model)}"} if start is not None else {}
    )
    return get_model(
        f"s1_api/{api.service_model_name()}",
        config=model.config,
        base_url=api.base_url,
        api_key=api.api_key,
        **named,
    )


def provider(model: Model) -> str:
    """The provider's name as `--model` spells it."""
    return str(model).partition("/")[0]


def dials(model: Model, method: str, settings: Any) -> GenerateConfig:
    """The method as options of the provider. Raises UserError where it has none for it."""
    name, own = provider(model), METHODS[method]
    if own.unforced:
        return GenerateConfig(max_tokens=flat(settings).get(own.answer_limit or ""))
    if own.service is None or own.asks is None:
        offered = [
            f"{each.name} ({_SAYS[each.service]})" for each in METHODS.values() if each.service
        ]
        raise UserError(
            f"{method} goes on with a partial answer token by token, and {name} offers no way to "
            f"do that for {model}. Either run the weights on an engine of ours (--model s1_vllm/…, "
            "s1_hf/…, or s1_api/… -M base_url=URL of a completions server), or use the service's "
            f"own control: --solver {' or '.join(offered)}"
        )
    if settings != build(own.settings, {own.asks: flat(settings)[own.asks]}):
        raise UserError(
            f"{method} on {model} takes {own.asks} alone: the rest steers a model token by token, "
            "which this provider can't"
        )
    amount = next(dial.of(settings) for dial in own.dials if dial.name == own.asks)
    if own.service == "effort":
        return GenerateConfig(reasoning_effort=EFFORT.get(amount, amount))
    if name in BUDGET_OPTION:
        return GenerateConfig(reasoning_tokens=amount)
    return GenerateConfig(extra_body={"thinking_token_budget": amount})


async def solve_by_dials(
    model: Model, messages: list[ChatMessage], call: MethodCall, settings: Any
) -> ModelOutput:
    """Ask once with the method's options; the record stands in the output's metadata, as our own
    providers leave it."""
    config, method = dials(model, call.method, settings), METHODS[call.method]
    with LOAD.one() as share:
        output = await model.generate(messages, config=config)
    usage = output.usage
    if usage is None or usage.reasoning_tokens is None:
        if method.unforced:
            return output  # nothing to record: how long it thought is not known
        raise UserError(
            f"{model} reports no reasoning tokens, so {call.method} can't be measured on it: "
            "choose a model or service that reports them in its usage"
        )
    thinking = usage.reasoning_tokens
    solved = {
        "budget": method.budget(settings).tokens,
        "sample_id": call.sample_id,
        "epoch": call.epoch,
        "thinking_tokens": thinking,
        "forced_tokens": 0,
        "answer_tokens": max(0, usage.output_tokens - thinking),
        "generated_tokens": usage.output_tokens,
        "verifier_tokens": 0,
        **read_tokens(usage),
        "exit_reason": thinking_exit(
            output.stop_reason,
            bool(output.completion.strip()),
            held=method.service == "tokens",
        ),
        "answer_exit": ANSWER_EXITS.get(output.stop_reason),
        "num_ignores_used": 0,
        "seconds": share.seconds,
        "machine_seconds": share.machine_seconds,
        "seed": model.config.seed,
        "response": output.completion,
    }
    held = _held(model, call, settings, framing_of(call, messages))
    output.metadata = {**(output.metadata or {}), KEY: {**solved, "run": held}}
    return output


def _held(model: Model, call: MethodCall, settings: Any, framing: dict[str, Any]) -> dict[str, Any]:
    config = model.config.merge(active_generate_config())
    told = config.model_dump(mode="json", exclude_none=True)
    return held_fields(
        harness="inspect",
        engine=provider(model),
        model=str(model),
        method=call.method,
        method_params=call.params,
        method_info=METHODS[call.method].describe(settings),
        sampling={name: value for name, value in told.items() if name not in _NEUTRAL},
        seed=config.seed,
        dtype="unknown",
        weights_fingerprint="unknown",
        context_length=None,
        seeding="none",
        grader=grader_data(open_grader(call.grader)),
        delimiters=NO_DELIMITERS,
        versions={"inspect_ai": version("inspect_ai")},
        command=sys.argv,
        prompting=framing,
        engine_settings=settings_of(
            base_url=getattr(model.api, "base_url", None),
            **{k: v for k, v in model.model_args.items() if k not in ("api_key", "base_url")},
        ),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        hardware=None,
    )
