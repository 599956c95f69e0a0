"""What a model wrote and what was written for it: the trace of one chain of thought, and the
outcome of one method on one question. Plain data; every count in the project is read from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, get_args

from s1_eval.thinking.logprobs import MOST, Logprobs

Role = Literal["thinking", "delimiter", "answer", "nudge"]
Origin = Literal["sampled", "forced"]
ExitReason = Literal["natural", "budget", "context", "eos", "early", "pruned"]
AnswerExit = Literal["eos", "stop", "budget", "context"]
CUT: frozenset[str] = frozenset({"budget", "context"})
"""Why an answer ended, where it was a limit that ended it and not the model."""

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of token ids with one role and one origin.

    A forced thinking segment is an ignore string ("Wait"). A delimiter segment holds whatever
    separates the parts: the thinking start, the thinking end, and the newline before a forced
    end. The nudge ("Final Answer:") is only there after a forced end.

    logprobs: of sampled ids, one place each, where they were asked for; None of forced ones.
    """

    role: Role
    origin: Origin
    ids: tuple[int, ...]
    logprobs: Logprobs | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """One chain: `prompt` followed by the ids of `segments` is exactly what the model has seen
    and written, id for id.

    exit_reason: why thinking ended. `natural`: the model wrote the end delimiter. `eos`: it
        wrote end-of-sequence instead. `budget`: the cap on thinking tokens was reached.
        `context`: the context window left no more room. `early`: the method ended it, whose answer
        stood before any of these. `pruned`: the chain was given up.
    stripped: sampled stop tokens that were taken out of the sequence. They were paid for, so
        they count as generated, and nowhere else.
    answer_exit: why the answer ended. `eos`: the model wrote end-of-sequence. `stop`: another
        stop. `budget`: the limit on its tokens was reached. `context`: the context window left no
        more room, or none to begin in. None: not known, or no answer was asked for.
    reused: sampled ids that a continuation cache supplied instead of the engine.
    shared: how much of what was sampled, stripped tokens included, another trace of the same
        outcome counts: where a search forks a chain, one branch pays for the trunk.
    wrap_ups: forced strings in the thinking that ask it to come to an end; the others are ignored
        ends.
    """

    prompt: tuple[int, ...]
    segments: tuple[Segment, ...]
    exit_reason: ExitReason
    stripped: int = 0
    answer_exit: AnswerExit | None = None
    reused: int = 0
    shared: int = 0
    wrap_ups: int = 0

    def ids(self, role: Role | None = None, origin: Origin | None = None) -> tuple[int, ...]:
        """The ids of all segments, or of those with this role and origin, in order."""
        return tuple(chain.from_iterable(self._parts(role, origin)))

    def _parts(
        self, role: Role | None = None, origin: Origin | None = None
    ) -> list[tuple[int, ...]]:
        """Lists: asked for at every request of a chain of thousands."""
        if origin is None:
            return [s.ids for s in self.segments if role is None or s.role == role]
        return [s.ids for s in self.segments if s.origin == origin and role in (None, s.role)]

    def _count(self, role: Role | None = None, origin: Origin | None = None) -> int:
        """How many ids that is."""
        return sum(map(len, self._parts(role, origin)))

    @property
    def thinking_tokens(self) -> int:
        """Ids between the delimiters, forced ignore strings included."""
        return self._count("thinking")

    @property
    def forced_tokens(self) -> int:
        """Every id the model did not sample: ignore strings, delimiters, nudge."""
        return self._count(origin="forced")

    @property
    def answer_tokens(self) -> int:
        """Ids of the answer; the nudge and the stop token are not part of it."""
        return self._count("answer")

    @property
    def generated_tokens(self) -> int:
        """Every id the policy sampled for this trace alone, stripped stop tokens included."""
        return self._count(origin="sampled") + self.stripped - self.shared

    @property
    def answer_cut(self) -> bool:
        """Whether a limit ended the answer, and not the model."""
        return self.answer_exit in CUT

    @property
    def num_ignores_used(self) -> int:
        """How many times an attempt to end thinking was ignored."""
        return len(self._parts("thinking", "forced")) - self.wrap_ups

    @property
    def logprobs(self) -> Logprobs | None:
        """Of all that was sampled and stands in the sequence, in order; None where any was not
        asked for, or nothing was sampled."""
        found: Logprobs | None = None
        for segment in self.segments:
            if segment.origin == "sampled" and segment.ids:
                if segment.logprobs is None:
                    return None
                found = segment.logprobs if found is None else found + segment.logprobs
        return found

    def text(self, decode: Decode, role: Role) -> str:
        """The text of one role, decoded from all its ids at once."""
        return decode(self.ids(role))

    def to_dict(self, decode: Decode | None = None, likely: int | None = MOST) -> dict[str, Any]:
        """JSON form. With `decode`, every segment also carries its text for human readers. Of
        log-probabilities those of so many of the likeliest ids are told, and with None none at all.
        """
        segments: list[dict[str, Any]] = []
        for segment in self.segments:
            row: dict[str, Any] = {
                "role": segment.role,
                "origin": segment.origin,
                "ids": list(segment.ids),
            }
            if decode:
                row["text"] = decode(segment.ids)
            if likely is not None and segment.logprobs is not None:
                row |= segment.logprobs.to_dict(likely)
            segments.append(row)
        return {
            "prompt": list(self.prompt),
            "segments": segments,
            "exit_reason": self.exit_reason,
            "stripped": self.stripped,
            "answer_exit": self.answer_exit,
            "reused": self.reused,
            "shared": self.shared,
            **({"wrap_ups": self.wrap_ups} if self.wrap_ups else {}),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Trace:
        """Inverse of `to_dict`. Raises ValueError on anything that is not a trace."""
        try:
            exit = data.get("answer_exit")
            segments = tuple(
                Segment(
                    _one_of(Role, row["role"]),
                    _one_of(Origin, row["origin"]),
                    tuple(row["ids"]),
                    Logprobs.from_dict(row) if "logprobs" in row else None,
                )
                for row in data["segments"]
            )
            return cls(
                prompt=tuple(data["prompt"]),
                segments=segments,
                exit_reason=_one_of(ExitReason, data["exit_reason"]),
                stripped=int(data.get("stripped", 0)),
                answer_exit=_one_of(AnswerExit, exit) if exit is not None else None,
                reused=int(data.get("reused", 0)),
                shared=int(data.get("shared", 0)),
                wrap_ups=int(data.get("wrap_ups", 0)),
            )
        except (KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"not a trace: {error!r}") from error


def _one_of(literal: Any, value: Any) -> Any:
    if value not in get_args(literal):
        raise ValueError(f"not a trace: {value!r} is none of {', '.join(get_args(literal))}")
    return value


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method made of one question.

    answer: the text to be graded; empty when the method found none.
    traces: every chain that was paid for, discarded ones included.
    chosen: indices of the traces that the answer rests on: one for a single chain, all of a
        vote, none where nothing fitted.
    winner: index of the trace whose answer `answer` is, where several were chosen.
    verifier_tokens: tokens that a verifier read, 0 without one.
    budget: the limit on thinking tokens that `Control` holds the run against: the cap, or what
        a conditional method was told. None without a limit.
    extra: what only this method has to tell; recorded under its own keys.
    """

    answer: str
    traces: tuple[Trace, ...]
    chosen: tuple[int, ...] = (0,)
    verifier_tokens: int = 0
    budget: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    winner: int | None = None

    def _counted(self) -> Iterator[Trace]:
        return (self.traces[i] for i in self.chosen)

    @property
    def thinking_tokens(self) -> int:
        """Of the chosen traces together."""
        return sum(t.thinking_tokens for t in self._counted())

    @property
    def forced_tokens(self) -> int:
        return sum(t.forced_tokens for t in self._counted())

    @property
    def answer_tokens(self) -> int:
        return sum(t.answer_tokens for t in self._counted())

    @property
    def generated_tokens(self) -> int:
        """Of every trace, chosen or discarded."""
        return sum(t.generated_tokens for t in self.traces)

    @property
    def num_ignores_used(self) -> int:
        return sum(t.num_ignores_used for t in self._counted())

    @property
    def exit_reason(self) -> ExitReason:
        """Of the chosen traces, or of all where nothing was chosen: `natural` only if every one
        ended so, else the most frequent other reason (alphabetical order breaks ties)."""
        reasons = [t.exit_reason for t in (tuple(self._counted()) or self.traces)]
        others: list[ExitReason] = sorted(r for r in reasons if r != "natural")
        return max(others, key=others.count) if others else "natural"

    @property
    def shown(self) -> Trace | None:
        """The trace whose answer was given; the first of the chosen where none was."""
        if self.winner is not None:
            return self.traces[self.winner]
        return next(self._counted(), None)

    @property
    def answer_exit(self) -> AnswerExit | None:
        """Of the trace whose answer was given. Where none of several was, a limit that cut one of
        them, the most frequent; None where nothing was chosen."""
        exits = [t.answer_exit for t in self._counted()]
        if self.winner is not None:
            return self.traces[self.winner].answer_exit
        cuts: list[AnswerExit] = sorted(e for e in exits if e is not None and e in CUT)
        if cuts:
            return max(cuts, key=cuts.count)
        return next(iter(exits), None)
