"""Rejection sampling by length (s1, section 3.2 and 5.2): sample the thinking again and again
until it ends by itself within the budget, then answer without a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s1_eval.errors import UserError
from s1_eval.methods.chain import BudgetForcing, answer, answer_text, think
from s1_eval.methods.method import Budget, Dial, Method, caps
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Outcome, Trace, parse_format
from s1_eval.typed import Positive, Settings


@dataclass(frozen=True, slots=True)
class RejectionSampling(Settings):
    """Settings of rejection sampling.

    max_thinking_tokens: thinking of more tokens than that is thrown away.
    max_tries: samples per question; what none of them fits stays unanswered. The published
        caps needed up to 655.
    max_answer_tokens, nudge_after_eos, ban_delimiters, thinking_format: as in budget forcing.
    """

    max_thinking_tokens: Positive
    max_tries: Positive = 64
    max_answer_tokens: Positive | None = None
    nudge_after_eos: bool = True
    ban_delimiters: bool = False
    thinking_format: str | Mapping[str, Any] = "auto"

    def check(self) -> None:
        """Raises UserError on an unknown format."""
        parse_format(self.thinking_format)


async def rejection_sampling(
    policy: Policy, question: Question, params: RejectionSampling
) -> Outcome:
    """Every try is kept as a trace: the discarded ones were paid for too."""
    if policy.sampling.temperature == 0:
        raise UserError(
            "rejection_sampling at temperature 0 would draw the same thinking every time: "
            "give a temperature, e.g. temperature=1"
        )
    prompt = policy.prompt_ids(question)
    budget = params.max_thinking_tokens
    # One more than the budget: the stop that shows a thinking of exactly that length is a token.
    shape = BudgetForcing(
        max_thinking_tokens=budget + 1,
        max_answer_tokens=params.max_answer_tokens,
        nudge_after_eos=params.nudge_after_eos,
        ban_delimiters=params.ban_delimiters,
    )
    tries: list[Trace] = []
    for attempt in range(params.max_tries):
        sampler = policy.fork("try", attempt)
        trace = await think(sampler, prompt, shape)
        if trace.exit_reason in ("natural", "eos") and trace.thinking_tokens <= budget:
            trace = await answer(sampler, trace, shape)
            return Outcome(
                answer_text(policy, trace),
                (*tries, trace),
                chosen=(attempt,),
                extra={"tries": attempt + 1},
            )
        tries.append(trace)
    return Outcome("", tuple(tries), chosen=(), extra={"tries": len(tries)})


REJECTION_SAMPLING = Method(
    "rejection_sampling",
    RejectionSampling,
    rejection_sampling,
    "arXiv 2501.19393, sections 3.2 and 5.2",
    dials=(Dial("max_thinking_tokens"),),
    sweep=caps,
    budget=lambda params: Budget(params.max_thinking_tokens),
    sampled=True,
    forces=True,
)
