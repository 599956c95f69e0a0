"""From what a method asks of its engine and verifier to the events of `s1_eval.serve.events`. The
method is not touched and knows nothing of it: an engine and a verifier stand before the real ones,
and every request shows by its prompt which chain it goes on with, what was forced since, and where
a chain forks. Roles are read off the delimiters; where that was wrong, the trace has the last word,
and what it says otherwise is told again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any

from s1_eval.engines.protocol import Engine, EngineInfo, Generation, Sampling, Stop, Tokenizer
from s1_eval.engines.watching import watched
from s1_eval.evaluation.run import Run
from s1_eval.methods import Policy
from s1_eval.methods.plain import ends, split
from s1_eval.methods.scoring import steps_of
from s1_eval.serve.events import Answered, Begun, Event, Grown, Pruned, Scored, Tell
from s1_eval.serve.text import BROKEN, Held, Text
from s1_eval.thinking import Message, Outcome, Segment, Trace
from s1_eval.thinking.trace import Origin, Role
from s1_eval.typed import flat
from s1_eval.verifiers import Verifier
from s1_eval.verifiers.protocol import Scored as ScoredChain
from s1_eval.verifiers.protocol import VerifierInfo

Mark = tuple[Role, Origin]
Branch = tuple[object, ...]
"""What a method calls a part of its computation, see `Policy.fork`."""


@dataclass(slots=True, eq=False)
class _Chain:
    """ids: behind the prompt, as told; marks: role and origin of each. pending: sampled ids behind
    them that may be the model's own end of thinking.

    answer_at: where the thinking ended, None before. stop: sampled ids of the last stop, which a
    method may keep; separated: it is not one that ends thinking. busy: a request of it is in
    flight. ended: it has stopped thinking, or was cut.
    """

    number: int
    prompt: tuple[int, ...]
    branch: Branch
    parent: _Chain | None = None
    ids: list[int] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    answer_at: int | None = None
    stop: tuple[int, ...] = ()
    separated: bool = False
    busy: bool = False
    ended: bool = False
    pruned: bool = False
    seen: int = 0  # ids that watchers have
    text: tuple[Mark, Text] | None = None
    steps: tuple[int, tuple[str, ...]] | None = None
    scored_at: int | None = None

    @property
    def length(self) -> int:
        return len(self.ids) + len(self.pending)

    def common(self, behind: Sequence[int]) -> int:
        """How many ids it begins with that `behind` begins with."""
        same = _common(self.ids, behind)
        if same < len(self.ids) or not self.pending:
            return same
        return same + _common(self.pending, behind[same:])

    def cut(self, length: int) -> None:
        """Take back what stands behind so many ids."""
        del self.pending[max(length - len(self.ids), 0) :]
        del self.ids[length:], self.marks[length:]
        self.text = None
        if self.answer_at is not None and length < self.answer_at:
            self.answer_at = None

    def line(self) -> Iterator[_Chain]:
        """The chain, its parent, and so on."""
        chain: _Chain | None = self
        while chain:
            yield chain
            chain = chain.parent

    def trace(self) -> Trace:
        """What was told of it, as a trace."""
        segments = tuple(Segment(*mark, tuple(ids)) for mark, ids in _runs(self.marks, self.ids))
        return Trace(self.prompt, segments, "natural")


@dataclass(frozen=True, slots=True)
class _Noting(Policy):
    """Notes the prompts that it makes, and has its engine know the branches that it forks into."""

    engine: _WatchedEngine
    prompts: set[tuple[int, ...]] = field(default_factory=set)

    def fork(self, *branch: object) -> _Noting:
        made = replace(self, engine=self.engine.branch(*branch))
        return replace(made, sampling=self.sampling.fork(*branch))

    def encode_raw(self, text: str) -> tuple[int, ...]:
        return self._noted(Policy.encode_raw(self, text))

    def encode_chat(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return self._noted(Policy.encode_chat(self, messages))

    def _noted(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        self.prompts.add(prompt)
        return prompt


class Observer:
    """One question on its way.

    run: the same run, watched: it solves as the other would, and `tell` gets the events.
    """

    def __init__(
        self, question: str, run: Run, tell: Tell, tokenwise: bool = True, texts: bool = True
    ) -> None:
        """question: what events call it. tokenwise: tell ids as they are sampled. texts: tell what
        they say, too, which costs more than the ids."""
        self.tokenwise, self._texts = tokenwise, texts
        self._question, self._tell_event = question, tell
        self._began = time.monotonic()
        policy = run.policy
        self._unforced = run.method.unforced
        known = {f.name: getattr(policy, f.name) for f in fields(Policy)}
        verifier = policy.verifier
        if verifier:
            separator = flat(run.settings).get("step_separator") or verifier.info.step_separator
            known["verifier"] = _WatchedVerifier(verifier, self, separator)
        self._policy = _Noting(**(known | {"engine": _WatchedEngine(policy.engine, self)}))
        self.run = replace(run, policy=self._policy)
        self._chains: list[_Chain] = []
        self._rounds: list[set[_Chain]] = []  # scored together, and not gone on with yet

    def tell(self, kind: type[Event], **what: Any) -> None:
        """An event of this question, now."""
        seconds = round(time.monotonic() - self._began, 6)
        self._tell_event(kind(question=self._question, seconds=seconds, **what))

    def answered(self, outcome: Outcome, record: Mapping[str, Any]) -> None:
        """The end: what the traces say otherwise is told again. record: see `Answered`."""
        found = [self._settled(trace) for trace in outcome.traces]
        self.tell(
            Answered,
            answer=record["response"],
            chains=tuple(None if chain is None else chain.number for chain in found),
            chosen=outcome.chosen,
            winner=outcome.winner,
            record=record,
        )

    # What the engine tells.

    def asked(self, ids: tuple[int, ...], branch: Branch) -> _Chain:
        """The chain that a request goes on with, what was forced there told."""
        chain, behind = self._chain_of(ids, branch)
        chain.busy = True
        more = behind[chain.length :]
        kept, chain.stop = self._kept(chain, more), ()
        self._sampled(chain, kept)
        self._forced(chain, more[len(kept) :])
        return chain

    def _kept(self, chain: _Chain, more: tuple[int, ...]) -> tuple[int, ...]:
        """The ids of its last stop, where the method has left them in the text."""
        stays = chain.separated or self._unforced
        return chain.stop if stays and more[: len(chain.stop)] == chain.stop else ()

    def sampled(self, chain: _Chain, ids: Sequence[int], told: int) -> int:
        """Tells the ids of a generation beyond the first `told`; how many are told then. Fewer than
        before are what a server says that was asked a second time."""
        if len(ids) < told:
            chain.cut(chain.length - told + len(ids))
        self._sampled(chain, ids[told:])
        return len(ids)

    def stopped(self, chain: _Chain, made: Generation, stop: Stop) -> None:
        """A generation is done, and told."""
        chain.stop = made.stop_ids
        chain.separated = bool(made.stop_ids) and self._is_separator(made.stop_ids, stop)
        chain.ended = not chain.separated
        self._release(chain)

    def _is_separator(self, ids: Sequence[int], stop: Stop) -> bool:
        """Whether a stop is none of the thinking's end, so that it stays in the text."""
        if ids[0] in stop.ids:
            return False
        text, delimiters = self._policy.decode(ids), self._policy.delimiters
        found = {at: string for string in stop.strings if (at := text.find(string)) >= 0}
        first = found.get(min(found, default=-1), "")
        return first not in delimiters.stop_strings and first not in delimiters.format.body

    def _chain_of(self, ids: tuple[int, ...], branch: Branch) -> tuple[_Chain, tuple[int, ...]]:
        """The chain that a request goes on with, else a new one, which may fork from another; its
        ids behind the prompt. Where several have the same ids, the branch tells them apart."""
        made = (p for p in self._policy.prompts if ids[: len(p)] == p)
        prompt = max(made, key=len, default=ids)
        behind = ids[len(prompt) :]
        if behind in ((), self._policy.delimiters.start):  # nothing sampled: a chain of its own
            return self._begin(prompt, branch, None, 0), behind
        common = {c: c.common(behind) for c in self._chains if c.prompt == prompt}
        whole = [c for c in common if not c.busy and common[c] == c.length]
        own = max((c for c in whole if c.branch == branch), key=lambda c: c.length, default=None)
        near = max(common, key=lambda c: (common[c], c.busy), default=None)
        if found := own or (near if near in whole else None):
            return found, behind
        return self._begin(prompt, branch, near, common[near] if near else 0), behind

    def _begin(
        self, prompt: tuple[int, ...], branch: Branch, near: _Chain | None, common: int
    ) -> _Chain:
        chain = _Chain(len(self._chains), prompt, branch)
        if not self._policy.delimiters_for(prompt).end:
            chain.answer_at = 0
        at = 0
        if near and any(origin == "sampled" for _, origin in near.marks[:common]):
            at = min(common, len(near.ids))
            chain.parent = near
            chain.ids, chain.marks = near.ids[:at], near.marks[:at]
            if near.answer_at is not None and at > near.answer_at:
                chain.answer_at = near.answer_at
        chain.seen = at
        self._chains.append(chain)
        self.tell(
            Begun,
            chain=chain.number,
            parent=None if chain.parent is None else chain.parent.number,
            at=at,
            prompt_tokens=len(prompt),
        )
        return chain

    # Roles.

    def _forced(self, chain: _Chain, ids: tuple[int, ...]) -> None:
        """Ids that a method has put there."""
        if not ids:
            return
        self._release(chain)
        delimiters = self._policy.delimiters
        if chain.answer_at is not None:
            self._grow(chain, ("nudge", "forced"), ids)
            return
        start = delimiters.start
        if not chain.ids and ids[: len(start)] == start:
            self._grow(chain, ("delimiter", "forced"), start)
            ids = ids[len(start) :]
        for end in (delimiters.newline + delimiters.end, delimiters.end):
            if end and ids[: len(end)] == end:
                chain.answer_at = len(chain.ids)
                self._grow(chain, ("delimiter", "forced"), end)
                self._grow(chain, ("nudge", "forced"), ids[len(end) :])
                return
        self._grow(chain, ("thinking", "forced"), ids)

    def _sampled(self, chain: _Chain, ids: Sequence[int]) -> None:
        if chain.answer_at is not None:
            self._grow(chain, ("answer", "sampled"), ids)
        elif not self._unforced:
            self._grow(chain, ("thinking", "sampled"), ids)
        elif ids:
            chain.pending += ids
            self._divide(chain)

    def _divide(self, chain: _Chain) -> None:
        """The model itself ends the thinking somewhere in what it writes: what may be that end is
        held back until it is sure."""
        texts = ends(self._policy.delimiters_for(chain.prompt).format)
        written = self._policy.decode(chain.pending).rstrip(BROKEN)
        found = [at for text in texts if (at := written.find(text)) >= 0]
        if found:
            rest = written[min(found) :]
            if not any(text != rest and text.startswith(rest) for text in texts):
                self._release(chain)
            return
        held = Held(Stop(strings=texts), self._policy.engine.tokenizer)
        held.put(0, chain.pending)
        sure, chain.pending = chain.pending[: held.settled], chain.pending[held.settled :]
        self._grow(chain, ("thinking", "sampled"), sure)

    def _release(self, chain: _Chain) -> None:
        """Tell what is held back, divided as `split` does."""
        if not chain.pending:
            return
        delimiters = self._policy.delimiters_for(chain.prompt)
        parts = split(self._policy, delimiters, chain.pending)
        chain.pending = []
        self._grow(chain, ("thinking", "sampled"), parts[0])
        if parts[1]:
            chain.answer_at = len(chain.ids)
            self._grow(chain, ("delimiter", "sampled"), parts[1])
            self._grow(chain, ("answer", "sampled"), parts[2])

    def _grow(self, chain: _Chain, mark: Mark, ids: Sequence[int]) -> None:
        if not ids:
            return
        at = len(chain.ids)
        chain.ids += ids
        chain.marks += [mark] * len(ids)
        text = ""
        if self._texts:
            if chain.text is None or chain.text[0] != mark:
                chain.text = mark, Text(self._policy.decode)
            text = chain.text[1].add(ids)
        self._told(chain, at, mark, ids, text)

    def _told(self, chain: _Chain, at: int, mark: Mark, ids: Sequence[int], text: str = "") -> None:
        role, origin = mark
        grown = {"at": at, "role": role, "origin": origin, "ids": tuple(ids), "text": text}
        self.tell(Grown, chain=chain.number, **grown)
        chain.seen = at + len(ids)

    def _settled(self, trace: Trace) -> _Chain | None:
        """The chain that became this trace, told as the trace has it."""
        ids = trace.ids()
        marks = [(s.role, s.origin) for s in trace.segments for _ in s.ids]
        free = {c: c.common(ids) for c in self._chains if c.prompt == trace.prompt and not c.busy}
        pruned = trace.exit_reason == "pruned"
        chain = max(
            free, key=lambda c: (free[c] == c.length, free[c], c.pruned == pruned), default=None
        )
        if chain is None:
            return None
        chain.busy = True  # no other trace is this one
        said = zip(chain.ids, chain.marks, strict=True)
        same = _common(list(said), list(zip(ids, marks, strict=True)))
        if same < len(chain.ids) or chain.pending:
            while 0 < same < len(marks) and marks[same - 1] == marks[same]:
                same -= 1  # what has one mark is one text
            chain.cut(same)
        for mark, run in _runs(marks[same:], ids[same:]):
            self._grow(chain, mark, run)
        if chain.seen > len(ids):
            self._told(chain, len(ids), ("answer", "sampled"), ())
        if pruned and not chain.pruned:
            self._prune(chain)
        return chain

    # What the verifier tells.

    def scored(self, chains: Sequence[Sequence[str]], separator: str) -> list[_Chain | None]:
        """The chains whose steps a verifier is given; those of the round before that a search has
        left are told to be pruned."""
        free = [c for c in self._chains if not c.busy and not c.pruned]
        found = [self._by_steps(free, tuple(steps), separator) for steps in chains]
        now = {chain for chain in found if chain}
        kept = {chain for each in now for chain in each.line()}
        for round in [r for r in self._rounds if r & kept]:
            self._rounds.remove(round)
            for chain in sorted(round - kept, key=lambda c: c.number):
                if not chain.ended:
                    self._prune(chain)
        self._rounds.append(now)
        return found

    def told_scores(self, found: Sequence[_Chain | None], scored: Sequence[ScoredChain]) -> None:
        for chain, each in zip(found, scored, strict=True):
            if chain:
                scores = tuple(s if isfinite(s) else None for s in each.scores)
                self.tell(Scored, chain=chain.number, at=len(chain.ids), scores=scores)

    def _by_steps(
        self, free: list[_Chain], steps: tuple[str, ...], separator: str
    ) -> _Chain | None:
        for chain in free:
            if chain.steps is None or chain.steps[0] != len(chain.ids):
                chain.steps = len(chain.ids), steps_of(self._policy, chain.trace(), separator)
        same = [chain for chain in free if chain.steps and chain.steps[1] == steps]
        # Of twins, one that was not scored yet.
        found = min(same, key=lambda c: c.scored_at == len(c.ids), default=None)
        if found:
            free.remove(found)
            found.scored_at = len(found.ids)
        return found

    def _prune(self, chain: _Chain) -> None:
        chain.pruned = True
        self.tell(Pruned, chain=chain.number)


