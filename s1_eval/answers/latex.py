"""LaTeX and plain text as one canonical list of tokens, so that spellings of one formula look
alike. What the tokens mean is decided in `s1_eval.answers.reading`.

A token is a number (`12`, `.5`), a run of letters, a command (`\\frac`), a text (`\\text{inches}`,
one token with its words) or a sign. Every argument of `\\frac`, `\\sqrt`, `^` and `_` is in braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

LONGEST = 4_000
"""Characters. A longer answer is not an answer, and reading it would only cost time."""

DEEPEST = 60
"""Levels of brackets: well below the recursion limit of every parser involved."""


class Unreadable(ValueError):
    """The text is no answer that could be understood; the message says why."""


def tokenize(text: str) -> tuple[str, ...]:
    """The canonical tokens of `text`. Raises Unreadable where it is too long, nested too deeply
    or has unbalanced braces."""
    if len(text) > LONGEST:
        raise Unreadable(f"longer than {LONGEST} characters")
    text = _CONTROL.sub(" ", text.translate(_UNICODE))
    text = _ROOT_SIGN.sub(r"\\sqrt{\1\2}", text).replace("√", r"\sqrt ")
    if "\\begin" not in text:
        text = _DOUBLED.sub("", text)
    text = _SEPARATOR.sub("", _SCIENTIFIC.sub(r"\1*10^{\2}", text))
    text = _REPEATING.sub(_repeating, text)
    text = _MIXED.sub(r"\1\\frac{\2}{\3}", text)
    tokens = _join_thousands(list(_scan(text)))
    _check_nesting(tokens)
    return tuple(_without_dots(_brace([t for t in tokens if t != " "])))


def closing(tokens: Sequence[str], start: int) -> int:
    """Index of the token that closes the bracket at `start`; any bracket may close any other, as
    in `(3, 4]`, but braces match braces. -1 where nothing does."""
    braces = tokens[start] == "{"
    opens, closes = (_BRACES, _BRACES_END) if braces else (OPENING, CLOSING)
    depth = 0
    for at in range(start, len(tokens)):
        if tokens[at] in opens:
            depth += 1
        elif tokens[at] in closes:
            depth -= 1
            if depth == 0:
                return at
    return -1


def split(tokens: Sequence[str], at: frozenset[str]) -> list[tuple[tuple[str, ...], str]]:
    """`tokens` cut at every token of `at` that is in no bracket: (part, the token after it)."""
    parts: list[tuple[tuple[str, ...], str]] = []
    depth, start = 0, 0
    for index, token in enumerate(tokens):
        if token in OPENING or token == "{":
            depth += 1
        elif token in CLOSING or token == "}":
            depth -= 1
        elif depth == 0 and token in at:
            parts.append((tuple(tokens[start:index]), token))
            start = index + 1
    parts.append((tuple(tokens[start:]), ""))
    return parts


def is_text(token: str) -> bool:
    return token.startswith("\\text{")


def text_of(token: str) -> str:
    """The words inside a text token."""
    return token[6:-1]


OPENING = frozenset({"(", "[", "\\{", "\\begin"})
CLOSING = frozenset({")", "]", "\\}", "\\end"})
_BRACES, _BRACES_END = frozenset("{"), frozenset("}")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\xa0\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]+")
_ROOT_SIGN = re.compile(r"√ ?(?:\((\d+|[a-z])\)|(\d+|[a-z]))")
_DOUBLED = re.compile(r"\\(?=\\[A-Za-z])")
_SEPARATOR = re.compile(r"(?<=\d)(?:\{,\}|,\\!|\\!,|\\,|\\;|\\:|\\ |~)\s*(?=\d{3}(?!\d))")
_SCIENTIFIC = re.compile(r"^\s*([-+]?\d+(?:\.\d+)?)[eE]([-+]?\d{1,3})\s*$")
_REPEATING = re.compile(r"(\d{0,20})\.(\d{0,20})\\overline\s?\{(\d{1,20})\}")
_MIXED = re.compile(r"(?<![\d.,}])(\d{1,9})\s+(\d{1,9})\s?/\s?(\d{1,9})(?![\d.])")
_TEXT = (
    r"\\(?P<wrapper>text(?:bf|it|rm|sf|tt|normal|up)?|mbox|hbox|math(?:rm|bf|it|sf|tt|bfit)|"
    r"operatorname\*?|bold|boldsymbol|emph|bm|rm|bf)\s*\{(?P<words>(?:[^{}]|\{[^{}]*\})*)\}"
)
_TOKEN = re.compile(
    _TEXT
    + r"|(?P<drop>\\(?:left|right|bigg?[lr]?|Bigg?[lr]?|middle)(?![A-Za-z])\s*\.?|"
    + r"\\(?:displaystyle|textstyle|limits|nolimits|quad|qquad|hfill)(?![A-Za-z])|"
    + r"\\[,;:!>()\[\]]|\$|\\(?=$)|\\phantom\s*\{[^{}]*\}|\\[hv]space\*?\s*\{[^{}]*\})"
    + r"|(?P<degree>\^\s*\{?\s*\\circ(?![A-Za-z])\s*\}?|\\degrees?(?![A-Za-z]))"
    + r"|(?P<begin>\\begin\s*\{(?P<env>[A-Za-z]+)\*?\}(?:\s*\{[clr|\s]*\})?)"
    + r"|(?P<end>\\end\s*\{[A-Za-z]+\*?\})"
    + r"|(?P<command>\\[A-Za-z]+|\\.)"
    + r"|(?P<number>\d+(?:\.\d+)?|\.\d+)"
    + r"|(?P<word>[A-Za-z]+)"
    + r"|(?P<power>\*\*)"
    + r"|(?P<space>\s+|~)"
    + r"|(?P<sign>.)",
    re.DOTALL,
)

_UNICODE = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*",
        "÷": "/", "⁄": "/", "∕": "/", "π": r"\pi ", "∞": r"\infty ", "°": r"\degree ",
        "º": r"\degree ", "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ",
        "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "±": r"\pm ", "∓": r"\mp ",
        "∅": r"\emptyset ", "ℝ": r"\mathbb{R}", "⟨": "(", "⟩": ")", "〈": "(", "〉": ")",
        "％": r"\%", "’": "'", "′": "'", "，": ",", "；": ";", "：": ":", "（": "(", "）": ")",
        "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}",
        "⅔": r"\frac{2}{3}", "⅕": r"\frac{1}{5}", "⅙": r"\frac{1}{6}", "⅛": r"\frac{1}{8}",
        "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "δ": r"\delta ", "ε": r"\epsilon ",
        "θ": r"\theta ", "λ": r"\lambda ", "μ": r"\mu ", "ρ": r"\rho ", "σ": r"\sigma ",
        "τ": r"\tau ", "φ": r"\phi ", "ϕ": r"\phi ", "ω": r"\omega ", "Δ": r"\Delta ",
        "Ω": r"\Omega ", "¢": r"\text{cents}", "€": r"\text{euros}", "£": r"\text{pounds sterling}",
        **{c: f"^{{{d}}}" for d, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
        **{c: f"_{{{d}}}" for d, c in enumerate("₀₁₂₃₄₅₆₇₈₉")},
        **{c: str(d) for d, c in enumerate("０１２３４５６７８９")},
    }
)  # fmt: skip

_COMMANDS = {
    "\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\cfrac": "\\frac", "\\leq": "\\le",
    "\\leqslant": "\\le", "\\geq": "\\ge", "\\geqslant": "\\ge", "\\neq": "\\ne", "\\lt": "<",
    "\\gt": ">", "\\cdot": "*", "\\times": "*", "\\ast": "*", "\\div": "/", "\\lbrace": "\\{",
    "\\rbrace": "\\}", "\\lbrack": "[", "\\rbrack": "]", "\\lparen": "(", "\\rparen": ")",
    "\\langle": "(", "\\rangle": ")", "\\colon": ":", "\\semicolon": ";", "\\dbinom": "\\binom",
    "\\tbinom": "\\binom", "\\varnothing": "\\emptyset", "\\lvert": "|", "\\rvert": "|",
    "\\vert": "|", "\\mid": "|", "\\infin": "\\infty", "\\lor": "or", "\\land": "and",
    "\\vee": "or", "\\wedge": "and", "\\#": "#", "\\&": "and", "\\_": "_", "\\ ": " ",
    "\\percent": "\\%", "\\prime": "'", "\\varphi": "\\phi", "\\varepsilon": "\\epsilon",
    "\\sim": "\\approx", "\\simeq": "\\approx", "\\newline": " ",
}  # fmt: skip
_WORDS = {
    "sqrt": "\\sqrt", "pi": "\\pi", "inf": "\\infty", "infty": "\\infty", "infinity": "\\infty",
    "oo": "\\infty", "sin": "\\sin", "cos": "\\cos", "tan": "\\tan", "cot": "\\cot",
    "sec": "\\sec", "csc": "\\csc", "ln": "\\ln", "log": "\\log", "exp": "\\exp",
    "arcsin": "\\arcsin", "arccos": "\\arccos", "arctan": "\\arctan", "percent": "\\%",
    "pct": "\\%", "degrees": "\\degree", "degree": "\\degree", "deg": "\\degree",
    "union": "\\cup", "theta": "\\theta",
}  # fmt: skip
_UNIT_SIGNS = ("\\%", "\\degree")
_NAMES = (
    "mathbb mathcal overline underline bar hat vec tilde sin cos tan cot sec csc arcsin arccos "
    "arctan ln log exp"
)
_TAKE_BRACES = frozenset("\\" + name for name in _NAMES.split())
_TABLES = frozenset({"matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "array"})


def _scan(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match.group()
        if match["words"] is not None:
            yield from _text(match["wrapper"], match["words"])
        elif kind == "drop":
            yield " "
        elif kind == "degree":
            yield "\\degree"
        elif match["begin"] is not None:
            yield "\\begin"
            if match["env"] not in _TABLES:
                raise Unreadable(f"{match['env']} is no kind of answer")
        elif kind == "end":
            yield "\\end"
        elif kind == "command":
            yield _COMMANDS.get(token, token)
        elif kind == "word":
            yield _WORDS.get(token, token)
        elif kind == "power":
            yield "^"
        elif kind == "space":
            yield " "
        else:
            yield "\\%" if token == "%" else token


_FILLER = re.compile(r"\\ |~|(?<!\\)\$")


def _text(wrapper: str, words: str) -> Iterator[str]:
    """A text wrapper: a formula in a font is the formula, words stay together as one token."""
    words = " ".join(_FILLER.sub(" ", words).split())
    bare = words.strip(" .,;:")
    low = bare.lower()
    if low in ("and", "or"):
        yield low
    elif low in _WORDS and (wrapper != "text" or _WORDS[low] in _UNIT_SIGNS):
        yield _WORDS[low]
    elif _is_formula(bare, font="text" not in wrapper and "box" not in wrapper):
        yield from _scan(words)
    elif bare:
        yield "\\text{" + bare.replace("{", "").replace("}", "") + "}"


def _is_formula(words: str, *, font: bool) -> bool:
    """Whether a wrapper holds mathematics: `\\text{12 cm}`, `\\mathbf{v}`; not `\\text{(C)}`."""
    if re.match(r"[-+]?(?:\\\$)?\.?\d", words):
        return True
    if re.search(r"[A-Za-z]{2}", words):
        return False
    return font or not re.search(r"[A-Za-z]", words) or bool(re.search(r"[\d=+^\\<>]", words))


def _repeating(match: re.Match[str]) -> str:
    whole, start, period = match.groups()
    unit = Fraction(1, 10 ** len(start))
    value = Fraction(int((whole or "0") + start)) * unit
    value += int(period) * unit / (10 ** len(period) - 1)
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


def _join_thousands(tokens: list[str]) -> list[str]:
    """`58,500` and `58 500` in no bracket are one number; in brackets the comma separates."""
    joined: list[str] = []
    depth, at = 0, 0
    while at < len(tokens):
        token = tokens[at]
        depth += (token in OPENING) - (token in CLOSING)
        if token.isdecimal() and len(token) <= 3 and token[0] != "0" and depth == 0:
            end = at + 1
            separator = tokens[end] if end < len(tokens) else ""
            if separator in (",", " "):
                while (
                    end + 1 < len(tokens)
                    and tokens[end] == separator
                    and _THREE.fullmatch(tokens[end + 1])
                    and "." not in tokens[end - 1]
                ):
                    end += 2
            joined.append("".join(tokens[at:end]).replace(",", "").replace(" ", ""))
            at = end
        else:
            joined.append(token)
            at += 1
    return joined


_THREE = re.compile(r"\d{3}(?:\.\d+)?")


def _check_nesting(tokens: Sequence[str]) -> None:
    depth = braces = 0
    for token in tokens:
        if token in OPENING or token == "{":
            depth += 1
            braces += token == "{"
        elif token in CLOSING or token == "}":
            depth -= 1
            braces -= token == "}"
        if braces < 0:
            raise Unreadable("unbalanced braces")
        if depth > DEEPEST:
            raise Unreadable(f"nested more than {DEEPEST} levels deep")
    if braces:
        raise Unreadable("unbalanced braces")


def _brace(tokens: Sequence[str]) -> list[str]:
    """Every argument in braces, braces that group nothing taken away."""
    out: list[str] = []
    rest = list(reversed(tokens))
    while rest:
        token = rest.pop()
        if token in ("\\frac", "\\binom"):
            out += [token, *_argument(rest, digit=True), *_argument(rest, digit=True)]
        elif token == "\\sqrt":
            out.append(token)
            if rest and rest[-1] == "[":
                index = _take_group(rest)
                if index is not None:
                    out += ["[", *_brace(index), "]"]
            out += _argument(rest, digit=True)
        elif token in ("^", "_") or (token in _TAKE_BRACES and rest and rest[-1] == "{"):
            out += [token, *_argument(rest, digit=False)]
        elif token == "{":
            rest.append(token)
            group = _take_group(rest) or []
            out += _group(group)
        elif token in ("\\boxed", "\\fbox"):
            continue
        else:
            out.append(token)
    return out


def _group(tokens: list[str]) -> list[str]:
    """A brace group that is no argument: `{a \\over b}` is a fraction; other groups bracket a
    sum and are nothing else."""
    for over in ("\\over", "\\choose"):
        if over in tokens:
            at = tokens.index(over)
            name = "\\frac" if over == "\\over" else "\\binom"
            upper, lower = _brace(tokens[:at]), _brace(tokens[at + 1 :])
            return [name, "{", *upper, "}", "{", *lower, "}"]
    group = _brace(tokens)
    return ["(", *group, ")"] if "+" in group[1:] or "-" in group[1:] else group


def _argument(rest: list[str], *, digit: bool) -> list[str]:
    """The next argument, in braces. digit: an unbraced number gives its first digit only, as in
    `\\frac43`; after `^` and `_` people write `2^10` and mean the whole number."""
    if not rest:
        raise Unreadable("a command without its argument")
    token = rest[-1]
    if token in ("{", "("):
        group = _take_group(rest)
        if group is None:
            raise Unreadable("unbalanced brackets")
        return ["{", *_brace(group), "}"]
    rest.pop()
    if digit and token.isdecimal() and len(token) > 1:
        rest.append(token[1:])
        return ["{", token[0], "}"]
    if token in ("-", "+") and rest and not digit:
        return ["{", token, *_argument(rest, digit=digit)[1:-1], "}"]
    if token in ("\\frac", "\\sqrt", "\\binom"):
        arguments = [_argument(rest, digit=True) for _ in range(1 if token == "\\sqrt" else 2)]
        return ["{", token, *(t for a in arguments for t in a), "}"]
    if token.isalpha() and len(token) > 1:
        rest.append(token[1:])
        token = token[0]
    return ["{", token, "}"]


def _take_group(rest: list[str]) -> list[str] | None:
    """Pops a bracket group off the reversed tokens and returns what is in it."""
    opening = rest[-1]
    close = {"{": "}", "(": ")", "[": "]"}[opening]
    depth = 0
    for at in range(len(rest) - 1, -1, -1):
        depth += (rest[at] == opening) - (rest[at] == close)
        if depth == 0:
            group = rest[at + 1 : -1]
            del rest[at:]
            group.reverse()
            return group
    return None


_KEEP_DOT = frozenset({"", ".", "-", "+", *"0123456789"})


def _without_dots(tokens: list[str]) -> list[str]:
    """Without multiplication signs that change nothing, as in `2 \\cdot x`; a sign before a
    number or after one that it would run into stays."""
    out: list[str] = []
    for at, token in enumerate(tokens):
        after = tokens[at + 1] if at + 1 < len(tokens) else ""
        if token == "*" and out and after[:1] not in _KEEP_DOT:
            before = out[-1]
            mixed = before[:1].isdecimal() and after == "\\frac"
            if not mixed and (before[:1].isalnum() or before in (")", "}") or before[0] == "\\"):
                continue
        out.append(token)
    return out
