"""The engine contract, on one page: continue these token ids.

Methods speak token ids and know nothing else of the engine under them. An engine may batch,
cache and reorder as it likes; it may not change, re-tokenize or drop an id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, Protocol

from annotated_types import Ge, Gt, Le

from s1_eval.engines.architecture import Architecture
from s1_eval.thinking import AS_IT_IS, Chat, Logprobs
from s1_eval.thinking.logprobs import MOST
from s1_eval.typed import Says, Settings, Temperature


class Tokenizer(Hashable, Protocol):
    """The part of a transformers tokenizer that the project relies on."""

    chat_template: Any
    eos_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool = ...) -> list[int]: ...
    def decode(self, token_ids: Any, *, skip_special_tokens: bool = ...) -> str: ...
    def apply_chat_template(self, conversation: Any, **kwargs: Any) -> Any: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Stop:
    """When to stop, apart from `max_tokens`.

    ids: a sampled id that ends the generation.
    strings: a text that ends the generation as soon as the generated ids decode to something
        that contains it; it may span several tokens.
    min_tokens: before that many tokens neither can happen: the ids, and the first token of each
        string's own encoding, cannot be sampled. Name the end of sequence among `ids`: vLLM keeps
        it from being sampled even where it is no stop.
    """

    ids: frozenset[int] = frozenset()
    strings: tuple[str, ...] = ()
    min_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Sampling(Settings):
    """How to choose the next token. `temperature` 0 is greedy and ignores top_p, top_k and
    seed.

    banned: ids that can't be sampled at all.
    seed: makes one request reproducible whatever else is in its batch; None leaves it to the
        engine. Greedy sampling has none.
    logprobs: tell how likely each sampled id was, and so many of the most likely ids in its place;
        None tells nothing. It changes no id.
    """

    temperature: Temperature = 0.0
    top_p: Annotated[float, Gt(0), Le(1), Says("a number above 0 and up to 1")] = 1.0
    top_k: Annotated[int, Ge(0), Says("a whole number, 0 (off) or more")] = 0
    seed: int | None = None
    banned: frozenset[int] = frozenset()
    logprobs: Annotated[int, Ge(0), Le(MOST), Says(f"a whole number from 0 to {MOST}")] | None = (
        None
    )

    def telling(self, likely: int) -> Sampling:
        """The same sampling that tells the `likely` most likely ids in each place, or more."""
        return replace(self, logprobs=max(likely, self.logprobs or 0))

    def fork(self, *branch: object) -> Sampling:
        """The same sampling with a seed of its own for one branch of the computation.

        The seed is a hash of the parent's seed and the branch's name, so it depends on what is
        computed and never on the order in which things happen to run.
        """
        if self.seed is None:
            return self
        key = repr((self.seed, branch)).encode()
        # Only the seed is new, and checking the rest again at every request takes its time.
        made = object.__new__(Sampling)
        for name in self.__dataclass_fields__:
            object.__setattr__(made, name, getattr(self, name))
        object.__setattr__(made, "seed", int.from_bytes(hashlib.sha256(key).digest()[:4]) >> 1)
        return made


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the seconds of a request went.

    waiting: until the model began to read the prompt. prefill: until it had sampled the first id.
    decode: until it had sampled the last one.
    """

    waiting: float
    prefill: float
    decode: float

    def __add__(self, other: Timing) -> Timing:
        return Timing(
            self.waiting + other.waiting,
            self.prefill + other.prefill,
            self.decode + other.decode,
        )


def total_time(timings: Sequence[Timing | None]) -> Timing | None:
    """The time of requests together; None where that of one is not known."""
    known = [timing for timing in timings if timing is not None]
    return sum(known[1:], known[0]) if known and len(known) == len(timings) else None


