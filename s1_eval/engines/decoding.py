"""The tensor half of the `transformers` engine: rows that decode together, their keys and values,
and the choice of the next id. Imports torch, so it is imported only where a model is loaded.
Requests, threads and model files are the business of `s1_eval.engines.transformers`.
"""

from __future__ import annotations

import inspect
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy
import torch
from torch import Tensor

from s1_eval import libraries
from s1_eval.engines.prefixes import Recent, beginnings
from s1_eval.engines.protocol import (
    Generation,
    Sampling,
    Stop,
    Timing,
    Tokenizer,
    split_at_stop,
)
from s1_eval.engines.watching import Watch
from s1_eval.errors import UserError
from s1_eval.thinking import Logprobs

libraries.check(__name__)
from transformers import Cache, DynamicCache, DynamicLayer  # noqa: E402
from transformers.cache_utils import DynamicSlidingWindowLayer  # noqa: E402

PREFILL_TOKENS = 8192
"""Tokens in one prefill pass at most, padding included, unless a single prompt is longer."""

HEADROOM = 64
"""Columns that a batch can grow by, at least, before its keys and values are copied."""

STEPS_OF_A_COPY = 2
"""Copying a row's keys and values takes about as long as it takes to compute it so many times."""

CACHE_NAMES = ("cache", "past_key_values", "cache_params")
"""What forwards call the cache that they take and return: all of them since transformers 5.24;
before, and in a checkpoint's own code, models with keys and values; with recurrent state alone."""

BLOCK = 16
"""Granularity in tokens at which the sequence of a finished row is found again."""


class Row:
    """One request on its way: its ids so far and what decides about the next one.

    sequence: the prompt, then what was sampled.
    banned: ids that can't be sampled before `stop.min_tokens`.
    watch: is told of every id, see `s1_eval.engines.watching`.
    generation: what it came to, None until it is complete.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        max_tokens: int,
        stop: Stop,
        sampling: Sampling,
        banned: frozenset[int],
        tokenizer: Tokenizer,
        watch: Watch | None = None,
    ) -> None:
        self.sequence = list(prompt)
        self.stop = stop
        self.sampling = sampling
        self.banned = sorted(banned)
        self.generation: Generation | None = None
        self._start = len(prompt)
        self._end = len(prompt) + max_tokens
        self._tokenizer = tokenizer
        self._watch = watch
        self._random = numpy.random.default_rng(sampling.seed)
        self._drawn = (0, 0.0)
        self._window = (self._start, self._start)
        self._cached = 0
        self._times = [time.perf_counter()]
        likely = sampling.logprobs
        self._logprobs = None if likely is None else Logprobs(likely)
        self._place: tuple[float, list[int], list[float]] | None = None

    def begin(self, cached: int) -> None:
        """The model begins to read the prompt, `cached` ids of which are known. What is read again
        of a row that was set back counts as decoding."""
        if len(self._times) == 1:
            self._cached = cached
            self._times.append(time.perf_counter())

    @property
    def sampled(self) -> int:
        """How many ids have been sampled."""
        return len(self.sequence) - self._start

    def draw(self) -> float:
        """The random number of the row's next id, uniform in [0, 1)."""
        length, number = self._drawn
        if length != len(self.sequence):
            number = float(self._random.random())
            self._drawn = len(self.sequence), number
        return number

    def tell(self, sampled: float, top_ids: list[int], top: list[float]) -> None:
        """The log-probabilities of the place that the next `push` fills."""
        self._place = sampled, top_ids, top

    def push(self, id: int) -> Generation | None:
        """Append a sampled id; the generation, if that completes it."""
        self.sequence.append(id)
        if len(self._times) == 2:
            self._times.append(time.perf_counter())
        if self._watch:
            self._watch(self.sampled - 1, (id,))
        if self._logprobs is not None and self._place is not None:
            self._logprobs.append(*self._place)
        if id in self.stop.ids or self._shows_string():
            ids = self.sequence[self._start :]
            self.generation = split_at_stop(ids, self.stop, self._tokenizer)
        if not self.generation and len(self.sequence) == self._end:
            self.generation = Generation(tuple(self.sequence[self._start :]))
        if self.generation:
            self.generation = replace(
                self.generation.told(self._logprobs),
                cached_tokens=self._cached,
                timing=self._timing(),
            )
        return self.generation

    def _timing(self) -> Timing | None:
        if len(self._times) < 3:
            return None
        asked, began, first = self._times
        return Timing(began - asked, first - began, time.perf_counter() - first)

    def _shows_string(self) -> bool:
        """Whether the text of the latest ids has a stop string. They are decoded over a window
        whose second part alone holds more than any of the strings, the broken character that it
        may begin with not counted."""
        if not self.stop.strings:
            return False
        first, second = self._window
        enough = max(map(len, self.stop.strings)) + 8
        text = self._decode(first)
        if len(text) > 4 * enough and len(self._decode(second)) > enough:
            self._window = (second, len(self.sequence))
        return any(s in text for s in self.stop.strings)

    def _decode(self, start: int) -> str:
        return self._tokenizer.decode(self.sequence[start:], skip_special_tokens=False)


