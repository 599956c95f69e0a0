"""Sampling on beyond a stop, where the caller says what follows (`s1_eval.engines.following`).
Where the model writes that by itself, what it writes next is what the next request would sample: a
greedy continuation depends on the ids before it and on nothing else. So a model that ends its
thinking as it was taught to thinks and answers in one request, id for id as in two.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from s1_eval.engines.following import Next, following
from s1_eval.engines.prefixes import Recent, beginnings
from s1_eval.engines.protocol import Generation, Sampling, Stop
from s1_eval.engines.watching import watch

KEPT = 1 << 20
"""Ids that wait to be asked for; those that nobody asks for are forgotten."""

STAKE = 32
"""Ids that may be sampled in vain for each request that is saved: about what a request costs."""

FIRST, MOST = 128, 1024
"""Requests that sample beyond their stops at once: before it is known whether that pays, and where
it always does."""


class Ahead:
    """What one engine has sampled beyond stops. Each request that does so has a stake in it, which
    is doubled where it saves the next one and lost where it does not, so that none does any more
    where a model rarely goes on as it is expected to."""

    def __init__(self) -> None:
        self._kept: Recent[bytes, tuple[int, ...]] = Recent()
        self._lock = threading.Lock()
        self._credit = FIRST * STAKE

    def next(self, stop: Stop, sampling: Sampling) -> Next | None:
        """What to go on to beyond `stop`, None where nothing is."""
        request = following()
        if request is None or not request.forced or self._credit < STAKE or watch():
            return None
        # One more token before the end may be asked for: nearly always the model has it in mind.
        begins = _plain(replace(stop, min_tokens=max(stop.min_tokens - 1, 0)), sampling)
        if not begins or not _plain(request.stop, sampling):
            return None
        self._credit -= STAKE
        return request

    def keep(
        self, prompt: Sequence[int], ids: Sequence[int], made: Generation | None, then: Next
    ) -> None:
        """ids: all that was sampled behind `prompt`. made: the part of it up to the stop, None
        where there is none."""
        beyond = tuple(ids[len(made.ids) :]) if made else ()
        number = len(then.forced)
        if made and beyond[:number] != then.forced[: len(beyond)]:
            wasted = len(beyond) - len(made.stop_ids)
            self.lose(wasted or -STAKE)
            return
        rest = beyond[number:]
        if not rest:
            self.lose(-STAKE)
            return
        key = _key((*prompt, *ids[: len(ids) - len(beyond)], *then.forced))
        with self._lock:
            if key not in self._kept:
                self._kept.add(key, rest, len(rest))
            self._kept.shrink(KEPT)

    def lose(self, number: int) -> None:
        """Note that so many ids were sampled in vain."""
        self._credit = min(self._credit - number, MOST * STAKE)

    def take(
        self, prompt: Sequence[int], max_tokens: int, stop: Stop, sampling: Sampling
    ) -> tuple[int, ...]:
        """What is known already of a request, up to all of it."""
        if not self._kept or watch() or not _plain(stop, sampling):
            return ()
        key = _key(prompt)
        with self._lock:
            known = self._kept.drop(key) if key in self._kept else ()
        if known:
            self.lose(max(len(known) - max_tokens, 0) - 2 * STAKE)
        return known[:max_tokens]


def _plain(stop: Stop, sampling: Sampling) -> bool:
    """Whether a request's ids follow from those before them, wherever it began."""
    greedy = not sampling.temperature and not sampling.banned and sampling.logprobs is None
    return greedy and not stop.strings and not stop.min_tokens


def _key(ids: Sequence[int]) -> bytes:
    [key] = beginnings(ids, [len(ids)])
    return key
