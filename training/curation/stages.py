"""Results of stages on disk: each in a folder of its own, named after a hash of all that went in,
so that whatever is asked for again is there already and anything else is made anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from s1_eval.training.files import new_folder

_FORMAT = 2
"""Raised whenever a stage that is on disk would no longer be what it says."""
_ROWS, _ABOUT = "rows.parquet", "stage.json"
_BATCH = 1000
"""Rows that are written at a time."""

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Stage(Generic[T]):
    """reused: it was there already."""

    rows: list[T]
    fingerprint: str
    reused: bool


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages in `folder`. Any number of processes may share it."""

    folder: Path

    def get(
        self, name: str, inputs: Mapping[str, Any], kind: type[T], make: Callable[[], Iterable[T]]
    ) -> Stage[T]:
        """The stage `name` of `inputs`: what is on disk, else what `make` yields.

        inputs: all that the rows depend on, as JSON. kind: a dataclass of texts and whole numbers.
        Raises UserError where the disk takes no more; what was half-written is removed.
        """
        import pyarrow.parquet as pq

        about = json.dumps([_FORMAT, name, inputs], sort_keys=True)
        fingerprint = hashlib.sha256(about.encode()).hexdigest()[:16]
        folder = self.folder / f"{name}-{fingerprint}"
        reused = folder.is_dir()
        if not reused:
            with new_folder(folder) as made:
                write_rows(made / _ROWS, kind, make())
                (made / _ABOUT).write_text(json.dumps(inputs, indent=1, sort_keys=True) + "\n")
        with pq.ParquetFile(folder / _ROWS) as file:
            batches = file.iter_batches(_BATCH)
            rows = [kind(**row) for batch in batches for row in batch.to_pylist()]
        return Stage(rows, fingerprint, reused)


def write_rows(path: Path, kind: type[T], rows: Iterable[T]) -> None:
    """A Parquet file of `rows`, streamed; a field that may be a whole number is one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [(f.name, pa.int64() if "int" in str(f.type) else pa.string()) for f in fields(kind)]
    left = iter(rows)
    with pq.ParquetWriter(path, pa.schema(columns)) as writer:
        while batch := [asdict(row) for row in islice(left, _BATCH)]:
            writer.write_batch(pa.RecordBatch.from_pylist(batch, pa.schema(columns)))
