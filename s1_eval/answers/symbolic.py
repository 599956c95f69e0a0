"""Formulas by sympy, read by Math-Verify's grammar. Runs in a worker process only: sympy may take
any time and memory. Two formulas are equal here when that is proved, never because they agree to
some number of digits; sets of reals are in `sets`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse
from sympy import Float, I, N, Rational, S, Symbol, nsimplify
from sympy.core.evalf import evalf
from sympy.core.function import AppliedUndef
from sympy.functions.elementary.hyperbolic import HyperbolicFunction

from s1_eval.answers.equivalence import (
    Decision,
    Strictness,
    allowed_error,
    by_value,
    decide_either_way,
)
from s1_eval.answers.forms import Reading, Relation, Scalar
from s1_eval.answers.reading import read
from s1_eval.answers.units import PERCENT
from s1_eval.json_lines import JsonObject

_CONFIG = LatexExtractionConfig(
    boxed_match_priority=-1,
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=False, nits=False, boxed="none"
    ),
)
"""Units, brackets and shorthands are ours to read: Math-Verify would take `7t` for 7 tonnes."""

DIGITS = (50, 500, 5_000)
"""Working precisions at which two sides are told apart. What still agrees at the first is tried
for a proof of equality before the next."""


def answer(question: JsonObject) -> JsonObject:
    """Answers `{"read": [latex, …]}` with the `problem`, if any, and
    `{"gold": …, "answer": …, "strictness": …}` with `equal` and the `rule`."""
    if "read" in question:
        unread = [latex for latex in question["read"] if not _readable(latex)]
        return {"problem": f"sympy can't parse {unread[0]}" if unread else ""}
    strictness = Strictness(**question["strictness"])
    sides = read(question["gold"]), read(question["answer"])
    decision = decide_either_way(*sides, strictness, by_sympy)
    return {"equal": decision.equal, "rule": decision.rule}


def _readable(latex: str) -> bool:
    from s1_eval.answers.sets import real_set

    return formula(latex) is not None or real_set(read(latex)) is not None


@lru_cache(maxsize=512)
def formula(latex: str) -> Any:
    """The sympy object that Math-Verify reads; None where it can't. Decimals are exact, and `i` is
    the imaginary unit."""
    latex = _DEGREES.sub(r"( \\frac { \1 \\pi } { 180 } )", latex)
    latex = latex.replace("\\degree", "\\cdot \\frac { \\pi } { 180 }")
    if "_ { i =" in latex:  # an index, and no imaginary unit
        unused = next(name for name in "jkpqsuvw" if name not in latex.split())
        latex = " ".join(unused if token == "i" else token for token in latex.split())
    latex = _RATIO.sub(r"\1 ( \2 ) /", latex)
    counters = set(_COUNTER.findall(latex))
    latex = _BOUNDED.sub(_bounds, latex)
    if counters:
        latex = _TERM.sub(lambda term: _function(term, counters), latex)
    latex = _INDEX.sub(_plain_index, latex)
    parsed = parse(f"${latex}$", (_CONFIG,), fallback_mode="no_fallback", parsing_timeout=None)
    if not parsed:
        return None
    expression = parsed[0]
    if not isinstance(expression, sympy.Basic):
        return expression
    exact = {f: nsimplify(f, rational=True) for f in expression.atoms(Float)}
    unit = {s: I for s in expression.free_symbols if s.name == "i"}
    return expression.xreplace(exact | unit).replace(_is_odd_root, _real_root)


def _is_odd_root(part: Any) -> bool:
    return bool(
        part.is_Pow
        and part.exp.is_Rational
        and part.exp.q > 1
        and part.exp.q % 2
        and part.base.is_number
        and part.base.is_negative
    )


def _real_root(part: Any) -> Any:
    """The real root of a negative number, as `\\sqrt[3]{-8}` is read in school books."""
    return S.NegativeOne**part.exp.p * (-part.base) ** part.exp


_DEGREES = re.compile(r"(\d+(?:\.\d+)?) \\degree")
_BOUNDED = re.compile(r"\\(sum|prod|lim|int) _ \{ ([^{}]*) \}")
_LOGARITHM = r"\\(?:ln|log(?: _ \{ [^{}]* \})?)"
_RATIO = re.compile(rf"({_LOGARITHM}) ([\w.]+|\\pi) /")
"""`\\ln 3 / \\ln 2`, which the grammar takes for the logarithm of all that follows."""
_COUNTER = re.compile(r"\\(?:sum|prod) _ \{ ([a-z]) =")
_TERM = re.compile(r"([a-zA-Z]) _ \{ ([^{}]*) \}")
_INDEX = re.compile(r"_ \{ ([^{}]*) \}((?: \^ \{ (?:' ?)+\}| ')*)")


def _bounds(bounded: re.Match[str]) -> str:
    """The bounds of a sum, product, limit or integral, which are no index."""
    return rf"\{bounded[1]}_{{{bounded[2]}}}"


def _function(term: re.Match[str], counters: set[str]) -> str:
    """A term of a sum or product, `a_k`, as a function of what it counts, and no constant."""
    if counters.isdisjoint(term[2].split()):
        return term.group()
    return f"f _ {{ {ord(term[1])} }} ( {term[2]} )"


def _plain_index(index: re.Match[str]) -> str:
    """An index that the grammar knows in place of any other, the same for the same: `R_{\\odot}`,
    `\\omega_L'`."""
    if index[1].isalnum() and not index[2]:
        return index.group()
    return f"_ {{ {zlib.crc32(index.group().encode())} }}"


def by_sympy(gold: Reading, answer: Reading, strictness: Strictness) -> Decision:
    """One formula, relation or set of reals against another. Not equal where either can't be read
    or where no proof of equality is found."""
    from s1_eval.answers.sets import compare_sets

    decision = by_value(gold, answer, strictness)
    if decision.equal is not None:
        return decision
    decision = compare_sets(gold, answer)
    if decision.equal is not None:
        return decision
    g, a = formula(gold.latex), formula(answer.latex)
    if g is None or a is None:
        return Decision(
            False, f"not decided: sympy can't read the {'gold' if g is None else 'answer'}"
        )
    if isinstance(gold, Relation) and isinstance(answer, Relation):
        return _relations(g, a)
    if not (isinstance(gold, Scalar) and isinstance(answer, Scalar)):
        return Decision(False, "different kinds")
    if gold.unit == PERCENT:
        g = g / 100
    if answer.unit == PERCENT:
        a = a / 100
    if isinstance(g, sympy.MatrixBase | sympy.MatrixExpr):
        return _matrices(g, a)
    if not (isinstance(g, sympy.Expr) and isinstance(a, sympy.Expr)):
        return Decision(g == a, "sympy: the same object" if g == a else "different kinds")
    allowed = allowed_error(gold, answer, strictness)
    if allowed and not g.free_symbols and not a.free_symbols:
        return Decision(bool(N(abs(g - a), 50) <= Rational(allowed)), f"within {allowed}")
    return same(g, a)


def same(g: Any, a: Any) -> Decision:
    """Whether two expressions are equal wherever both have a real value, or anywhere where `i` is
    in them. Sampled exactly first, since that refutes fast; equal only by proof."""
    if g == a:
        return Decision(True, "sympy: the same expression")
    if (g.has(*_COUNTED) or a.has(*_COUNTED)) and g.as_dummy() == a.as_dummy():
        return Decision(True, "sympy: the same expression")
    if any(one.has(AppliedUndef) for side in (g, a) for one in side.atoms(*_COUNTED)):
        return Decision(False, "not decided: of the terms of a sum nothing is known")
    counts = {s: sympy.Dummy(s.name, positive=True, integer=True) for s in _ends_of_sums(g, a)}
    g, a = g.xreplace(counts).doit(), a.xreplace(counts).doit()
    if g == a:
        return Decision(True, "sympy: the same expression")
    if not (g.is_finite is not False and a.is_finite is not False) or g.has(
        S.NaN, S.ComplexInfinity
    ):
        return Decision(False, "sympy: not finite")
    symbols = sorted(g.free_symbols | a.free_symbols, key=str)
    return _same_functions(g, a, symbols) if symbols else _same_constants(g - a)


_COUNTED = (sympy.Sum, sympy.Product)


def _ends_of_sums(*sides: Any) -> set[Symbol]:
    """The unknowns up to which a sum or product goes, which are whole numbers."""
    sums = [one for side in sides for one in side.atoms(*_COUNTED)]
    bounds = [bound for one in sums for _, *ends in one.limits for bound in ends]
    inside = {limit[0] for one in sums for limit in one.limits}
    return {bound for bound in bounds if bound.is_Symbol} - inside


def _same_constants(gap: Any) -> Decision:
    """Whether a constant is zero."""
    for digits in DIGITS:
        if differs(gap, digits):
            return Decision(False, "sympy: different values")
        if digits == DIGITS[0] and any(_vanishes(gap, how) for how in _PROOFS):
            return Decision(True, "sympy: proved equal")
    return Decision(False, f"not decided: equal to {DIGITS[-1]} digits, but not proved so")


def differs(gap: Any, digits: int) -> bool:
    """Whether a constant is certainly not zero, by evaluation at up to so many digits."""
    try:
        real, imaginary, real_bits, imaginary_bits = evalf(gap, 53, {"maxprec": int(digits * 3.33)})
    except (NotImplementedError, ValueError, TypeError, AttributeError):
        return False
    return bool(
        (real and real_bits and real_bits > 20)
        or (imaginary and imaginary_bits and imaginary_bits > 20)
    )


def _same_functions(g: Any, a: Any, symbols: list[Symbol]) -> Decision:
    gap, complex_valued = g - a, g.has(I) or a.has(I)
    compared: list[tuple[Rational, ...]] = []
    for point in _points(len(symbols)):
        at = dict(zip(symbols, point, strict=True))
        if any(s.is_integer and not (v.is_integer and v > 0) for s, v in at.items()):
            continue
        values = [_value(side.subs(at)) for side in (g, a)]
        if None in values or not (complex_valued or all(v.is_real for v in values)):
            continue
        if differs(gap.subs(at), DIGITS[0]):
            return Decision(False, "sympy: different values")
        compared.append(point)
    if any(_vanishes(gap, how) for how in _PROOFS):
        return Decision(True, "sympy: proved equal")
    if compared and all(value > 0 for point in compared for value in point):
        # Nowhere else have both a real value, so that signs may be taken for known.
        whole = all(value.is_integer for point in compared for value in point)
        known = {s: sympy.Dummy(s.name, positive=True, integer=whole or None) for s in symbols}
        if any(_vanishes(gap.subs(known), how) for how in _PROOFS):
            return Decision(True, "sympy: proved equal where both are real")
    return Decision(False, "not decided: no proof of equality")


def _points(count: int) -> Iterator[tuple[Rational, ...]]:
    """Points that show up different branches: signs, small and large, whole numbers or not."""
    shapes = ((1, 3, 7), (1, -5, 3), (-1, -4, 9), (-1, 9, 4), (1, 1, 13))
    for sign, step, divisor in shapes:
        yield tuple(
            Rational((sign if at % 2 or step > 0 else 1) * (17 + abs(step) * (at + 1)), divisor)
            for at in range(count)
        )
    yield tuple(Rational(at + 1, at + 3) for at in range(count))
    yield tuple(Rational(-at - 1, at + 3) for at in range(count))
    yield tuple(Rational(3 + 2 * at) for at in range(count))
    yield tuple(Rational(8 + at) for at in range(count))


def _value(expression: Any) -> Any:
    """A number, exact in its realness; None where it has no finite value."""
    try:
        expression = expression.doit()
        if expression.has(S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity):
            return None
        if expression.is_real:
            return expression
        number = N(expression, 30)
    except (NotImplementedError, ValueError, TypeError, AttributeError, ZeroDivisionError):
        return None
    if not number.is_number or not number.is_finite:
        return None
    real, imaginary = number.as_real_imag()
    return real if abs(imaginary) < abs(real) * Float(10) ** -25 else number


def _vanishes(gap: Any, how: Callable[[Any], Any]) -> bool:
    """Whether a transformation that changes no value makes it zero."""
    try:
        return bool(how(gap) == 0)
    except MemoryError:
        raise
    except Exception:  # sympy's many ways not to know
        return False


def _minimal_polynomial(gap: Any) -> Any:
    if gap.free_symbols or not gap.is_algebraic:
        return gap
    x = Symbol("x")
    return sympy.minimal_polynomial(gap, x) - x


def _angle(gap: Any) -> Any:
    """Sums of arcus functions: of all angles only 0 and whole turns have 1 as their direction, and
    this one is too small for a turn."""
    if gap.free_symbols or not gap.has(sympy.atan, sympy.asin, sympy.acos) or abs(N(gap)) > 1:
        return gap
    direction = sympy.exp(sympy.expand(2 * I * gap.rewrite(sympy.log)))
    return sympy.simplify(sympy.expand(direction.expand(), complex=True) - 1)


def _logarithms(gap: Any) -> Any:
    return sympy.simplify(sympy.expand_log(gap.rewrite(sympy.log), force=not gap.free_symbols))


_PROOFS: tuple[Callable[[Any], Any], ...] = (
    sympy.expand,
    lambda gap: sympy.radsimp(sympy.together(gap)).expand(),
    lambda gap: sympy.expand(gap, complex=True) if gap.has(I) else gap,
    lambda gap: sympy.simplify(gap.rewrite(sympy.exp)) if gap.has(HyperbolicFunction) else gap,
    _angle,
    sympy.simplify,
    _minimal_polynomial,
    sympy.combsimp,
    lambda gap: sympy.simplify(sympy.expand_trig(gap)),
    _logarithms,
)


def _relations(g: Any, a: Any) -> Decision:
    """Equal where the one, all on its left side, is a multiple of the other; of an inequality, a
    positive one."""
    sides = []
    for relation in (g, a):
        if type(relation) not in _KIND:
            return Decision(False, "not decided: no equation or inequality")
        gap = relation.lhs - relation.rhs
        if isinstance(relation, sympy.Lt | sympy.Le):
            gap = -gap
        sides.append((_KIND[type(relation)], gap.doit()))
    (kind, one), (other, two) = sides
    if kind != other:
        return Decision(False, "different relations")
    if kind in ("=", "!="):
        one, two = (sympy.fraction(sympy.cancel(sympy.together(gap)))[0] for gap in (one, two))
    if one.free_symbols != two.free_symbols or not two.free_symbols:
        return Decision(False, "different unknowns")
    ratio = sympy.simplify(one / two)
    if not ratio.is_number or ratio.is_zero is not False or not ratio.is_finite:
        return Decision(False, "sympy: no multiple of each other")
    if kind not in ("=", "!=") and not ratio.is_positive:
        return Decision(False, "sympy: the other direction")
    return Decision(True, "sympy: multiples of each other")


_KIND = {
    sympy.Eq: "=", sympy.Ne: "!=", sympy.Lt: ">", sympy.Gt: ">", sympy.Le: ">=", sympy.Ge: ">=",
}  # fmt: skip


def _matrices(g: Any, a: Any) -> Decision:
    if not isinstance(a, sympy.MatrixBase | sympy.MatrixExpr):
        return Decision(False, "different kinds")
    g, a = sympy.Matrix(g.doit()), sympy.Matrix(a.doit())
    if g.shape != a.shape:
        return Decision(False, "different shapes")
    for one, other in zip(g, a, strict=True):
        decision = same(one, other)
        if not decision.equal:
            return decision
    return Decision(True, "sympy: every entry")
