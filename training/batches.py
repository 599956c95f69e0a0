"""Which rows meet in which step, and which process takes which of them: known before training
begins, and the same however many processes there are. The libraries' own samplers show some rows
twice where processes can't share them evenly (tests/training/test_trl.py), and count no tokens.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from math import ceil

from s1_eval.errors import UserError
from s1_eval.training.examples import IGNORED, Row
from s1_eval.training.recipe import Training

WINDOW = 64
"""Batches whose rows are grouped by length together: the source's order, and a curriculum in
it, survives from one window to the next."""


def plan_batches(training: Training, lengths: Sequence[int]) -> list[list[int]]:
    """Row numbers of every step of every epoch, in order; an epoch's last step may be smaller.

    lengths: tokens of each row.
    """
    planned = []
    for epoch in range(training.epochs):
        seed = training.seed + epoch
        if training.batch_size is not None:
            planned += shuffled(len(lengths), training.batch_size, seed)
        else:
            assert training.tokens_per_batch is not None
            planned += batches(lengths, training.tokens_per_batch, seed, training.padding_free)
    return planned[: training.max_steps]


def count_steps(training: Training, examples: int) -> int | None:
    """Steps that `examples` rows make; None where that depends on their lengths."""
    if training.batch_size is None:
        return None
    steps = training.epochs * ceil(examples / training.batch_size)
    return min(training.max_steps or steps, steps)


def shuffled(rows: int, size: int, seed: int) -> list[list[int]]:
    """Row numbers in random batches of `size`, the last one with what is left."""
    order = list(range(rows))
    random.Random(seed).shuffle(order)  # noqa: S311
    return [order[at : at + size] for at in range(0, rows, size)]


def batches(
    lengths: Sequence[int], tokens: int, seed: int, padding_free: bool = False
) -> list[list[int]]:
    """Row numbers in batches of up to `tokens` tokens, padding included; a longer row is a
    batch of its own. Rows of like length meet, but only within a window."""
    rng = random.Random(seed)  # noqa: S311
    planned: list[list[int]] = []
    for window in _windows(lengths, WINDOW * tokens):
        found: list[list[int]] = [[]]
        held = 0
        for i in sorted(window, key=lambda i: lengths[i]):
            held = (held if padding_free else lengths[i] * len(found[-1])) + lengths[i]
            if found[-1] and held > tokens:
                found.append([])
                held = lengths[i]
            found[-1].append(i)
        rng.shuffle(found)
        planned += found
    return planned


def _windows(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    window: list[int] = []
    held = 0
    for i, length in enumerate(lengths):
        window.append(i)
        held += length
        if held >= tokens:
            yield window
            window, held = [], 0
    if window:
        yield window


def parts(training: Training, processes: int) -> int:
    """Micro-batches in a step, all processes together. Raises UserError where `processes` can't
    share them evenly."""
    if training.batch_size is None:
        return processes
    found = training.batch_size // training.micro_batch_size
    if found % processes:
        raise UserError(
            f"a step's {found} micro-batches (training.batch_size={training.batch_size}, "
            f"micro_batch_size={training.micro_batch_size}) can't be divided among {processes} "
            f"processes: start {_divisor(found, processes)} processes, or change batch_size"
        )
    return found


def _divisor(n: int, most: int) -> int:
    """The largest divisor of `n` up to `most`."""
    return next(d for d in range(min(n, most), 0, -1) if n % d == 0)


def micro_batches(plan: Sequence[Sequence[int]], count: int, filler: int) -> list[list[int]]:
    """Every step's rows dealt out into `count` micro-batches, in the order in which accelerate
    deals batches to processes. Where a step has too few rows, `filler` stands in."""
    return [list(step[i::count]) or [filler] for step in plan for i in range(count)]


def filler(rows: Sequence[Row]) -> Row:
    """The shortest row, without loss: what a process works on when it has nothing to learn."""
    shortest = min(rows, key=lambda row: len(row["input_ids"]))
    return {**shortest, "labels": [IGNORED] * len(shortest["labels"])}
