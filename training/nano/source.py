"""The example source `nano`: generated traces in the order of a short curriculum."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from s1_eval.errors import UserError
from s1_eval.training.examples import Example
from s1_eval.training.nano.problems import STEPS
from s1_eval.training.nano.traces import example


@dataclass(frozen=True, slots=True)
class Nano:
    """examples: how many traces. seed: of the generator. easy_share: the first part of them,
    which has up to `easy_steps` steps and one check at most."""

    examples: int
    seed: int = 0
    easy_share: float = 0.2
    easy_steps: int = 4

    def __post_init__(self) -> None:
        if self.examples < 1:
            raise UserError(f"examples={self.examples}: give 1 or more")
        if not 0 <= self.easy_share <= 1:
            raise UserError(f"easy_share={self.easy_share}: give a share from 0 to 1")
        if self.easy_steps not in STEPS:
            raise UserError(f"easy_steps={self.easy_steps}: give {STEPS.start} to {STEPS.stop - 1}")

    def __iter__(self) -> Iterator[Example]:
        rng = random.Random(self.seed)  # noqa: S311
        easy = int(self.examples * self.easy_share)
        for i in range(self.examples):
            yield example(rng, self.easy_steps, max_waits=1) if i < easy else example(rng)
