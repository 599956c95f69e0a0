"""How an answer is read: its canonical tokens become one of the `forms`. Whether two are equal is
not asked here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import TypeGuard

from s1_eval.answers import arithmetic
from s1_eval.answers.forms import (
    RATIO,
    Based,
    Combined,
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
    COUNTED,
    CURRENCIES,
    DEGREE,
    MULTIPLES,
    NO_UNITS,
    PERCENT,
    Unit,
    is_unit,
    parse_unit,
    spelled,
)


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """The reading of an answer without its surroundings (see `extract`). Raises Unreadable."""
    return _read(tokenize(text))


def _read(tokens: tuple[str, ...]) -> Reading:
    tokens = _trim(tokens)
    if not tokens:
        raise Unreadable("empty")
    if "\\implies" in tokens:
        return _read(split(tokens, _SO)[-1][0])
    for reader in (_list, _relation, _ratio, _union, _bracketed, _matrix, _plus_minus):
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
_SO = frozenset({"\\implies"})
_COMMAS = frozenset({",", ";", "or", "and"})
_EQUALS = frozenset({"=", "\\approx", "\\equiv", "\\in"})
_ORDERS = frozenset({"<", "\\le", ">", "\\ge"})
_NOT = frozenset({"\\ne", "\\notin"})
_RELATIONS = _EQUALS | _ORDERS | _NOT
_REALS = Scalar(("\\mathbb", "{", "R", "}"), None)
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
    bounds = [r for r in readings if isinstance(r, Relation) and (r.within or _is_open(r))]
    if len(bounds) == len(readings):
        values = tuple(r.value or r for r in bounds)
        if len(set().union(*map(_unknowns, bounds))) > 1:
            return Unordered(_distinct(readings))
        both = {after for _, after in items[:-1]} <= {"and", ","} and _hold_together(
            values, any(after == "and" for _, after in items)
        )
        combined: Reading = Combined("\\cap", values) if both else Union(values)
        return Relation(" ".join(tokens), bounds[0].name or bounds[-1].name, combined, within=True)
    out = _excluded(readings)
    if out:  # x \ne 2, 3
        value: Reading = Combined("\\setminus", (_REALS, out))
        name = readings[0].name if isinstance(readings[0], Relation) else ""
        return Relation(" ".join(tokens), name, value, within=True)
    sequence = _sequence(readings)
    return Unordered(sequence if sequence is not None else _distinct(readings))


def _excluded(readings: list[Reading]) -> Unordered | None:
    """The numbers that `x \\ne 2, 3` keeps out, or `all real numbers except 2 and 3`."""
    first = readings[0].value if isinstance(readings[0], Relation) else readings[0]
    match first:
        case Combined("\\setminus", (whole, Unordered(items))) if whole == _REALS:
            if all(isinstance(r, Scalar) for r in readings[1:]):
                return Unordered((*items, *readings[1:]))
    return None


def _unknowns(bound: Relation) -> set[str]:
    return {bound.name} if bound.name else {t for t in bound.latex.split() if t.isalpha()}


def _is_open(relation: Relation) -> bool:
    """Whether it is an inequality that is yet to be solved."""
    return relation.value is None and not _ORDERS.isdisjoint(relation.latex.split())


def _hold_together(values: tuple[Reading, ...], said: bool) -> bool:
    """Whether bounds in a row hold at once. A comma between two intervals joins them where one
    begins before the other ends, as in `x > -1, x < 4`."""
    if said or any(not isinstance(value, Ordered) for value in values):
        return True
    if len(values) != 2:
        return False
    lows = [v.items[0] for v in values if isinstance(v, Ordered) and _is_number(v.items[0])]
    highs = [v.items[1] for v in values if isinstance(v, Ordered) and _is_number(v.items[1])]
    if len(lows) != 1 or len(highs) != 1:
        return False
    ends = [arithmetic.evaluate(end.tokens).number for end in (lows[0], highs[0])]
    return bool(complex(ends[0]).real < complex(ends[1]).real)


def _is_number(reading: Reading) -> TypeGuard[Scalar]:
    return isinstance(reading, Scalar) and reading.tokens not in _INFINITE


DOTS = ("\\ldots",)
_LONGEST_SEQUENCE = 200


def _sequence(readings: list[Reading]) -> tuple[Reading, ...] | None:
    """What `1, 2, \\ldots, 9` stands for: all its items where it goes on to a number in equal
    steps or factors, else its first two and what comes after the dots. None without dots."""
    at = [n for n, r in enumerate(readings) if isinstance(r, Scalar) and r.tokens == DOTS]
    if len(at) != 1 or at[0] < 2:
        return None
    shown, rest = readings[: at[0]], readings[at[0] + 1 :]
    numbers = [r.value for r in shown if isinstance(r, Scalar) and r.value is not None]
    if len(numbers) < len(shown):
        return None
    step = numbers[1] - numbers[0]
    steady = all(b - a == step for a, b in pairwise(numbers))
    ends = [r.value for r in rest if isinstance(r, Scalar) and r.value is not None]
    if steady and step and len(rest) == len(ends) == 1:
        count = (ends[0] - numbers[0]) / step
        if count.denominator == 1 and 0 < count < _LONGEST_SEQUENCE:
            return tuple(_number(numbers[0] + step * n) for n in range(count.numerator + 1))
    if len(numbers) > 2 and all(
        a and b * numbers[0] == a * numbers[1] for a, b in pairwise(numbers)
    ):
        return _powers(numbers, ends) if len(rest) == len(ends) == 1 else None
    return (*shown[:2], Scalar(DOTS, None), *rest) if steady else None


def _powers(numbers: list[Fraction], ends: list[Fraction]) -> tuple[Reading, ...] | None:
    found, factor = [numbers[0]], numbers[1] / numbers[0]
    while found[-1] != ends[0] and len(found) < _LONGEST_SEQUENCE:
        found.append(found[-1] * factor)
    return tuple(map(_number, found)) if found[-1] == ends[0] else None


def _number(value: Fraction) -> Scalar:
    return Scalar(tokenize(str(value)), value)


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
    if len(signs) == 1 and signs[0] in _NOT and _is_name(sides[0]):
        out = _read(sides[1])
        if signs[0] == "\\ne" and not isinstance(out, Unordered):
            out = Unordered((out,))
        others = Combined("\\setminus", (_REALS, out))
        return Relation(latex, "".join(_name(sides[0])), others, within=True)
    if not set(signs) <= _EQUALS:
        return Relation(latex)
    if "\\approx" in signs[1:] or (signs[0] == "\\approx" and not _is_name(sides[0])):
        cut = signs.index("\\approx", 1 if _is_name(sides[0]) else 0)
        sides, signs = sides[: cut + 1], signs[:cut]
        if not signs:
            return _read(sides[0])
    if not _is_name(sides[0]) and _is_name(sides[-1]) and "\\in" not in signs:
        sides = sides[::-1]  # 5 = x
    value = _read(sides[-1])
    if _is_name(sides[0]) or _is_quantity(sides[0]):
        return Relation(latex, "".join(_name(sides[0])), value, within="\\in" in signs)
    if all(arithmetic.exact(side) is not None for side in sides[:-1]):
        return value if _is_closed(sides[-1]) else Relation(latex)  # 2 + 3 = 5
    if _is_closed(sides[0]) or _is_sum_of_quantities(sides[0]):
        return Relation(latex, "", value)
    return Relation(latex)


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
    bare = re.sub(rf"_ \{{ [^{{}}]* \}}|'|{_INVERSE}", "", " ".join(_name(tokens)))
    return bool(_NAME.fullmatch(bare.strip())) and "\\infty" not in tokens


def _is_sum_of_quantities(tokens: tuple[str, ...]) -> bool:
    """`m + n`, `\\frac{a}{b}`, `AB \\cdot CD`: several quantities without numbers or powers, which
    nobody solves for one of them."""
    parts: list[tuple[str, ...]] = [tokens]
    for signs in (_PLUS, _TIMES):
        parts = [cut for part in parts for cut, _ in split(part, signs)]
    names: list[tuple[str, ...]] = []
    for part in parts:
        if part[:1] == ("\\frac",):
            end = closing(part, 1)
            if part[end + 1 : end + 2] != ("{",) or closing(part, end + 1) != len(part) - 1:
                return False
            names += [part[2:end], part[end + 2 : -1]]
        else:
            names.append(part)
    return all(n and (_is_name(n) or _is_quantity(n)) for n in names)


_PLUS, _TIMES = frozenset("+-"), frozenset("*/:")


def _is_quantity(tokens: tuple[str, ...]) -> bool:
    """A quantity by its name: `f(2)`, `P(A \\cap B)`, `|AB|`, `\\|v\\|`, `\\overline{AB}`,
    `\\angle ABC`, `\\sin A`, `[ABC]`, `\\text{Number of ways}`; not `|x|`, `2x` or `x^2`, which
    leave an equation to be solved."""
    if not tokens:
        return False
    first, last = tokens[0], tokens[-1]
    if first in _BARS and last == first and len(tokens) > 2:
        inner = tokens[1:-1]
        return _is_quantity(inner) or (
            _is_name(inner) and (first == "\\|" or inner[0] not in _UNKNOWNS - {"z", "w"})
        )
    if first == "[" and last == "]":
        return len(tokens) == 3 and tokens[1].isalpha()
    if first in _MARKS:
        rest = tokens[1:]
        return bool(rest) and (_is_name(rest) or _is_name(rest[1:-1]) or _is_quantity(rest))
    if first in _TRIGONOMETRIC:
        rest = tokens[2:-1] if tokens[1:2] == ("(",) else tokens[1:]
        named = _is_name(rest) or _is_quantity(rest)
        return named and rest[0] not in _UNKNOWNS
    if is_text(first):
        said = words_of(text_of(first)).split()
        return any(len(word) > 2 for word in said) and NO_UNITS.isdisjoint(said)
    if first in _OPERATORS and _is_name(tokens[1:]):
        return True
    at = next((n for n, t in enumerate(tokens) if t in ("(", "[")), 0)
    if not at or closing(tokens, at) != len(tokens) - 1:
        return first.isalpha() and len(first) > 3 and all(t.isalpha() for t in tokens)
    if at == 1 and len(first) == 1 and first.islower():  # x(x+1) is a product
        arguments = tokens[at:]
        if first not in "fgh" and (first in arguments or not _PLUS.isdisjoint(arguments)):
            return False
        return first not in _UNKNOWNS
    return _is_name(tokens[:at]) or first in _OPERATORS


_BARS = frozenset({"|", "\\|"})
_UNKNOWNS = frozenset("xyztuw")
_MARK_NAMES = (
    "overline vec overrightarrow widehat overleftrightarrow hat bar angle measuredangle triangle "
    "arc Delta det dim deg operatorname bold"
)
_MARKS = frozenset("\\" + name for name in _MARK_NAMES.split()) | {"m", "#"}
_OPERATOR_NAMES = "gcd lcm max min det Pr deg dim ker sup inf arg Re Im Var"
_OPERATORS = frozenset("\\" + name for name in _OPERATOR_NAMES.split())
_TRIGONOMETRIC = frozenset("\\" + name for name in ("sin", "cos", "tan", "cot", "sec", "csc"))


def _is_closed(tokens: tuple[str, ...]) -> bool:
    """Whether an expression has no unknown: it can only be evaluated."""
    if tokens[0] in ("\\sum", "\\prod", "\\int", "\\lim"):
        return True
    return _is_constant(tokens) or not any(
        (t.isalpha() and t not in ("e", "i")) or t in arithmetic.GREEK or is_text(t) for t in tokens
    )


_INVERSE = r"\^ \{ (?:- 1 \}(?= \()|' \}|\* \}|\\prime \}|\( \w \) \}|T \})"
_NO_NAMES = (
    "pi infty ln log lg exp sqrt frac sin cos tan cot sec csc arcsin arccos arctan max min gcd lcm "
    "sum prod int lim binom pm mp ldots euro pounds yen rupee won lfloor lceil"
)
_WORD = rf"(?:[A-Za-z]+|\\(?!(?:{_NO_NAMES.replace(' ', '|')})\b)[a-zA-Z]+)"
_NAME = re.compile(
    rf"{_WORD}(?: {_WORD})?\s*(?:\( {_WORD}(?: , {_WORD})*\s*\))?|\( {_WORD}(?: , {_WORD})* \)"
)


def _ratio(tokens: tuple[str, ...]) -> Reading | None:
    """`3:4`, and the time of day, whose parts are compared one by one."""
    parts = split(tokens, frozenset({":"}))
    if len(parts) < 2 or not all(_trim(part) for part, _ in parts):
        return None
    return Ordered(RATIO, tuple(_leaf(_trim(part)) for part, _ in parts))


def _union(tokens: tuple[str, ...]) -> Reading | None:
    if tokens[:6] == (*_REALS.tokens, "-", "\\{"):
        tokens = (*_REALS.tokens, "\\setminus", *tokens[5:])
    for sign in ("\\cup", "\\setminus", "\\cap"):
        parts = split(tokens, frozenset({sign}))
        if len(parts) < 2:
            continue
        readings = tuple(_read(part) for part, _ in parts)
        if sign == "\\setminus":  # all real numbers except 2
            readings = tuple(
                Unordered((r,)) if isinstance(r, Scalar) and r.value is not None else r
                for r in readings
            )
        return Union(readings) if sign == "\\cup" else Combined(sign, readings)
    return None


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
            bar = builder[0][1]
            condition = _read(tuple(inner[len(builder[0][0]) + 1 :])) if bar else None
            if isinstance(condition, Relation) and (condition.within or condition.value is None):
                return condition
            return Scalar(tokens, None)
        inside = _read(inner)
        return Unordered(inside.items if isinstance(inside, Unordered) else (inside,), braces=True)
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
    label = _LABEL.fullmatch(tokens[0]) if len(tokens) > 1 else None
    tokens = tokens[1:] if label else tokens
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
    return Scalar(tokens, value, unit, places, label[1].lower() if label else "")


_LABEL = re.compile(r"\\text\{\(([A-J])\)\}")
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
    index = index.strip("()").removeprefix("base").strip()
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
    first = tokens[1] if tokens[0] in ("-", "+") and len(tokens) > 1 else tokens[0]
    if first in CURRENCIES and len(tokens) > 1:
        tokens, unit = _unit_words(tuple(t for t in tokens if t != first))
        return tokens, CURRENCIES[first] if unit is None or unit.name in _MONEY else unit
    if tokens[-1] in (*CURRENCIES, "\\%") and len(tokens) > 1:
        return tokens[:-1], CURRENCIES.get(tokens[-1], PERCENT)
    if tokens.count("\\degree") == 1 and not _FUNCTIONS.intersection(tokens):
        at = tokens.index("\\degree")
        if tokens[at + 1 :] in ((), ("F",), ("C",)):
            return tokens[:at], DEGREE
    return _unit_words(tokens)


_MONEY = frozenset(unit.name for unit in CURRENCIES.values())
_FUNCTIONS = frozenset("\\" + name for name in ("sin", "cos", "tan", "cot", "sec", "csc"))


def _are_words(tokens: tuple[str, ...]) -> bool:
    """Whether all are words and the first is too long for a product of letters."""
    return (
        bool(tokens)
        and all(t.isalpha() or is_text(t) for t in tokens)
        and (len(tokens[0]) > 3 or tokens[0].lower() in COUNTED)
    )


def _several_units(tokens: tuple[str, ...]) -> tuple[tuple[str, ...], Unit] | None:
    """Units with their powers in texts of their own, `\\text{m}\\,\\text{s}^{-1}`."""
    start = next((n for n, t in enumerate(tokens) if is_text(t)), 0)
    start -= start > 1 and tokens[start - 1] in ("*", "/")
    if start < 1 or not any(t in ("^", "/", "*") for t in tokens[start:]):
        return None
    name = spelled("".join(f" {text_of(t)}" if is_text(t) else t for t in tokens[start:]).strip())
    return (tokens[:start], parse_unit(name)) if name else None


def _unit_words(tokens: tuple[str, ...]) -> tuple[tuple[str, ...], Unit | None]:
    """Words and bare units at the end, with their power; `5 \\text{ million}` is a number."""
    several = _several_units(tokens)
    if several:
        return several
    end, power = len(tokens), 1
    if end > 4 and tokens[-1] == "}" and tokens[-4:-2] == ("^", "{"):
        power = int(tokens[-2]) if tokens[-2] in ("2", "3") else 0
        end -= 4
    start = end
    while start > 1 and power and (is_text(tokens[start - 1]) or is_unit(tokens[start - 1])):
        start -= 1
    if power and arithmetic.exact(tokens[:1]) is not None and _are_words(tokens[1:end]):
        start = 1  # 12 chickens
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
    if inner and not spelled(words):
        power *= int(inner[1])
    return tokens[:start], parse_unit(words, power)
