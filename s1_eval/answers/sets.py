"""Answers that are sets of real numbers, as sympy's own sets, in whatever form they were given.
Runs in a worker process only. Points and tuples are no sets here.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import EmptySet, FiniteSet, Interval, S

from s1_eval.answers.equivalence import OPEN, Decision
from s1_eval.answers.forms import Combined, Ordered, Reading, Relation, Scalar, Union, Unordered
from s1_eval.answers.latex import split

NAMED = {
    ("\\mathbb", "{", "R", "}"): S.Reals,
    ("\\mathbb", "{", "Z", "}"): S.Integers,
    ("\\mathbb", "{", "N", "}"): S.Naturals,
    ("\\mathbb", "{", "Q", "}"): S.Rationals,
    ("\\mathbb", "{", "R", "}", "^", "{", "+", "}"): Interval.open(0, S.Infinity),
    ("\\mathbb", "{", "R", "}", "_", "{", "+", "}"): Interval.open(0, S.Infinity),
    ("\\mathbb", "{", "R", "}", "^", "{", "-", "}"): Interval.open(S.NegativeInfinity, 0),
    ("\\mathbb", "{", "Z", "}", "^", "{", "+", "}"): S.Naturals,
    ("\\mathbb", "{", "Z", "}", "_", "{", "+", "}"): S.Naturals,
    ("\\emptyset",): EmptySet,
}
_ORDERS = {"<": sympy.Lt, "\\le": sympy.Le, ">": sympy.Gt, "\\ge": sympy.Ge}
_RELATIONS = frozenset({*_ORDERS, "\\ne", "=", "\\in"})
_MOST_PIECES = 50


def compare_sets(gold: Reading, answer: Reading) -> Decision:
    """Whether two answers, one of which is a set for certain, are the same set of reals;
    undecided where they are none that can be compared."""
    from s1_eval.answers.symbolic import same

    if not (_is_set(gold) or _is_set(answer)):
        return OPEN
    sets = real_set(gold), real_set(answer)
    if sets[0] is None or sets[1] is None:
        return OPEN
    names = [r.name for r in (gold, answer) if isinstance(r, Relation) and r.within and r.name]
    if len(set(names)) > 1:
        return Decision(False, "different names")
    pieces = [_pieces(one) for one in sets]
    if pieces[0] is None or pieces[1] is None:
        return Decision(True, "sets") if sets[0] == sets[1] else OPEN
    if len(pieces[0]) != len(pieces[1]):
        return Decision(False, "sets: different")
    for (low, high, *closed), (low2, high2, *closed2) in zip(*pieces, strict=True):
        for one, other in ((low, low2), (high, high2)):
            if one != other and not (one.is_finite and other.is_finite and same(one, other).equal):
                return Decision(False, "sets: different ends")
        if closed != closed2:
            return Decision(False, "sets: an end is in one of them only")
    return Decision(True, "sets")


def _is_set(reading: Reading) -> bool:
    match reading:
        case Union() | Combined():
            return True
        case Scalar(tokens):
            return tokens in NAMED
        case Relation():
            return reading.within or (reading.value is None and not _is_equation(reading))
        case Ordered(brackets, (_, _)):
            return brackets in ("(]", "[)")
        case _:
            return False


def _is_equation(relation: Relation) -> bool:
    return all(sign in ("", "=") for _, sign in split(relation.latex.split(), _RELATIONS))


def real_set(reading: Reading) -> Any:
    """The sympy set that a reading denotes; None where it denotes none without parameters."""
    try:
        return _set(reading)
    except (ValueError, TypeError, NotImplementedError, AttributeError, RecursionError):
        return None


def _set(reading: Reading) -> Any:
    match reading:
        case Scalar(tokens):
            return NAMED.get(tokens)
        case Ordered(brackets, (low, high)):
            ends = _end(low), _end(high)
            if ends[0] is None or ends[1] is None:
                return None
            return Interval(*ends, brackets[0] == "(", brackets[1] == ")")
        case Unordered(items):
            numbers = [_end(item) for item in items]
            if all(n is not None and n.is_finite for n in numbers):
                return FiniteSet(*numbers)
            return _joined("\\cup", items)
        case Union(parts):
            return _joined("\\cup", parts)
        case Combined(sign, parts):
            return _joined(sign, parts)
        case Relation(value=value, within=True) if value is not None:
            return _set(value)
        case Relation(value=None):
            return _solved(reading)
        case _:
            return None


def _joined(sign: str, parts: tuple[Reading, ...]) -> Any:
    sets = [_set(part) for part in parts]
    if any(one is None for one in sets):
        return None
    if sign == "\\cup":
        return sympy.Union(*sets)
    if sign == "\\cap":
        return sympy.Intersection(*sets)
    return sympy.Complement(sets[0], sympy.Union(*sets[1:]))


def _end(reading: Reading) -> Any:
    """A real number, or an infinity."""
    from s1_eval.answers.symbolic import formula

    if not isinstance(reading, Scalar) or reading.unit:
        return None
    if reading.value is not None:
        return sympy.Rational(reading.value.numerator, reading.value.denominator)
    number = formula(reading.latex)
    if number is None or not isinstance(number, sympy.Expr):
        return None
    number = number.doit()
    return number if number.is_extended_real and not number.free_symbols else None


def _solved(relation: Relation) -> Any:
    """The solutions of inequalities in a row, `1 < |x| \\le 3`, in one unknown."""
    from s1_eval.answers.symbolic import formula

    parts = split(relation.latex.split(), _RELATIONS)
    sides = [formula(" ".join(part)) for part, _ in parts]
    if len(sides) < 2 or not all(isinstance(side, sympy.Expr) for side in sides):
        return None
    unknowns = set().union(*(side.free_symbols for side in sides))
    if len(unknowns) != 1:
        return None
    (unknown,) = unknowns
    found = S.Reals
    for (_, sign), left, right in zip(parts, sides, sides[1:], strict=False):
        if sign == "\\ne":
            roots = sympy.solveset(sympy.Eq(left, right), unknown, S.Reals)
            found = sympy.Intersection(found, sympy.Complement(S.Reals, roots))
        elif sign in _ORDERS:
            condition = _ORDERS[sign](left.doit(), right.doit())
            solved = sympy.solve_univariate_inequality(condition, unknown, relational=False)
            found = sympy.Intersection(found, solved)
        else:
            return None
    return found


def _pieces(found: Any) -> list[tuple[Any, Any, bool, bool]] | None:
    """Intervals and points in order, (low, high, low is in it, high is in it)."""
    found = sympy.simplify(found) if found.has(sympy.Complement, sympy.Intersection) else found
    if found is S.Reals:
        found = Interval(S.NegativeInfinity, S.Infinity)
    if found is EmptySet:
        return []
    pieces: list[tuple[Any, Any, bool, bool]] = []
    for part in found.args if isinstance(found, sympy.Union) else (found,):
        if isinstance(part, Interval):
            pieces.append((part.start, part.end, not part.left_open, not part.right_open))
        elif isinstance(part, FiniteSet):
            pieces += [(number, number, True, True) for number in part.args]
        else:
            return None
    if len(pieces) > _MOST_PIECES or not all(p[0].is_extended_real for p in pieces):
        return None
    return sorted(pieces, key=lambda piece: (piece[0].evalf(30), piece[1].evalf(30)))
