"""Token-conditional control (s1, section 3.2 and appendix): the prompt says how many tokens to
think for, by the chat template's own argument where it has one. With `max_thinking_tokens` too,
budget forcing enforces what was asked ("+ BF")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from s1_eval.errors import UserError
from s1_eval.methods.chain import DIALS, UNFORCED, BudgetForcing, answer_text, force
from s1_eval.methods.method import Axes, Budget, Dial, Method
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Outcome
from s1_eval.typed import Positive, Settings

TOKENS_INSTRUCTION = "Think for up to {} tokens."
"""What follows the question, after a blank line; training data says the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenConditional(Settings):
    """The instruction, and the chain that follows it.

    tokens: the number of thinking tokens that the prompt names; left out, it is the cap.
    """

    tokens: Positive | None = None
    chain: BudgetForcing = UNFORCED

    def check(self) -> None:
        """Raises UserError without a number to ask for."""
        if self.tokens is None and not isinstance(self.chain.max_thinking_tokens, int):
            raise UserError("token_conditional needs the number to ask for, e.g. tokens=1024")

    @property
    def instructed(self) -> int:
        """The number that the prompt names."""
        number = self.tokens if self.tokens is not None else self.chain.max_thinking_tokens
        assert isinstance(number, int)
        return number


async def token_conditional(
    policy: Policy, question: Question, params: TokenConditional
) -> Outcome:
    """Ask for a number of tokens; enforce it only where a cap is set as well."""
    name, suffix = policy.thinking.budget, TOKENS_INSTRUCTION.format(params.instructed)
    if name:
        policy, suffix = policy.having(**{name: params.instructed}), ""
    trace = await force(policy, policy.prompt_ids(question, suffix), params.chain)
    return Outcome(answer_text(policy, trace), (trace,), extra={"asked_by": name or "prompt"})


def budget(params: TokenConditional) -> Budget:
    return Budget(params.instructed, params.chain.min_thinking_tokens or None)


def sweep(name: str, axes: Axes) -> list[dict[str, Any]]:
    """Each number of tokens asked for, alone and enforced."""
    numbers = axes.numbers("max_thinking_tokens", name)
    return [{"tokens": n} for n in numbers] + [
        {"tokens": n, "max_thinking_tokens": n} for n in numbers
    ]


TOKEN_CONDITIONAL = Method(
    "token_conditional",
    TokenConditional,
    token_conditional,
    "arXiv 2501.19393, section 3.2",
    dials=(Dial("tokens", value=lambda params: params.instructed), *DIALS),
    sweep=sweep,
    budget=budget,
    asks="tokens",
    service="tokens",
    forces=True,
    single=True,
)
