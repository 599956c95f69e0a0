"""What the requests of one question cost together, counted as they are answered. Which requests
there are is the methods' affair, what their tokens and seconds are worth that of metrics."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from s1_eval.engines.architecture import Architecture
from s1_eval.engines.protocol import EngineInfo, Generation, Timing, total_time
from s1_eval.verifiers.protocol import VerifierInfo

Tree = dict[bytes, "Tree"]

_BLOCK = 64
"""Ids that a branch of the tree is long."""


class Meter:
    """Of one question in one run, whatever else the engine and its caches serve.

    prompt_tokens: the prompts of all requests, a beginning as often as it was sent.
    cached_tokens: how many of them an earlier request of the question had brought before the
        model, so that an engine with a prefix cache has them; what other questions and runs share
        is not counted. 0 of an engine that keeps none. Of a server, no more than it says itself;
        None where it does not say so of every request.
    timings: one a request, see `Generation`.
    flops: of reading what no earlier request had brought before the model and of sampling, and of
        what a verifier read; None where an architecture is not known.
    """

    def __init__(self, engine: EngineInfo) -> None:
        self._engine = engine
        self._read = _Beginnings()
        self.prompt_tokens = 0
        self.cached_tokens: int | None = 0
        self.timings: list[Timing | None] = []
        self.flops: int | None = 0

    def count(self, prompt: Sequence[int], generation: Generation) -> None:
        """Count a request that was answered."""
        sampled = (*generation.ids, *generation.stop_ids)
        # The last id was sampled and not read: nothing was asked for behind it.
        ids = (*prompt, *sampled[:-1])
        known = min(self._read.known_then_add(ids), len(prompt))
        self.prompt_tokens += len(prompt)
        self._count_cached(known, generation)
        read_again = 0 if self._engine.prefix_cache is False else known
        self._count_flops(self._engine.architecture, read_again, len(ids), len(sampled))
        self.timings.append(generation.timing)

    def count_verifier(self, verifier: VerifierInfo, start: int, end: int) -> None:
        """Count what a verifier read: its tokens from `start` to `end`, behind those before."""
        self._count_flops(verifier.architecture, start, end, 0)

    def _count_flops(
        self, architecture: Architecture | None, start: int, end: int, sampled: int
    ) -> None:
        if architecture is None:
            self.flops = None
        elif self.flops is not None:
            self.flops += architecture.flops(start, end, sampled)

    def _count_cached(self, known: int, generation: Generation) -> None:
        keeps, says = self._engine.prefix_cache, generation.cached_tokens
        if keeps is None and says is None:
            self.cached_tokens = None
        elif self.cached_tokens is not None and keeps is not False:
            self.cached_tokens += known if says is None or keeps else min(known, says)

    def fields(self) -> dict[str, Any]:
        """Of the sample record."""
        time = total_time(self.timings)
        return {
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "flops": self.flops,
            "waiting_seconds": None if time is None else time.waiting,
            "prefill_seconds": None if time is None else time.prefill,
            "decode_seconds": None if time is None else time.decode,
        }


class _Beginnings:
    """Sequences of ids, as a tree whose branches are blocks of `_BLOCK` ids; the last one of a
    sequence may be shorter."""

    def __init__(self) -> None:
        self._root: Tree = {}

    def known_then_add(self, ids: Sequence[int]) -> int:
        """How many leading ids some sequence before this one begins with."""
        node, found, known = self._root, 0, True
        for block in _blocks(ids):
            if known and block in node:
                found += len(block) // _WIDTH
            elif known:
                found += max((_common(block, other) for other in node), default=0)
                known = False
            node = node.setdefault(block, {})
        return found


_WIDTH = array("I").itemsize


def _blocks(ids: Sequence[int]) -> list[bytes]:
    data, size = array("I", ids).tobytes(), _BLOCK * _WIDTH
    return [data[start : start + size] for start in range(0, len(data), size)]


def _common(one: bytes, other: bytes) -> int:
    """How many leading ids two blocks share."""
    length = min(len(one), len(other))
    differ = int.from_bytes(one[:length], "little") ^ int.from_bytes(other[:length], "little")
    # Bits that are the same at the beginning.
    same = (differ & -differ).bit_length() - 1 if differ else 8 * length
    return same // (8 * _WIDTH)
