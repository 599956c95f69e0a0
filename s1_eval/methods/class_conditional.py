"""Class-conditional control (s1, section 3.2 and appendix): the prompt asks for a short or a
long time of thinking, and the run is held against the same model without such a prompt. A chat
template that takes a level of effort is asked by that, in place of English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from s1_eval.errors import UserError
from s1_eval.methods.chain import DIALS, UNFORCED, BudgetForcing, answer_text, force
from s1_eval.methods.method import Axes, Budget, Dial, Method
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Outcome
from s1_eval.typed import Settings

DEFAULT = "default"

PROMPTS: Mapping[str, str] = {
    "short": (
        "Answer after a short amount of thinking. "
        "Do not spend excessive time double-checking your work."
    ),
    DEFAULT: "",
    "long": (
        "Answer after a long amount of thinking. If you feel like you are finished early, spend "
        "the extra time trying to double-check your work until you are absolutely sure that you "
        "have the correct answer."
    ),
}

LEVELS: Mapping[str, str] = {"short": "low", "long": "high"}
"""The level of effort that stands for a length."""


SIDES: Mapping[str, Literal["below", "above"]] = {"short": "below", "long": "above"}
"""Where a run's mean thinking has to lie from the unprompted run's."""

ORDER = ("none", "minimal", "short", "low", DEFAULT, "medium", "long", "high", "xhigh", "max")
"""Lengths from least to most; what is asked of a chat template in its own words among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassConditional(Settings):
    """The instruction, and the chain that follows it.

    length: `short`, `long`, or `default` for the unprompted run that the two are held against; or
        a level of effort, where the chat template takes it.
    """

    length: Literal[
        "short",
        "default",
        "long",
        "none",
        "minimal",
        "low",
        "medium",
        "high",
        "xhigh",
        "max",
    ]
    chain: BudgetForcing = UNFORCED


async def class_conditional(
    policy: Policy, question: Question, params: ClassConditional
) -> Outcome:
    """Ask for short or long thinking. `asked_by` is the template's argument, or the prompt."""
    asking, suffix, asked_by = _asked(policy, params.length)
    trace = await force(asking, asking.prompt_ids(question, suffix), params.chain)
    return Outcome(answer_text(asking, trace), (trace,), extra={"asked_by": asked_by})


def _asked(policy: Policy, length: str) -> tuple[Policy, str, str | None]:
    """(policy, what follows the question, what the length is asked by)."""
    name, level = policy.thinking.effort, LEVELS.get(length, length)
    if length == DEFAULT:
        return policy, "", None
    if name and level in policy.thinking.levels:
        return policy.having(**{name: level}), "", name
    if length in PROMPTS:
        return policy, PROMPTS[length], "prompt"
    knows = f"{name} of {', '.join(policy.thinking.levels)}" if name else "no level of effort"
    raise UserError(
        f"length={length}: the chat template of {policy.engine.info.model} knows {knows}; choose "
        f"one it knows, or from {', '.join(PROMPTS)}"
    )


def budget(params: ClassConditional) -> Budget:
    """Held against the unprompted run alone; a level in the template's own words against none."""
    cap = params.chain.max_thinking_tokens
    return Budget(cap if isinstance(cap, int) else None, side=SIDES.get(params.length), held=False)


def sweep(name: str, axes: Axes) -> list[dict[str, Any]]:
    """Short, default and long, or the lengths of `-S length=low,medium,high`."""
    given = axes.params.get("length")
    lengths = PROMPTS if given is None else str(given).split(",")
    return [{"length": length.strip()} for length in lengths]


CLASS_CONDITIONAL = Method(
    "class_conditional",
    ClassConditional,
    class_conditional,
    "arXiv 2501.19393, section 3.2",
    dials=(Dial("length", ORDER), *DIALS),
    sweep=sweep,
    budget=budget,
    asks="length",
    service="effort",
    reference={"length": DEFAULT},
    forces=True,
    single=True,
)
