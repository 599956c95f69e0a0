"""Finds the final answer in the answer part of a trace. Says nothing about what it means.

Every search is linear in the text's length: the text is a model's and may be hostile.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Literal

Rule = Literal["boxed", "marker", "last number", "nothing"]


@dataclass(frozen=True, slots=True)
class Extraction:
    """text: the answer as written, empty for `nothing`. rule: what found it."""

    text: str
    rule: Rule


NOTHING = Extraction("", "nothing")

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
_TOKEN = re.compile(r"\\.|[{}]", re.DOTALL)
_MARKER = re.compile(
    r"\b(?:final\s{1,3})?answer(?:[ \t]{0,3}\*{0,2}[ \t]{0,3}:|[ \t]{1,3}is\b[ \t]{0,3}:?)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"(?<![\d.])[-+−]?(?:\d{1,3}(?:(?:,|\{,\}|\\,|,\\!)\d{3})+(?!\d)|\d+)(?:\.\d+)?(?![\d])"
)


def extract(answer: str) -> Extraction:
    """The last non-empty `\\boxed{…}` with balanced braces (or `\\fbox`, or `\\boxed x`), else
    what follows the last "Final Answer:", "Answer:" or "answer is", else the last number.

    An empty box is passed over (it echoes the instruction); an empty text after the marker is
    not (the answer was announced and never came).
    """
    box = last_box(answer)
    if box:
        return Extraction(box, "boxed")
    marker = _last(_MARKER, answer)
    if marker:
        text = _first_line(answer[marker.end() :])
        return Extraction(text, "marker") if text else NOTHING
    number = last_number(answer)
    return Extraction(number, "last number") if number else NOTHING


def last_box(text: str) -> str:
    """The content of the last non-empty box with balanced braces; empty if there is none."""
    closes = _closing_braces(text)
    for box in reversed(list(_BOX.finditer(text))):
        rest = text[box.end() : box.end() + 80].lstrip()
        if not rest:
            continue
        start = text.index(rest[0], box.end())
        if rest[0] != "{":
            word = re.match(r"\\?[A-Za-z]+|[-+]?[\d.,]*\d|.", rest)
            content = word.group() if word else ""
        elif start in closes:
            content = text[start + 1 : closes[start]]
        else:
            continue
        if content.strip():
            return content.strip()
    return ""


def _closing_braces(text: str) -> dict[int, int]:
    """Where each opening brace that is closed is closed; escaped braces are text."""
    opened: list[int] = []
    closes: dict[int, int] = {}
    for token in _TOKEN.finditer(text):
        if token.group() == "{":
            opened.append(token.start())
        elif token.group() == "}" and opened:
            closes[opened.pop()] = token.start()
    return closes


def last_number(text: str) -> str:
    """The last number as written, thousands separators included; empty if there is none."""
    number = _last(_NUMBER, text)
    return number.group() if number else ""


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


def _first_line(text: str) -> str:
    """The first line with anything in it but emphasis."""
    for line in text.split("\n"):
        line = line.strip().strip("*").strip()
        if line:
            return line
    return ""
