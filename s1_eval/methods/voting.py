"""Samples of one question and their vote: independent chains, put into groups by the task's own
notion of equality, and the group that weighs most. How much each weighs is a method's own affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import ceil, fsum
from statistics import fmean
from typing import Any

from s1_eval.answers.cut import grade_ended
from s1_eval.answers.grading import Grader
from s1_eval.errors import UserError
from s1_eval.methods.chain import BudgetForcing, force
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Trace
from s1_eval.thinking.logprobs import WINDOW, summary


async def sample(
    policy: Policy, question: Question, params: BudgetForcing, n: int
) -> tuple[Trace, ...]:
    """`n` independent traces of one question. Raises UserError where greedy decoding would make
    them all the same."""
    need_temperature(policy, n)
    prompt = policy.prompt_ids(question)
    chains = (force(policy.fork("sample", i), prompt, params) for i in range(n))
    return tuple(await asyncio.gather(*chains))


def need_temperature(policy: Policy, n: int) -> None:
    """Raises UserError where `n` samples would all be the same."""
    if n > 1 and policy.sampling.temperature == 0:
        raise UserError(
            f"{n} samples at temperature 0 are {n} times the same: give a temperature, "
            "e.g. temperature=1"
        )


def cuts(traces: Sequence[Trace]) -> list[bool]:
    """Which answers a limit cut."""
    return [trace.answer_cut for trace in traces]


def group_answers(
    grader: Grader, answers: Sequence[str], cut: Sequence[bool] = ()
) -> list[list[int]]:
    """Indices of equal answers together, in order of first appearance. Unreadable answers are
    in no group, and those that were cut before they came to one: they have no vote."""
    read = [
        grade_ended(grader, answer, "", cut=was_cut).answer
        for answer, was_cut in zip(answers, cut or [False] * len(answers), strict=True)
    ]
    groups: list[list[int]] = []
    for i, answer in enumerate(answers):
        if not read[i]:
            continue
        for group in groups:
            if grader.grade(answer, target=read[group[0]]).correct:
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def most_confident(
    scores: Sequence[float],
    traces: Sequence[Trace],
    answers: Sequence[str],
    groups: Sequence[Sequence[int]],
    share: float,
) -> set[int]:
    """The share of those with a vote whose scores are highest, one at least. Equal scores go to the
    one that thought less, then to the answer that sorts first."""
    voting = [i for group in groups for i in group]
    voting.sort(key=lambda i: (-scores[i], traces[i].thinking_tokens, answers[i]))
    return set(voting[: whole_share(share, len(voting))])


def whole_share(share: float, number: int) -> int:
    """So many of `number`, rounded up."""
    return ceil(share * number - 1e-9)


def heaviest(
    groups: list[list[int]],
    weights: Sequence[float],
    traces: Sequence[Trace],
    answers: Sequence[str],
) -> list[int]:
    """The group whose members weigh most together, empty without groups. Ties go to the larger
    group, then to the one that thought less on average, then to the answer that sorts first:
    rules that do not depend on which sample arrived first."""

    def rank(group: list[int]) -> tuple[float, int, float, str]:
        return (
            -fsum(weights[i] for i in group),
            -len(group),
            fmean(traces[i].thinking_tokens for i in group),
            min(answers[i] for i in group),
        )

    return min(groups, key=rank, default=[])


def sample_extra(
    traces: Sequence[Trace],
    answers: Sequence[str],
    groups: Sequence[Sequence[int]],
    window: int = WINDOW,
) -> dict[str, Any]:
    """What a record says about each sample: its answer, the number of its group of equal answers
    (-1 where it can't be read), why it ended, its thinking tokens, what it cost, and how confident
    the model was, if it told: by every measure, over groups of `window` tokens."""
    told = [summary(each, window) for trace in traces if (each := trace.logprobs) is not None]
    known = told if len(told) == len(traces) else []
    return {
        "sample_answers": list(answers),
        "sample_groups": numbers(groups, len(answers)),
        "sample_answer_exits": [trace.answer_exit for trace in traces],
        "sample_thinking_tokens": [trace.thinking_tokens for trace in traces],
        "sample_generated_tokens": [trace.generated_tokens for trace in traces],
        **(
            {"sample_confidence": {name: [each[name] for each in known] for name in known[0]}}
            if known
            else {}
        ),
    }


def numbers(groups: Sequence[Sequence[int]], answers: int) -> list[int]:
    """The number of each answer's group, -1 for an answer in none."""
    group_of = {i: number for number, group in enumerate(groups) for i in group}
    return [group_of.get(i, -1) for i in range(answers)]
