"""Whether an answer equals the reference. Exact numbers, words and the structure of tuples, sets,
intervals and matrices are decided here; what is left, formula against formula, goes to sympy by
way of Math-Verify in a worker process that can be killed (see `pool`, `symbolic`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

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
)
from s1_eval.answers.latex import LONGEST, Unreadable, is_text
from s1_eval.answers.pool import Failed, shared_pool
from s1_eval.answers.reading import DOTS, read
from s1_eval.answers.units import DEGREE, PERCENT, Unit
from s1_eval.errors import UserError


@dataclass(frozen=True, slots=True)
class Strictness:
    """What counts as equal, per benchmark.

    degrees: `90` is not `90^\\circ`. percent: `10` is not `10\\%`; `10\\%` is 0.1 in any case.
    base: `52` is not `52_8`. units: `5` is not `5\\text{ cm}`, and any words after a number
        matter; off, only two different units contradict each other.
    order: `tuples` are ordered and sets and lists are not; `all` are, or `none`.
    brackets: `(3,4]` is not `[3,4]`.
    decimals: a decimal of so many places or more, and digits, on either side stands for a number
        that has no finite decimal when it is that number rounded; None: never.
    tolerance: the absolute error that is allowed, one for all or one per item of a list.
    symmetric: neither side is the reference; equal if either would be right for the other.
    """

    degrees: bool = True
    percent: bool = True
    base: bool = True
    units: bool = False
    order: Literal["tuples", "all", "none"] = "tuples"
    brackets: bool = True
    decimals: int | None = 6
    tolerance: tuple[Fraction, ...] = ()
    symmetric: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool) and not isinstance(value, bool):
                raise UserError(f"{field.name}={value!r}: give true or false")
        if self.order not in ("tuples", "all", "none"):
            raise UserError(f"order={self.order!r}: give tuples, all or none")
        if self.decimals is not None and not (isinstance(self.decimals, int) and self.decimals > 0):
            raise UserError(f"decimals={self.decimals!r}: give a number of 1 or more, or null")
        object.__setattr__(self, "tolerance", _tolerance(self.tolerance))

    def to_dict(self) -> dict[str, Any]:
        """JSON form, which the constructor takes back."""
        return asdict(self) | {"tolerance": [str(t) for t in self.tolerance]}


def _tolerance(given: Any) -> tuple[Fraction, ...]:
    try:
        if isinstance(given, str | int | float | Fraction):
            given = (given,)
        tolerance = tuple(Fraction(str(one)) for one in given)
    except (TypeError, ValueError, ZeroDivisionError):
        tolerance = (Fraction(-1),)
    if any(one < 0 for one in tolerance):
        raise UserError(f"tolerance={given!r}: give a number of 0 or more, or one per item")
    return tolerance


@dataclass(frozen=True, slots=True)
class Comparison:
    """equal, and the rule that decided it. gold_read_as, answer_read_as: how each side was
    understood. milliseconds: what deciding it took, the first time."""

    equal: bool
    rule: str
    gold_read_as: str
    answer_read_as: str
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Decision:
    """equal is None where it was not decided."""

    equal: bool | None
    rule: str


Decide = Callable[[Reading, Reading, Strictness], Decision]
OPEN = Decision(None, "undecided")


def compare(gold: str, answer: str, strictness: Strictness = Strictness()) -> Comparison:
    """Whether `answer` equals `gold`, both without their surroundings (see `extract`).

    Never raises for what they are: what can't be read, decided or finished within the limits is
    not equal, with that as its rule. The same pair is decided once.
    """
    return decided(gold, answer[: LONGEST + 1], strictness)


@lru_cache(maxsize=16_384)
def decided(gold: str, answer: str, strictness: Strictness) -> Comparison:
    """`compare`, which remembers."""
    began = time.perf_counter()
    equal, rule, gold_read_as, answer_read_as = _compare(gold, answer, strictness)
    milliseconds = 1000 * (time.perf_counter() - began)
    return Comparison(equal, rule, gold_read_as, answer_read_as, milliseconds)


def check_readable(gold: str) -> None:
    """Raises UserError where a reference answer can't be read."""
    try:
        reading = read(gold)
        formulas = [f for f in _formulas(reading) if not _has_value(f)]
        if not formulas:
            return
        reply = shared_pool().ask({"read": [f.latex for f in formulas]})
        problem = reply["problem"]
    except (Unreadable, Failed) as error:
        problem = str(error)
    if problem:
        raise UserError(
            f"the reference answer {gold[:200]!r} can't be read: {problem}; correct the data"
        )