class _WatchedEngine:
    def __init__(self, engine: Engine, observer: Observer, branch: Branch = ()) -> None:
        self._engine, self._observer, self._branch = engine, observer, branch

    def branch(self, *name: object) -> _WatchedEngine:
        """For one branch of what it is asked, and of that."""
        return _WatchedEngine(self._engine, self._observer, (*self._branch, *name))

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._engine.tokenizer

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        observer = self._observer
        chain = observer.asked(tuple(prompt), self._branch)
        held, told, done = Held(stop, self.tokenizer), 0, False
        loop = asyncio.get_running_loop()

        def put(at: int, ids: Sequence[int]) -> None:
            nonlocal told
            if not done:
                held.put(at, ids)
                told = observer.sampled(chain, held.ids[: held.settled], told)

        def watch(at: int, ids: Sequence[int]) -> None:
            loop.call_soon_threadsafe(put, at, ids)

        try:
            with watched(watch if observer.tokenwise else None):
                made = await self._engine.generate(
                    prompt, max_tokens=max_tokens, stop=stop, sampling=sampling
                )
            done = True
            same = _common(held.ids[:told], made.ids)
            told = observer.sampled(chain, made.ids[:same], told)
            observer.sampled(chain, made.ids, told)
            observer.stopped(chain, made, stop)
        finally:
            done, chain.busy = True, False
        return made

    def close(self) -> None:
        self._engine.close()


class _WatchedVerifier:
    def __init__(self, verifier: Verifier, observer: Observer, separator: str) -> None:
        self._verifier, self._observer, self._separator = verifier, observer, separator

    @property
    def info(self) -> VerifierInfo:
        return self._verifier.info

    async def score(self, question: str, chains: Sequence[Sequence[str]]) -> list[ScoredChain]:
        found = self._observer.scored(chains, self._separator)
        scored = await self._verifier.score(question, chains)
        self._observer.told_scores(found, scored)
        return scored

    def close(self) -> None:
        self._verifier.close()


def _common(a: Sequence[Any], b: Sequence[Any]) -> int:
    """How many first members two sequences share."""
    pairs = zip(a, b, strict=False)
    return next((at for at, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))


def _runs(marks: Sequence[Mark], ids: Sequence[int]) -> Iterator[tuple[Mark, Sequence[int]]]:
    """Ids of one mark together, in order."""
    start = 0
    for at in range(1, len(ids) + 1):
        if at == len(ids) or marks[at] != marks[start]:
            yield marks[start], ids[start:at]
            start = at
