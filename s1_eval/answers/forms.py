"""What an answer can be: a number or formula with its unit, words, a tuple or interval, a set or
list, a union, a matrix, or a relation of these. Plain data; formulas stay LaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from s1_eval.answers.latex import is_text, text_of
from s1_eval.answers.units import Unit


@dataclass(frozen=True, slots=True)
class Scalar:
    """tokens: the formula without its unit. value: where it is a rational number. places: the
    digits after the point where it is written as a decimal, 0 otherwise. label: the letter of the
    option that it is given as, `\\textbf{(B)}\\ 12`, or nothing."""

    tokens: tuple[str, ...]
    value: Fraction | None
    unit: Unit | None = None
    places: int = 0
    label: str = ""

    @property
    def latex(self) -> str:
        return " ".join(self.tokens)

    @property
    def words(self) -> str:
        """Its letters and digits, where it is to be compared with a text: `C)` is C."""
        return words_of(" ".join(text_of(t) if is_text(t) else t for t in self.tokens))

    def __str__(self) -> str:
        shown = self.latex if self.value is None else str(self.value)
        return f"{shown} {self.unit}" if self.unit else shown


@dataclass(frozen=True, slots=True)
class Text:
    """words: letters and digits, in lower case, without articles."""

    words: str

    @property
    def latex(self) -> str:
        return f"\\text{{{self.words}}}"

    def __str__(self) -> str:
        return f"the words {self.words!r}"


@dataclass(frozen=True, slots=True)
class Based:
    """A number written in another base than ten."""

    digits: str
    base: int

    @property
    def latex(self) -> str:
        return f"{self.digits} _ {{ {self.base} }}"

    def __str__(self) -> str:
        return f"{self.digits} in base {self.base}"


RATIO = "::"


@dataclass(frozen=True, slots=True)
class Ordered:
    """A tuple, a point, a vector or an interval; brackets: the opening and the closing one, or
    RATIO."""

    brackets: str
    items: tuple[Reading, ...]

    @property
    def latex(self) -> str:
        if self.brackets == RATIO:
            return " : ".join(item.latex for item in self.items)
        return f"{self.brackets[0]} {_joined(self.items)} {self.brackets[1]}"

    def __str__(self) -> str:
        if self.brackets == RATIO:
            return ":".join(map(str, self.items))
        return f"{self.brackets[0]}{', '.join(map(str, self.items))}{self.brackets[1]}"


@dataclass(frozen=True, slots=True)
class Unordered:
    """A set, or answers in a list; items as written. braces: whether it is written as a set."""

    items: tuple[Reading, ...]
    braces: bool = field(default=False, compare=False)

    @property
    def latex(self) -> str:
        return f"\\{{ {_joined(self.items)} \\}}"

    def __str__(self) -> str:
        return f"{{{', '.join(map(str, self.items))}}}"


@dataclass(frozen=True, slots=True)
class Union:
    """A union of intervals or sets, as written."""

    parts: tuple[Reading, ...]

    @property
    def latex(self) -> str:
        return " \\cup ".join(part.latex for part in self.parts)

    def __str__(self) -> str:
        return " ∪ ".join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class Combined:
    """What the `sign` makes of sets: `\\cap` what is in all of `parts`, `\\setminus` what is in the
    first and in no other."""

    sign: str
    parts: tuple[Reading, ...]

    @property
    def latex(self) -> str:
        return f" {self.sign} ".join(part.latex for part in self.parts)

    def __str__(self) -> str:
        return {"\\cap": " ∩ ", "\\setminus": " ∖ "}[self.sign].join(map(str, self.parts))


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Reading, ...], ...]

    @property
    def latex(self) -> str:
        rows = " \\\\ ".join(" & ".join(item.latex for item in row) for row in self.rows)
        return f"\\begin{{pmatrix}} {rows} \\end{{pmatrix}}"

    def __str__(self) -> str:
        return "[" + "; ".join(", ".join(map(str, row)) for row in self.rows) + "]"


@dataclass(frozen=True, slots=True)
class Relation:
    """An equation or inequality. name: what stands alone on its left, `x`, `f(2)` or `|AB|`, or is
    bounded by it; empty for a general one. value: its right side where the left is a quantity,
    `AB` or `m + n`, and no equation to be solved, or the set that `name` is `within`."""

    latex: str
    name: str = ""
    value: Reading | None = field(default=None, compare=False)
    within: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        if not self.name:
            return self.latex
        return f"{self.name} {'in' if self.within else '='} {self.value}"


Reading = Scalar | Text | Based | Ordered | Unordered | Union | Combined | Matrix | Relation


def _joined(items: Sequence[Reading]) -> str:
    return " , ".join(item.latex for item in items)


def words_of(text: str) -> str:
    """The words of a text in lower case, without punctuation and articles."""
    found = re.findall(r"[^\W_]+", text.lower())
    words = " ".join(w for w in found if w not in ("a", "an", "the") or len(found) == 1)
    return _PHRASE.sub("", words)


_PHRASE = re.compile(r"^there (?:is|are) (?=\w)|(?<=infinitely many) solutions$")
