"""Finds the final answer in the answer part of a trace. What it means is for `reading`.

Every search is linear in the text's length: the text is a model's and may be hostile.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from s1_eval.answers.units import is_unit

Rule = Literal[
    "boxed",
    "after the marker",
    "whole text",
    "last formula",
    "last number",
    "last option",
    "nothing",
]


@dataclass(frozen=True, slots=True)
class Extraction:
    """text: the answer as written, empty for `nothing`. rule: what found it."""

    text: str
    rule: Rule


NOTHING = Extraction("", "nothing")


def extract(answer: str) -> Extraction:
    """The final answer of a text, by the first of these rules that applies:

    - the last non-empty `\\boxed{…}` with balanced braces (or `\\fbox`, or `\\boxed x`), together
      with boxes right before it, as in `\\boxed{1}` and `\\boxed{2}`;
    - what follows the last "Final Answer:", "Answer:" or "answer is". Nothing there is no answer:
      it was announced and never came;
    - the whole text where it is one formula or a few words;
    - the last formula in dollars or brackets that has the last number in it, or that number.

    An empty box is passed over: it echoes the instruction.
    """
    return (
        _boxed(answer) or _announced(answer) or _whole(answer) or _last_formula(answer) or NOTHING
    )


def extract_option(answer: str, options: Sequence[str], letters: str) -> Extraction:
    """The letter of a multiple-choice answer, by the rules of `extract`, else the last option that
    stands alone: `(C)`, `C)`, `**C**`, "option C". The text of an option counts as its letter.

    options: the options' texts in the order of `letters`, or none. Text that names no option, or
    two, is `nothing`.
    """
    for found in (_boxed(answer), _announced(answer)):
        if found:
            letter = _option(found.text, options, letters)
            return Extraction(letter, found.rule) if letter else NOTHING
    letter = _option(answer, options, letters, alone=True)
    if letter:
        return Extraction(letter, "whole text")
    one = f"([{letters}])"
    pattern = re.compile(rf"\({one}\)|\*\*{one}\*\*|\b(?i:option|choice) {one}\b")
    last = _last(pattern, answer)
    return Extraction(last[last.lastindex or 0], "last option") if last else NOTHING


def last_number(text: str) -> str:
    """The last number as written, thousands separators included; empty if there is none."""
    number = _last(_NUMBER, text)
    return number.group() if number else ""


def leading_number(text: str) -> str:
    """The number that a text begins with; empty where it begins with more of a formula."""
    number = _LEADING.match(text.lstrip("$\\([{ *"))
    return number.group() if number else ""


def prose(text: str) -> list[str]:
    """The words of a text that are part of no formula. Two letters are a product more often than
    a word."""
    return [
        word
        for word in _WORD.findall(text)
        if (len(word) > 2 or word.lower() in _SHORT)
        and word.lower() not in _KNOWN
        and not is_unit(word)
    ]


_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
_WORD_IN_BOX = re.compile(r"\\?[A-Za-z]+|[-+]?[\d.,]*\d|.", re.DOTALL)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BETWEEN_BOXES = re.compile(r"[\s$,;.]*(?:\\text\{\s*)?(?:and|or)?(?:\s*\})?[\s$,;]*")
_MARKER = re.compile(
    r"\b(?:final\s{1,3})?answer(?:[ \t]{0,3}[*_]{0,2}[ \t]{0,3}:|[ \t]{1,3}is\b[ \t]{0,3}:?)",
    re.IGNORECASE,
)
_DIGITS = r"(?:\d{1,3}(?:(?:,|\{,\}|\\,|,\\!)\d{3})+(?!\d)|\d+)(?:\.\d+)?"
_NUMBER = re.compile(rf"(?<![\d.\w])[-+−]?{_DIGITS}(?!\d)|(?<![\d\w])[-+−]?\.\d+|\d+")
_LEADING = re.compile(rf"[-+−]?{_DIGITS}(?![\d.]*\d)(?!\s*[-+*/^_=\\({{])")


def _boxed(text: str) -> Extraction | None:
    boxes = [box for box in _boxes(text) if box[2].strip()]
    if not boxes:
        return None
    joined = [boxes[-1][2]]
    for (_, end, content), (start, *_) in zip(boxes[-2::-1], boxes[:0:-1], strict=True):
        if start - end > 20 or not _BETWEEN_BOXES.fullmatch(text, end, start):
            break
        joined.append(content)
    return Extraction(", ".join(c.strip() for c in reversed(joined)), "boxed")


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of every box whose braces balance, none inside another."""
    boxes: list[tuple[int, int, str]] = []
    closes: dict[int, int] | None = None
    for box in _BOX.finditer(text):
        start = box.end()
        if start >= len(text) or (boxes and start < boxes[-1][1]):
            continue
        if text[start] != "{":
            word = _WORD_IN_BOX.match(text, start, start + 80)
            if word:
                boxes.append((box.start(), word.end(), word.group()))
            continue
        closes = _closing_braces(text) if closes is None else closes
        if start in closes:
            boxes.append((box.start(), closes[start] + 1, text[start + 1 : closes[start]]))
    return boxes


def _closing_braces(text: str) -> dict[int, int]:
    """Where each opening brace that is closed is closed; escaped braces are text."""
    opened: list[int] = []
    closes: dict[int, int] = {}
    for brace in _BRACE.finditer(text):
        if brace.group() == "{":
            opened.append(brace.start())
        elif brace.group() == "}" and opened:
            closes[opened.pop()] = brace.start()
    return closes


