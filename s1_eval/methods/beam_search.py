"""Beam search against a verifier (arXiv 2408.03314, section 5.2; Hugging Face's "scaling
test-time compute"): after every step the N/m best chains go on, each in m ways.

Unlike search-and-learn's, a chain that has ended leaves the width to the others, so N chains end
in all; theirs refills the width with copies and keeps the first N that end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from s1_eval.methods.chain import DIALS
from s1_eval.methods.method import Dial, Method, widths
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.scoring import OPEN_MODELS
from s1_eval.methods.steps import Beam, Search, StepSearch
from s1_eval.thinking import Outcome
from s1_eval.typed import Positive, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSearch(Settings):
    """beam_width: m, in how many ways each kept chain goes on. With 1 nothing is ever pruned:
    `samples` independent chains; with `samples` one chain is kept, which is greedy."""

    search: StepSearch
    beam_width: Positive = 4


async def beam_search(policy: Policy, question: Question, params: BeamSearch) -> Outcome:
    """Fork, step, score, keep the best; chains that end are kept aside."""
    settings = params.search
    search = Search(policy, question, settings)
    kept, finished, pruned = [search.root()], list[Beam](), list[Beam]()
    for _ in range(settings.max_steps):
        width = settings.samples - len(finished)
        beams = await search.step(search.fork(kept, spread(width, len(kept))))
        finished += [beam for beam in beams if beam.ended]
        active, repeated = distinct(beam for beam in beams if not beam.ended)
        width = settings.samples - len(finished)
        kept, dropped = search.best(active, ceil(width / params.beam_width))
        pruned += repeated + dropped
        if not kept:
            break
    return await search.conclude(finished + kept, pruned)


def spread(width: int, number: int) -> list[int]:
    """`width` over `number` chains as evenly as can be, the first ones getting more."""
    return [width // number + (i < width % number) for i in range(number)]


def distinct(beams: Iterable[Beam]) -> tuple[list[Beam], list[Beam]]:
    """(first ones, repeated): chains with the same ids are one."""
    seen: dict[tuple[int, ...], Beam] = {}
    repeated = []
    for beam in beams:
        if seen.setdefault(beam.trace.ids(), beam) is not beam:
            repeated.append(beam)
    return list(seen.values()), repeated


BEAM_SEARCH = Method(
    "beam_search",
    BeamSearch,
    beam_search,
    f"arXiv 2408.03314; {OPEN_MODELS}",
    dials=(Dial("samples"), *DIALS),
    sweep=widths,
    sampled=True,
    verifier=True,
)