def _compare(gold: str, answer: str, strictness: Strictness) -> tuple[bool, str, str, str]:
    if gold.strip() == answer.strip() and gold.strip():
        return True, "literal", gold.strip(), answer.strip()
    try:
        gold_reading = read(gold)
    except Unreadable as error:
        return False, f"the reference can't be read: {error}", "", ""
    if isinstance(gold_reading, Unordered) and _RUN_TOGETHER.fullmatch(answer):
        answer = answer.replace(",", ", ")
    if isinstance(gold_reading, Matrix) and _NESTED.match(answer):
        answer = answer.replace("\\{", "[").replace("\\}", "]")
        answer = answer if "\\" in answer else answer.replace("{", "[").replace("}", "]")
    try:
        answer_reading = read(answer)
    except Unreadable as error:
        return False, f"the answer can't be read: {error}", str(gold_reading), ""
    read_as = str(gold_reading), str(answer_reading)
    decision = decide_either_way(gold_reading, answer_reading, strictness, by_value)
    if decision.equal is not None:
        return decision.equal, decision.rule, *read_as
    question = {"gold": gold, "answer": answer, "strictness": strictness.to_dict()}
    try:
        reply = shared_pool().ask(question)
    except Failed as failure:
        return False, f"not decided: {failure}", *read_as
    return bool(reply["equal"]), str(reply["rule"]), *read_as


_RUN_TOGETHER = re.compile(r"\s*-?\d{1,3}(?:,\d{3})+\s*")
"""One number, or a list without spaces where the reference is a list."""
_NESTED = re.compile(r"\s*(?:\\left\s*)?\\?\{\s*(?:\\left\s*)?\\?\{")
"""Rows in braces, which are a set of sets where the reference is no matrix."""


def decide_either_way(
    gold: Reading, answer: Reading, strictness: Strictness, formulas: Decide
) -> Decision:
    """`decide`, and the other way round where neither side is the reference."""
    first = decide(gold, answer, strictness, formulas)
    if first.equal or not strictness.symmetric:
        return first
    second = decide(answer, gold, strictness, formulas)
    return second if second.equal or first.equal is False else first


def decide(gold: Reading, answer: Reading, strictness: Strictness, formulas: Decide) -> Decision:
    """Compares two readings down to their formulas, which `formulas` compares."""
    if gold == answer:
        return Decision(True, "same spelling")
    match gold, answer:
        case Relation(), Relation():
            return _relations(gold, answer, strictness, formulas)
        case _, Relation():
            if answer.value is None:
                return formulas(gold, answer, strictness)
            return decide(gold, answer.value, strictness, formulas)
        case Relation(), _:
            if gold.value is None:
                return formulas(gold, answer, strictness)
            if not gold.name:
                return Decision(False, "an equation was asked for")
            return decide(gold.value, answer, strictness, formulas)
        case Unordered() | Ordered(), Unordered() | Ordered():
            return _collections(gold, answer, strictness, formulas)
        case Matrix(), Matrix():
            return _matrices(gold, answer, strictness, formulas)
        case (Matrix(rows), Ordered(items=items)) | (Ordered(items=items), Matrix(rows)):
            if all(len(row) == 1 for row in rows) or len(rows) == 1:
                flat = tuple(item for row in rows for item in row)
                pair = (flat, items) if isinstance(gold, Matrix) else (items, flat)
                return _in_order(*pair, strictness, formulas)
            nested = tuple(item.items for item in items if isinstance(item, Ordered))
            if len(nested) < len(items):
                return Decision(False, "different kinds")
            sides = [r if isinstance(r, Matrix) else Matrix(nested) for r in (gold, answer)]
            return _matrices(sides[0], sides[1], strictness, formulas)
        case ((Union() | Combined()), (Union() | Combined())):
            if isinstance(gold, Union) and isinstance(answer, Union):
                matched = _matching(gold.parts, answer.parts, strictness, formulas)
                if matched.equal:
                    return matched
            return formulas(gold, answer, strictness)
        case (Unordered(items=(item,)), _) if not isinstance(answer, Union):
            return decide(item, answer, strictness, formulas)
        case (_, Unordered(items=(item,))) if not isinstance(gold, Union):
            return decide(gold, item, strictness, formulas)
        case Text(), Text():
            return Decision(gold.words == answer.words, "words")
        case (Text(words), Scalar() as other) | (Scalar() as other, Text(words)):
            if other.label:
                return Decision(words == other.label, "words")
            return Decision(_together(words) == _together(other.words), "words")
        case Based(), _:
            return _based(gold, answer, strictness)
        case _, Based():
            return _based(answer, gold, strictness)
        case Scalar(), Scalar():
            return _scalars(gold, answer, strictness, formulas)
        case _:
            opaque = any(isinstance(r, Scalar) and r.value is None for r in (gold, answer))
            if opaque or not {Union, Combined}.isdisjoint((type(gold), type(answer))):
                return formulas(gold, answer, strictness)
            return Decision(False, "different kinds")


