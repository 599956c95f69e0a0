"""What the searches over steps have in common: chains of thought that grow one step at a time,
are scored after each, and fork. Which of them go on is each search's own affair."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import count
from typing import Annotated

from s1_eval.methods.chain import (
    UNFORCED,
    BudgetForcing,
    answer,
    begin_thinking,
    continue_thinking,
    just_ignored,
)
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.scoring import USUAL, Guidance, Scorer, Scores, choose, reduced, verified
from s1_eval.methods.voting import need_temperature
from s1_eval.thinking import Outcome, Trace
from s1_eval.typed import Positive, Settings, Without

_AT_EVERY_STEP = "a search stops at every step"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSearch(Settings):
    """What searches over steps have in common.

    samples: the width, how many chains are alive at once.
    max_steps: chains that are still thinking then are made to answer.
    max_step_tokens: a longer step is cut there and goes on as the next.
    chain: of each chain, as far as a chain can have it that is broken up into steps.
    """

    samples: Positive
    max_steps: Positive = 40
    max_step_tokens: Positive = 2048
    guidance: Guidance = USUAL
    chain: Annotated[
        BudgetForcing,
        Without(
            {
                "min_thinking_tokens": f"{_AT_EVERY_STEP}, so it can't suppress the end of "
                "thinking; leave it out, or give num_ignores",
            }
        ),
    ] = UNFORCED


@dataclass(frozen=True, slots=True)
class Beam:
    """A chain that grows.

    slot: names its random numbers. ended: it has stopped thinking. scores: of its steps so far.
    """

    trace: Trace
    slot: tuple[int, ...] = ()
    ended: bool = False
    scores: Scores = ()


class Search:
    """One question's chains under one search's settings.

    What a chain costs is counted once: a fork's `shared` is what its trunk has paid for, so the
    sum over all traces, pruned ones included, is what was sampled. Slots, and with them random
    numbers, are handed out in the order of forking, never of finishing; the first branch keeps
    its own, so that a chain which is never pruned is the one that would have been sampled alone.
    """

    def __init__(self, policy: Policy, question: Question, params: StepSearch) -> None:
        """Raises UserError without a verifier, or where sampling is greedy."""
        need_temperature(policy, params.samples)
        self._policy, self._question, self._params = policy, question, params
        self._scorer = Scorer(policy, question, params.guidance)
        self._slots: Iterator[tuple[int, ...]] = ((i,) for i in count())

    def part(self, number: int) -> Search:
        """The same search for a part that goes on beside others: its slots are its own."""
        part = copy(self)
        part._slots = ((number, i) for i in count())
        return part

    def root(self) -> Beam:
        """The chain that has not thought yet."""
        prompt = self._policy.prompt_ids(self._question)
        trace, ended = begin_thinking(self._policy, prompt, self._params.chain)
        return Beam(trace, ended=ended)

    def fork(self, beams: Sequence[Beam], widths: Sequence[int]) -> list[Beam]:
        """Each beam as often as its width says. The first branch goes on as the beam itself, the
        others share what it has paid for and draw random numbers of their own."""
        branches = []
        for beam, width in zip(beams, widths, strict=True):
            paid = beam.trace.generated_tokens + beam.trace.shared
            trunk = replace(beam.trace, shared=paid, reused=0)
            for i in range(width):
                if i == 0 and beam.slot:
                    branches.append(beam)
                else:
                    branches.append(replace(beam, trace=trunk, slot=next(self._slots)))
        return branches

    async def step(self, beams: Sequence[Beam]) -> list[Beam]:
        """Every beam one step further, and scored."""
        grown = await asyncio.gather(*(self._grow(beam) for beam in beams))
        return await self._scored(grown)

    def best(self, beams: Iterable[Beam], number: int) -> tuple[list[Beam], list[Beam]]:
        """(kept, pruned): the `number` beams with the highest scores, the earlier of equals, and
        the others; both in the order they had."""
        beams = list(beams)
        ranked = sorted(range(len(beams)), key=lambda i: -self.value(beams[i]))
        kept = set(ranked[:number])
        return (
            [beam for i, beam in enumerate(beams) if i in kept],
            [beam for i, beam in enumerate(beams) if i not in kept],
        )

    def value(self, beam: Beam) -> float:
        """A beam's score."""
        return reduced(beam.scores, self._params.guidance.reduce)

    async def conclude(self, kept: Sequence[Beam], pruned: Sequence[Beam]) -> Outcome:
        """Let the kept chains answer, score the answers, choose one; what was pruned is paid
        for."""
        answered = await asyncio.gather(*(self._answer(beam) for beam in kept))
        scored = await self._scored(answered)
        finals = [beam.trace for beam in scored]
        scores = [beam.scores for beam in scored]
        text, chosen, winner, extra = await choose(
            self._policy, self._question, finals, scores, self._params.guidance
        )
        given_up = [replace(beam.trace, exit_reason="pruned") for beam in pruned]
        scores += [beam.scores for beam in pruned]
        return verified(text, (*finals, *given_up), chosen, winner, extra, self._scorer, scores)

    async def _scored(self, beams: Sequence[Beam]) -> list[Beam]:
        scores = await self._scorer.score([beam.trace for beam in beams])
        return [replace(beam, scores=each) for beam, each in zip(beams, scores, strict=True)]

    async def _grow(self, beam: Beam) -> Beam:
        """Think up to the next separator, the end of thinking, or a limit. Separators before any
        text belong to the step that follows; an ignored end does not end the step either."""
        policy, trace, ended = self._policy.fork("sample", *beam.slot), beam.trace, beam.ended
        before, limit = trace.thinking_tokens, self._params.max_step_tokens
        while not ended and (room := limit - trace.thinking_tokens + before) > 0:
            trace, ended = await continue_thinking(
                policy, trace, self._params.chain, separator=self._scorer.separator, max_tokens=room
            )
            step = trace.ids("thinking")[before:]
            if policy.decode(step).strip() and not just_ignored(trace):
                break
        return replace(beam, trace=trace, ended=ended)

    async def _answer(self, beam: Beam) -> Beam:
        policy = self._policy.fork("sample", *beam.slot)
        trace = beam.trace
        if not beam.ended:
            trace = replace(trace, exit_reason="budget")
        return replace(beam, trace=await answer(policy, trace, self._params.chain), ended=True)
