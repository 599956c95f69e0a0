"""LaTeX and plain text as one canonical list of tokens, so that spellings of one formula look
alike. What the tokens mean is decided in `s1_eval.answers.reading`.

A token is a number (`12`, `.5`), a run of letters, a command (`\\frac`), a text (`\\text{inches}`,
one token with its words) or a sign. Every argument of `\\frac`, `\\sqrt`, `^` and `_` is in braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from s1_eval.answers import units

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
    text = _SMALL_FRACTION.sub(r"\1/\2", text)
    text = _RAISED.sub(_level, text)
    text = _CONTROL.sub(" ", text.translate(_UNICODE))
    for pattern, plain in _NOTATION:
        text = pattern.sub(plain, text)
    if "\\text" not in text:
        text = _SPOKEN.sub(r"\\text{\1}", text)
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
_SEPARATOR = re.compile(r"(?<=\d)(?:\{,\}|,\\!|\\!,|\\!,\\!|\\,|\\;|\\:|\\ |~|')\s*(?=\d{3}(?!\d))")
_SCIENTIFIC = re.compile(  # 3e-2 is 3 times Euler's number less 2, and 3e-7 is not
    r"(?:^|(?<=[=\s{(,]))([-+]?\d+(?:\.\d+)?)"
    r"(?:E(?=[-+]?\d)|e(?!\+\d\s*$|-[12]\s*$)(?=[-+]?\d{1,3}\s*$)"
    r"|(?:(?<=\.\d)|(?<=\.\d\d)|(?<=\.\d{3})|(?<=\.\d{4}))e(?=[-+]?\d))"
    r"([-+]?\d{1,3})(?![\d.])"
)
_SMALL_FRACTION = re.compile(r"([⁰¹²³⁴-⁹]+)\s*[⁄/]\s*([₀-₉]+)")
_RAISED = re.compile(r"[⁰¹²³⁴-⁹⁺⁻ⁿⁱ]+|[₀-₉₊₋]+")
_LEVEL = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-ni0123456789+-")


def _level(match: re.Match[str]) -> str:
    """Raised or lowered signs as an exponent or index."""
    return (
        f"{'_' if match.group()[0] in '₀₁₂₃₄₅₆₇₈₉₊₋' else '^'}{{{match.group().translate(_LEVEL)}}}"
    )


_COLORS = r"\\(?:text|math)?colou?r(?:box)?\s*(?:\[\w*\])?\s*\{[^{}]*\}"
_SIZES = (
    "tiny|scriptsize|footnotesize|small|normalsize|large|Large|LARGE|huge|Huge|bfseries|itshape|"
    "rmfamily|sffamily|boldmath|centering|strut|mathstrut|displaylimits|nobreak|thinspace|enspace|"
    "medspace|thickspace|hfil|checkmark|blacksquare|Box|qed|qedhere|star|ensuremath|mathop|mathord|"
    "scriptstyle|scriptscriptstyle|protect|noindent|underline|uline|bf|rm|it|sf|tt|em"
)
_ORDINAL = r"(?:st|nd|rd|th)"
_UPRIGHT = r"\\(?:text|mathrm|rm|textrm)\s*\{([^{}]{1,20})\}"
_ARGUMENT = r"(?:\{\s*(\w+)\s*\}|(\w))"
_NOTATION: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(pattern), plain)
    for pattern, plain in (
        (_COLORS, " "),
        (rf"\\(?:{_SIZES})(?![A-Za-z])(?!\s*\{{[^{{}}]*[A-Za-z]{{3}})", " "),
        (r"\\(?:tag|label)\*?\s*\{[^{}]*\}", " "),
        (r"\\(?:SI|qty)\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1\\text{ \2}"),
        (r"\\(?:si|unit)\s*\{([^{}]*)\}", r"\\text{ \1}"),
        (r"\\num\s*\{([^{}]*)\}", r"\1"),
        # 12^{\text{th}}, 21st
        (
            rf"(?<=\d)\s*\^?\s*\{{?\s*\\(?:text|mathrm|textsuperscript|rm|textrm)\s*\{{\s*{_ORDINAL}"
            r"\s*\}\s*(?:(?<=\}\})\}|\}(?!\s*\}))?",
            " ",
        ),
        (rf"(?<=\d)\s*\^\s*\{{\s*{_ORDINAL}\s*\}}", " "),
        (rf"(?<=\d){_ORDINAL}(?![A-Za-z])", " "),
        # ^3/_4
        (
            r"(?:\{\}\s*)?\^\s*(?:\{\s*(\d+)\s*\}|(\d))\s*(?:\\[!,;])*(?:/|\\/)\s*(?:\\[!,;])*_\s*(?:\{\s*(\d+)\s*\}|(\d+))",
            r"\\frac{\1\2}{\3\4}",
        ),
        (r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))", "*"),  # 1.2 x 10^5
        (r"(?<=\d)\{,\}(?=\d{1,2}(?!\d))", "."),  # 3{,}5
        (r"(?<=\d)\.(\d*)\\(?:dot|bar)\s*\{?(\d)\}?(?!\s*\\dot)", r".\1\\overline{\2}"),
        (r"(?<=\d)\.(\d*)\\bar\s*\{(\d+)\}", r".\1\\overline{\2}"),
        (r"(?<=\d)\.(\d{0,9}?)(\d{1,6}?)\2{2,9}\s*(?:\.{3}|…|\\l?dots)\s*$", r".\1\\overline{\2}"),
        # 3.4\text{e-}4, and not 2\mathrm{e}-4
        (
            r"(?<=\d)\s*\\(?:text|mathrm|rm)\s*\{\s*(?:[eE]([-+])\s*\}\s*(\d{1,3})|[eE]([-+]?\d{1,3})\s*\}"
            r"|E\s*\}\s*([-+]?\d{1,3}))(?!\d)",
            r"*10^{\1\2\3\4}",
        ),
        (r"\\(?:mathbb|Bbb|mathds)\s*(?:\{\s*([A-Z])\s*\}|([A-Z])(?![A-Za-z]))", r"\\mathbb{\1\2}"),
        (r"(?:^|(?<=\\in))\s*\\(?:mathbf|bf)\s*\{\s*R\s*\}(?=\s*$)", r"\\mathbb{R}"),
        (r"\\mathbb\{([EP])\}", r"\1"),
        (r"\\lg(?![A-Za-z])", r"\\log_{10} "),
        # binomial coefficients: C(n, k), ^nC_k, C_{10}^3
        (r"(?<![A-Za-z\\])C\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)", r"\\binom{\1}{\2}"),
        (
            rf"(?<![\w}})\]])(?:\{{\s*\}})?\s*[\^_]\s*{_ARGUMENT}\s*C\s*_\s*{_ARGUMENT}",
            r"\\binom{\1\2}{\3\4}",
        ),
        (r"(?<![A-Za-z\\])C_\s*\{?(\d+)\}?\s*\^\s*\{?(\d+)\}?", r"\\binom{\1}{\2}"),
        # 3 to 4
        (r"^\s*(\d+)\s*(?:\\text\s*\{\s*to\s*\}|\bto\b)\s*(\d+)\s*$", r"\1:\2"),
        (
            r"(\(\s*)?(?:\\(?:text|mathrm|operatorname)\s*\{\s*mod\s*\}|\\[bp]?mod(?![A-Za-z])|\bmod\b)"
            r"(?:\s|\\[ ,;:])*(?:\{\s*(\w+)\s*\}|(\w+))(?(1)\s*\))",
            r"\\pmod{\2\3}",
        ),
        # ]1, 2[
        (
            r"(^|\\in|\\cup|\\cap|\\setminus|=)\s*(?:\\left)?\s*([\[\]])([^\[\]]{1,80}?[,;][^\[\]]{1,80}?)"
            r"(?:\\right)?\s*([\[\]])",
            lambda m: f"{m[1]} {'[('[m[2] == ']']}{m[3]}{'])'[m[4] == '[']}",
        ),
        (r"(?<=\d)\.(\d*)\((\d+)\)", r".\1\\overline{\2}"),
        (r"\b(?:US|HK|A|C|NZ)(?=\\\$|\$\s*[-.\d])", ""),
        (r"(?<![A-Za-z])(?:Rs\.?|INR)\s*(?=[\d}~\\ ])", r"\\rupee "),
        (r"(?<!\\)\.\.\.+|…|\\(?:dots[bcmio]?|cdots|hdots|ldotp)(?![A-Za-z])", r"\\ldots "),
        (rf"\\frac\s*\{{\s*{_UPRIGHT}\s*\}}\s*\{{\s*{_UPRIGHT}\s*\}}", r"\\text{\1/\2}"),
        (r"(?<=\d)\s+([A-Za-zµμ]{1,4}(?:/[A-Za-z]{1,4}(?:\^?\{?\d\}?)?)+)\s*$", r"\\text{ \1}"),
        (r"(?<=\d)\s*/-(?=\s*(?:$|\}))", ""),  # Rs 1500/-
        (rf"(?<![A-Za-z\\])({'|'.join(units.CODES)})\s*(?=[\d~\\])", lambda m: units.CODES[m[1]] + " "),  # noqa: E501
    )
]  # fmt: skip
_SPOKEN = re.compile(
    r"(?<![\w\\{])((?:the set of )?(?:all|any) (?:(?:positive|negative) )?(?:real[a-z]*|integers)"
    r"(?: numbers?| values?)?(?: of [a-z]\b)?(?:,? except(?: for)?)?"
    r"|(?:there (?:is|are) )?no (?:real )?solutions?)(?![A-Za-z}])",
    re.IGNORECASE,
)
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
        "Ω": r"\Omega ", "¢": r"\text{cents}", "€": r"\euro ", "£": r"\pounds ", "¥": r"\yen ",
        "₽": r"\ruble ", "￥": r"\yen ", "₹": r"\rupee ", "₨": r"\rupee ", "＄": r"\$", "₩": r"\won ",  # noqa: E501
        "⅖": r"\frac{2}{5}", "⅗": r"\frac{3}{5}", "⅘": r"\frac{4}{5}", "⅚": r"\frac{5}{6}",
        "⅐": r"\frac{1}{7}", "⅑": r"\frac{1}{9}", "⅒": r"\frac{1}{10}", "⅜": r"\frac{3}{8}",
        "⅝": r"\frac{5}{8}", "⅞": r"\frac{7}{8}", "∖": r"\setminus ", "≡": r"\equiv ",
        "∉": r"\notin ", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}",
        "≦": r"\le ", "≧": r"\ge ", "⇒": r"\implies ", "⟹": r"\implies ", "∠": r"\angle ",
        "△": r"\triangle ", "＝": "=", "＋": "+", "－": "-", "／": "/", "．": ".", "∣": "|", "｜": "|",  # noqa: E501
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
    "\\backslash": "\\setminus", "\\smallsetminus": "\\setminus", "\\sfrac": "\\frac",
    "\\nicefrac": "\\frac", "\\flatfrac": "\\frac", "\\dots": "\\ldots", "\\texteuro": "\\euro",
    "\\EUR": "\\euro", "\\textsterling": "\\pounds", "\\pound": "\\pounds",
    "\\textyen": "\\yen", "\\textdollar": "\\$", "\\textdegree": "\\degree",
    "\\not=": "\\ne", "\\nleq": ">", "\\ngeq": "<", "\\Longrightarrow": "\\implies",
    "\\Rightarrow": "\\implies", "\\therefore": "\\implies", "\\iff": "\\implies",
    "\\Leftrightarrow": "\\implies", "\\lVert": "\\|", "\\rVert": "\\|", "\\Vert": "\\|",
    "\\tg": "\\tan", "\\ctg": "\\cot", "\\arctg": "\\arctan", "\\lfrac": "\\frac",
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
_REALS = re.compile(
    r"(?:the set of )?(?:all|any) (?:(?P<sign>positive|negative) )?"
    r"(?:real(?:s|(?: numbers?| values?)?)|(?P<whole>integers))(?: of [a-z])?"
    r"(?P<except>,? except(?: for)?)?"
)


def _scan(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match.group()
        if match["words"] is not None:
            yield from _text(match["wrapper"], match["words"], text[: match.start()])
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
        elif token in ("\\R", "\\reals", "\\Reals"):
            yield from ("\\mathbb", "{", "R", "}")
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


_NOTHING = re.compile(
    r"(?:there (?:is|are|exists?) )?no (?:real )?solutions?(?: exists?)?|(?:the )?empty set"
)
_FILLER = re.compile(r"\\ |~|(?<!\\)\$")
_NUMBER_BEFORE = re.compile(r"[\d})](?:\s|\\[,;:! ]|~|\\cdot|\\times|\*|/|\^\s*\{?-?\d\}?)*$")


def _text(wrapper: str, words: str, before: str) -> Iterator[str]:
    """A text wrapper: a formula in a font is the formula, words stay together as one token, and so
    does a unit behind a number, `12\\,\\mathrm{m\\,s^{-1}}`."""
    words = " ".join(_FILLER.sub(" ", words).split())
    bare = words.strip(" .,;:")
    low = bare.lower()
    unit = units.spelled(bare) if _NUMBER_BEFORE.search(before) else ""
    if low in ("and", "or"):
        yield low
    elif reals := _REALS.fullmatch(low):
        yield from ("\\mathbb", "{", "Z" if reals["whole"] else "R", "}")
        if reals["sign"]:
            yield from ("^", "{", "+" if reals["sign"] == "positive" else "-", "}")
        if reals["except"]:
            yield "\\setminus"
    elif _NOTHING.fullmatch(low):
        yield "\\emptyset"
    elif bare in units.CURRENCIES:
        yield bare
    elif bare.startswith("\\") and bare.split(" ")[0] in units.CURRENCIES:
        yield from _scan(bare)
    elif unit:
        yield "\\text{" + unit + "}"
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
    number or after one that it would run into stays, and one after a division: `a/b*c`."""
    out: list[str] = []
    divided = [False]  # in the product at hand, at each level of brackets
    for at, token in enumerate(tokens):
        after = tokens[at + 1] if at + 1 < len(tokens) else ""
        if token in OPENING or token == "{":
            divided.append(False)
        elif token in CLOSING or token == "}":
            divided = divided[:-1] or [False]
        elif token == "/":
            divided[-1] = True
        elif token not in ("*", "^", "_", "!") and not token[0].isalnum() and token[0] != "\\":
            divided[-1] = False
        if token == "*" and out and not divided[-1] and after[:1] not in _KEEP_DOT:
            before = out[-1]
            mixed = before[:1].isdecimal() and after == "\\frac"
            if not mixed and (before[:1].isalnum() or before in (")", "}") or before[0] == "\\"):
                continue
        out.append(token)
    return out