def _relations(
    gold: Relation, answer: Relation, strictness: Strictness, formulas: Decide
) -> Decision:
    same_name = gold.name and gold.name == answer.name
    if gold.value and answer.value and (same_name or (gold.within and answer.within)):
        if not same_name:
            return Decision(False, "different names")
        return decide(gold.value, answer.value, strictness, formulas)
    return formulas(gold, answer, strictness)


def _collections(
    gold: Ordered | Unordered, answer: Ordered | Unordered, strictness: Strictness, formulas: Decide
) -> Decision:
    if (getattr(gold, "brackets", "") == RATIO) != (getattr(answer, "brackets", "") == RATIO):
        return Decision(False, "different kinds")
    if _is_interval(gold) and isinstance(answer, Unordered):
        return Decision(False, "different kinds")
    if strictness.order != "none":
        for one, other in ((gold, answer), (answer, gold)):
            if isinstance(one, Ordered) and isinstance(other, Unordered):
                if other.braces and one.brackets == "()":
                    return Decision(False, "different kinds")
                names = _named(other)
                if names:  # (2, 1) against y = 1, x = 2
                    sides = (one.items, names) if one is gold else (names, one.items)
                    return _in_order(*sides, strictness, formulas)
    ordered = isinstance(gold, Ordered) or strictness.order == "all"
    if not ordered or strictness.order == "none":
        return _matching(gold.items, answer.items, strictness, formulas)
    if strictness.brackets and isinstance(gold, Ordered) and isinstance(answer, Ordered):
        pairs = len(gold.items) == len(answer.items) == 2
        if pairs and gold.brackets != answer.brackets:
            return Decision(False, "different brackets")
    return _in_order(gold.items, answer.items, strictness, formulas)


def _named(listed: Unordered) -> tuple[Reading, ...]:
    """The values of different unknowns in a list, those of single letters in the letters' order;
    nothing where it is another list."""
    named = [r for r in listed.items if isinstance(r, Relation) and r.name and r.value]
    names = [r.name for r in named]
    if len(named) < len(listed.items) or len(set(names)) < len(names):
        return ()
    if all(len(name) == 1 for name in names):
        named.sort(key=lambda r: r.name)
    return tuple(r.value for r in named if r.value)


def _is_interval(reading: Reading) -> bool:
    """Whether a pair in brackets can't be a point: it is closed or infinite at an end."""
    if not (isinstance(reading, Ordered) and len(reading.items) == 2):
        return False
    infinite = any(isinstance(i, Scalar) and _is_infinite(i) for i in reading.items)
    return infinite or reading.brackets != "()"


