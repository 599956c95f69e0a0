"""SETS (arXiv 2501.19306, algorithm 1): sample answers; let the model verify each and correct it
until it verifies or the rounds are used up; majority vote over what stands then."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from s1_eval.methods.chain import DIALS, UNFORCED, BudgetForcing, answer_text, force
from s1_eval.methods.method import Dial, Method, widths
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.self_refine import turns
from s1_eval.methods.voting import (
    cuts,
    group_answers,
    heaviest,
    need_temperature,
    sample_extra,
)
from s1_eval.thinking import Outcome, Trace
from s1_eval.typed import Count, Positive, Settings

VERIFY = (
    "Verify your answer: identify the conditions that the question sets and check step by step "
    "that your answer satisfies each of them. End with a line that says either "
    '"The answer is correct." or "The answer is incorrect."'
)
CORRECT = (
    "Your answer did not pass the verification. Use what it found to answer the question again."
)
"""Worded here after the paper's section 3: verification ends in a verdict that can be read, and
correction sees the question, the answer and its verification."""

_VERDICT = re.compile(r"\banswer is (correct|incorrect)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets(Settings):
    """Caps hold for every answer and every verification.

    samples: how many first answers.
    rounds: of verification and correction per sample; 0 is majority vote.
    """

    samples: Positive
    rounds: Count = 1
    chain: BudgetForcing = UNFORCED


async def sets(policy: Policy, question: Question, params: Sets) -> Outcome:
    """Every sample is verified and corrected on its own; then they vote."""
    need_temperature(policy, params.samples)
    chains = await asyncio.gather(
        *(
            verify_and_correct(policy.fork("sample", i), question, params)
            for i in range(params.samples)
        )
    )
    finals = [final for final, _ in chains]
    answers = [answer_text(policy, trace) for trace in finals]
    groups = await asyncio.to_thread(group_answers, question.grader, answers, cuts(finals))
    winner = heaviest(groups, [1.0] * len(finals), finals, answers)
    others = [trace for _, paid in chains for trace in paid]
    return Outcome(
        answer=answers[winner[0]] if winner else "",
        traces=(*finals, *others),
        chosen=tuple(range(len(finals))),
        extra={
            **sample_extra(finals, answers, groups),
            "verifications": [len(paid) // 2 + len(paid) % 2 for _, paid in chains],
        },
        winner=next(iter(winner), None),
    )


async def verify_and_correct(
    policy: Policy, question: Question, params: Sets
) -> tuple[Trace, list[Trace]]:
    """(final, paid): the answer that stands, and everything else that was sampled for it. An
    answer stands unless its verification says that it is incorrect."""
    said, chain = question.messages(), params.chain
    current = await force(policy, policy.encode_chat(said), chain)
    paid: list[Trace] = []
    for number in range(params.rounds):
        said += turns(answer_text(policy, current), VERIFY)
        verification = await force(
            policy.fork("verify", number), policy.encode_chat(said), params.chain
        )
        verdict = answer_text(policy, verification)
        paid.append(verification)
        if not says_incorrect(verdict):
            break
        said += turns(verdict, CORRECT)
        paid.append(current)
        current = await force(
            policy.fork("correct", number), policy.encode_chat(said), params.chain
        )
    return current, paid


def says_incorrect(verification: str) -> bool:
    """Whether the last verdict in a verification is "incorrect"."""
    verdicts = _VERDICT.findall(verification)
    return bool(verdicts) and verdicts[-1].lower() == "incorrect"


SETS = Method(
    "sets",
    Sets,
    sets,
    "arXiv 2501.19306",
    dials=(Dial("samples"), Dial("rounds"), *DIALS),
    sweep=widths,
    sampled=True,
)
