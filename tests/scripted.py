"""A model that says what a test tells it to: an engine that emits given ids, and a tokenizer
small enough to read. For properties of methods over arbitrary token sequences; how a model
behaves is tested on the embedded one.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from s1_eval.engines.protocol import EngineInfo, Generation, Sampling, Stop, split_at_stop
from s1_eval.thinking import Logprobs
from s1_eval.verifiers import Scored, VerifierInfo

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
S1_TEMPLATE = CHATML + "{# the model opens with <|im_start|>think #}"

SPECIAL = ("<|im_start|>", "<|im_end|>")
PIECES = (*SPECIAL, "think", "answer", "Wait", "Final", " Answer:", ".\n", *string.printable)


class ToyTokenizer:
    """Ids are places in `pieces`; encoding takes the longest piece that matches. It can write
    all of ASCII and drops the rest. `</think>` is four tokens: `<`, `/`, `think`, `>`.
    """

    def __init__(self, pieces: Sequence[str] = PIECES, chat_template: str | None = S1_TEMPLATE):
        self.pieces = tuple(pieces)
        self.chat_template = chat_template
        self.eos_token_id = self.id("<|im_end|>")
        self._longest_first = sorted(self.pieces, key=len, reverse=True)

    def id(self, piece: str) -> int:
        """The id of one piece."""
        return self.pieces.index(piece)

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        ids, at = [], 0
        while at < len(text):
            piece = next((p for p in self._longest_first if text.startswith(p, at)), None)
            if piece is not None:
                ids.append(self.id(piece))
            at += len(piece or " ")
        return ids

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        pieces = [self.pieces[id] for id in token_ids]
        return "".join(p for p in pieces if not (skip_special_tokens and p in SPECIAL))

    def apply_chat_template(self, conversation: Any, **kwargs: Any) -> str:
        assert kwargs.pop("tokenize") is False
        template = kwargs.pop("chat_template", self.chat_template) or ""
        return jinja2.Template(template, keep_trailing_newline=True).render(
            messages=conversation, **kwargs
        )

    def __len__(self) -> int:
        return len(self.pieces)


@dataclass(frozen=True)
class Call:
    """One request as the engine got it, and what it answered."""

    prompt: tuple[int, ...]
    max_tokens: int
    stop: Stop
    sampling: Sampling
    generation: Generation


class ScriptedEngine:
    """Emits `script`, each call going on where the one before left off; afterwards it starts
    over (`cyclic`) or says end-of-sequence for ever. Ids that `min_tokens` bans are passed over.

    calls: every request so far. `closed` tells whether `close` was called. confident: how confident
    it is at its n-th id, where log-probabilities are asked for; None tells none.
    """

    def __init__(
        self,
        script: Sequence[int] | str,
        *,
        tokenizer: ToyTokenizer | None = None,
        context_length: int = 4096,
        cyclic: bool = False,
        confident: Callable[[int], float] | None = None,
    ):
        self.tokenizer = tokenizer or ToyTokenizer()
        self.script = tuple(self.tokenizer.encode(script) if isinstance(script, str) else script)
        self.cyclic = cyclic
        self.confident = confident
        self.calls: list[Call] = []
        self.closed = False
        self.info = EngineInfo(
            engine="scripted",
            model="scripted",
            context_length=context_length,
            eos_ids=frozenset({self.tokenizer.eos_token_id}),
            dtype="none",
            fingerprint="scripted",
            seeding="request",
        )
        self._at = 0

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        assert not self.closed, "generate after close"
        assert len(prompt) >= 1, "empty prompt"
        assert max_tokens >= 1, f"max_tokens={max_tokens}"
        assert all(0 <= id < len(self.tokenizer) for id in prompt), "id outside the vocabulary"
        room = self.info.context_length - len(prompt)
        assert max_tokens <= room, f"max_tokens={max_tokens}, room for {room}"
        first = self._at
        generation = self._emit(prompt, max_tokens, stop, sampling)
        if (likely := sampling.logprobs) is not None and self.confident:
            sure = [-self.confident(n) for n in range(first, self._at)]
            places = [(each, [0] * likely, [each] * likely) for each in sure]
            generation = generation.told(Logprobs.of(likely, places))
        self.calls.append(Call(tuple(prompt), max_tokens, stop, sampling, generation))
        return generation

    def close(self) -> None:
        self.closed = True

    def _emit(
        self, prompt: Sequence[int], max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        firsts = (self.tokenizer.encode(s)[0] for s in stop.strings)
        early = stop.ids.union(firsts)
        ids: list[int] = []
        while len(ids) < max_tokens:
            banned = sampling.banned | (early if len(ids) < stop.min_tokens else frozenset[int]())
            ids.append(self._next((*prompt, *ids), banned, sampling))
            if found := split_at_stop(ids, stop, self.tokenizer):
                return found
        return Generation(tuple(ids))

    def _next(self, prefix: Sequence[int], banned: frozenset[int], sampling: Sampling) -> int:
        """The next id that is allowed; any allowed one where the script has none."""
        for _ in range(len(self.script)):
            if self._at == len(self.script):
                if not self.cyclic:
                    break
                self._at = 0
            id = self.script[self._at]
            self._at += 1
            if id not in banned:
                return id
        padding = (self.tokenizer.eos_token_id, *range(len(self.tokenizer)))
        return next(id for id in padding if id not in banned)


class SeededEngine(ScriptedEngine):
    """Draws every id from `script`, by a hash of what stands before it and of the request's seed:
    a function of both, as a sampled model is."""

    def _next(self, prefix: Sequence[int], banned: frozenset[int], sampling: Sampling) -> int:
        allowed = [id for id in self.script if id not in banned] or [self.tokenizer.id("a")]
        drawn = hashlib.sha256(repr((tuple(prefix), sampling.seed)).encode()).digest()
        return allowed[int.from_bytes(drawn[:4]) % len(allowed)]


class ScriptedVerifier:
    """Scores each beginning of a chain with `judge(steps)`; by default a hash of its text. A
    character is a token.

    calls: the chains of every request so far.
    """

    def __init__(self, judge: Callable[[tuple[str, ...]], float] | None = None) -> None:
        self.judge = judge or _chance
        self.calls: list[list[tuple[str, ...]]] = []
        self.info = VerifierInfo("scripted", "scripted", "none", "\n", 4096, "none", "scripted")

    async def score(self, question: str, chains: Sequence[Sequence[str]]) -> list[Scored]:
        self.calls.append([tuple(steps) for steps in chains])
        return [self._scored(question, tuple(steps)) for steps in chains]

    def close(self) -> None:
        pass

    def _scored(self, question: str, steps: tuple[str, ...]) -> Scored:
        beginnings = [steps[: i + 1] for i in range(len(steps))]
        return Scored(
            scores=tuple(self.judge(beginning) for beginning in beginnings),
            ends=tuple(len(question) + len("".join(beginning)) for beginning in beginnings),
            opening=len(question),
            seconds=0.5,
        )


def _chance(steps: tuple[str, ...]) -> float:
    return int.from_bytes(hashlib.sha256(repr(steps).encode()).digest()[:4]) / 2**32


def break_at_second_call(engine: Any) -> list[tuple[Any, ...]]:
    """Have the engine fail once, at its second call; the calls, as they come."""
    real, calls = engine.generate, []

    async def generate(*args: Any, **kwargs: Any) -> Generation:
        calls.append(args)
        if len(calls) == 2:
            raise RuntimeError("the engine broke")
        return await real(*args, **kwargs)

    engine.generate = generate
    return calls