def _matrices(gold: Matrix, answer: Matrix, strictness: Strictness, formulas: Decide) -> Decision:
    if [len(row) for row in gold.rows] != [len(row) for row in answer.rows]:
        return Decision(False, "different shapes")
    flat = [tuple(item for row in m.rows for item in row) for m in (gold, answer)]
    return _in_order(flat[0], flat[1], strictness, formulas)


def _in_order(
    gold: Sequence[Reading], answer: Sequence[Reading], strictness: Strictness, formulas: Decide
) -> Decision:
    if len(gold) != len(answer):
        return Decision(False, "different lengths")
    undecided: Decision | None = None
    for number, (g, a) in enumerate(zip(gold, answer, strict=True)):
        decision = decide(g, a, _nth(strictness, number), formulas)
        if decision.equal is False:
            return Decision(False, f"item {number + 1}: {decision.rule}")
        undecided = undecided or (decision if decision.equal is None else None)
    return undecided or Decision(True, "every item")


def _matching(
    gold: Sequence[Reading], answer: Sequence[Reading], strictness: Strictness, formulas: Decide
) -> Decision:
    """Whether the items can be paired off, each with an equal one."""
    if len(gold) != len(answer):
        return Decision(False, "different lengths")
    if len(gold) > _MOST_ITEMS:
        return Decision(False, f"not decided: more than {_MOST_ITEMS} items in no order")
    decisions = [
        [decide(g, a, _nth(strictness, n), formulas) for a in answer] for n, g in enumerate(gold)
    ]
    if _paired([[d.equal is True for d in row] for row in decisions]):
        return Decision(True, "every item, in any order")
    if _paired([[d.equal is not False for d in row] for row in decisions]):
        return next(d for row in decisions for d in row if d.equal is None)
    reasons = {d.rule for row in decisions for d in row if d.rule.startswith("not decided")}
    return Decision(False, min(reasons, default="an item without an equal"))


_MOST_ITEMS = 200


def _nth(strictness: Strictness, number: int) -> Strictness:
    """The strictness of one item, where the items have tolerances of their own."""
    if len(strictness.tolerance) < 2:
        return strictness
    own = strictness.tolerance[min(number, len(strictness.tolerance) - 1)]
    settings = strictness.to_dict() | {"tolerance": (own,)}
    return Strictness(**settings)


def _paired(possible: list[list[bool]]) -> bool:
    """Whether a perfect matching exists (augmenting paths)."""
    partner: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, allowed in enumerate(possible[row]):
            if allowed and column not in seen:
                seen.add(column)
                if column not in partner or place(partner[column], seen):
                    partner[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(possible)))


def _based(based: Based, other: Reading, strictness: Strictness) -> Decision:
    if isinstance(other, Based):
        return Decision(based == other, "digits and base")
    if strictness.base or not isinstance(other, Scalar) or other.unit:
        return Decision(False, "the base is missing" if isinstance(other, Scalar) else "base")
    digits = "".join(other.tokens).upper().lstrip("0") or "0"
    return Decision(digits == based.digits, "digits")


def _scalars(gold: Scalar, answer: Scalar, strictness: Strictness, formulas: Decide) -> Decision:
    if not _units_agree(gold.unit, answer.unit, strictness):
        return Decision(False, "different units")
    if gold.label and answer.label and gold.label != answer.label:
        return Decision(False, "different options")
    if _is_word(gold) or _is_word(answer):
        return Decision(_together(gold.words) == _together(answer.words), "words")
    if gold.value is not None and answer.value is not None:
        equal = _numbers_agree(gold, answer, gold.value, answer.value, strictness)
        return Decision(equal, "exact numbers" if equal else "different values")
    if _is_infinite(gold) and answer.value is not None:
        return Decision(False, "different values")
    if _is_infinite(answer) and gold.value is not None:
        return Decision(False, "different values")
    return formulas(gold, answer, strictness)


def _numbers_agree(
    gold: Scalar, answer: Scalar, g: Fraction, a: Fraction, strictness: Strictness
) -> bool:
    if gold.unit != answer.unit and not strictness.percent and g == a:
        return True
    g, a = (v / 100 if s.unit == PERCENT else v for s, v in ((gold, g), (answer, a)))
    if g == a:
        return True
    gap: Fraction = abs(g - a)
    if strictness.tolerance:
        return gap <= strictness.tolerance[0]
    return any(
        rounds(decimal, strictness) and not _terminates(other) and gap <= half_a_unit(decimal)
        for decimal, other in ((answer, g), (gold, a))
    )


