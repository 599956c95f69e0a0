"""Votes by confidence (DeepConf, arXiv 2508.15260): chains weigh as much as the model was confident
while it wrote them, and those of the least confidence have no vote. With `warm_up` (the paper's
online thinking) the first chains set a threshold, and a chain that falls below it is given up.

The confidence of a token is minus the mean log-probability of the likeliest ids in its place; that
of a chain is made of it in one of four ways, see `s1_eval.thinking.logprobs`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from s1_eval.errors import UserError
from s1_eval.methods.chain import (
    DIALS,
    UNFORCED,
    BudgetForcing,
    answer,
    answer_text,
    begin_thinking,
    force,
    think_until,
)
from s1_eval.methods.method import Dial, Method, widths
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.voting import (
    cuts,
    group_answers,
    heaviest,
    most_confident,
    need_temperature,
    sample_extra,
    whole_share,
)
from s1_eval.thinking import Outcome, Trace
from s1_eval.thinking.logprobs import MOST, NOISE, WINDOW, confidences, group_confidences
from s1_eval.typed import Count, Positive, Says, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence(Settings):
    """How the chains vote, and which of them.

    samples: how many. The first k of them, or of the warm-up, are those of a majority vote.
    measure: a chain's confidence: the `mean` over its tokens, that of its `lowest_group`, the mean
        of the tenth of the groups that is lowest (`bottom_groups`), or that of its `tail`, the last
        group. What is sampled counts, thinking and answer.
    window: tokens of a group. A shorter chain is one group.
    keep: the share of the chains that votes, those of the highest confidence.
    selection: the final answer. `weighted`: the highest sum of confidences over equal answers;
        `vanilla`: the most confident chain's.
    top_logprobs: ids in each place that confidence is read from.
    warm_up: how many chains are sampled first, whole. The `keep` best of them set the threshold:
        the others are given up when a group of theirs falls below it, and whoever is below it has
        no vote. 0 samples all of them whole.
    check_every: tokens between two looks at a chain that may be given up.
    """

    samples: Positive
    measure: Literal["mean", "lowest_group", "bottom_groups", "tail"] = "lowest_group"
    window: Positive = WINDOW
    keep: Annotated[float, Gt(0), Le(1), Says("a number above 0 and up to 1")] = 1.0
    selection: Literal["weighted", "vanilla"] = "weighted"
    top_logprobs: Annotated[int, Ge(1), Le(MOST), Says(f"a whole number from 1 to {MOST}")] = MOST
    warm_up: Count = 0
    check_every: Positive = 128
    chain: BudgetForcing = UNFORCED

    def check(self) -> None:
        """Raises UserError on a warm-up that leaves no chain to stop, or nothing to stop it by."""
        if self.warm_up >= self.samples:
            raise UserError(
                f"warm_up={self.warm_up} of samples={self.samples} leaves no chain to give up: "
                "lower the one or raise the other"
            )
        if self.warm_up and self.measure != "lowest_group":
            raise UserError(
                f"warm_up gives chains up by their lowest group, and measure={self.measure} is "
                "known at the end alone: leave the measure out, or warm_up"
            )


async def confidence(policy: Policy, question: Question, params: Confidence) -> Outcome:
    """Sample, weigh every chain by its confidence, take the answer that weighs most."""
    need_temperature(policy, params.samples)
    policy = replace(policy, sampling=policy.sampling.telling(params.top_logprobs))
    prompt = policy.prompt_ids(question)
    forks = [policy.fork("sample", i) for i in range(params.samples)]
    whole = params.warm_up or params.samples
    traces = await asyncio.gather(*(force(f, prompt, params.chain) for f in forks[:whole]))
    scores = [_score(trace, params) for trace in traces]
    threshold = None
    if params.warm_up:
        threshold = sorted(scores, reverse=True)[whole_share(params.keep, whole) - 1]
        others = (_unless_low(f, prompt, params, threshold) for f in forks[whole:])
        traces += await asyncio.gather(*others)
        scores += [_score(trace, params) for trace in traces[whole:]]
    answers = [answer_text(policy, trace) for trace in traces]
    groups = await asyncio.to_thread(group_answers, question.grader, answers, cuts(traces))
    winner = choose(scores, traces, answers, groups, params, threshold)
    return Outcome(
        answers[winner[0]] if winner else "",
        tuple(traces),
        chosen=tuple(i for i, trace in enumerate(traces) if trace.exit_reason != "pruned"),
        extra={
            **sample_extra(traces, answers, groups, params.window),
            "sample_measure": params.measure,
            **({"sample_keep": params.keep} if threshold is None else _saved(traces, threshold)),
        },
        winner=next(iter(winner), None),
    )


def choose(
    scores: Sequence[float],
    traces: Sequence[Trace],
    answers: Sequence[str],
    groups: Sequence[Sequence[int]],
    params: Confidence,
    threshold: float | None = None,
) -> list[int]:
    """The chains that the answer is that of, the first of them speaks; none without a vote.

    groups: equal answers, by the places of their chains. threshold: whoever is below has no vote;
    without one, whoever is not among the share that is kept.
    """
    everyone = range(len(traces))
    kept = {i for i in everyone if threshold is None or scores[i] > threshold - NOISE}
    if params.selection == "vanilla":
        return sorted(kept, key=lambda i: (-scores[i], traces[i].thinking_tokens, answers[i]))[:1]
    if threshold is None:
        kept = most_confident(scores, traces, answers, groups, params.keep)
    voting = [left for group in groups if (left := [i for i in group if i in kept])]
    return heaviest(voting, scores, traces, answers)


async def _unless_low(
    policy: Policy, prompt: tuple[int, ...], params: Confidence, threshold: float
) -> Trace:
    """One chain, given up once a whole group of its thinking is below the threshold."""
    trace, ended = begin_thinking(policy, prompt, params.chain)
    while not ended:
        upto = trace.thinking_tokens + params.check_every
        trace, ended = await think_until(policy, trace, params.chain, upto)
        tokens = _confidence(trace)[-params.window - params.check_every :]
        groups = group_confidences(tokens, params.window)
        if len(tokens) >= params.window and min(groups) <= threshold - NOISE:
            return replace(trace, exit_reason="pruned")
    return await answer(policy, trace, params.chain)


def _score(trace: Trace, params: Confidence) -> float:
    return confidences(_confidence(trace), params.window)[params.measure]


def _confidence(trace: Trace) -> list[float]:
    """Token by token; none where the context left no room for any."""
    return [] if trace.logprobs is None else trace.logprobs.confidence


def _saved(traces: Sequence[Trace], threshold: float) -> dict[str, Any]:
    """tokens_saved: what the chains that were given up would have cost beyond what they did, if
    they were as long as the others are on average."""
    pruned = [trace.generated_tokens for trace in traces if trace.exit_reason == "pruned"]
    whole = [trace.generated_tokens for trace in traces if trace.exit_reason != "pruned"]
    return {
        "threshold": threshold,
        "pruned": len(pruned),
        "tokens_saved": round(len(pruned) * fmean(whole) - sum(pruned)),
    }


CONFIDENCE = Method(
    "confidence",
    Confidence,
    confidence,
    "arXiv 2508.15260",
    dials=(Dial("samples"), *DIALS, Dial("keep"), Dial("warm_up")),
    sweep=widths,
    sampled=True,
    chooses=lambda params: not params.warm_up,
)
