"""Binding a method to a model: what becomes of prompts, which dials are set, and whether the model
thinks as the method needs it to. Works without any weights too, see `check_first`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from s1_eval.engines import Engine, Sampling
from s1_eval.engines.table import preview
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import SameText
from s1_eval.methods import Method, Policy, Question
from s1_eval.thinking import AS_IT_IS, Message, has_template
from s1_eval.typed import flat
from s1_eval.verifiers import Verifier

_LOGGER = logging.getLogger(__name__)

Prompts = Literal["auto", "chat", "raw"]
"""What becomes of a prompt: `chat` puts it into the chat template, `raw` gives the text as it is,
and `auto` is `chat` where the model has a template."""


@dataclass(frozen=True, slots=True)
class Dials:
    """What a harness asks of a model's own dials for thinking: a level of effort, and a number of
    tokens. None leaves one alone."""

    effort: str | None = None
    tokens: int | None = None


NO_DIALS = Dials()


@dataclass(frozen=True, slots=True)
class FirstQuestion:
    """A run that is going to be, as far as `check_first` looks at it."""

    method: Method
    settings: Any
    sampling: Sampling
    prompt: str
    before: Sequence[Message] = ()
    prompts: Prompts = "auto"
    dials: Dials = NO_DIALS


def check_first(
    engine: str,
    model: str,
    engine_args: Mapping[str, Any],
    runs: Iterable[FirstQuestion],
) -> None:
    """Open every run on the model's tokenizer and template alone, and make its first prompt, before
    any weight is loaded. Raises UserError as they do."""
    if (seen := preview(engine, model, **engine_args)) is None:
        return
    for run in runs:
        policy, raw = bind_method(
            seen, run.method, run.settings, run.sampling, None, run.prompts, run.dials
        )
        question = Question("", run.prompt, SameText(), tuple(run.before), raw)
        policy.prompt_ids(question)


def bind_method(
    engine: Engine,
    method: Method,
    settings: Any,
    sampling: Sampling,
    verifier: Verifier | None,
    prompts: Prompts,
    dials: Dials,
) -> tuple[Policy, bool]:
    """`bind_policy` for one method, with the dials set. A method that forces thinking is refused on
    a model that does none: it would record what it never did. Raw text does not show whether
    it opens any, so there a format has to be given.
    """
    known = flat(settings)
    format = known.get("thinking_format", "auto")
    policy, raw = bind_policy(
        engine,
        format,
        sampling,
        known.get("until_thinking", ()),
        verifier if method.verifier else None,
        prompts=prompts,
    )
    policy = turned(policy, dials)
    if method.forces and raw and not policy.thinking.format.end:
        if format == "auto":
            raise UserError(
                f"{method.name} forces thinking, and the prompt is raw text, which shows none: add "
                "--apply_chat_template in lm-eval, or give thinking_format"
            )
    elif method.forces:
        policy.need_thinking(method.name)
    return policy, raw


def bind_policy(
    engine: Engine,
    thinking_format: str | Mapping[str, str],
    sampling: Sampling,
    until_thinking: Sequence[str] = (),
    verifier: Verifier | None = None,
    *,
    prompts: Prompts = "auto",
) -> tuple[Policy, bool]:
    """The policy, and whether its prompts are raw text, see `Prompts`. Raw text opens no thinking
    unless a format is given.

    Raises UserError as `Policy.bind` does, and for `chat` on a model without a chat template.
    """
    templated = has_template(engine.tokenizer, engine.info.chat)
    if prompts == "chat" and not templated:
        raise UserError(
            f"{engine.info.model} has no chat template: leave out --apply_chat_template, or give "
            "it a template with chat_template=FILE"
        )
    raw = prompts == "raw" or not templated
    if raw and prompts == "auto":
        _warn_raw(engine.info.model)
    if not raw:
        return Policy.bind(engine, thinking_format, sampling, until_thinking, verifier), False
    if engine.info.chat != AS_IT_IS:
        raise UserError(
            "the prompt is raw text, and system and chat_template_kwargs are settings "
            "of a conversation: leave them out, or add --apply_chat_template in lm-eval; a model "
            "without a template needs one by chat_template=FILE"
        )
    format = "none" if thinking_format == "auto" else thinking_format
    policy = Policy.bind(engine, format, sampling, until_thinking, verifier)
    # The template's dials are none of raw text's.
    thinking = replace(policy.thinking, effort=None, levels=(), budget=None)
    return replace(policy, thinking=thinking), True


def turned(policy: Policy, dials: Dials) -> Policy:
    """The policy with the dials of its chat template set. Raises UserError where it has none."""
    thinking, model = policy.thinking, policy.engine.info.model
    if dials.effort is not None:
        if thinking.effort is None or dials.effort not in thinking.levels:
            known = ", ".join(thinking.levels) if thinking.effort else "none at all"
            raise UserError(
                f"reasoning effort {dials.effort}: the chat template of {model} knows {known}: "
                "give one of them, or leave --reasoning-effort out"
            )
        policy = policy.having(**{thinking.effort: dials.effort})
    if dials.tokens is not None:
        if thinking.budget is None:
            raise UserError(
                f"reasoning tokens: the chat template of {model} takes no number of tokens: leave "
                "--reasoning-tokens out, and cap with budget_forcing -S max_thinking_tokens=N"
            )
        policy = policy.having(**{thinking.budget: dials.tokens})
    return policy


@functools.cache
def _warn_raw(model: str) -> None:
    """Once a process."""
    _LOGGER.warning(
        "%s has no chat template: it is given every question's text as it is, and no thinking is "
        "opened unless thinking_format says how",
        model,
    )