@dataclass(frozen=True, slots=True)
class Generation:
    """What the engine sampled, and what that took as far as the engine says.

    ids: the sampled ids up to the stop, without it.
    stop_ids: the sampled ids that made the stop (for a string: every token that reaches into
        it); empty when the length ended the generation.
    reused: how many leading ids of `ids + stop_ids` came from a cache, not from the model.
    cached_tokens: how many leading ids of the prompt the engine's prefix cache held, whoever had
        put them there; None where it does not say.
    timing: None where the engine does not say, or was not asked at all.
    logprobs: of each of `ids + stop_ids`; None unless `Sampling.logprobs` asks for them.
    """

    ids: tuple[int, ...]
    stop_ids: tuple[int, ...] = ()
    reason: Literal["stop", "length"] = "length"
    reused: int = 0
    cached_tokens: int | None = field(default=None, compare=False)
    timing: Timing | None = field(default=None, compare=False)
    logprobs: Logprobs | None = None

    def told(self, logprobs: Logprobs | None) -> Generation:
        """With those of its ids, which are the first of `logprobs`."""
        if logprobs is None:
            return self
        return replace(self, logprobs=logprobs[: len(self.ids) + len(self.stop_ids)])


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a record must say about an engine so that a stranger can repeat the run.

    engine: what records call it, e.g. `transformers`, `vllm`, `completions`.
    model: the name or path, as the user gave it.
    context_length: prompt and generation together, in tokens.
    eos_ids: ids that end a sequence, from the generation config and the tokenizer.
    fingerprint: a hash of the weights, or of what stands for them (a server's model name).
    seeding: `request` if `Sampling.seed` is honoured, else `engine` (one seed for all, results
        depend on the batch) or `none`.
    settings: its arguments by name, but for those that can't change a result; see `settings_of`.
    chat: how conversations become prompts, as the user set it for this engine.
    prefix_cache: whether a beginning of a prompt that was read before is not read again; None for
        a server, which says so with each answer or not at all.
    architecture: what the model computes for a token; None where it is not known.
    batch: how many requests it works on at once; None where it does not say.
    """

    engine: str
    model: str
    context_length: int
    eos_ids: frozenset[int]
    dtype: str
    fingerprint: str
    seeding: Literal["request", "engine", "none"]
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    chat: Chat = AS_IT_IS
    prefix_cache: bool | None = None
    architecture: Architecture | None = None
    batch: int | None = None


def settings_of(**arguments: Any) -> dict[str, Any]:
    """An engine's arguments as plain data, for `EngineInfo.settings`; None is not given."""
    given = {name: value for name, value in sorted(arguments.items()) if value is not None}
    plain: dict[str, Any] = json.loads(json.dumps(given, sort_keys=True, default=_named))
    return plain


def _named(value: object) -> str:
    """A class or function by its name: its `repr` may hold an address, new in each process."""
    name = getattr(value, "__qualname__", None)
    return f"{getattr(value, '__module__', '')}.{name}" if name else str(value)


class Engine(Protocol):
    """Continues token ids. Any number of calls may be in flight at once."""

    @property
    def info(self) -> EngineInfo: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        """Sample up to `max_tokens` (at least 1) ids after `prompt` (at least one id).

        Raises UserError when `len(prompt) + max_tokens` exceeds the context; SampleFailed when
        this call alone has failed, and another RuntimeError when the engine itself has; never a
        truncated result.
        """
        ...

    def close(self) -> None:
        """Free the engine. Calls in flight fail with RuntimeError."""
        ...


def split_at_stop(ids: Sequence[int], stop: Stop, tokenizer: Tokenizer) -> Generation | None:
    """The generation that `ids` amounts to if they contain a stop, else None.

    A stop counts if it is completed after `stop.min_tokens` ids. The id prefix that is kept is
    the longest one whose text does not reach into the stop string: no id is ever split or
    re-tokenized.
    """
    by_id = next((i for i, id in enumerate(ids) if i >= stop.min_tokens and id in stop.ids), None)
    end = len(ids) if by_id is None else by_id
    if stop.strings:
        text = tokenizer.decode(list(ids[:end]), skip_special_tokens=False)
        early = len(tokenizer.decode(list(ids[: stop.min_tokens]), skip_special_tokens=False))
        starts = [at for s in stop.strings if (at := text.find(s, max(0, early - len(s) + 1))) >= 0]
        if starts:
            before = text[: min(starts)]
            kept = ids_within(ids[:end], before, tokenizer)
            return Generation(tuple(ids[:kept]), tuple(ids[kept:end]), "stop")
    if by_id is None:
        return None
    return Generation(tuple(ids[:by_id]), (ids[by_id],), "stop")


def ids_within(ids: Sequence[int], text: str, tokenizer: Tokenizer) -> int:
    """How many leading ids decode to no more than `text`."""
    low, high, step = 0, len(ids), 1
    while low < high - step:  # nearly always all but the last few
        if len(tokenizer.decode(list(ids[: high - step]), skip_special_tokens=False)) <= len(text):
            low = high - step
        else:
            high, step = high - step - 1, 2 * step
    while low < high:
        middle = (low + high + 1) // 2
        if len(tokenizer.decode(list(ids[:middle]), skip_special_tokens=False)) <= len(text):
            low = middle
        else:
            high = middle - 1
    return low
