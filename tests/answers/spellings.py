"""Makes other spellings of reference answers, and answers that are nearly right, from the answers
themselves. Every variant names the kind of change, and the same answers give the same variants."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

Variant = tuple[str, str]
"""The kind of change and the changed answer."""

INTEGER = re.compile(r"-?\d{1,15}")
DECIMAL = re.compile(r"-?\d*\.\d+")
FRACTION = re.compile(r"(-?)\\d?frac\{(\d+)\}\{(\d+)\}")
DEGREES = re.compile(r"(\d+)\^\\circ")
BASED = re.compile(r"(\d+)_\{?(\d)\}?")
TUPLE = re.compile(r"(?:\\left)?([(\[])(.*[^\\])(?:\\right)?([)\]])")
TEXT = re.compile(r"\\text\{(.*)\}")
MATRIX = re.compile(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}")
LIST = re.compile(r"-?\d+(?:, ?-?\d+)+")
GROUPED = re.compile(r"\d{1,3}(?:,(?:\\!)? ?\d{3})+")
FORMULA = re.compile(r"[a-zA-Z\d+\-^{}() ]*[a-zA-Z\d})]")
ROOT = re.compile(r"(\d*) ?\\sqrt(?:\{(\d+)\}|(\d))")
MONEY = re.compile(r"\\\$([\d.,\\!]+)")
MEASURE = re.compile(r"([\d.]+) ?\\(?:mbox|text)\{ ?(\w+)\}(\^2)?")


def respellings(answer: str) -> Iterator[Variant]:
    """The same answer, written otherwise."""
    yield "dollars", f"${answer}$"
    yield "brackets", rf"\( {answer} \)"
    spaced = re.sub(r"(?<!\d),|,(?!\d|\\!)", " , ", answer)
    yield "spacing", spaced.replace("=", " = ").replace("+", " + ")
    yield "thin spaces", rf"\,{answer}\,"
    yield "full stop", f"{answer}."
    if "frac" in answer:
        short = answer.replace("dfrac", "frac")
        yield "dfrac", short.replace("frac", "dfrac")
        yield "tfrac", short.replace("frac", "tfrac")
        yield "cfrac", short.replace("frac", "cfrac")
    if "(" in answer or "[" in answer:
        plain = answer.replace("\\left", "").replace("\\right", "")
        if not any(c in plain for c in "{}"):
            opened = re.sub(r"([(\[])", r"\\left\1", plain)
            yield "left and right", re.sub(r"([)\]])", r"\\right\1", opened)
        yield "without left and right", plain
        yield "no spaces", re.sub(r"(?<!\\in)(?<!\\cup) (?![a-z])", "", plain)
    for kind, pattern, make in _RESPELLINGS:
        match = pattern.fullmatch(answer)
        if match:
            for variant in make(match):
                yield kind, variant


def near_misses(answer: str) -> Iterator[Variant]:
    """Answers that look like this one and are wrong."""
    for kind, pattern, make in _NEAR_MISSES:
        match = pattern.fullmatch(answer)
        if match:
            for variant in make(match):
                yield kind, variant


def _integer(match: re.Match[str]) -> Iterator[str]:
    number = int(match.group())
    yield f"{number}.0"
    yield rf"\text{{{number}}}"
    yield rf"\mathbf{{{number}}}"
    yield f"x = {number}"
    yield f"n={number}"
    yield rf"{number} \text{{ units}}"
    yield rf"{number}\text{{ cm}}"
    yield rf"\frac{{{2 * number}}}{{2}}"
    yield f"{3 * number}/3"
    yield rf"{number} \cdot 1"
    yield rf"{number}^{{1}}"
    if number >= 0:
        yield f"0{number}"
        yield f"+{number}"
        yield rf"\sqrt{{{number * number}}}"
    if number >= 1000:
        for separator in (",", "{,}", r"\,", r",\!", " "):
            yield f"{number:,}".replace(",", separator)
    if number < 0:
        yield f"−{-number}"
        yield f"- {-number}"
        yield f"({number})"


def _integer_wrong(match: re.Match[str]) -> Iterator[str]:
    number = int(match.group())
    yield str(number + 1)
    yield str(number - 1)
    yield f"{number}.5"
    yield rf"\frac{{{number}}}{{{abs(number) + 7}}}" if number else r"\frac{1}{7}"
    yield f"{number}0" if number else "10"
    yield rf"{number}\%" if number else r"1\%"
    yield f"{number}, {number + 1}"
    yield f"{number}i" if number else "i"
    yield f"{number}x" if number else "x"
    if number:
        yield str(-number)
        yield rf"\frac{{1}}{{{number}}}" if abs(number) > 1 else "2"
        yield rf"\sqrt{{{abs(number)}}}" if abs(number) > 1 else r"\sqrt{2}"
        yield rf"{number}\pi"
        yield rf"{number}^\circ"


def _fraction(match: re.Match[str]) -> Iterator[str]:
    sign, upper, lower = match.groups()
    p, q = int(upper), int(lower)
    yield f"{sign}{p}/{q}"
    yield f"{sign}({p}/{q})"
    yield rf"{sign}\frac{{{2 * p}}}{{{2 * q}}}"
    yield rf"\frac{{{sign}{p}}}{{{q}}}"
    yield rf"{sign}{p} \div {q}"
    yield rf"{sign}{{{p} \over {q}}}"
    yield rf"x={sign}\frac{{{p}}}{{{q}}}"
    yield rf"{sign}\frac {{{p}}} {{{q}}}"
    if p < 10 and q < 10:
        yield rf"{sign}\frac{p}{q}"
        yield rf"{sign}\frac {p}{q}"
    decimal = _decimal(Fraction(p, q))
    if decimal:
        yield sign + decimal
        yield f"{sign}{decimal}0"
        yield sign + decimal.removeprefix("0")
    if p > q and not sign:
        yield rf"{p // q}\frac{{{p % q}}}{{{q}}}"
        yield f"{p // q} {p % q}/{q}"


def _decimal(value: Fraction) -> str:
    for places in range(1, 8):
        if (value * 10**places).denominator == 1:
            digits = str(value.numerator * 10**places // value.denominator).zfill(places + 1)
            return f"{digits[:-places]}.{digits[-places:]}"
    return ""


def _fraction_wrong(match: re.Match[str]) -> Iterator[str]:
    sign, upper, lower = match.groups()
    p, q = int(upper), int(lower)
    yield rf"{sign}\frac{{{p + 1}}}{{{q}}}"
    yield rf"{sign}\frac{{{p}}}{{{q + 1}}}"
    yield rf"{sign}\frac{{{q}}}{{{p}}}"
    yield rf"{sign}\frac{{{p}}}{{{q}}} x"
    yield f"{p},{q}"
    yield f"{p}{q}"
    yield ("" if sign else "-") + rf"\frac{{{p}}}{{{q}}}"
    yield f"{sign}{float(Fraction(p, q)):.2f}1"


def _decimal_respelled(match: re.Match[str]) -> Iterator[str]:
    value = Fraction(match.group())
    yield str(value)
    yield rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    yield match.group() + "0"
    yield (
        match.group().replace("0.", ".") if match.group().startswith("0.") else f"0{match.group()}"
    )
    yield rf"x = {match.group()}"


def _decimal_wrong(match: re.Match[str]) -> Iterator[str]:
    text = match.group()
    yield text[:-1] + str((int(text[-1]) + 1) % 10)
    yield f"{text}1"
    yield f"-{text}"
    yield text.replace(".", ",")
    yield text.replace(".", "")
    yield rf"{text}\%"


def _degrees(match: re.Match[str]) -> Iterator[str]:
    for sign in (r"^{\circ}", r"^ \circ", "°", r"\text{ degrees}", r" \degree", " degrees"):
        yield match[1] + sign
    yield rf"\theta = {match[1]}^\circ"
    yield rf"{match[1]}.0^\circ"


def _degrees_wrong(match: re.Match[str]) -> Iterator[str]:
    number = int(match[1])
    yield str(number)
    yield rf"{number + 1}^\circ"
    yield rf"-{number}^\circ"
    yield rf"{number}\text{{ radians}}"
    yield rf"{180 - number if number != 90 else 45}^\circ"
    yield rf"{number}\%"


def _based(match: re.Match[str]) -> Iterator[str]:
    digits, base = match.groups()
    words = ["two", "three", "four", "five", "six", "seven", "eight", "nine"]
    yield f"{digits}_{{{base}}}"
    yield f"{digits}_{base}"
    yield rf"{digits}_{{\text{{{words[int(base) - 2]}}}}}"
    yield f"({digits})_{base}"
    yield rf"{digits}_{{(\text{{base }}{base})}}".replace("(", "").replace(")", "")
    yield rf"{digits} \text{{ (base {base})}}"
    yield f"{digits} base {base}"


def _based_wrong(match: re.Match[str]) -> Iterator[str]:
    digits, base = match[1], int(match[2])
    yield f"{digits}_{base + 1}"
    yield f"{digits}_{base - 1}"
    yield str(int(digits, base))
    yield f"{int(digits, base)}_{{10}}"
    yield f"{digits[:-1]}{(int(digits[-1]) + 1) % base}_{base}"
    yield f"1{digits}_{base}"


def _tuple(match: re.Match[str]) -> Iterator[str]:
    opening, inside, closing = (part.strip() for part in match.groups())
    yield rf"\left{opening} {inside} \right{closing}"
    yield rf"\bigl{opening}{inside}\bigr{closing}"
    yield f"{opening}{inside.replace(',', ', ')}{closing}"
    yield f"{opening}{inside.replace(', ', ',')}{closing}"
    yield inside.join((rf"{opening}\,", rf"\,{closing}"))


def _tuple_wrong(match: re.Match[str]) -> Iterator[str]:
    opening, inside, closing = (part.strip() for part in match.groups())
    items = [item.strip() for item in inside.split(",")]
    if len(items) < 2 or "(" in inside:
        return
    if items[0] != items[-1]:
        yield f"{opening}{','.join([items[-1], *items[1:-1], items[0]])}{closing}"
    yield f"{opening}{inside},1{closing}"
    yield f"{opening}{','.join(items[:-1])}, 2 + {items[-1].removeprefix('+')}{closing}".replace(
        r"2 + \infty", "2"
    )
    yield items[0]
    if opening + closing != "()":
        yield rf"\{{{inside}\}}"
    if len(items) == 2:
        yield f"{'[' if opening == '(' else '('}{inside}{closing}"
        yield f"{opening}{inside}{']' if closing == ')' else ')'}"


def _text(match: re.Match[str]) -> Iterator[str]:
    words = match[1]
    bare = words.strip("()")
    yield words
    yield bare
    yield rf"\textbf{{{words}}}"
    yield rf"\mathrm{{{bare}}}"
    yield rf"\mbox{{{words}}}"
    yield rf"\text{{ {words} }}"
    yield rf"\text{{{words}.}}"
    if len(bare) > 1:
        yield bare.upper()
        yield rf"\textit{{{bare.capitalize()}}}"


def _text_wrong(match: re.Match[str]) -> Iterator[str]:
    bare = match[1].strip("()")
    yield rf"\text{{{bare}s}}" if len(bare) > 1 else r"\text{(D)}"
    yield bare[::-1] if len(bare) > 1 else "(A)"
    yield r"\text{none}"
    yield "5"
    yield rf"\text{{not {bare}}}" if len(bare) > 1 else rf"\text{{{bare}, D}}"


def _matrix(match: re.Match[str]) -> Iterator[str]:
    inside = match[1]
    for name in ("bmatrix", "matrix", "array"):
        columns = "{c}" if name == "array" else ""
        yield rf"\begin{{{name}}}{columns}{inside}\end{{{name}}}"
    yield rf"\left[\begin{{matrix}}{inside}\end{{matrix}}\right]"
    yield rf"\left(\begin{{array}}{{cc}}{inside}\end{{array}}\right)"
    fractions = re.sub(r"(\d+)/(\d+)", r"\\frac{\1}{\2}", inside)
    yield rf"\begin{{pmatrix}}{fractions}\end{{pmatrix}}"
    yield rf"\begin{{pmatrix}}{inside} \\ \end{{pmatrix}}"
    yield rf"\mathbf{{v}} = \begin{{pmatrix}}{inside}\end{{pmatrix}}"
    cells = [row.split("&") for row in inside.split(r"\\")]
    turned = r" \\ ".join(" & ".join(column) for column in zip(*cells, strict=True))
    yield rf"\begin{{pmatrix}}{turned}\end{{pmatrix}}^T"
    doubled = r" \\ ".join(" & ".join(f"2*{cell}" for cell in row) for row in cells)
    yield rf"\frac{{1}}{{2}} \begin{{bmatrix}}{doubled}\end{{bmatrix}}"


def _matrix_wrong(match: re.Match[str]) -> Iterator[str]:
    rows = [[cell.strip() for cell in row.split("&")] for row in match[1].split(r"\\")]

    def matrix(changed: list[list[str]]) -> str:
        inside = r" \\ ".join(" & ".join(row) for row in changed)
        return rf"\begin{{pmatrix}} {inside} \end{{pmatrix}}"

    yield matrix(rows[::-1])
    yield matrix([[f"1 + {rows[0][0]}", *rows[0][1:]], *rows[1:]])
    yield matrix(rows[:-1])
    yield matrix([*rows, rows[0]])
    if len(rows[0]) == 1:
        yield matrix([[cell for row in rows for cell in row]])


def _list(match: re.Match[str]) -> Iterator[str]:
    if GROUPED.fullmatch(match.group()):
        return
    items = [item.strip() for item in match.group().split(",")]
    for order in (items, items[::-1], [*items[1:], items[0]]):
        yield ",".join(order)
        yield ", ".join(order)
        yield rf"\{{{', '.join(order)}\}}"
        yield rf"\left\{{ {','.join(order)} \right\}}"
        yield rf"{', '.join(order[:-1])} \text{{ and }} {order[-1]}"
        yield f"{', '.join(order[:-1])} or {order[-1]}"
        yield ", ".join(f"x = {item}" for item in order)


def _list_wrong(match: re.Match[str]) -> Iterator[str]:
    if GROUPED.fullmatch(match.group()):
        return
    items = [item.strip() for item in match.group().split(",")]
    yield ", ".join(items[:-1])
    yield ", ".join([*items, "100"])
    yield ", ".join([*items[:-1], str(int(items[-1]) + 1)])
    yield ", ".join(str(-int(item)) for item in items)
    yield ", ".join([items[0]] * len(items))
    yield items[-1]


def _grouped(match: re.Match[str]) -> Iterator[str]:
    digits = re.sub(r"\D", "", match.group())
    for separator in ("", ",", "{,}", r"\,", r",\!", " "):
        yield f"{int(digits):,}".replace(",", separator)
    yield f"{digits}.00"


def _grouped_wrong(match: re.Match[str]) -> Iterator[str]:
    digits = re.sub(r"\D", "", match.group())
    yield digits[:-1]
    yield f"{digits}0"
    yield str(int(digits) + 1)
    yield f"{digits[:2]}.{digits[2:]}"
    yield f"-{digits}"


def _formula(match: re.Match[str]) -> Iterator[str]:
    """Polynomials: the terms turned round, in brackets, with dots, and named."""
    text = match.group()
    terms = re.findall(r"[+-]?[^+-]+", text.replace(" ", ""))
    if "(" not in text and len(terms) > 1:
        turned = "".join(t if t[0] in "+-" else f"+{t}" for t in reversed(terms))
        yield turned.removeprefix("+")
        yield re.sub(r"(\d+|\S)", r"\1 ", turned.removeprefix("+"))
        yield f"({text})"
    if any(c.isalpha() for c in text):
        yield re.sub(r"(\d)([a-z])", r"\1 \\cdot \2", text)
        yield re.sub(r"(\d)([a-z])", r"\1*\2", text)
        yield re.sub(r"\^(\d)", r"^{\1}", text)
        yield re.sub(r"\^(\d)", r"**\1", text)
        yield f"f = {text}"


def _formula_wrong(match: re.Match[str]) -> Iterator[str]:
    text = match.group()
    if not any(c.isalpha() for c in text):
        return
    yield f"{text} + 1"
    yield f"-({text})"
    yield f"2({text})"
    yield re.sub(r"[a-zA-Z]", "w", text)
    yield f"{text} = 0"
    for wrong in (re.sub(r"\d", lambda d: str(int(d.group()) + 1), text, count=1),):
        if wrong != text:
            yield wrong
    flipped = re.sub(r" ?[+-] ?", lambda s: "-" if "+" in s.group() else "+", text, count=1)
    if flipped != text:
        yield flipped


def _root(match: re.Match[str]) -> Iterator[str]:
    factor, radicand = match[1], match[2] or match[3]
    yield rf"{factor}\sqrt{{{radicand}}}"
    yield rf"{factor} \sqrt {{ {radicand} }}"
    yield rf"{factor}√{radicand}"
    yield f"{factor}*sqrt({radicand})".removeprefix("*")
    yield rf"{factor} \cdot {radicand}^{{1/2}}".removeprefix(r" \cdot ")
    yield rf"\sqrt{{{int(factor or 1) ** 2 * int(radicand)}}}"
    yield rf"\sqrt{{{radicand}}} \cdot {factor or 1}"
    yield rf"\frac{{{int(factor or 1) * int(radicand)}}}{{\sqrt{{{radicand}}}}}"
    if len(radicand) == 1:
        yield rf"{factor}\sqrt{radicand}"


def _root_wrong(match: re.Match[str]) -> Iterator[str]:
    factor, radicand = match[1], match[2] or match[3]
    yield rf"{factor}\sqrt{{{int(radicand) + 1}}}"
    yield rf"{int(factor or 1) + 1}\sqrt{{{radicand}}}"
    yield rf"-{factor}\sqrt{{{radicand}}}"
    yield rf"{factor}\sqrt[3]{{{radicand}}}"
    yield str(int(factor or 1) * int(radicand))
    yield f"{int(factor or 1) * int(radicand) ** 0.5:.3f}"
    yield rf"\pm {factor}\sqrt{{{radicand}}}"


def _money(match: re.Match[str]) -> Iterator[str]:
    amount = match[1].replace(",", "").replace("\\!", "")
    yield amount
    yield f"${match.group()}$"
    yield rf"{amount} \text{{ dollars}}"
    yield f"{amount} dollars"
    yield rf"\text{{\${amount}}}"
    yield rf"\${amount}" + ("" if "." in amount else ".00")


def _money_wrong(match: re.Match[str]) -> Iterator[str]:
    amount = match[1].replace(",", "").replace("\\!", "")
    yield rf"\${amount}1"
    yield rf"-\${amount}"
    yield rf"{amount} \text{{ cents}}"
    yield rf"{amount}\%"


def _measure(match: re.Match[str]) -> Iterator[str]:
    number, unit, square = match[1], match[2], match[3] or ""
    yield number
    yield rf"{number}\text{{ {unit}}}{square}"
    yield rf"{number} \, \mathrm{{{unit}}}{square}"
    if square:
        yield rf"{number} \text{{ square {unit}}}"
        yield rf"{number} \text{{ {unit}}}^{{2}}"
        yield f"{number} {unit}^2"


def _measure_wrong(match: re.Match[str]) -> Iterator[str]:
    number, unit, square = match[1], match[2], match[3] or ""
    yield rf"{number} \text{{ miles}}{square}"
    yield rf"{number}1 \text{{ {unit}}}{square}"
    yield rf"-{number}"
    yield rf"{number} \text{{ {unit}}}^3"
    yield rf"{number}^\circ"


_RESPELLINGS = [
    ("integer", INTEGER, _integer),
    ("fraction", FRACTION, _fraction),
    ("decimal", DECIMAL, _decimal_respelled),
    ("degrees", DEGREES, _degrees),
    ("base", BASED, _based),
    ("tuple", TUPLE, _tuple),
    ("text", TEXT, _text),
    ("matrix", MATRIX, _matrix),
    ("list", LIST, _list),
    ("thousands", GROUPED, _grouped),
    ("formula", FORMULA, _formula),
    ("root", ROOT, _root),
    ("money", MONEY, _money),
    ("units", MEASURE, _measure),
]
_NEAR_MISSES = [
    ("integer", INTEGER, _integer_wrong),
    ("fraction", FRACTION, _fraction_wrong),
    ("decimal", DECIMAL, _decimal_wrong),
    ("degrees", DEGREES, _degrees_wrong),
    ("base", BASED, _based_wrong),
    ("tuple", TUPLE, _tuple_wrong),
    ("text", TEXT, _text_wrong),
    ("matrix", MATRIX, _matrix_wrong),
    ("list", LIST, _list_wrong),
    ("thousands", GROUPED, _grouped_wrong),
    ("formula", FORMULA, _formula_wrong),
    ("root", ROOT, _root_wrong),
    ("money", MONEY, _money_wrong),
    ("units", MEASURE, _measure_wrong),
]