class Chooser:
    """Picks each row's next id from its own logits and random numbers, so that it makes no
    difference which rows stand beside it.

    vocabulary: the ids that may be sampled; a model's output layer is often wider.
    """

    def __init__(self, vocabulary: frozenset[int], device: torch.device) -> None:
        self._size = max(vocabulary) + 1
        holes = sorted(set(range(self._size)) - vocabulary)
        self._holes = torch.tensor(holes, device=device) if holes else None

    def choose(self, logits: Tensor, rows: Sequence[Row | None]) -> list[int]:
        """One id per row; where the row is None, any. Rows that ask for log-probabilities are told
        those of `logits` as they come.

        logits: [rows, width of the output layer].
        """
        asking = {
            at: row for at, row in enumerate(rows) if row and row.sampling.logprobs is not None
        }
        raw = logits[list(asking)].float().log_softmax(-1) if asking else None
        logits = logits[:, : self._size].float()
        if self._holes is not None:
            logits[:, self._holes] = -torch.inf
        banned = [
            (at, id)
            for at, row in enumerate(rows)
            if row
            for id in (
                *row.sampling.banned,
                *(row.banned if row.sampled < row.stop.min_tokens else ()),
            )
        ]
        if banned:
            lines, columns = torch.tensor(banned, device=logits.device).T
            logits[lines, columns] = -torch.inf
        best, ids = logits.max(-1)
        if not best.isfinite().all():
            raise FloatingPointError("the model's logits are not finite: load it in float32")
        drawing = {at: row for at, row in enumerate(rows) if row and row.sampling.temperature > 0}
        if drawing:
            ids[list(drawing)] = _draw(logits[list(drawing)], list(drawing.values()))
        if raw is not None:
            _tell(raw, ids[list(asking)], list(asking.values()))
        return list(ids.tolist())


def _tell(raw: Tensor, ids: Tensor, rows: list[Row]) -> None:
    """Tell each row how likely its id was. raw: [rows, ids], before any id was banned."""
    top, top_ids = raw.topk(max(row.sampling.logprobs or 0 for row in rows))
    told = raw.gather(-1, ids[:, None])[:, 0]
    for row, *place in zip(rows, told.tolist(), top_ids.tolist(), top.tolist(), strict=True):
        row.tell(*place)


def _draw(logits: Tensor, rows: list[Row]) -> Tensor:
    """One id per row, where the row's random number falls in its cumulative distribution.

    Double precision: a float32 sum over a large vocabulary is off by more than rare ids weigh.
    """
    settings = [row.sampling for row in rows]
    best = logits.max(-1, keepdim=True).values
    below_best = logits.double() - best  # so that a tiny temperature overflows to zero weight
    probabilities = (below_best / _column([s.temperature for s in settings], logits)).softmax(-1)
    narrowed = [at for at, s in enumerate(settings) if s.top_k or s.top_p < 1]
    if narrowed:
        probabilities[narrowed] = _narrow(
            probabilities[narrowed], [settings[at] for at in narrowed]
        )
    cumulative = probabilities.cumsum(-1)
    points = _column([row.draw() for row in rows], logits) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, points, right=True)[:, 0]


def _narrow(probabilities: Tensor, settings: list[Sampling]) -> Tensor:
    """`probabilities` with everything outside top_k, then outside top_p of the rest, at zero."""
    width = probabilities.shape[-1]
    ranked, order = probabilities.sort(descending=True, stable=True)
    rank = torch.arange(width, device=ranked.device)
    ranked = ranked.where(rank < _column([s.top_k or width for s in settings], ranked), 0)
    ranked /= ranked.sum(-1, keepdim=True)
    before = ranked.cumsum(-1) - ranked
    ranked = ranked.where(before < _column([s.top_p for s in settings], ranked), 0)
    return torch.zeros_like(ranked).scatter_(-1, order, ranked)


