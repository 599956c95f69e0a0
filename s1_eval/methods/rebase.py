"""REBASE, reward-balanced search (arXiv 2408.00724, section 3.2): a tree in which every node gets
a share of the width by the softmax of its reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, exp

from s1_eval.methods.chain import DIALS
from s1_eval.methods.method import Dial, Method, widths
from s1_eval.methods.policy import Policy, Question
from s1_eval.methods.steps import Beam, Search, StepSearch
from s1_eval.thinking import Outcome
from s1_eval.typed import PositiveFloat, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebase(Settings):
    """softmax_temperature: of the shares; the lower, the more goes to the best nodes."""

    search: StepSearch
    softmax_temperature: PositiveFloat = 0.2


async def rebase(policy: Policy, question: Question, params: Rebase) -> Outcome:
    """Expand every node by its share, score, share again what ended chains have left."""
    settings = params.search
    search = Search(policy, question, settings)
    nodes, widths = [search.root()], [settings.samples]
    finished, pruned = list[Beam](), list[Beam]()
    for _ in range(settings.max_steps):
        beams = await search.step(search.fork(nodes, widths))
        finished += [beam for beam in beams if beam.ended]
        active = [beam for beam in beams if not beam.ended]
        rewards = [search.value(beam) for beam in active]
        widths = shares(rewards, settings.samples - len(finished), params.softmax_temperature)
        pruned += [beam for beam, width in zip(active, widths, strict=True) if not width]
        nodes = [beam for beam, width in zip(active, widths, strict=True) if width]
        widths = [width for width in widths if width]
        if not nodes:
            break
    return await search.conclude(finished + nodes, pruned)


def shares(rewards: Sequence[float], width: int, temperature: float) -> list[int]:
    """`width` divided by the softmax of the rewards, as the published code rounds: from the
    highest reward down, each takes its part of what is left, rounded up. They sum to `width`;
    of equal rewards the earlier gets more."""
    highest = max(rewards, default=0.0)
    # Exact fractions: a rounding error would be rounded up to a whole child.
    weights = [Fraction(exp((reward - highest) / temperature)) for reward in rewards]
    found = [0] * len(rewards)
    left, mass = width, sum(weights)
    for i in sorted(range(len(rewards)), key=lambda i: -rewards[i]):
        if left:
            found[i] = ceil(left * weights[i] / mass)
        left -= found[i]
        mass -= weights[i]
    return found


REBASE = Method(
    "rebase",
    Rebase,
    rebase,
    "arXiv 2408.00724",
    dials=(Dial("samples"), *DIALS),
    sweep=widths,
    sampled=True,
    verifier=True,
)
