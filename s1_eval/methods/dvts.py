"""Diverse verifier tree search (Hugging Face's "scaling test-time compute"): N/m independent
subtrees; in each, every step is the best of m candidates. A subtree's choice can't crowd out
another's, so the chains stay diverse at large N."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from s1_eval.errors import UserError
from s1_eval.methods.chain import DIALS
from s1_eval.methods.method import Dial, Method, widths
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.scoring import OPEN_MODELS
from s1_eval.methods.steps import Beam, Search, StepSearch
from s1_eval.thinking import Outcome
from s1_eval.typed import Positive, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class DVTS(Settings):
    """beam_width: m, the candidates for each step of a subtree; all `samples` where they are
    fewer."""

    search: StepSearch
    beam_width: Positive = 4

    def check(self) -> None:
        """Raises UserError where the width can't be parted into subtrees."""
        samples = self.search.samples
        if samples > self.beam_width and samples % self.beam_width:
            raise UserError(
                f"samples={samples} can't be parted into subtrees of "
                f"beam_width={self.beam_width}: give a multiple of it"
            )


async def dvts(policy: Policy, question: Question, params: DVTS) -> Outcome:
    """All subtrees side by side; the chains they end with are chosen from."""
    settings = params.search
    search = Search(policy, question, settings)
    candidates = min(params.beam_width, settings.samples)
    subtrees = (
        greedy(search.part(number), candidates, settings.max_steps)
        for number in range(settings.samples // candidates)
    )
    grown = await asyncio.gather(*subtrees)
    return await search.conclude(
        [chain for chain, _ in grown], [beam for _, pruned in grown for beam in pruned]
    )


async def greedy(search: Search, candidates: int, max_steps: int) -> tuple[Beam, list[Beam]]:
    """(chain, pruned): one chain, each of its steps the best of `candidates`."""
    chain, pruned = search.root(), list[Beam]()
    for _ in range(max_steps):
        beams = await search.step(search.fork([chain], [candidates]))
        [chain], dropped = search.best(beams, 1)
        pruned += dropped
        if chain.ended:
            break
    return chain, pruned


DVTS_METHOD = Method(
    "dvts",
    DVTS,
    dvts,
    OPEN_MODELS,
    dials=(Dial("samples"), *DIALS),
    sweep=widths,
    sampled=True,
    verifier=True,
)