def _column(values: list[Any], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=like.device)[:, None]


class Decoder(Protocol):
    """Rows that decode side by side. Not for use from several threads."""

    @property
    def tokens(self) -> int | None:
        """How many tokens' keys and values are held at once; None where that has no limit."""
        ...

    def add(self, row: Row) -> None:
        """Take a row in; it waits where there is no room."""
        ...

    def cancel(self, row: Row) -> None:
        """Forget a row that has not finished."""
        ...

    def step(self) -> list[tuple[Row, Generation]]:
        """Sample an id for every row that has room; the rows that this finishes, which leave."""
        ...

    def close(self) -> None:
        """Forget every row and all keys and values."""
        ...


class Choose(Protocol):
    """What a decoder asks for the next ids: `Chooser`, but for a check of the decoder itself."""

    def choose(self, logits: Tensor, rows: Sequence[Row | None]) -> list[int]:
        """See `Chooser.choose`."""
        ...


CPU_CACHE = 2 << 30
"""Bytes of keys and values that are held at most where there is no GPU."""

CACHE_OF_WEIGHTS = 256
"""Bytes of keys and values for each byte of weights, there."""


def decoder(model: Any, chooser: Choose, max_rows: int, tokens: int | None) -> Decoder:
    """The decoder that `model` allows.

    max_rows: rows that decode at once. tokens: how many tokens' keys and values are held at
    once, the kept ones of finished rows included; None for what fits half of the free memory
    of a GPU, or elsewhere `CPU_CACHE` or less.

    Raises UserError on a model that takes no cache by a name that is known here.
    """
    if _can_share(model):
        return Batched(model, chooser, max_rows, tokens)
    return OneByOne(model, chooser, max_rows)


def _can_share(model: Any) -> bool:
    """Whether rows of different lengths can share a batch without a trace in their results:
    every layer keeps keys and values per token, and no position code looks at other rows."""
    config = model.config.get_text_config(decoder=True)
    per_token = all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer)
        for layer in DynamicCache(config=config).layers
    )
    return (
        per_token
        and not getattr(config, "cross_attention_layers", None)
        and not model._is_stateful
        and not {"dynamic", "longrope"} & set(_rope_types(getattr(config, "rope_parameters", None)))
        and cache_name(model) != "cache_params"
        and {"attention_mask", "position_ids"} <= _parameters(model)
    )


def cache_name(model: Any) -> str:
    """By which name the forward of `model` takes its cache, and its output returns it.

    Only a declared name counts: any other would be swallowed where the forward takes `**kwargs`,
    and the model would read every id as if it were the first.

    Raises UserError where none is declared.
    """
    known = _parameters(model)
    name = next((name for name in CACHE_NAMES if name in known), None)
    if name is None:
        raise UserError(
            f"the forward of {type(model).__name__} takes a cache by none of the names "
            f"{', '.join(CACHE_NAMES)}, it has {', '.join(sorted(known))}: use s1_vllm, or another "
            f"transformers. {libraries.versions('transformers')}"
        )
    return name


def _parameters(model: Any) -> set[str]:
    return set(inspect.signature(model.forward).parameters)


def _last_only(model: Any) -> dict[str, int]:
    """Spares the output layer all ids but the last, where the model knows how."""
    return {"logits_to_keep": 1} if "logits_to_keep" in _parameters(model) else {}


def _rope_types(parameters: Any) -> Iterator[str]:
    """Every `rope_type` in a config's `rope_parameters`, which may be nested by layer type."""
    if isinstance(parameters, dict):
        if isinstance(kind := parameters.get("rope_type"), str):
            yield kind
        for value in parameters.values():
            yield from _rope_types(value)


