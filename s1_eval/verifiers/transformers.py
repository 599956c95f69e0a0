"""Process reward models through the `transformers` library, on a CPU or one GPU.

One worker thread reads whatever waits as one batch. What was read stays as a tree of beginnings
with their keys and values, so a chain that grew by a step costs that step, and what several
chains begin with is read once.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from math import nan
from typing import TYPE_CHECKING

from s1_eval.engines.architecture import architecture_of
from s1_eval.engines.checkpoints import fingerprint
from s1_eval.engines.prefixes import Recent, beginnings
from s1_eval.engines.protocol import settings_of
from s1_eval.engines.worker import Worker
from s1_eval.errors import UserError
from s1_eval.verifiers.checkpoints import read_format
from s1_eval.verifiers.formats import Layout
from s1_eval.verifiers.protocol import Scored, VerifierInfo

if TYPE_CHECKING:
    from torch import Tensor

DTYPES = ("auto", "float32", "bfloat16", "float16")


class TransformersVerifier:
    """A process reward model in this process, reading on a thread of its own until `close`."""

    def __init__(
        self,
        model: str,
        format: str | None = None,
        *,
        name: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        max_batch_tokens: int = 32_768,
        kept_tokens: int = 262_144,
    ) -> None:
        """Load a model.

        model: a folder or a name on the Hugging Face Hub; name: what records call it.
        format: see `formats`; None is what the checkpoint shows.
        device: None is `cuda` where there is one, else `cpu`.
        dtype: one of `DTYPES`; None is `float32` on a CPU, elsewhere `auto`, the checkpoint's.
        max_batch_tokens: of one forward pass, padding and what is kept of its rows included.
        kept_tokens: how many tokens' keys and values stay for chains that go on.

        Raises UserError on settings or a model that can't be used.
        """
        import torch

        for size in (max_batch_tokens, kept_tokens):
            if size < 1:
                raise UserError(f"max_batch_tokens and kept_tokens are 1 or more, not {size}")
        if dtype is not None and dtype not in DTYPES:
            raise UserError(f"dtype={dtype!r}: choose from {', '.join(DTYPES)}")
        where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._format, _, config = read_format(model, format, name or model)

        from s1_eval.verifiers import heads

        kind = dtype or ("float32" if where.type == "cpu" else "auto")
        self._model = heads.load(model, self._format.head, kind, where)
        self._info = VerifierInfo(
            engine="transformers",
            model=name or model,
            format=self._format.name,
            step_separator=self._format.step_separator,
            context_length=config.max_position_embeddings,
            dtype=str(self._model.model.dtype).removeprefix("torch."),
            fingerprint=fingerprint(model),
            versions={n: importlib.metadata.version(n) for n in ("torch", "transformers")},
            settings=settings_of(device=where.type),
            architecture=architecture_of(config),
        )
        self._max_batch_tokens = max_batch_tokens
        self._tree = _Tree()
        self._kept_tokens = kept_tokens
        self._worker: Worker[_Chain, Scored] = Worker(
            "the verifier", lambda: _Reader(self._read), inside=torch.inference_mode
        )

    @property
    def info(self) -> VerifierInfo:
        return self._info

    async def score(self, question: str, chains: Sequence[Sequence[str]]) -> list[Scored]:
        """See `Verifier.score`."""
        waiting = [
            _Chain(self._format.lay_out(question, steps), self._info.context_length)
            for steps in chains
        ]
        return await asyncio.gather(*map(self._worker.run, waiting))

    def close(self) -> None:
        """Free the verifier. Calls in flight fail with RuntimeError."""
        self._worker.close()

    def _read(self, chains: list[_Chain]) -> list[_Chain]:
        """Read what can be read at once; the chains that have to wait: those that begin with
        something that another one is just reading."""
        being_read: set[bytes] = set()
        now, later = [], []
        for chain in chains:
            chain.path = self._tree.path(chain.keys)
            unread = chain.keys[len(chain.path) :]
            if unread and unread[0] in being_read:
                later.append(chain)
            else:
                being_read.update(unread)
                now.append(chain)
        unknown = [chain for chain in now if chain.unread_bounds]
        for batch in _batches(unknown, self._max_batch_tokens):
            self._forward(batch)
        for chain in now:
            chain.score()
        self._tree.shrink(self._kept_tokens)
        return later

    def _forward(self, batch: Sequence[_Chain]) -> None:
        """Read what is unread of every chain, behind what is kept of it, in one pass."""
        import torch
        from torch.nn.utils.rnn import pad_sequence
        from transformers import DynamicCache

        from s1_eval.engines.decoding import cache_name

        began = time.perf_counter()
        name = cache_name(self._model.model)
        device = self._model.model.device
        known = [chain.known for chain in batch]
        new = [torch.tensor(chain.ids[chain.known :]) for chain in batch]
        width = max(known)
        ids = pad_sequence(new, batch_first=True).to(device)
        column = torch.arange(width + ids.shape[1])
        first = torch.tensor([width - n for n in known])[:, None]
        last = torch.tensor([width + len(row) for row in new])[:, None]
        out = self._model.model(
            input_ids=ids,
            attention_mask=((column >= first) & (column < last)).long().to(device),
            position_ids=(column[width:] - first).to(device),
            use_cache=True,
            **{name: DynamicCache(_stacked(batch, width))},
        )
        places = [
            (i, end - 1 - known[i]) for i, chain in enumerate(batch) for end in chain.unread_bounds
        ]
        rows, columns = torch.tensor(places).T.to(device)
        scores = iter(self._model.read(out.last_hidden_state[rows, columns]).tolist())
        layers = [t for layer in getattr(out, name).layers for t in (layer.keys, layer.values)]
        seconds = (time.perf_counter() - began) / sum(len(row) for row in new)
        for i, chain in enumerate(batch):
            chain.seconds += seconds * len(new[i])
            read = torch.stack([t[i, :, width : width + len(new[i])] for t in layers])
            segments = list(pairwise([known[i], *chain.unread_bounds]))
            keys = chain.keys[len(chain.path) :]
            for key, (start, end) in zip(keys, segments, strict=True):
                segment = read[:, :, start - known[i] : end - known[i]].clone()
                chain.path.append(_Node(next(scores), end, segment))
                self._tree.add(key, chain.path[-1], end - start)
            self._tree.use_all(chain.keys)


@dataclass(eq=False, slots=True)
class _Node:
    """A beginning that was read, as far as `end`.

    score: at its last id. kept: keys and values of the ids that its own parent does not have,
    [2 x layers, heads, ids, head size].
    """

    score: float
    end: int
    kept: Tensor


class _Tree(Recent[bytes, _Node]):
    """Beginnings by the hash of all their ids. A parent counts as used after its children, so that
    no child stays without it."""

    def path(self, keys: Sequence[bytes]) -> list[_Node]:
        """What is known of a chain, from its first id on."""
        found = [self[key] for key in takewhile(self.__contains__, keys)]
        self.use_all(keys[: len(found)])
        return found

    def use_all(self, keys: Sequence[bytes]) -> None:
        """Note that a chain was used."""
        for key in reversed(keys):
            self.use(key)


class _Chain:
    """One chain to be read.

    bounds: where its question and each of its steps ends, as far as the context reaches. keys: a
    hash of all that lies before each. path: what is known of it.
    """

    def __init__(self, layout: Layout, context_length: int) -> None:
        self._layout = layout
        opening = [layout.opening] if layout.opening else []
        ends = [end for end in layout.ends if end <= context_length]
        self.bounds = [*opening, *ends] if ends else []
        self.ids = layout.ids[: max(ends, default=0)]
        self.keys = beginnings(self.ids, self.bounds)
        self.path: list[_Node] = []
        self.seconds = 0.0
        self.scored: Scored | None = None

    @property
    def known(self) -> int:
        """How many ids were read before."""
        return self.path[-1].end if self.path else 0

    @property
    def unread_bounds(self) -> list[int]:
        return self.bounds[len(self.path) :]

    def score(self) -> None:
        """Note the scores, while all of the path is kept."""
        layout = self._layout
        scores = [node.score for node in self.path][bool(layout.opening) :]
        beyond = [nan] * (len(layout.ends) - len(scores))
        self.scored = Scored((*scores, *beyond), layout.ends, layout.opening, self.seconds)


class _Reader:
    """The worker's machine: reads whatever waits, at once as far as that goes."""

    def __init__(self, read: Callable[[list[_Chain]], list[_Chain]]) -> None:
        """read: reads what it can of some chains; those that have to wait for the others."""
        self._read = read
        self._waiting: list[_Chain] = []

    def add(self, chain: _Chain) -> None:
        self._waiting.append(chain)

    def cancel(self, chain: _Chain) -> None:
        self._waiting.remove(chain)

    def step(self) -> list[tuple[_Chain, Scored | Exception]]:
        chains, self._waiting = self._waiting, []
        failure = None
        try:
            left = chains
            while left:
                left = self._read(left)
        except Exception as error:
            failure = RuntimeError(f"the verifier has failed: {error!r}")
            failure.__cause__ = error
        return [(c, c.scored or failure or AssertionError("never read")) for c in chains]

    def close(self) -> None:
        self._waiting.clear()


def _batches(chains: list[_Chain], max_tokens: int) -> Iterator[list[_Chain]]:
    """Chains of like length together, up to `max_tokens` with padding; a longer one is alone."""
    batch: list[_Chain] = []
    for chain in sorted(chains, key=lambda chain: len(chain.ids)):
        if batch and len(chain.ids) * (len(batch) + 1) > max_tokens:
            yield batch
            batch = []
        batch.append(chain)
    if batch:
        yield batch


def _stacked(batch: Sequence[_Chain], width: int) -> list[tuple[Tensor, Tensor]] | None:
    """What is kept of every chain, left-padded to `width` ids: keys and values of each layer,
    [chains, heads, width, head size]. None where nothing is."""
    import torch
    from torch.nn.functional import pad

    if not width:
        return None
    empty = next(node for chain in batch for node in chain.path).kept[:, :, :0]
    rows = [torch.cat([empty, *(node.kept for node in chain.path)], dim=2) for chain in batch]
    stacked = torch.stack([pad(row, (0, 0, width - row.shape[2], 0)) for row in rows], dim=1)
    return list(zip(stacked[::2], stacked[1::2], strict=True))
