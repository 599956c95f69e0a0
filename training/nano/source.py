"""The example source `nano`: generated traces in the order of a short curriculum."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from s1_eval.errors import UserError
from s1_eval.training.examples import Example
from s1_eval.training.nano.problems import STEPS
from s1_eval.training.nano.traces import example
from s1_eval.typed import Settings


@dataclass(frozen=True, slots=True)
class Nano(Settings):
    """examples: how many traces. waits: weights of 0, 1, 2, … checks in them where nothing is
    instructed; going on has to stay likely, or a forced "Wait" would lead nowhere, but less so
    than ending, or greedy thinking never ends. seed: of the generator. easy_share: the first
    part of the traces, which has up to `easy_steps` steps and one check at most."""

    examples: int
    waits: tuple[int, ...]
    seed: int = 0
    easy_share: float = 0.2
    easy_steps: int = 4

    def check(self) -> None:
        if self.examples < 1:
            raise UserError(f"examples={self.examples}: give 1 or more")
        if not sum(self.waits[:2]) > 0 or min(self.waits) < 0:
            raise UserError(f"waits={self.waits}: give weights of 0, 1, … checks, e.g. [3, 2, 1]")
        if not 0 <= self.easy_share <= 1:
            raise UserError(f"easy_share={self.easy_share}: give a share from 0 to 1")
        if self.easy_steps not in STEPS:
            raise UserError(f"easy_steps={self.easy_steps}: give {STEPS.start} to {STEPS.stop - 1}")

    def __iter__(self) -> Iterator[Example]:
        rng = random.Random(self.seed)  # noqa: S311
        easy = int(self.examples * self.easy_share)
        for i in range(self.examples):
            limits = {"max_steps": self.easy_steps, "max_waits": 1} if i < easy else {}
            yield example(rng, self.waits, **limits)
