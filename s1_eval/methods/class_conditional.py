"""Class-conditional control (s1, section 3.2 and appendix): the prompt asks for a short or a
long time of thinking, and the run is held against the same model without such a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from s1_eval.methods.budget_forcing import BudgetForcing, answer_text, force
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Outcome

PROMPTS: Mapping[str, str] = {
    "short": (
        "Answer after a short amount of thinking. "
        "Do not spend excessive time double-checking your work."
    ),
    "default": "",
    "long": (
        "Answer after a long amount of thinking. If you feel like you are finished early, spend "
        "the extra time trying to double-check your work until you are absolutely sure that you "
        "have the correct answer."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassConditional(BudgetForcing):
    """Budget forcing's settings and the instruction.

    length: `short`, `long`, or `default` for the unprompted run that the two are held against.
    """

    length: Literal["short", "default", "long"]


async def class_conditional(
    policy: Policy, question: Question, params: ClassConditional
) -> Outcome:
    """Ask for short or long thinking."""
    prompt = policy.prompt_ids(question, PROMPTS[params.length])
    trace = await force(policy, prompt, params)
    cap = params.max_thinking_tokens
    return Outcome(
        answer_text(policy, trace), (trace,), budget=cap if isinstance(cap, int) else None
    )