class OneByOne:
    """Rows that take turns, each with the cache that the library makes for it: for models with
    recurrent state, whose keys and values can't be cut at a token. Exact, and no faster than one
    request at a time."""

    tokens = None

    def __init__(self, model: Any, chooser: Choose, max_rows: int) -> None:
        self._model = model
        self._choose = chooser.choose
        self._max_rows = max_rows
        self._last_only = _last_only(model)
        self._cache_name = cache_name(model)
        self._told_position = "cache_position" in _parameters(model)
        self._caches: dict[Row, Any] = {}
        self._waiting: deque[Row] = deque()

    def add(self, row: Row) -> None:
        self._waiting.append(row)

    def cancel(self, row: Row) -> None:
        if row in self._waiting:
            self._waiting.remove(row)
        self._caches.pop(row, None)

    def step(self) -> list[tuple[Row, Generation]]:
        while self._waiting and len(self._caches) < self._max_rows:
            self._caches[self._waiting.popleft()] = None
        finished = []
        for row, cache in list(self._caches.items()):
            if cache is None:
                row.begin(0)
            ids = row.sequence if cache is None else row.sequence[-1:]
            given = torch.tensor([ids], device=self._model.device)
            more = {self._cache_name: cache, **self._last_only}
            if cache is not None and self._told_position:  # Mamba's first of version 5 insists
                more["cache_position"] = given.new_tensor([len(row.sequence) - 1])
            out = self._model(given, use_cache=True, **more)
            self._caches[row] = getattr(out, self._cache_name)
            if generation := row.push(self._choose(out.logits[:, -1], [row])[0]):
                del self._caches[row]
                finished.append((row, generation))
        return finished

    def close(self) -> None:
        self._waiting.clear()
        self._caches.clear()


