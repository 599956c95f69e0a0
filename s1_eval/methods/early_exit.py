"""Early exit (Dynasor-CoT, arXiv 2412.20993): the model is asked for its answer while it thinks,
and stops thinking once the last answers agree, or once one is likely enough (as in DEER, arXiv
2504.15895).

A probe forks the chain: its thinking is ended by force and a short answer is decoded, greedily.
The chain itself goes on as if it had not been asked, so a chain that never stops early is that of
budget forcing. Probes are paid for, and stand among the traces; the trunk counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Annotated, Any

from annotated_types import Gt, Le

from s1_eval.answers.cut import grade_ended
from s1_eval.errors import UserError
from s1_eval.methods.budget_forcing import longest_first
from s1_eval.methods.chain import (
    DIALS,
    UNFORCED,
    BudgetForcing,
    answer,
    answer_text,
    begin_thinking,
    budget_of,
    think_until,
)
from s1_eval.methods.method import Axes, Dial, Method
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.voting import group_answers
from s1_eval.thinking import Outcome, Trace
from s1_eval.typed import Positive, Says, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyExit(Settings):
    """When the model is asked, and when its answer is believed.

    first_checkpoint: thinking tokens before it is asked for the first time; never before
        min_thinking_tokens.
    spacing: each checkpoint is at that many times the tokens of the one before.
    agreeing: how many answers in a row have to be equal, by the task's own grader; None: no number
        of them is enough.
    confidence: an answer is also believed if the geometric mean of its tokens' probabilities is
        that high; None: none is. Needs log-probabilities.
    probe_tokens: limit of each answer on the way. One that it cuts counts if it comes to a final
        answer.
    """

    first_checkpoint: Positive = 256
    spacing: Annotated[float, Gt(1), Le(1000), Says("a number above 1")] = 1.25
    agreeing: Positive | None = 3
    confidence: Annotated[float, Gt(0), Le(1), Says("a number above 0 and up to 1")] | None = None
    probe_tokens: Positive = 32
    chain: BudgetForcing = UNFORCED

    def check(self) -> None:
        """Raises UserError where thinking could never stop early."""
        if self.agreeing is None and self.confidence is None:
            raise UserError(
                "early_exit without agreeing and confidence never exits early: give one of them, "
                "e.g. agreeing=3"
            )

    def checkpoints(self) -> Iterator[int]:
        """The thinking tokens at which the model is asked, without end."""
        at = max(self.first_checkpoint, self.chain.min_thinking_tokens)
        while True:
            yield at
            at = max(at + 1, ceil(at * self.spacing))


async def early_exit(policy: Policy, question: Question, params: EarlyExit) -> Outcome:
    """Think from checkpoint to checkpoint; stop where the answers on the way have settled.

    The answer is then the last of them, unless its limit cut it: the model then answers in full.
    """
    prompt = policy.prompt_ids(question)
    policy.need_thinking("early_exit", prompt)
    if not policy.delimiters_for(prompt).end:
        raise UserError(
            "early_exit asks for the answer in the middle of the thinking, and "
            "thinking_format=none has none: use plain, or give the model's format"
        )
    trace, ended = begin_thinking(policy, prompt, params.chain)
    probes, seen = list[Trace](), list[dict[str, Any]]()
    for at in params.checkpoints() if not ended else ():
        trace, ended = await think_until(policy, trace, params.chain, at)
        if ended:
            break
        probe = await _probe(policy, trace, params)
        reused = probe.reused - trace.reused
        probes.append(replace(probe, shared=trace.generated_tokens, reused=reused))
        seen.append(await _checkpoint(policy, question, probes, seen))
        if _settled(seen[-1], params):
            trace = replace(trace, exit_reason="early")
            break
    if trace.exit_reason == "early" and not probes[-1].answer_cut:
        final = replace(probes.pop(), shared=0, reused=probe.reused)
    else:
        final = await answer(policy, trace, params.chain)
    return Outcome(
        answer_text(policy, final),
        (final, *probes),
        extra={"checkpoints": seen, "probe_tokens": sum(each["probe_tokens"] for each in seen)},
    )


async def _probe(policy: Policy, trace: Trace, params: EarlyExit) -> Trace:
    """The chain so far, ended by force, with a short answer: the likeliest, whatever the sampling
    of the thinking is."""
    sampling = replace(policy.sampling, temperature=0.0)
    if params.confidence is not None:
        sampling = sampling.telling(0)
    limit = min(params.probe_tokens, params.chain.max_answer_tokens or params.probe_tokens)
    chain = replace(params.chain, max_answer_tokens=limit)
    return await answer(
        replace(policy, sampling=sampling), replace(trace, exit_reason="early"), chain
    )


async def _checkpoint(
    policy: Policy, question: Question, probes: list[Trace], before: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the row says of the last probe. agreed: how many answers in a row are equal, this one
    the last of them; 0 where it can't be read."""
    probe = probes[-1]
    last = [(answer_text(policy, each), each.answer_cut) for each in probes[-2:]]
    texts, cut = zip(*last, strict=True)
    groups = await asyncio.to_thread(group_answers, question.grader, texts, cut)
    group = next((group for group in groups if len(texts) - 1 in group), [])
    agreed = before[-1]["agreed"] + 1 if len(group) == 2 else len(group)
    read = await asyncio.to_thread(grade_ended, question.grader, texts[-1], "", cut=cut[-1])
    told = next((s.logprobs for s in probe.segments if s.role == "answer"), None)
    return {
        "thinking_tokens": probe.thinking_tokens,
        "answer": read.answer,
        "agreed": agreed,
        "probe_tokens": probe.generated_tokens,
        **({} if told is None else {"confidence": round(told.likelihood, 3)}),
    }


def _settled(checkpoint: Mapping[str, Any], params: EarlyExit) -> bool:
    """Whether an answer is believed, which has to be readable for that."""
    if not checkpoint["agreed"]:
        return False
    if params.agreeing is not None and checkpoint["agreed"] >= params.agreeing:
        return True
    return params.confidence is not None and checkpoint.get("confidence", 0) >= params.confidence


def sweep(name: str, axes: Axes) -> list[dict[str, Any]]:
    """A run for each cap; one without where there is none."""
    caps = sorted(axes.max_thinking_tokens, key=longest_first)
    return [{"max_thinking_tokens": cap} for cap in caps] or [{}]


EARLY_EXIT = Method(
    "early_exit",
    EarlyExit,
    early_exit,
    "arXiv 2412.20993; confidence: arXiv 2504.15895",
    dials=(*DIALS, Dial("agreeing"), Dial("confidence"), Dial("first_checkpoint"), Dial("spacing")),
    sweep=sweep,
    budget=budget_of,
    forces=True,
)
