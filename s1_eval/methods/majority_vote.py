"""Majority vote (self-consistency, arXiv 2203.11171): many samples of one question, the answer
that most of them agree on. Agreement is the task's own notion of equality."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from s1_eval.methods.chain import DIALS, UNFORCED, BudgetForcing, answer_text
from s1_eval.methods.method import Dial, Method, widths
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.voting import cuts, group_answers, heaviest, sample, sample_extra
from s1_eval.thinking import Outcome
from s1_eval.typed import Positive, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class MajorityVote(Settings):
    """How many samples, and the chain that each of them is.

    samples: number of samples. The first k of n samples are the samples of a run with k.
    """

    samples: Positive
    chain: BudgetForcing = UNFORCED


async def majority_vote(policy: Policy, question: Question, params: MajorityVote) -> Outcome:
    """Sample, group by equality, take the largest group."""
    traces = await sample(policy, question, params.chain, params.samples)
    answers = [answer_text(policy, trace) for trace in traces]
    groups = await asyncio.to_thread(group_answers, question.grader, answers, cuts(traces))
    winner = heaviest(groups, [1.0] * len(traces), traces, answers)
    return Outcome(
        answer=answers[winner[0]] if winner else "",
        traces=traces,
        chosen=tuple(range(len(traces))),
        extra={**sample_extra(traces, answers, groups), "votes": [len(g) for g in groups]},
        winner=next(iter(winner), None),
    )


MAJORITY_VOTE = Method(
    "majority_vote",
    MajorityVote,
    majority_vote,
    "arXiv 2203.11171",
    dials=(Dial("samples"), *DIALS),
    sweep=widths,
    sampled=True,
    chooses=True,
)
