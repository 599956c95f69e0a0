"""The example source `nano`: generated traces in the order of a short curriculum, for nano and for
any model whose tokenizer has `<|im_start|>`."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from s1_eval.errors import UserError
from s1_eval.training.examples import Example
from s1_eval.training.nano.problems import LETTERS, STEPS
from s1_eval.training.nano.tokenizer import CHECK, IM_START
from s1_eval.training.nano.traces import CUT_SHARE, SLIPS, example
from s1_eval.typed import Settings


@dataclass(frozen=True, slots=True)
class Nano(Settings):
    """examples: how many traces. waits: weights of 0, 1, 2, … checks in them where nothing is
    instructed; going on has to stay likely, or a forced "Wait" would lead nowhere, but less so
    than ending, or greedy thinking never ends. seed: of the generator. easy_share: the first
    part of the traces, which has up to `easy_steps` steps and one check at most.

    max_steps: of a problem. instructed: whether some questions say how long to think; they count
    in nano's tokens, so for another tokenizer it has to be false. cut_share: of the traces that
    are cut at any token, with the right answer after the forced end (budget-aware data).

    slips: shares of the values that are drafted wrong, of a step of one operation and of a hard
    one; no loss is on them. A model that errs more often sees checks that nearly always find the
    draft right, and learns to copy it.

    learn_cut: whether thinking that is cut carries loss. Where it does, ends are learned from the
    others alone, and going on from all, so that a model trained on much of it hardly ends."""

    examples: int
    waits: tuple[int, ...]
    seed: int = 0
    easy_share: float = 0.2
    easy_steps: int = 4
    max_steps: int = len(LETTERS)
    instructed: bool = True
    cut_share: float = CUT_SHARE
    slips: tuple[float, float] = SLIPS
    learn_cut: bool = True

    def check(self) -> None:
        if self.examples < 1:
            raise UserError(f"examples={self.examples}: give 1 or more")
        if not sum(self.waits[:2]) > 0 or min(self.waits) < 0:
            raise UserError(f"waits={self.waits}: give weights of 0, 1, … checks, e.g. [3, 2, 1]")
        for name in ("easy_share", "cut_share"):
            if not 0 <= (share := getattr(self, name)) <= 1:
                raise UserError(f"{name}={share}: give a share from 0 to 1")
        if not all(0 <= share <= 1 for share in self.slips):
            raise UserError(f"slips={self.slips}: give two shares from 0 to 1, e.g. [0.03, 0.35]")
        for name in ("easy_steps", "max_steps"):
            if (steps := getattr(self, name)) not in STEPS:
                raise UserError(f"{name}={steps}: give {STEPS.start} to {STEPS.stop - 1}")

    def __iter__(self) -> Iterator[Example]:
        rng = random.Random(self.seed)  # noqa: S311
        easy = int(self.examples * self.easy_share)
        for i in range(self.examples):
            limits = {"max_steps": self.max_steps}
            if i < easy:
                limits = {"max_steps": min(self.easy_steps, self.max_steps), "max_waits": 1}
            yield example(
                rng,
                self.waits,
                **limits,
                instructed=self.instructed,
                cut_share=self.cut_share,
                slips=self.slips,
                learn_cut=self.learn_cut,
            )

    def refuse(self, tokenizer: Any, model: str) -> None:
        """Raises UserError where the traces would be wrong in this tokenizer; `model` is a name
        for messages."""
        if IM_START not in tokenizer.get_vocab():
            raise UserError(
                f"the tokenizer of {model} has no token {IM_START}, by which thinking is seen to "
                "end: take a model with ChatML tokens (Qwen2.5, SmolLM2)"
            )
        if self.instructed and CHECK not in tokenizer.get_vocab():
            raise UserError(
                "source.nano.instructed counts in nano's tokens, and the tokenizer of "
                f"{model} has others: give source.nano.instructed: false"
            )
