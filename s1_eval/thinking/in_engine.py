"""The trace of a chain that was forced inside one request of the engine, where all that comes back
is ids and which of them were forced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from s1_eval.thinking.trace import ExitReason, Segment, Trace


@dataclass(frozen=True, slots=True)
class Strings:
    """The ids that may be forced. start: the thinking's, empty where the prompt has it. end: after
    the model's own end. newline, nudge: before and after the end at a cap; empty for none."""

    start: tuple[int, ...]
    ignore: tuple[int, ...]
    newline: tuple[int, ...]
    end: tuple[int, ...]
    nudge: tuple[int, ...]


def read_forced(
    prompt: tuple[int, ...],
    ids: Sequence[int],
    forced: Sequence[bool],
    strings: Strings,
    *,
    cap: int,
    num_ignores: int,
    nudge_after_eos: bool,
    cut: ExitReason,
) -> Trace:
    """The trace of `ids`, of which those were forced that `forced` says. cap, num_ignores,
    nudge_after_eos: what was asked for. cut: why thinking that reached a limit had to end.

    Which stop the model would have sampled at its own end shows by what was forced there. Where
    both are closed alike (without `nudge_after_eos`; with an empty nudge after a newline), that
    is not known: it counts as `natural`.
    Raises RuntimeError where the ids are no forced chain.
    """
    at = len(strings.start)
    if tuple(ids[:at]) != strings.start or not all(forced[:at]):
        raise RuntimeError("the engine did not open the thinking: is its processor loaded?")
    segments = [Segment("delimiter", "forced", strings.start)] if at else []
    nudge = [Segment("nudge", "forced", strings.nudge)] if strings.nudge else []
    natural = [Segment("delimiter", "forced", strings.end)]
    # The longest first: the plain end is the beginning of the end with a nudge.
    closings = [
        [Segment("delimiter", "forced", strings.newline + strings.end), *nudge],
        [*natural, *nudge],
        natural,
    ]
    begun = at
    while at < len(ids):
        if not forced[at]:
            at += 1
            continue
        if at > begun:
            segments.append(Segment("thinking", "sampled", tuple(ids[begun:at])))
        for closing in closings:
            end = at + sum(len(segment.ids) for segment in closing)
            if _stands([id for s in closing for id in s.ids], at, ids, forced):
                answer = [Segment("answer", "sampled", tuple(ids[end:]))] if ids[end:] else []
                trace = Trace(prompt, (*segments, *closing, *answer), cut)
                if trace.num_ignores_used < num_ignores or trace.thinking_tokens >= cap:
                    return trace
                by_eos = nudge_after_eos and closing != natural
                return replace(trace, exit_reason="eos" if by_eos else "natural")
        if not _stands(strings.ignore, at, ids, forced):
            raise RuntimeError(f"the engine forced ids that nobody asked for, at {at}")
        segments.append(Segment("thinking", "forced", strings.ignore))
        at += len(strings.ignore)
        begun = at
    raise RuntimeError("the engine's thinking has no end: is its processor loaded?")


def _stands(string: Sequence[int], at: int, ids: Sequence[int], forced: Sequence[bool]) -> bool:
    until = at + len(string)
    return bool(string) and tuple(ids[at:until]) == tuple(string) and all(forced[at:until])
