"""What engines share: the parts of the contract that a model server does not keep by itself.

Servers know stop ids, stop strings, a minimum and a maximum, each with rules of its own. Here
they are asked only for what they do exactly, and what comes back is checked and cut by
`split_at_stop`. No engine lives here.
"""

from __future__ import annotations

import bisect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from s1_eval.engines.ahead import Ahead
from s1_eval.engines.protocol import (
    EngineInfo,
    Generation,
    Sampling,
    Stop,
    Timing,
    Tokenizer,
    split_at_stop,
    total_time,
)
from s1_eval.engines.watching import Watch, watch
from s1_eval.errors import UserError
from s1_eval.thinking import Logprobs


@dataclass(frozen=True, slots=True)
class Request:
    """One request as a server takes it.

    stop.min_tokens: never over `max_tokens`, and 0 where there are stop strings.
    banned: ids that may not be sampled at all.
    watch: is told of ids before all are there, see `s1_eval.engines.watching`.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    stop: Stop
    sampling: Sampling
    banned: frozenset[int] = frozenset()
    watch: Watch | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What a server made of a request. ids: as sampled, those of the stop included. logprobs: of
    each of them, where `Sampling.logprobs` asks for them. The others: see `Generation`."""

    ids: tuple[int, ...]
    cached_tokens: int | None = None
    timing: Timing | None = None
    logprobs: Logprobs | None = None


Serve = Callable[[Request], Awaitable[Served]]
"""Samples ids for a request; raises if it can't."""


def check_room(info: EngineInfo, prompt: Sequence[int], max_tokens: int) -> None:
    """Raises UserError unless there is a prompt, something to sample, and room for both."""
    if not prompt or max_tokens < 1:
        raise UserError(
            f"{len(prompt)} prompt ids and max_tokens={max_tokens}: give at least one of each"
        )
    if len(prompt) + max_tokens > info.context_length:
        raise UserError(
            f"{len(prompt)} prompt tokens and max_tokens={max_tokens} do not fit the context of "
            f"{info.model}, {info.context_length} tokens: ask for at most "
            f"{max(info.context_length - len(prompt), 0)} or load the model with a longer context"
        )


def banned_early(stop: Stop, tokenizer: Tokenizer) -> frozenset[int]:
    """The ids that cannot be sampled before `stop.min_tokens`."""
    first = (tokenizer.encode(s, add_special_tokens=False)[:1] for s in stop.strings)
    return stop.ids.union(*first)


def first_stop(ids: Sequence[int], stop: Stop, tokenizer: Tokenizer) -> Generation | None:
    """`split_at_stop` of the shortest prefix of `ids` that contains a stop; None without one.

    That is where an engine would have ended, had it sampled no further than it had to.
    """
    found = split_at_stop(ids, stop, tokenizer)
    if found is None or not stop.strings:
        return found
    if split_at_stop(ids[:-1], stop, tokenizer) is None:  # an engine that stops at once
        return found
    shortest = bisect.bisect_left(
        range(len(ids)),
        True,
        key=lambda n: split_at_stop(ids[:n], stop, tokenizer) is not None,
    )
    return split_at_stop(ids[:shortest], stop, tokenizer)


async def continue_exactly(
    serve: Serve,
    prompt: Sequence[int],
    *,
    max_tokens: int,
    stop: Stop,
    sampling: Sampling,
    tokenizer: Tokenizer,
    vocabulary: frozenset[int],
    minimum: bool = True,
    ahead: Ahead | None = None,
) -> Generation:
    """One generation by the contract, in as few requests to `serve` as it takes; nearly always
    one. Another follows where

    - stop strings come with a minimum: servers suppress ids, so up to the minimum the first
      token of each string is a stop id; or stops of any kind do, and the server has no `minimum`;
    - a model whose output layer is padded beyond the tokenizer sampled such an id: it is cut
      off, banned, and sampled again;
    - the server stopped where the whole text has no stop.

    vocabulary: the ids that the tokenizer has. ahead: what the engine has sampled beyond stops,
    None where it does not.
    Raises RuntimeError when the server ignores a limit or a stop.
    """
    ids = ahead.take(prompt, max_tokens, stop, sampling) if ahead else ()
    then = ahead.next(stop, sampling) if ahead else None
    if ids and ((known := first_stop(ids, stop, tokenizer)) or len(ids) == max_tokens):
        return known or Generation(ids)
    banned = sampling.banned
    told = None if sampling.logprobs is None else Logprobs(sampling.logprobs)
    served: list[Served] = []
    while True:
        room, early = max_tokens - len(ids), max(stop.min_tokens - len(ids), 0)
        if early and (stop.strings or not minimum):
            room = min(room, early)
            part = Stop(banned_early(stop, tokenizer), min_tokens=room)
        else:
            part = then.stop if then else replace(stop, min_tokens=min(early, room))
        request = Request(
            prompt=(*prompt, *ids),
            max_tokens=room,
            stop=part,
            sampling=sampling.fork("part", len(ids)) if ids else sampling,
            banned=banned,
            watch=_known(watch(), len(ids), vocabulary),
        )
        served.append(await serve(request))
        new = served[-1].ids
        check_kept(new, request)
        if then and ahead and early and new[0] in stop.ids:  # which could not be sampled yet
            ahead.lose(len(new))
            then = None
            continue
        outside = next((i for i, id in enumerate(new) if id not in vocabulary), None)
        if outside is not None:
            banned |= {new[outside]}
            new = new[:outside]
        ids += new
        told = joined(told, served[-1].logprobs, len(new))
        found = first_stop(ids, stop, tokenizer)
        if found or len(ids) == max_tokens:
            if then and ahead:
                ahead.keep(prompt, ids, found, then)
            timings = [part.timing for part in served]
            return replace(
                found or Generation(ids),
                cached_tokens=served[0].cached_tokens,
                timing=total_time(timings),
            ).told(told)


def joined(told: Logprobs | None, more: Logprobs | None, number: int) -> Logprobs | None:
    """`told`, and the first so many of `more` behind it; None where one of them is not told."""
    return None if told is None or more is None else told + more[:number]


def _known(by: Watch | None, offset: int, vocabulary: frozenset[int]) -> Watch | None:
    """Reports the ids of a part that begins `offset` ids into the generation, up to the first that
    the tokenizer does not have: that one will be sampled again."""
    if by is None:
        return None
    end: int | None = None

    def report(at: int, ids: Sequence[int]) -> None:
        nonlocal end
        if end is not None and at >= end:
            return
        kept = tuple(takewhile(vocabulary.__contains__, ids))
        end = at + len(kept) if len(kept) < len(ids) else None
        by(offset + at, kept)

    return report


def check_kept(new: tuple[int, ...], request: Request) -> None:
    """A server that breaks a promise would falsify every count: it is reported, not averaged.
    Raises RuntimeError unless `new` is what the request asked for."""
    stop = request.stop
    if not 1 <= len(new) <= request.max_tokens:
        raise RuntimeError(
            f"the server returned {len(new)} tokens where 1 to {request.max_tokens} were asked for"
        )
    if any(id in stop.ids for id in new[: stop.min_tokens]):
        raise RuntimeError(f"the server ignores min_tokens={stop.min_tokens}")
    if any(id in stop.ids for id in new[:-1]):
        raise RuntimeError(f"the server ignores stop_token_ids={sorted(stop.ids)}")
    if any(id in request.banned for id in new):
        raise RuntimeError(f"the server ignores the ban of {sorted(request.banned)}")
