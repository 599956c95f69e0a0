"""Where the thinking ends in a recorded text: the delimiters that a file's own texts show, and a
text split by them. Which field of a file holds the text stands in `foreign`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from s1_eval.errors import UserError
from s1_eval.thinking import ThinkingFormat
from s1_eval.thinking.formats import FORMATS, THINK_TAGS

NUDGE = "Final Answer:"
"""What the s1 fork writes behind the end delimiter, and only where it forced the end."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The delimiters of a format as they stand in decoded text. shown: the end, for messages."""

    start: re.Pattern[str]
    end: re.Pattern[str]
    shown: str

    @classmethod
    def of(cls, start: str, end: str) -> Marks:
        return cls(re.compile(re.escape(start)), re.compile(re.escape(end)), end)

    def open(self, text: str) -> bool:
        """Whether `text` begins with the start."""
        return bool(self.start.pattern and self.start.match(text.lstrip()))

    def opened_by(self, prompt: str) -> bool:
        """Whether the prompt ends with the start, so that a text need not have it."""
        return bool(self.start.pattern) and _ends_with(self.start, prompt)

    def closed_by(self, text: str) -> bool:
        """Whether `text` ends with the end: a prompt that does tells the model not to think."""
        return _ends_with(self.end, text)


NO_MARKS = Marks(re.compile(r"(?!)"), re.compile(r"(?!)"), "")
"""Of a model that answers without thinking, if the user says so."""

_LOOSE: Mapping[str, tuple[Marks, ...]] = {
    "harmony": (
        Marks(
            re.compile(r"(?:<\|start\|>assistant)?<\|channel\|>analysis<\|message\|>"),
            re.compile(r"(?:<\|end\|>)?(?:<\|start\|>assistant)?<\|channel\|>final<\|message\|>"),
            "<|channel|>final<|message|>",
        ),
        # Decoded without its special tokens.
        Marks(re.compile(r"\Aanalysis(?=[A-Z\s])"), re.compile("assistantfinal"), "assistantfinal"),
    ),
}
"""Formats that files spell in more than one way."""


def marks_of(format: ThinkingFormat) -> tuple[Marks, ...]:
    """How a format shows in decoded text: not at all where it is plain words, which any text may
    have. The end is the stop, or the whole end where the stop begins other things too (s1)."""
    if format.name in _LOOSE:
        return _LOOSE[format.name]
    start, stop = format.start.strip(), min(format.stops, default="").strip()
    if not set(stop) & set("<>[]|◁▷"):
        return ()
    return (Marks.of(start, format.body.strip() if start.startswith(stop) else stop),)


S1 = marks_of(FORMATS["s1"])[0]
_OPEN_THOUGHTS = Marks.of("<|begin_of_thought|>", "<|end_of_thought|>")
"""Of published traces; no model that we know is asked by it."""


def known_marks(formats: Iterable[ThinkingFormat]) -> tuple[Marks, ...]:
    """Those of all formats, each end once; think tags first, the commonest."""
    found: dict[str, Marks] = {}
    for format in formats:
        for marks in marks_of(format):
            found.setdefault(marks.shown, marks)
    return (*(found.pop(m.shown) for m in marks_of(THINK_TAGS)), *found.values(), _OPEN_THOUGHTS)


KNOWN = known_marks(FORMATS.values())


@dataclass(frozen=True, slots=True)
class Parts:
    """A text in its parts. closed: whether the thinking came to an end, None where the text can't
    say. forced: whether the text shows that this end was not the model's own."""

    thinking: str
    response: str
    closed: bool | None
    forced: bool = False


def find_marks(texts: Iterable[tuple[str, str, str]]) -> Marks | None:
    """The delimiters in most of a file's texts, None where no text shows any. texts: (where it
    stands, prompt, text).

    Raises UserError where another row shows other delimiters only: one of the two would be read as
    cut.
    """
    seen = []
    for where, prompt, text in texts:
        here = [
            m
            for m in KNOWN
            if m.end.search(text) or m.open(text) or m.opened_by(prompt) or m.closed_by(prompt)
        ]
        if here:
            seen.append((where, here))
    if not seen:
        return None
    counts = Counter(marks.shown for _, here in seen for marks in here)
    chosen = max(KNOWN, key=lambda marks: counts[marks.shown])  # the first of equals
    for where, here in seen:
        if chosen not in here:
            raise UserError(
                f"{where} shows {here[0].shown!r}, other rows of the file {chosen.shown!r}: say "
                f"which is meant, e.g. --delimiters '...{chosen.shown}', or split the file"
            )
    return chosen


def split(text: str, marks: Marks, prompt: str = "") -> Parts:
    """The parts of a text that holds thinking and response. Without the end all of it is thinking
    that was cut, unless the prompt has closed the thinking already."""
    if marks is NO_MARKS:
        return Parts("", text, True)
    end = marks.end.search(text)
    if end is None:
        if marks.closed_by(prompt) and not marks.open(text):
            return Parts("", text, True)
        return Parts(_after_start(text, marks), "", False)
    response = text[end.end() :]
    # A model whose end was forced often writes the end itself, later.
    forced = bool(marks.end.search(response)) or response.lstrip().startswith(NUDGE)
    return Parts(_after_start(text[: end.start()], marks), response, True, forced)


def _after_start(text: str, marks: Marks) -> str:
    start = marks.start.search(text) if marks.start.pattern else None
    return text[start.end() :] if start else text


def _ends_with(pattern: re.Pattern[str], prompt: str) -> bool:
    tail = prompt.rstrip()[-200:]
    return any(found.end() == len(tail) for found in pattern.finditer(tail))