def allowed_error(gold: Scalar, answer: Scalar, strictness: Strictness) -> Fraction | None:
    """The absolute error between two constants that the tolerance allows, or that the last place
    of a long decimal on either side leaves open."""
    if strictness.tolerance:
        return strictness.tolerance[0]
    decimals = [s for s in (answer, gold) if rounds(s, strictness)]
    return half_a_unit(decimals[0]) if decimals else None


def rounds(answer: Scalar, strictness: Strictness) -> bool:
    """Whether an answer is a decimal of enough places and digits to stand for a number that has
    no finite decimal."""
    if strictness.decimals is None or answer.places < strictness.decimals or answer.value is None:
        return False
    digits = abs(answer.value * 10**answer.places).numerator
    return bool(digits >= 10 ** (strictness.decimals - 1))


def half_a_unit(answer: Scalar) -> Fraction:
    """Half of the last place of a decimal; of one with all the digits of a floating point number,
    at least that number's own error."""
    half = Fraction(1, 2 * 10**answer.places)
    if answer.value is None or abs(answer.value) * 10**answer.places < 10**14:
        return half
    return max(half, abs(answer.value) / 2**52)


def _terminates(value: Fraction) -> bool:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _units_agree(gold: Unit | None, answer: Unit | None, strictness: Strictness) -> bool:
    if gold == answer:
        return True
    if PERCENT in (gold, answer):
        return None in (gold, answer)
    if gold and answer:
        return not (gold.known and answer.known) and not strictness.units
    if DEGREE in (gold, answer):
        return not strictness.degrees
    return not strictness.units


def _is_word(scalar: Scalar) -> bool:
    """Whether words are part of it: texts, or runs of letters that are too long for products."""
    return scalar.value is None and any(
        is_text(t) or (t.isalpha() and len(t) > 3) for t in scalar.tokens
    )


def _together(words: str) -> str:
    return words.replace(" ", "")


def _is_infinite(scalar: Scalar) -> bool:
    return scalar.tokens[-1] == "\\infty"


def by_value(gold: Reading, answer: Reading, strictness: Strictness) -> Decision:
    """Formulas by their floating point values: tells many apart for certain, equates none but
    numbers within a tolerance."""
    if not (isinstance(gold, Scalar) and isinstance(answer, Scalar)):
        return OPEN
    if PERCENT in (gold.unit, answer.unit):
        return OPEN
    try:
        values = [
            (arithmetic.evaluate(gold.tokens, point), arithmetic.evaluate(answer.tokens, point))
            for point in range(2)
        ]
    except arithmetic.TooLarge:
        return Decision(False, "not decided: too large to evaluate")
    except arithmetic.NoValue:
        return OPEN
    constant = not any(g.symbols or a.symbols for g, a in values)
    allowed = (constant and allowed_error(gold, answer, strictness)) or 0
    if any(arithmetic.apart(g, a) > allowed for g, a in values):
        return Decision(False, "different values")
    return OPEN


def _formulas(reading: Reading) -> list[Scalar | Relation]:
    """Everything in a reading that only sympy can read."""
    match reading:
        case Scalar():
            simple = reading.value is not None or _is_word(reading) or _is_infinite(reading)
            simple = simple or reading.tokens == DOTS
            return [] if simple else [reading]
        case Relation():
            return _formulas(reading.value) if reading.value else [reading]
        case Ordered(items=items) | Unordered(items) | Union(items) | Combined(parts=items):
            return [f for item in items for f in _formulas(item)]
        case Matrix(rows):
            return [f for row in rows for item in row for f in _formulas(item)]
        case _:
            return []


def _has_value(formula: Scalar | Relation) -> bool:
    try:
        return isinstance(formula, Scalar) and bool(arithmetic.evaluate(formula.tokens))
    except arithmetic.NoValue:
        return False
