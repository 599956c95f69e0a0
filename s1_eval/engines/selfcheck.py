"""The check of a loaded model before anything is asked of it: what a decoder makes of a few ids,
with its caches, masks, positions and padding, is what the model makes of them in one plain pass.

A model, or a version of transformers, that takes a cache and does not use it scores like one that
can't think. Nothing else here: decoding itself is in `s1_eval.engines.decoding`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from s1_eval.engines import decoding
from s1_eval.engines.decoding import BLOCK, Decoder, Row
from s1_eval.engines.protocol import Sampling, Stop, Tokenizer
from s1_eval.errors import UserError
from s1_eval.libraries import versions

TOLERANCE = {torch.float32: 5e-3, torch.float16: 0.05, torch.bfloat16: 0.2}
"""How far logits may be off, as a share of their spread. A lost cache is off by about 1, a mask
that is not used by 0.03 in `nano`; the order of sums in the kernels by 1e-6 in float32, and by 0.03
in bfloat16, where faults as small as that mask stay unseen."""

STEPS = 3
"""Ids sampled by each row: one from the prefill, the others from cached steps."""

PROMPTS = (3, BLOCK + 3)
"""Ids of the prompts: unequal, so that one is padded, and one long enough to be kept."""


class Script:
    """Stands where the chooser does: notes the logits and continues every row with known ids."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = itertools.cycle(ids)
        self.seen: list[tuple[tuple[int, ...], Tensor]] = []

    def choose(self, logits: Tensor, rows: Sequence[Row | None]) -> list[int]:
        """One id per row; what each row had read, and its logits, are in `seen`."""
        self.seen += [
            (tuple(row.sequence), logits[at].clone()) for at, row in enumerate(rows) if row
        ]
        return [next(self._ids) for _ in rows]


def check(model: Any, vocabulary: frozenset[int], tokenizer: Tokenizer) -> None:
    """Raises UserError unless the decoder of `model` gets the logits of one pass without a cache,
    for rows that share a batch and for one that continues another.

    vocabulary: the ids that the model may read.
    """
    ids = sorted(vocabulary)
    ids = [ids[at * len(ids) // 64] for at in range(64)]  # far from each other, and no two alike
    script = Script(ids[40:])
    decoder = decoding.decoder(model, script, len(PROMPTS), 4096)
    prompts = [ids[:n] for n in PROMPTS]
    rows = _finish(decoder, prompts, tokenizer)
    _finish(decoder, [[*rows[-1].sequence, *ids[30:32]]], tokenizer)
    # The maximum of a tensor is NaN where one of its elements is.
    worst = float(torch.tensor([_off(model, read, logits) for read, logits in script.seen]).max())
    if not worst <= TOLERANCE.get(model.dtype, 0.2):
        raise UserError(
            f"{type(model).__name__} in {model.dtype} does not decode right: step by step, with "
            f"its cache, the logits are off by {worst:.1%} of their spread from those of one pass "
            "without. Use s1_vllm, dtype=float32, or another transformers. "
            f"{versions('transformers')}"
        )


def _finish(decoder: Decoder, prompts: Sequence[list[int]], tokenizer: Tokenizer) -> list[Row]:
    rows = [Row(p, STEPS, Stop(), Sampling(), frozenset(), tokenizer) for p in prompts]
    for row in rows:
        decoder.add(row)
    left = len(rows)
    while left:
        left -= len(decoder.step())
    return rows


def _off(model: Any, read: Sequence[int], logits: Tensor) -> float:
    """The distance of `logits` from those of one pass over `read`, as a share of their spread."""
    given = torch.tensor([read], device=model.device)
    plain = model(given, use_cache=False).logits[0, -1].float()
    return float((logits.float() - plain).norm() / (plain - plain.mean()).norm())
