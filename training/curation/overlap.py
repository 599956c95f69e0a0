"""Which texts share eight words in a row with other texts: exact, in one pass over each. Words are
what stands between white space, lower-cased."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WORDS = 8


@dataclass(frozen=True, slots=True)
class Reference:
    """A text that others must not repeat.

    name: what an overlap with it is put down to, e.g. `math500 test/algebra/1.json`.
    secret: its words may not be written anywhere; an overlap gives the name alone.
    """

    name: str
    text: str
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Overlap:
    """words: the first eight that are shared, or all of a shorter text; None if secret."""

    name: str
    words: str | None


class Index:
    """References that can be searched; more can be added at any time.

    Takes about 120 bytes a word. A text of fewer than eight words overlaps with a reference that
    has exactly the same ones.
    """

    def __init__(self) -> None:
        self._first: dict[str, Reference] = {}
        """The earliest reference that has a run of words."""

    def add(self, references: Iterable[Reference]) -> None:
        for reference in references:
            for run in _runs(reference.text):
                self._first.setdefault(run, reference)

    def overlaps(self, texts: Sequence[str]) -> Iterator[Overlap | None]:
        """For each text its first overlap, with the earliest reference that has it."""
        for text in texts:
            shared = next((run for run in _runs(text) if run in self._first), None)
            if shared is None:
                yield None
            else:
                found = self._first[shared]
                yield Overlap(found.name, None if found.secret else shared)


def repeated(
    references: Iterable[Reference], texts: Iterable[tuple[str, str]]
) -> dict[str, Overlap]:
    """The references that any text repeats, by their names, each with its first overlap, whose name
    is the text's. texts: (name, text), read once."""
    wanted: dict[str, list[Reference]] = {}
    for reference in references:
        for run in set(_runs(reference.text)):
            wanted.setdefault(run, []).append(reference)
    found: dict[str, Overlap] = {}
    for name, text in texts:
        for run in _runs(text):
            for reference in wanted.get(run, ()):
                overlap = Overlap(name, None if reference.secret else run)
                found.setdefault(reference.name, overlap)
    return found


def _runs(text: str) -> Iterator[str]:
    """Every eight words in a row, or all of a shorter text; neither is ever a run of the other
    kind, since words hold no space."""
    words = text.lower().split()
    for at in range(max(len(words) - WORDS, 0) + 1):
        yield " ".join(words[at : at + WORDS])
