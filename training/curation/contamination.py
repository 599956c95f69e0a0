"""Which questions of a benchmark stand in training data: the words of stage 2, the other way round.
Training data is streamed, so its size does not matter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Benchmark
from s1_eval.evaluation.tables import READERS, is_table, read_file, read_table
from s1_eval.training.curation.overlap import Overlap, Reference, repeated


@dataclass(frozen=True, slots=True)
class Contamination:
    """Of one benchmark. found: by the question's id, where in the training data it was first seen
    and which words they share (None where they are secret)."""

    task: str
    questions: int
    found: Mapping[str, Overlap]


def contamination(
    tasks: Iterable[tuple[Benchmark, str | None]], training: Iterable[str]
) -> list[Contamination]:
    """What of each benchmark is in the training data. Benchmarks with where their data is, see
    `Benchmark.load`. Raises UserError where there is nothing to read."""
    asked = [(about, about.load(data).samples) for about, data in tasks]
    references = [
        Reference(f"{number} {sample.id}", sample.words, about.secret)
        for number, (about, samples) in enumerate(asked)
        for sample in samples
    ]
    found = repeated(references, texts(training))
    return [
        Contamination(
            about.name,
            len(samples),
            {s.id: found[name] for s in samples if (name := f"{number} {s.id}") in found},
        )
        for number, (about, samples) in enumerate(asked)
    ]


def texts(training: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(where, text) of every text in files, folders of files, and data sets of the hub."""
    for source in training:
        for where, row in _rows(source):
            for text in _strings(row):
                yield where, text


def _rows(source: str) -> Iterator[tuple[str, Any]]:
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if is_table(file.name))
        if not files:
            raise UserError(f"{path} has no file of rows: looked for {', '.join(READERS)}")
    elif is_table(source):
        files = [path]
    else:
        files = []
        for number, row in enumerate(read_table(source).rows, 1):
            yield f"{source}, row {number}", row
    for file in files:
        for number, row in enumerate(read_file(file), 1):
            yield f"{file}, row {number}", row


def _strings(value: Any) -> Iterator[str]:
    """The texts in a row, however deep: the turns of a conversation among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)
