"""Self-refinement (Self-Refine, arXiv 2303.17651, algorithm 1): the model criticises its own
answer and improves it, a number of rounds. No verifier: the policy is its own critic."""

from __future__ import annotations

from dataclasses import dataclass

from s1_eval.methods.chain import DIALS, UNFORCED, BudgetForcing, answer_text, force
from s1_eval.methods.method import Dial, Method
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Message, Outcome, Trace
from s1_eval.typed import Count, Settings

FEEDBACK = "Review your previous answer and find problems with your answer."
REFINE = "Based on the problems you found, improve your answer."
"""The critique prompts of arXiv 2310.01798, which name no task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfRefine(Settings):
    """How many rounds, and the chain that every answer and every critique is.

    rounds: of feedback and refinement; 0 is budget forcing.
    """

    rounds: Count = 1
    chain: BudgetForcing = UNFORCED


async def self_refine(policy: Policy, question: Question, params: SelfRefine) -> Outcome:
    """The whole exchange stays in the conversation; only answers are quoted, not thinking."""
    said = question.messages()
    traces: list[Trace] = []
    answers: list[str] = []

    async def reply() -> str:
        turn = policy.fork("turn", len(traces)) if traces else policy
        traces.append(await force(turn, policy.encode_chat(said), params.chain))
        return answer_text(policy, traces[-1])

    answers.append(await reply())
    for _ in range(params.rounds):
        said += turns(answers[-1], FEEDBACK)
        said += turns(await reply(), REFINE)
        answers.append(await reply())
    return Outcome(
        answers[-1],
        tuple(traces),
        chosen=(len(traces) - 1,),
        extra={"round_answers": answers},
    )


def turns(reply: str, prompt: str) -> list[Message]:
    """What the model said, and what it is asked next."""
    return [{"role": "assistant", "content": reply}, {"role": "user", "content": prompt}]


SELF_REFINE = Method(
    "self_refine",
    SelfRefine,
    self_refine,
    "arXiv 2303.17651",
    dials=(Dial("rounds"), *DIALS),
)