class Columns(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, [rows, heads, columns, head size], in a buffer with room for
    more rows and columns. `keys` and `values` are views of those in use; `update` writes the next
    columns in place, where the library's own layer would copy everything at every token."""

    def __init__(self, keys: Tensor, values: Tensor, used: int) -> None:
        """keys, values: the buffers, all rows and `used` columns of them in use."""
        super().__init__()
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True
        self._buffers = keys, values
        self.use(len(keys), used)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        used = self.keys.shape[-2]
        self.use(len(self.keys), used + key_states.shape[-2])
        self.keys[:, :, used:] = key_states
        self.values[:, :, used:] = value_states
        return self.keys, self.values

    def use(self, rows: int, columns: int) -> None:
        """From now on the first so many are in use."""
        self.keys, self.values = (buffer[:rows, :, :columns] for buffer in self._buffers)

    def blank(self, rows: int, used: int, capacity: int) -> Columns:
        """A layer of the same kind, all zeros. (A masked column is multiplied by zero, so it may
        hold anything but NaN.)"""
        keys, values = (
            buffer.new_zeros(rows, buffer.shape[1], capacity, buffer.shape[3])
            for buffer in self._buffers
        )
        return Columns(keys, values, used)


class Kept(NamedTuple):
    """What stays of a finished row: its ids and, layer by layer, their keys and values, each
    [heads, ids, head size]."""

    ids: tuple[int, ...]
    layers: list[tuple[Tensor, Tensor]]


class Store:
    """Finished rows; the one whose last use is longest ago is dropped first.

    A row is found by the longest beginning of whole `BLOCK`s that it shares with a prompt. Of
    several rows with one beginning the newest is known by it. A hash is only a hint: what two
    sequences share is compared id for id before any of it is used.
    """

    def __init__(self) -> None:
        self._kept: Recent[int, Kept] = Recent()
        self._by_block: dict[bytes, int] = {}
        self._added = 0

    def longest(self, ids: Sequence[int]) -> tuple[int, Kept | None]:
        """A kept row that begins as `ids` do, and how many ids the two share. Of several, one
        that shares the most whole blocks."""
        number = self._find(ids)
        if number is None:
            return 0, None
        kept = self._kept.use(number)
        return _common(kept.ids, ids), kept

    def add(self, kept: Kept) -> None:
        """Keep a row; one that is its beginning has nothing more to give and is dropped."""
        other = self._find(kept.ids)
        if other is not None and kept.ids[: len(self._kept[other].ids)] == self._kept[other].ids:
            self._forget(other, self._kept.drop(other))
        self._added += 1
        self._kept.add(self._added, kept, len(kept.ids))
        self._by_block.update(dict.fromkeys(_blocks(kept.ids), self._added))

    def shrink(self, tokens: int) -> None:
        """Drop rows until at most `tokens` ids are kept."""
        for number, kept in self._kept.shrink(tokens):
            self._forget(number, kept)

    def _find(self, ids: Sequence[int]) -> int | None:
        numbers = map(self._by_block.get, reversed(_blocks(ids)))
        return next((number for number in numbers if number is not None), None)

    def _forget(self, number: int, kept: Kept) -> None:
        for block in _blocks(kept.ids):
            if self._by_block.get(block) == number:
                del self._by_block[block]


def _blocks(ids: Sequence[int]) -> list[bytes]:
    """A hash of every beginning of `ids` that is whole blocks, shortest first."""
    return beginnings(ids, range(BLOCK, len(ids) + 1, BLOCK))


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    pairs = zip(a, b, strict=False)
    return next((at for at, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))


class Joining(NamedTuple):
    """A row about to join the batch: `shared` leading ids of it are in `kept`."""

    row: Row
    shared: int
    kept: Kept | None

    @property
    def fresh(self) -> int:
        """Ids that the model has to read; at least the last one, for its logits."""
        return len(self.row.sequence) - min(self.shared, len(self.row.sequence) - 1)


class Batched:
    """Rows in one batch, left-padded: every row ends at the last column in use, so a step adds
    one column for all of them. A row that finishes leaves a free line to one that comes, and its
    keys and values to the prompt that continues it.

    A line is the place of one row in the buffers of `_layers`, [`_lines`, heads, `_capacity`, head
    size], the first of which are in use. Columns `_used - _lengths[line]` to `_used` of it hold the
    keys and values of the row's ids in order, so the id at position p stands in column
    `_used - _lengths[line] + p`. What lies left of them is masked and weighs exactly zero, and
    positions count from the row's own first id: which rows stand beside it, and how much padding
    that takes, leaves no trace in a result.

    Between steps
    - a row has been read but for its last id: `len(row.sequence) == _lengths[line] + 1`;
    - `max(_lengths) <= _used <= _capacity`, and a free line has length 0;
    - `_lines` x `_capacity` and the tokens of `_store` together are `tokens` at most, unless a
      single row is longer: one row is always let in.
    """

    def __init__(self, model: Any, chooser: Choose, max_rows: int, tokens: int | None) -> None:
        self._model = model
        self._choose = chooser.choose
        self._max_rows = max_rows
        self._last_only = _last_only(model)
        self._cache_name = cache_name(model)
        self._layers = self._probe()
        self.tokens = self._affordable() if tokens is None else tokens
        self._store = Store()
        self._waiting: deque[Row] = deque()
        self._rows: list[Row | None] = []  # by line in use
        self._lengths: list[int] = []  # by line: columns in use
        self._used = 0
        self._capacity = 0
        self._lines = 0
        self._idle = 0  # lines that steps have computed for nobody since they were last closed up

    def add(self, row: Row) -> None:
        self._waiting.append(row)

    def cancel(self, row: Row) -> None:
        if row in self._waiting:
            self._waiting.remove(row)
        elif row in self._rows:
            self._free(self._rows.index(row))

    def step(self) -> list[tuple[Row, Generation]]:
        finished = []
        for group in _groups(
            [Joining(row, *self._store.longest(row.sequence)) for row in self._admit()]
        ):
            logits, lines = self._join(group)
            finished += self._sample(logits, lines)
        if any(self._rows):
            finished += self._sample(self._decode(), range(len(self._rows)))
        return finished

    def close(self) -> None:
        self._waiting.clear()
        self._rows, self._layers, self._store = [], [], Store()

    def _admit(self) -> Iterator[Row]:
        """The rows that join now: as many as there is room for, and one in any case."""
        live = len(self._rows) - self._rows.count(None)
        longest = max(self._lengths, default=0)
        while self._waiting and live < self._max_rows:
            longest = max(longest, len(self._waiting[0].sequence))
            live += 1
            if live > 1 and live * (longest + HEADROOM) > self.tokens:
                break
            yield self._waiting.popleft()

    def _join(self, group: list[Joining]) -> tuple[Tensor, list[int]]:
        """Prefill these rows together and give each a line; their logits and their lines.

        All of them read the same number of ids, the most that any needs, so no row has a gap
        between the ids that were kept and those that are read. Equal rows are read once.
        """
        # The prompts end at the last of `width` columns. The last `fresh` of these are read now,
        # by all rows; of the `past` ones before, a row has what was kept of its beginning, less
        # what it reads again to keep step with the others.
        distinct = {tuple(joining.row.sequence): joining for joining in group}
        fresh = max(joining.fresh for joining in group)
        width = max(map(len, distinct))
        past = width - fresh
        for joining in group:
            reused = len(joining.row.sequence) - fresh
            joining.row.begin(max(reused, 0) if joining.kept else 0)
        layers = [layer.blank(len(distinct), past, width) for layer in self._layers]
        for line, (ids, joining) in enumerate(distinct.items()):
            reused = len(ids) - fresh
            if reused > 0 and joining.kept:
                for layer, (keys, values) in zip(layers, joining.kept.layers, strict=True):
                    layer.keys[line, :, past - reused :] = keys[:, :reused]
                    layer.values[line, :, past - reused :] = values[:, :reused]
        padding = self._tensor([width - len(ids) for ids in distinct])[:, None]
        columns = torch.arange(width, device=padding.device)
        logits = self._forward(
            layers,
            self._tensor([[0] * (fresh - len(ids)) + list(ids[-fresh:]) for ids in distinct]),
            columns >= padding,
            (columns[past:] - padding).clamp(min=0),
        )
        order = {ids: line for line, ids in enumerate(distinct)}
        sources = [order[tuple(joining.row.sequence)] for joining in group]
        lines = self._free_lines(len(group), width)
        for layer, prefilled in zip(self._layers, layers, strict=True):
            layer.keys[lines, :, self._used - width :] = prefilled.keys[sources]
            layer.values[lines, :, self._used - width :] = prefilled.values[sources]
        for line, joining in zip(lines, group, strict=True):
            self._rows[line], self._lengths[line] = joining.row, len(joining.row.sequence)
        return logits[sources], lines

    def _decode(self) -> Tensor:
        """Read the last id of every row; the logits of every line."""
        self._make_room()
        lengths = self._tensor(self._lengths)[:, None]
        # One column more than are in use: `Columns.update` writes the new keys and values there.
        columns = torch.arange(self._used + 1, device=lengths.device)
        logits = self._forward(
            self._layers,
            self._tensor([[row.sequence[-1] if row else 0] for row in self._rows]),
            columns >= self._used - lengths,
            lengths,
        )
        self._used += 1
        self._lengths = [
            n + 1 if row else 0 for n, row in zip(self._lengths, self._rows, strict=True)
        ]
        return logits

    def _sample(self, logits: Tensor, lines: Sequence[int]) -> list[tuple[Row, Generation]]:
        rows = [self._rows[line] for line in lines]
        finished = []
        for line, row, id in zip(lines, rows, self._choose(logits, rows), strict=True):
            if row and (generation := row.push(id)):
                self._free(line)
                finished.append((row, generation))
        return finished

    def _free(self, line: int) -> None:
        """Take the row out of its line and keep its keys and values while there is room."""
        row, length = self._rows[line], self._lengths[line]
        self._rows[line], self._lengths[line] = None, 0
        room = self.tokens - self._lines * self._capacity
        if row is None or length > room:
            return
        ids = tuple(row.sequence[:length])
        if self._store.longest(ids)[0] < length:
            columns = slice(self._used - length, self._used)
            layers = [
                (layer.keys[line, :, columns].clone(), layer.values[line, :, columns].clone())
                for layer in self._layers
            ]
            self._store.add(Kept(ids, layers))
            self._store.shrink(room)

    def _free_lines(self, count: int, width: int) -> list[int]:
        """Free lines for `count` rows of up to `width` ids."""
        live = len(self._rows) - self._rows.count(None)
        if not live or live + count > self._lines or width > self._used:
            self._pack(live + count, width)
        elif (more := live + count - len(self._rows)) > 0:
            self._rows += [None] * more
            self._lengths += [0] * more
            self._use_lines()
        return [line for line, row in enumerate(self._rows) if row is None][:count]

    def _use_lines(self) -> None:
        for layer in self._layers:
            layer.use(len(self._rows), self._used)

    def _make_room(self) -> None:
        """Room for one more column, and few lines that are computed for nobody.

        Where the rows have outgrown the memory, the shortest are set back until the rest fits:
        they wait, first in line, and are read again from what is kept of them. Their random
        numbers go on where they were, so that changes nothing in what they sample.
        """
        live = [line for line, row in enumerate(self._rows) if row]
        if self._used < self._capacity and 2 * len(live) >= self._lines:
            self._close_up(live)
            return
        while len(live) > 1 and len(live) * (max(self._lengths) + HEADROOM) > self.tokens:
            shortest = min(live, key=self._lengths.__getitem__)
            live.remove(shortest)
            if row := self._rows[shortest]:
                self._waiting.appendleft(row)
            self._free(shortest)
        self._pack(len(live), 0)

    def _close_up(self, live: list[int]) -> None:
        """Move the last rows to free lines before them, once these have cost as much as that."""
        self._idle += len(self._rows) - len(live)
        moved = [line for line in live if line >= len(live)]
        if self._idle <= STEPS_OF_A_COPY * len(moved):
            return
        free = [line for line, row in enumerate(self._rows[: len(live)]) if row is None]
        for source, target in zip(moved, free, strict=True):
            length = self._lengths[source]
            for layer in self._layers:
                for kept in (layer.keys, layer.values):
                    kept[target, :, self._used - length :] = kept[source, :, self._used - length :]
            self._rows[target], self._lengths[target] = self._rows[source], length
        del self._rows[len(live) :], self._lengths[len(live) :]
        self._use_lines()
        self._idle = 0

    def _pack(self, lines: int, width: int) -> None:
        """Copy the rows to the top of new buffers with `lines` lines, in which the columns in use
        are those of the longest row, but at least `width`."""
        live = [line for line, row in enumerate(self._rows) if row]
        longest = max((self._lengths[line] for line in live), default=0)
        used = max(longest, width)
        self._lines = lines
        self._capacity = used + max(HEADROOM, min(used // 4, self.tokens // lines - used))
        self._store.shrink(max(self.tokens - lines * self._capacity, 0))
        for at, layer in enumerate(self._layers):
            new = self._layers[at] = layer.blank(lines, used, self._capacity)
            if live:
                new.keys[: len(live), :, used - longest :] = layer.keys[
                    live, :, self._used - longest :
                ]
                new.values[: len(live), :, used - longest :] = layer.values[
                    live, :, self._used - longest :
                ]
        free = lines - len(live)
        self._rows = [self._rows[line] for line in live] + [None] * free
        self._lengths = [self._lengths[line] for line in live] + [0] * free
        self._used = used
        self._idle = 0

    def _forward(
        self, layers: list[Columns], ids: Tensor, mask: Tensor, positions: Tensor
    ) -> Tensor:
        """The logits of the last id of each line."""
        out = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            **{self._cache_name: Cache(layers=layers)},
            **self._last_only,
        )
        logits: Tensor = out.logits[:, -1]
        return logits

    def _probe(self) -> list[Columns]:
        """Empty layers, of the shapes that come out of a first pass over one id."""
        config = self._model.config.get_text_config(decoder=True)
        cache = Cache(layers=[DynamicLayer() for _ in DynamicCache(config=config).layers])
        self._model(self._tensor([[0]]), use_cache=True, **{self._cache_name: cache})
        if any(layer.get_seq_length() != 1 for layer in cache.layers):
            raise UserError(
                f"{type(self._model).__name__} takes a cache, {self._cache_name}, and writes no "
                f"keys and values: use s1_vllm, or another transformers. "
                f"{libraries.versions('transformers')}"
            )
        return [Columns(layer.keys, layer.values, 0) for layer in cache.layers]

    def _affordable(self) -> int:
        """How many tokens' keys and values fit half of the free memory of a GPU, or elsewhere
        `CPU_CACHE`, or `CACHE_OF_WEIGHTS` of a small model's weights if that is less: what such a
        one forgets it soon reads again."""
        blanks = [layer.blank(1, 1, 1) for layer in self._layers]
        token = sum(layer.keys.nbytes + layer.values.nbytes for layer in blanks)
        device = self._model.device
        if device.type == "cuda":
            return int(torch.cuda.mem_get_info(device)[0] // 2 // token)
        weights = sum(weight.nbytes for weight in self._model.parameters())
        return int(min(CPU_CACHE, CACHE_OF_WEIGHTS * weights) // token)

    def _tensor(self, values: list[Any]) -> Tensor:
        return torch.tensor(values, device=self._model.device)


def _groups(joining: list[Joining]) -> Iterator[list[Joining]]:
    """Rows that are read together: similar in the number of ids to read, so that little of it
    is padding, and `PREFILL_TOKENS` of them at most."""
    group: list[Joining] = []
    for one in sorted(joining, key=lambda j: j.fresh):
        if group and (
            one.fresh > 2 * group[0].fresh + 32 or (len(group) + 1) * one.fresh > PREFILL_TOKENS
        ):
            yield group
            group = []
        group.append(one)
    if group:
        yield group
