"""What methods make of a verifier's scores: ask for them, reduce them to one per chain, and
choose an answer by them. How scores come about is the verifier's business."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, Literal

from s1_eval.errors import UserError
from s1_eval.methods.chain import answer_text
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.voting import cuts, group_answers, heaviest, sample_extra
from s1_eval.thinking import Outcome, Trace
from s1_eval.typed import Settings
from s1_eval.verifiers import Verifier

OPEN_MODELS = "Hugging Face, scaling test-time compute with open models"

Scores = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance(Settings):
    """How a verifier's scores decide.

    step_separator: parts the thinking into steps; None is what the verifier was trained on.
    reduce: a chain's score from its steps' scores: the `last`, the `min`, or their `prod`uct.
    selection: the final answer. `weighted`: the highest sum of scores over equal answers;
        `vanilla`: the highest score; `majority`: the most chains.
    """

    step_separator: str | None = None
    reduce: Literal["last", "min", "prod"] = "last"
    selection: Literal["weighted", "vanilla", "majority"] = "weighted"

    def check(self) -> None:
        """Raises UserError on an empty separator, which parts nothing."""
        if self.step_separator == "":
            raise UserError("step_separator is empty: give the text between steps, e.g. a newline")


USUAL = Guidance()


class Scorer:
    """A verifier at one question.

    tokens: what it had to read so far, a beginning that chains have in common counted once.
    seconds: its time. unscored: scores that were no numbers; they count as 0, the worst.
    """

    def __init__(self, policy: Policy, question: Question, guidance: Guidance) -> None:
        """Raises UserError where the policy has no verifier."""
        if policy.verifier is None:
            raise UserError(
                "this method needs a verifier: give --verifier with a process reward model, "
                "e.g. --verifier nano-prm"
            )
        self._verifier: Verifier = policy.verifier
        self._policy = policy
        self._question = question.prompt
        self.separator = guidance.step_separator or self._verifier.info.step_separator
        self.tokens = 0
        self.seconds = 0.0
        self.unscored = 0
        self._read: set[tuple[str, ...]] = set()

    async def score(self, traces: Sequence[Trace]) -> list[Scores]:
        """The score of every step of every trace."""
        chains = [steps_of(self._policy, trace, self.separator) for trace in traces]
        scored = await self._verifier.score(self._question, chains)
        for steps, each in zip(chains, scored, strict=True):
            self.seconds += each.seconds
            ends = (each.opening, *each.ends)
            for i, score in enumerate(each.scores):
                beginning = steps[: i + 1]
                if beginning not in self._read:
                    start = ends[i] if self._read else 0
                    self.tokens += ends[i + 1] - start
                    if self._policy.meter:
                        self._policy.meter.count_verifier(self._verifier.info, start, ends[i + 1])
                    self.unscored += not isfinite(score)
                    self._read.add(beginning)
        return [tuple(s if isfinite(s) else 0.0 for s in each.scores) for each in scored]


def steps_of(policy: Policy, trace: Trace, separator: str) -> tuple[str, ...]:
    """The steps of the thinking, then those of the answer, blank ones left out."""
    texts = (policy.decode_plain(trace.ids("thinking")), answer_text(policy, trace))
    steps = (step.strip() for text in texts for step in text.split(separator))
    return tuple(step for step in steps if step)


def reduced(scores: Scores, how: Literal["last", "min", "prod"]) -> float:
    """A chain's score from those of its steps; 0 where there are none."""
    if not scores:
        return 0.0
    if how == "last":
        return scores[-1]
    return min(scores) if how == "min" else prod(scores)


async def choose(
    policy: Policy,
    question: Question,
    traces: Sequence[Trace],
    scores: Sequence[Scores],
    params: Guidance,
) -> tuple[str, tuple[int, ...], int | None, dict[str, Any]]:
    """(answer, chosen, winner, extra): the answer, the indices of the traces that it rests on and
    of the one that gave it, and what a record needs to choose again from fewer of them."""
    answers = [answer_text(policy, trace) for trace in traces]
    groups = await asyncio.to_thread(group_answers, question.grader, answers, cuts(traces))
    totals = [reduced(each, params.reduce) for each in scores]
    extra = {**sample_extra(traces, answers, groups), "sample_scores": totals}
    if params.selection == "vanilla":
        best = min(
            range(len(traces)),
            key=lambda i: (-totals[i], traces[i].thinking_tokens, answers[i]),
        )
        return answers[best], (best,), best, extra
    weights = totals if params.selection == "weighted" else [1.0] * len(traces)
    winner = heaviest(groups, weights, traces, answers)
    everyone = tuple(range(len(traces)))
    if not winner:
        return "", everyone, None, extra
    return answers[winner[0]], everyone, winner[0], extra


def verified(
    answer: str,
    traces: Sequence[Trace],
    chosen: tuple[int, ...],
    winner: int | None,
    extra: Mapping[str, Any],
    scorer: Scorer,
    scores: Sequence[Scores],
) -> Outcome:
    """The outcome, with what the verifier cost and what it said. scores: of each trace's steps."""
    return Outcome(
        answer,
        tuple(traces),
        chosen,
        verifier_tokens=scorer.tokens,
        extra={
            **extra,
            "verifier_seconds": scorer.seconds,
            "unscored_steps": scorer.unscored,
            "step_scores": [list(each) for each in scores],
        },
        winner=winner,
    )
