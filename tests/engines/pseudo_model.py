"""A model without weights for the engines' own rules: every next id is a hash of what stands
before it, so it is a function of the ids, as a model's greedy choice is, and writes every
sequence sooner or later. How a model behaves is tested on the embedded one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace

from scripted import ToyTokenizer

from s1_eval.engines.continuation import Request, Served, banned_early, check_room
from s1_eval.engines.protocol import (
    EngineInfo,
    Generation,
    Sampling,
    Stop,
    split_at_stop,
)

PIECES = ("<|im_end|>", "<|im_start|>", "a", "b", "ab", "c\n", "\n")
INFO = EngineInfo(
    engine="pseudo",
    model="pseudo",
    context_length=512,
    eos_ids=frozenset({0}),
    dtype="none",
    fingerprint="pseudo",
    seeding="request",
)


def next_id(
    prefix: Sequence[int], banned: frozenset[int], noise: object = None, vocabulary: int = 7
) -> int:
    """The id that follows `prefix`; `noise` stands for the random numbers of one step."""

    def score(id: int) -> bytes:
        return hashlib.sha256(repr((tuple(prefix), noise, id)).encode()).digest()

    return max((id for id in range(vocabulary) if id not in banned), key=score)


class PseudoEngine:
    """The contract, word by word: one id at a time.

    decoded: how many ids it has sampled so far.
    """

    def __init__(self, info: EngineInfo = INFO) -> None:
        self.info = info
        self.tokenizer = ToyTokenizer(PIECES)
        self.decoded = 0
        self.closed = False

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        check_room(self.info, prompt, max_tokens)
        early = banned_early(stop, self.tokenizer)
        ids: list[int] = []
        while len(ids) < max_tokens:
            await asyncio.sleep(0)
            banned = early if len(ids) < stop.min_tokens else frozenset[int]()
            noise = (sampling.seed, len(ids)) if sampling.temperature else None
            ids.append(next_id((*prompt, *ids), banned, noise))
            self.decoded += 1
            if found := split_at_stop(ids, stop, self.tokenizer):
                return found
        return Generation(tuple(ids))

    def close(self) -> None:
        self.closed = True


class PseudoServer:
    """What a server does with a `Request`: stop strings are looked for in its own output only,
    `min_tokens` suppresses stop ids alone, and the output layer has `padding` ids too many.
    """

    def __init__(self, padding: int = 0) -> None:
        self.tokenizer = ToyTokenizer(PIECES)
        self.vocabulary = len(PIECES) + padding
        self.requests: list[Request] = []

    async def serve(self, request: Request) -> Served:
        assert all(0 <= id < len(PIECES) for id in request.prompt), "id outside the vocabulary"
        assert request.stop.min_tokens <= request.max_tokens
        self.requests.append(request)
        stop, ids = request.stop, list[int]()
        while len(ids) < request.max_tokens:
            banned = request.banned | (stop.ids if len(ids) < stop.min_tokens else frozenset())
            noise = (request.sampling.seed, len(ids)) if request.sampling.temperature else None
            ids.append(next_id((*request.prompt, *ids), banned, noise, self.vocabulary))
            known = [id for id in ids if id < len(PIECES)]
            strings = replace(stop, ids=frozenset(), min_tokens=0)
            if len(ids) > stop.min_tokens and ids[-1] in stop.ids:
                break
            if split_at_stop(known, strings, self.tokenizer):
                break
        return Served(tuple(ids))
