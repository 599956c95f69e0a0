"""How an answer is read: its canonical tokens become one of the `forms`. Whether two are equal is
not asked here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from s1_eval.answers import arithmetic
from s1_eval.answers.forms import (
    Based,
    Matrix,
    Ordered,
    Reading,
    Relation,
    Scalar,
    Text,
    Union,
    Unordered,
    words_of,
)
from s1_eval.answers.latex import (
    CLOSING,
    OPENING,
    Unreadable,
    closing,
    is_text,
    split,
    text_of,
    tokenize,
)
from s1_eval.answers.units import (
    DEGREE,
    DOLLAR,
    MULTIPLES,
    NO_UNITS,
    PERCENT,
    Unit,
    is_unit,
    parse_unit,
)


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """The reading of an answer without its surroundings (see `extract`). Raises Unreadable."""
    return _read(tokenize(text))


def _read(tokens: tuple[str, ...]) -> Reading:
    tokens = _trim(tokens)
    if not tokens:
        raise Unreadable("empty")
    for reader in (_list, _relation, _union, _bracketed, _matrix, _plus_minus):
        reading = reader(tokens)
        if reading is not None:
            return reading
    return _leaf(tokens)


def _trim(tokens: tuple[str, ...]) -> tuple[str, ...]:
    start, end = 0, len(tokens)
    while start < end and tokens[start] in _EDGES:
        start += 1
    while start < end and tokens[end - 1] in _EDGES:
        end -= 1
    return tokens[start:end]


_EDGES = frozenset(
    {".", ",", ";", ":", "=", "\\\\", "*", '"', "`", "?", "\\implies", "\\Rightarrow"}
)
_COMMAS = frozenset({",", ";", "or", "and"})
_EQUALS = frozenset({"=", "\\approx", "\\equiv", "\\in"})
_ORDERS = frozenset({"<", "\\le", ">", "\\ge"})
_RELATIONS = _EQUALS | _ORDERS | {"\\ne", "!="}
_INFINITE = frozenset({("\\infty",), ("+", "\\infty"), ("-", "\\infty")})


def _list(tokens: tuple[str, ...]) -> Reading | None:
    """Answers in a row: `1, -2`, `3 or 5`, `x = 1, x = 2`, `x < 1 or x > 2`."""
    parts = split(tokens, _COMMAS)
    items = [(_trim(part), after) for part, after in parts]
    items = [(part, after) for part, after in items if part]
    if len(parts) < 2:
        return None
    if not items:
        raise Unreadable("empty")
    readings: list[Reading] = []
    for part, _ in items:
        reading = _read(part)
        both = isinstance(reading, Unordered) and any(t in part for t in ("\\pm", "\\mp"))
        readings += reading.items if both and isinstance(reading, Unordered) else (reading,)
    if len(readings) == 1:
        return readings[0]
    bounds = [r for r in readings if isinstance(r, Relation) and r.within and r.value]
    if len(bounds) == len(readings):
        if any(after == "and" for _, after in items):
            return Relation(" ".join(tokens))
        union = Union(tuple(r.value for r in bounds if r.value))
        return Relation(" ".join(tokens), bounds[0].name, union, within=True)
    return Unordered(_distinct(readings))


def _distinct(readings: Sequence[Reading]) -> tuple[Reading, ...]:
    """Each answer once, also where it is written in two ways, as in `15.975, \\frac{639}{40}`."""
    keys = [
        (r.value, r.unit) if isinstance(r, Scalar) and r.value is not None else r for r in readings
    ]
    return tuple(dict(zip(reversed(keys), reversed(readings), strict=True)).values())[::-1]


def _relation(tokens: tuple[str, ...]) -> Reading | None:
    parts = split(tokens, _RELATIONS)
    if len(parts) < 2:
        return None
    sides = [_trim(part) for part, _ in parts]
    signs = [sign for _, sign in parts[:-1]]
    if not all(sides):
        raise Unreadable("a relation without one of its sides")
    latex = " ".join(tokens)
    if set(signs) <= _ORDERS:
        return _inequality(sides, signs, latex)
    if not set(signs) <= _EQUALS:
        return Relation(latex)
    if "\\approx" in signs[1:] or (signs[0] == "\\approx" and not _is_name(sides[0])):
        cut = signs.index("\\approx", 1 if _is_name(sides[0]) else 0)
        sides, signs = sides[: cut + 1], signs[:cut]
        if not signs:
            return _read(sides[0])
    value = _read(sides[-1])
    if _is_name(sides[0]):
        return Relation(latex, "".join(_name(sides[0])), value, within="\\in" in signs)
    if all(arithmetic.exact(side) is not None for side in sides[:-1]):
        return value  # 2 + 3 = 5
    return Relation(latex, "", value)


def _inequality(sides: list[tuple[str, ...]], signs: list[str], latex: str) -> Relation:
    """`x > 2`, `2 < x`, `1 \\le x < 3` bound x to an interval; others are general."""
    if signs[0] in (">", "\\ge"):
        sides, signs = sides[::-1], [_TURNED[s] for s in signs[::-1]]
    if any(sign in (">", "\\ge") for sign in signs) or len(sides) > 3:
        return Relation(latex)
    if len(sides) == 2:
        low, high = (sides[0], ("\\infty",)) if _is_name(sides[1]) else (("-", "\\infty"), sides[1])
        middle = sides[1] if _is_name(sides[1]) else sides[0]
        closed = (signs[0] == "\\le", False) if _is_name(sides[1]) else (False, signs[0] == "\\le")
    else:
        low, middle, high = sides
        closed = (signs[0] == "\\le", signs[1] == "\\le")
    if not _is_name(middle) or not (_is_constant(low) and _is_constant(high)):
        return Relation(latex)
    brackets = ("[" if closed[0] else "(") + ("]" if closed[1] else ")")
    interval = Ordered(brackets, (_read(low), _read(high)))
    return Relation(latex, "".join(_name(middle)), interval, within=True)


_TURNED = {">": "<", "\\ge": "\\le", "<": ">", "\\le": "\\ge"}


def _is_constant(tokens: tuple[str, ...]) -> bool:
    if tokens in _INFINITE:
        return True
    try:
        return not arithmetic.evaluate(tokens).symbols
    except arithmetic.NoValue:
        return False


def _name(tokens: tuple[str, ...], space: str = "") -> tuple[str, ...]:
    """A name without fonts: `\\text{Area}` and `Area` are one."""
    return tuple(text_of(t).replace(" ", space) if is_text(t) else t for t in tokens)


def _is_name(tokens: tuple[str, ...]) -> bool:
    """`x`, `a_{n}`, `I_{\\max}`, `f(x)`, `\\Phi(x, y)`, `(x, y)`, `\\text{Area}`, `f'(x)`,
    `f^{-1}(x)`."""
    bare = re.sub(r"(?:_|\^) \{ [^{}]* \}|'", "", " ".join(_name(tokens)))
    return bool(_NAME.fullmatch(bare.strip())) and "\\infty" not in tokens


_WORD = r"(?:[A-Za-z]+|\\(?!pi\b|infty\b)[a-zA-Z]+)"
_NAME = re.compile(
    rf"{_WORD}(?: {_WORD})?\s*(?:\( {_WORD}(?: , {_WORD})*\s*\))?|\( {_WORD}(?: , {_WORD})* \)"
)


def _union(tokens: tuple[str, ...]) -> Reading | None:
    parts = split(tokens, frozenset({"\\cup"}))
    if len(parts) < 2:
        return None
    return Union(tuple(_read(part) for part, _ in parts))


def _bracketed(tokens: tuple[str, ...]) -> Reading | None:
    if tokens[0] not in ("(", "[", "\\{") or closing(tokens, 0) != len(tokens) - 1:
        return None
    opening, inner, close = tokens[0], _trim(tokens[1:-1]), tokens[-1]
    if close == "\\end":
        raise Unreadable("unbalanced brackets")
    if not inner:
        return Scalar(("\\emptyset",), None) if opening == "\\{" else None
    parts = [part for part, _ in split(inner, frozenset({",", ";"}))]
    if opening == "\\{":
        builder = split(inner, frozenset({"|", ":"}))
        if len(builder) > 1:  # \{x : x > 2\}
            condition = _read(builder[-1][0])
            bounds = isinstance(condition, Relation) and condition.within
            return condition if bounds else Scalar(tokens, None)
        inside = _read(inner)
        return inside if isinstance(inside, Unordered) else Unordered((inside,))
    if len(parts) == 1:
        return _read(inner)
    if not all(_trim(part) for part in parts):
        raise Unreadable("a tuple without one of its items")
    brackets = opening + (close if close in (")", "]") else ")")
    return Ordered(brackets, tuple(_read(part) for part in parts))


def _matrix(tokens: tuple[str, ...]) -> Reading | None:
    """A matrix or column, with a factor before it or transposed, also as `(1, 2)^T`."""
    if tokens[-4:] in _TRANSPOSED and len(tokens) > 4:
        inside = _read(tokens[:-4])
        if isinstance(inside, Ordered):
            return Matrix(tuple((item,) for item in inside.items))
        return Matrix(tuple(zip(*inside.rows, strict=True))) if isinstance(inside, Matrix) else None
    if "\\begin" not in tokens:
        return None
    start = tokens.index("\\begin")
    factor = tokens[:start]
    if closing(tokens, start) != len(tokens) - 1 or "+" in factor or "-" in factor[1:]:
        return None
    rows = [part for part, _ in split(tokens[start + 1 : -1], frozenset({"\\\\"}))]
    rows = [tuple(t for t in row if t != "\\hline") for row in rows]
    cells = [[_trim(part) for part, _ in split(row, frozenset({"&"}))] for row in rows if row]
    if not cells or len({len(row) for row in cells}) != 1:
        raise Unreadable("a matrix with rows of different lengths")
    if not all(cell for row in cells for cell in row):
        raise Unreadable("a matrix with an empty cell")
    if factor:
        cells = [[(*factor, "(", *cell, ")") for cell in row] for row in cells]
    return Matrix(tuple(tuple(_read(cell) for cell in row) for row in cells))


_TRANSPOSED = frozenset(("^", "{", sign, "}") for sign in ("T", "\\top", "\\intercal"))


def _plus_minus(tokens: tuple[str, ...]) -> Reading | None:
    """`1 \\pm \\sqrt{2}` is two answers."""
    signs = [at for at, t in enumerate(tokens) if t in ("\\pm", "\\mp")]
    if len(signs) != 1 or any(t in OPENING or t in CLOSING for t in tokens[: signs[0]]):
        return None
    at = signs[0]
    if at == len(tokens) - 1:
        raise Unreadable("a sign without a number")
    plus = _leaf((*tokens[:at], *(("+",) if at else ()), *tokens[at + 1 :]))
    return Unordered((plus, _leaf((*tokens[:at], "-", *tokens[at + 1 :]))))


def _leaf(tokens: tuple[str, ...]) -> Reading:
    if all(is_text(t) or t.isalpha() for t in tokens) and any(is_text(t) for t in tokens):
        return Text(words_of(" ".join(_name(tokens, " "))))
    based = _based(tokens)
    if based:
        return based
    if len(tokens) > 1 and is_text(tokens[0]) and tokens[0].endswith(_SAYING):
        tokens = tokens[1:]  # \text{The area is } 5
    tokens, unit = _unit(tokens)
    if not tokens:
        raise Unreadable("empty")
    value = arithmetic.exact(tokens)
    places = 0
    if value is not None:
        decimals = [t for t in tokens if "." in t]
        number = [t for t in tokens if t not in ("-", "+")]
        if len(decimals) == 1 and len(number) == 1:
            places = len(decimals[0].partition(".")[2])
    return Scalar(tokens, value, unit, places)


_SAYING = ("is}", "are}", "equals}")


def _based(tokens: tuple[str, ...]) -> Based | None:
    """`52_{8}`, `(1A)_{16}`, `52_{eight}`, `52 (base 8)`."""
    if tokens[-1] == "}" and "_" in tokens:
        at = tokens.index("_")
        head, index = "".join(tokens[:at]), "".join(_name(tokens[at + 2 : -1]))
    else:
        match = _SPELLED_BASE.fullmatch(" ".join(_name(tokens, " ")))
        if not match:
            return None
        head, index = match[1].replace(" ", ""), match[2]
    index = index.removeprefix("base").strip()
    base = int(index) if index.isdecimal() else _BASES.get(index, 0)
    digits = head.removeprefix("(").removesuffix(")")
    if not (2 <= base <= 36 and digits.isalnum() and any(c.isdigit() for c in digits)):
        return None
    try:
        int(digits, base)
    except ValueError:  # 2x_3 is a formula
        return None
    return Based(digits.upper().lstrip("0") or "0", base)


_SPELLED_BASE = re.compile(r"([0-9A-Za-z ]{1,80}?) (?:in )?(?:\( ?)?base (\w{1,12})(?: ?\))?")
_NUMBER_WORDS = (
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
)
_BASES = {word: base for base, word in enumerate(_NUMBER_WORDS.split(), start=2)}
_BASES |= {"binary": 2, "octal": 8, "decimal": 10, "hexadecimal": 16, "hex": 16}


def _unit(tokens: tuple[str, ...]) -> tuple[tuple[str, ...], Unit | None]:
    """The formula, and the unit before or after it."""
    if tokens[0] == "\\$" or tokens[:2] in (("-", "\\$"), ("+", "\\$")):
        tokens, unit = _unit_words(tuple(t for t in tokens if t != "\\$"))
        return tokens, DOLLAR if unit is None else unit
    if tokens[-1] in ("\\$", "\\%") and len(tokens) > 1:
        return tokens[:-1], DOLLAR if tokens[-1] == "\\$" else PERCENT
    if tokens.count("\\degree") == 1 and not _FUNCTIONS.intersection(tokens):
        at = tokens.index("\\degree")
        if tokens[at + 1 :] in ((), ("F",), ("C",)):
            return tokens[:at], DEGREE
    return _unit_words(tokens)


_FUNCTIONS = frozenset("\\" + name for name in ("sin", "cos", "tan", "cot", "sec", "csc"))


def _unit_words(tokens: tuple[str, ...]) -> tuple[tuple[str, ...], Unit | None]:
    """Words and bare units at the end, with their power; `5 \\text{ million}` is a number."""
    end, power = len(tokens), 1
    if end > 4 and tokens[-1] == "}" and tokens[-4:-2] == ("^", "{"):
        power = int(tokens[-2]) if tokens[-2] in ("2", "3") else 0
        end -= 4
    start = end
    while start > 1 and power and (is_text(tokens[start - 1]) or is_unit(tokens[start - 1])):
        start -= 1
    if start == end:
        return tokens, None
    words = " ".join(_name(tokens[start:end], " "))
    if not NO_UNITS.isdisjoint(words.lower().split()):
        return tokens, None
    first, _, others = words.partition(" ")
    if first.lower() in MULTIPLES:
        tokens, words = (*tokens[:start], "*", MULTIPLES[first.lower()]), others
        return tokens, parse_unit(words, power) if words else None
    inner = re.search(r"\^\s*\{?([23])\}?\s*$", words)
    if inner:
        power *= int(inner[1])
    return tokens[:start], parse_unit(words, power)
