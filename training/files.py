"""Files of rows by their endings, and folders that appear under their name only when whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s1_eval.errors import UserError

READERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}
"""The builder of `datasets` for a file."""


@contextmanager
def new_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder to write into that is then renamed to `folder`.

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
