"""Names that users and records give: the known one that was meant, their order, and a name as a
file's."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that looks most like `name`; None where none looks like it. cutoff: the least
    likeness, between 0 and 1."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def choose_from(name: str, known: Iterable[str]) -> str:
    """The end of a refusal of `name`: `did you mean 'nano'? choose from aime24, …, nano`."""
    names = list(known)
    close = nearest(name, names)
    hint = f"did you mean {close!r}? " if close else ""
    return f"{hint}choose from {', '.join(names)}"


def natural(name: str) -> list[str | int]:
    """A sorting key that puts 64 before 128."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]{1,18})", name))]


def slug(text: str, longest: int = 60, keep: str = "") -> str:
    """`text` in the letters that every file system takes: a to z, digits, `_`, `-`, and those to
    `keep`. Two texts may have the same slug."""
    return re.sub(rf"[^a-z0-9_{re.escape(keep)}-]+", "-", text.lower())[:longest]


def file_name(text: str) -> str:
    """`text` as the stem of a file, on any system; different texts have different ones."""
    plain = slug(text)
    if plain == text:
        return plain
    return f"{plain}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"
