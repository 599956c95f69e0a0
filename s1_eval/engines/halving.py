"""What the `transformers` engine does when a GPU has no memory left for a batch: once, the batch is
halved. How rows decode is the business of `s1_eval.engines.decoding`.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable

import torch

from s1_eval.engines.decoding import Decoder, Row
from s1_eval.engines.protocol import Generation

_LOGGER = logging.getLogger(__name__)


class Halving:
    """A decoder that is made anew, for half the rows and half the keys and values, when it first
    runs out of memory. Its rows are read again and go on where they were, so that changes nothing
    in what they sample."""

    def __init__(
        self, make: Callable[[int, int | None], Decoder], max_rows: int, tokens: int | None
    ) -> None:
        """make: a decoder of so many rows and tokens, see `s1_eval.engines.decoding.decoder`."""
        self._make = make
        self._max_rows = max_rows
        self._decoder = make(max_rows, tokens)
        self._rows: dict[Row, None] = {}
        self._halved = False

    @property
    def tokens(self) -> int | None:
        return self._decoder.tokens

    def add(self, row: Row) -> None:
        self._rows[row] = None
        self._decoder.add(row)

    def cancel(self, row: Row) -> None:
        del self._rows[row]
        self._decoder.cancel(row)

    def step(self) -> list[tuple[Row, Generation]]:
        """See `Decoder.step`. Raises MemoryError where half the rows were still too many."""
        finished = None
        try:
            finished = self._decoder.step()
        except torch.OutOfMemoryError as error:
            if self._halved:
                raise MemoryError(
                    f"the GPU has no room for {self._together()} requests in one batch either: "
                    "give a smaller max_batch_size or kv_cache_tokens, or a shorter context_length"
                ) from error
        if finished is None:  # outside of `except`: the error holds what the step had allocated
            finished = self._halve()
        for row, _ in finished:
            del self._rows[row]
        return finished

    def close(self) -> None:
        self._rows.clear()
        self._decoder.close()

    def _together(self) -> int:
        return min(len(self._rows), self._max_rows)

    def _halve(self) -> list[tuple[Row, Generation]]:
        """The rows that the step had finished before it failed."""
        before, tokens = self._together(), self._decoder.tokens
        self._halved, self._max_rows = True, max(before // 2, 1)
        self._decoder.close()
        gc.collect()
        torch.cuda.empty_cache()
        self._decoder = self._make(self._max_rows, tokens and max(tokens // 2, 1))
        _LOGGER.warning(
            "out of GPU memory with %d requests in one batch: from here on it has at most %d, "
            "which changes no result; max_batch_size=%d begins so",
            before,
            self._max_rows,
            self._max_rows,
        )
        for row in self._rows:
            if not row.generation:
                self._decoder.add(row)
        return [(row, row.generation) for row in self._rows if row.generation]