def _announced(text: str) -> Extraction | None:
    marker = _last(_MARKER, text)
    if marker is None:
        return None
    rest = text[marker.end() :].lstrip(" \t\r\n*_:")
    formulas = _formulas(rest, 2_000)
    if formulas and not rest[: formulas[0][0]].strip():
        return Extraction(_row(rest, formulas)[0], "after the marker")
    line = rest.split("\n", 1)[0].strip().strip("*").strip()
    if not line:
        return NOTHING
    if formulas and formulas[0][0] < len(line):
        return Extraction(_row(rest, formulas)[-1], "after the marker")
    return Extraction(_without_prose(line), "after the marker")


def _without_prose(line: str) -> str:
    """A line up to the end of its first sentence; a point inside a number ends none."""
    end = re.search(r"[.;!](?=\s+\S|$)|,(?=\s+[a-z]{2,})", line[:_LONGEST_LINE])
    return line[: end.start()].strip() if end and end.start() else line


_LONGEST_LINE = 4_000


def _row(text: str, formulas: list[tuple[int, int, str]]) -> list[str]:
    """Neighbouring formulas joined, as in `$1$ and $2$`."""
    rows = [formulas[0][2]]
    for (_, end, _), (start, _, content) in pairwise(formulas):
        between = text[end:start].strip()
        if between in _JOINTS:
            rows[-1] += f", {content}"
        else:
            rows.append(content)
    return rows


_JOINTS = frozenset({",", "and", "or", ", and", ", or"})


def _formulas(text: str, limit: int | None = None) -> list[tuple[int, int, str]]:
    """(start, end, content) of every formula in `$…$`, `$$…$$`, `\\(…\\)` or `\\[…\\]`."""
    text = text[:limit]
    found: list[tuple[int, int, str]] = []
    missing: set[str] = set()
    at = 0
    for opening in _OPENING.finditer(text):
        close = _CLOSES[opening.group()]
        if opening.start() < at or close in missing:
            continue
        end = text.find(close, opening.end())
        if end < 0:
            missing.add(close)
            continue
        at = end + len(close)
        if text[opening.end() : end].strip():
            found.append((opening.start(), at, text[opening.end() : end].strip()))
    return found


_OPENING = re.compile(r"(?<!\\)\$\$?|(?<!\\)\\[(\[]")
_CLOSES = {"$": "$", "$$": "$$", "\\(": "\\)", "\\[": "\\]"}


def _whole(text: str) -> Extraction | None:
    """A text that is nothing but an answer: one line, with no prose in it."""
    line = text.strip().strip("*").strip()
    if not line or len(line) > _LONGEST_WHOLE or "\n" in line or _BOX.search(line):
        return None
    bare = _WRAPPED.sub(" ", line)
    words = prose(bare)
    if any(c.isdigit() for c in bare):
        too_many = len(words) > 1 or any(len(w) > 3 for w in words)
    else:
        too_many = len(words) > 3
    return None if too_many else Extraction(line, "whole text")


_LONGEST_WHOLE = 400
_WRAPPED = re.compile(r"\\[A-Za-z]+(?:\s*\{[^{}]{0,80}\})?")
_WORD = re.compile(r"(?<![A-Za-z\d^_\\])[A-Za-z]{2,}")
_KNOWN_WORDS = (
    "and or sqrt pi sin cos tan cot sec csc log exp inf infinity base degrees percent union"
)
_SHORT = frozenset({"is", "it", "so", "we", "be", "as"})
_KNOWN = frozenset(_KNOWN_WORDS.split())


def _last_formula(text: str) -> Extraction | None:
    number = _last(_NUMBER, text)
    formulas = _formulas(text)
    if formulas and (number is None or formulas[-1][1] >= number.end()):
        return Extraction(_row(text, formulas)[-1], "last formula")
    return Extraction(number.group(), "last number") if number else None


def _option(text: str, options: Sequence[str], letters: str, *, alone: bool = False) -> str:
    """The one letter that a text names at its beginning, or whose option it is; empty where it
    names none, or two. alone: with nothing after the letter but its option."""
    bare = _FONT.sub(r"\1", text[:_LONGEST_LINE].replace("$", " ")).strip(" \n\t.*_`")
    bare = re.sub(r"^(?:\\[(\[]|(?:option|choice|answer)\b[ :]*)", "", bare, flags=re.IGNORECASE)
    bare = bare.strip().removesuffix("\\)").removesuffix("\\]").strip()
    named = re.match(rf"\(?([{letters}{letters.lower()}])(?:[).:,\]]|$|\s+[-–—])", bare)
    meant = {letter: _plain(option) for letter, option in zip(letters, options, strict=False)}
    if named:
        letter, rest = named[1].upper(), bare[named.end() :]
        if alone and rest.strip() and _plain(rest) != meant.get(letter):
            return ""
        return "" if re.search(rf"\b(?:or|and)\s+\(?[{letters}]\b", rest) else letter
    same = [letter for letter, option in meant.items() if option and option == _plain(text)]
    return same[0] if len(same) == 1 else ""


_FONT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|bf|rm)\s*\{([^{}]*)\}")


def _plain(text: str) -> str:
    """A text by its letters, digits and signs alone."""
    text = _FONT.sub(r"\1", text[:_LONGEST_LINE]).casefold()
    return re.sub(r"[\s$*`{}]+|\\[ ,;!()\[\]]|\.$", "", text.strip().rstrip("."))


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    matches: Iterator[re.Match[str]] = pattern.finditer(text)
    return next(iter(deque(matches, maxlen=1)), None)
