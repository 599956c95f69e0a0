"""GPQA: reading the original encrypted archive, and the order in which options are shown.

The questions are kept from the open web on purpose, so the archive is decrypted in memory only;
nothing here writes a question anywhere.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Row, Sample, with_options

LETTERS = "ABCD"
PASSWORD = b"deserted-untie-orchid"
"""Published by its authors: it keeps crawlers out, not people."""
OPTIONS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


def read_archive(path: Path, member: str = "dataset/gpqa_diamond.csv") -> Iterator[Row]:
    """The rows of one CSV file of the archive. Raises UserError where it is not that archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(member, pwd=PASSWORD).decode("utf-8-sig")
    except (KeyError, OSError, RuntimeError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is not GPQA's archive with {member}: {error}; get dataset.zip from "
            "https://github.com/idavidrein/gpqa"
        ) from error
    yield from csv.DictReader(io.StringIO(text, newline=""))


def sample(row: Row) -> Sample:
    """A row of GPQA's table, with its options in the order of `shown_order`."""
    options = [str(row[name]).strip() for name in OPTIONS]
    order = shown_order(str(row["Record ID"]))
    shown = tuple(options[i] for i in order)
    return Sample(
        id=str(row["Record ID"]),
        prompt=with_options(str(row["Question"]), shown),
        target=LETTERS[order.index(0)],
        options=shown,
        metadata={"domain": row.get("High-level domain"), "subdomain": row.get("Subdomain")},
    )


def shown_order(record_id: str) -> tuple[int, ...]:
    """The order of a question's options, 0 being the right one: sorted by the SHA-256 of the
    record id with the option's number, so it is the same everywhere and forever."""
    keys = [hashlib.sha256(f"{record_id} {i}".encode()).digest() for i in range(len(LETTERS))]
    return tuple(sorted(range(len(LETTERS)), key=keys.__getitem__))
