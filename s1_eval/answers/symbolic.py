"""Formulas by sympy, read and compared by Math-Verify. Runs in a worker process only: sympy may
take any time and memory, and Math-Verify's own limits, which need signals, are off.
"""

from __future__ import annotations

import re
import zlib
from fractions import Fraction
from functools import lru_cache
from typing import Any

from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Float, I, N, Rational, Symbol, nsimplify

from s1_eval.answers.equivalence import (
    Decision,
    Strictness,
    by_value,
    decide_either_way,
    half_a_unit,
    rounds,
)
from s1_eval.answers.forms import Reading, Scalar
from s1_eval.answers.reading import read
from s1_eval.answers.units import PERCENT

_CONFIG = LatexExtractionConfig(
    boxed_match_priority=-1,
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=False, nits=False, boxed="none"
    ),
)
"""Units, brackets and shorthands are ours to read: Math-Verify would take `7t` for 7 tonnes."""


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Answers `{"read": [latex, …]}` with the `problem`, if any, and
    `{"gold": …, "answer": …, "strictness": …}` with `equal` and the `rule`."""
    if "read" in question:
        unread = [latex for latex in question["read"] if formula(latex) is None]
        return {"problem": f"sympy can't parse {unread[0]}" if unread else ""}
    strictness = Strictness(**question["strictness"])
    sides = read(question["gold"]), read(question["answer"])
    decision = decide_either_way(*sides, strictness, by_sympy)
    return {"equal": decision.equal, "rule": decision.rule}


@lru_cache(maxsize=512)
def formula(latex: str) -> Any:
    """The sympy object that Math-Verify reads; None where it can't. Decimals are exact, and `i` is
    the imaginary unit."""
    latex = _INDEX.sub(_plain_index, latex)
    parsed = parse(f"${latex}$", (_CONFIG,), fallback_mode="no_fallback", parsing_timeout=None)
    if not parsed:
        return None
    expression = parsed[0]
    if not isinstance(expression, Basic):
        return expression
    exact = {f: nsimplify(f, rational=True) for f in expression.atoms(Float)}
    unit = {s: I for s in expression.free_symbols if s.name == "i"}
    return expression.xreplace(exact | unit)


_INDEX = re.compile(r"_ \{ ([^{}]*) \}((?: \^ \{ (?:' ?)+\}| ')*)")


def _plain_index(index: re.Match[str]) -> str:
    """An index that the grammar knows in place of any other, the same for the same: `R_{\\odot}`,
    `\\omega_L'`."""
    if index[1].isalnum() and not index[2]:
        return index.group()
    return f"_ {{ {zlib.crc32(index.group().encode())} }}"


def by_sympy(gold: Reading, answer: Reading, strictness: Strictness) -> Decision:
    """One formula against another. Not equal where either can't be read."""
    decision = by_value(gold, answer, strictness)
    if decision.equal is not None:
        return decision
    g, a = formula(gold.latex), formula(answer.latex)
    if g is None or a is None:
        return Decision(
            False, f"not decided: sympy can't read the {'gold' if g is None else 'answer'}"
        )
    if isinstance(gold, Scalar) and isinstance(answer, Scalar):
        if gold.unit == PERCENT:
            g = g / 100
        if answer.unit == PERCENT:
            a = a / 100
        allowed = _allowed(answer, strictness)
        if allowed and not g.free_symbols and not a.free_symbols:
            gap = N(abs(g - a), 50)
            return Decision(bool(gap <= Rational(allowed)), f"within {allowed}")
        if isinstance(g, Symbol) or isinstance(a, Symbol):
            # Math-Verify compares a lone symbol by its spelling: x would not be (x+x)/2.
            g, a = g + 1, a + 1
    return Decision(verify(g, a, timeout_seconds=None), "sympy")


def _allowed(answer: Scalar, strictness: Strictness) -> Fraction | None:
    if strictness.tolerance:
        return strictness.tolerance[0]
    return half_a_unit(answer) if rounds(answer, strictness) else None
