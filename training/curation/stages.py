"""Results of stages on disk: each in a folder of its own, named after a hash of all that went in,
so that whatever is asked for again is there already and anything else is made anew."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError

_FORMAT = 1
"""Raised whenever a stage that is on disk would no longer be what it says."""
_ROWS, _ABOUT = "data.arrow", "stage.json"


@dataclass(frozen=True, slots=True)
class Stage:
    """rows: a `datasets.Dataset`, mapped from disk. reused: it was there already."""

    name: str
    fingerprint: str
    rows: Any
    reused: bool


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages in `folder`. Any number of processes may share it."""

    folder: Path

    def get(
        self,
        name: str,
        inputs: Mapping[str, Any],
        columns: Mapping[str, Any],
        make: Callable[[], Iterable[Mapping[str, Any]]],
    ) -> Stage:
        """The stage `name` of `inputs`: what is on disk, else what `make` yields.

        inputs: all that the rows depend on, as JSON. columns: their types.
        Raises UserError where the disk takes no more; what was half-written is removed.
        """
        from datasets import Dataset

        about = json.dumps([_FORMAT, name, inputs], sort_keys=True)
        fingerprint = hashlib.sha256(about.encode()).hexdigest()[:16]
        folder = self.folder / f"{name}-{fingerprint}"
        reused = folder.is_dir()
        if not reused:
            with new_folder(folder) as made:
                write_rows(made / _ROWS, columns, make())
                (made / _ABOUT).write_text(json.dumps(inputs, indent=1, sort_keys=True) + "\n")
        return Stage(name, fingerprint, Dataset.from_file(str(folder / _ROWS)), reused)


def write_rows(path: Path, columns: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> None:
    """An Arrow file of `rows`, streamed."""
    from datasets import Features
    from datasets.arrow_writer import ArrowWriter

    with ArrowWriter(path=str(path), features=Features(columns)) as writer:
        for row in rows:
            writer.write(dict(row))
        writer.finalize()


@contextmanager
def new_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder to write into that appears under its name only when it is whole.

    An exception removes it; one of the disk becomes a UserError. Where the name is taken by then,
    what is there stays, or goes with `replace`.
    """
    made = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        yield made
        if replace and folder.is_dir():
            shutil.rmtree(folder)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    except OSError as error:
        raise UserError(
            f"can't write {folder} ({error.strerror or error}): make room, or choose another "
            "--output; what was finished is kept"
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
