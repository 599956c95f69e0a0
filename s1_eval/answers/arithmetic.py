"""The value of a formula: exact where it is a rational number, in floating point where roots or
pi are in it, at a chosen point where symbols are. What is not elementary arithmetic has no value
here; sympy is asked about it.
"""

from __future__ import annotations

import cmath
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Number = Fraction | complex

_MOST_BITS = 14_000
"""Of an exact number: Python prints no more than 4,300 digits."""

_HOPELESS_EXPONENT, _HOPELESS_FACTORIAL = 10_000_000, 100_000
"""Computer algebra does not get there in seconds, and no benchmark asks for it."""

_LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi "
    "chi psi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega hbar ell"
)
GREEK = frozenset("\\" + name for name in _LETTERS.split())


class NoValue(Exception):
    """Not elementary arithmetic, ambiguous, undefined or too large."""


class TooLarge(NoValue):
    """A number so large that sympy need not be asked either."""


@dataclass(frozen=True, slots=True)
class Value:
    """number: exact, or a complex float. scale: the largest magnitude on the way to it, which
    bounds what rounding can have done. symbols: whether any occurred."""

    number: Number
    scale: float
    symbols: bool


def exact(tokens: Sequence[str]) -> Fraction | None:
    """The rational number that canonical tokens denote; None where they denote none."""
    try:
        value = evaluate(tokens)
    except NoValue:
        return None
    return value.number if isinstance(value.number, Fraction) and not value.symbols else None


def evaluate(tokens: Sequence[str], point: int = 0) -> Value:
    """The value of canonical tokens, with fixed positive numbers of this `point` for symbols.

    Raises NoValue.
    """
    evaluator = _Evaluator(tokens, point)
    try:
        number = evaluator.sum()
        if evaluator.at != len(tokens):
            raise NoValue
        return Value(number, max(evaluator.scale, _size(number)), evaluator.symbols)
    except (ArithmeticError, ValueError):
        raise NoValue from None


def apart(a: Value, b: Value) -> Fraction | float:
    """How far two values of the same point are apart for certain: 0 unless by more than what
    rounding can have done."""
    if isinstance(a.number, Fraction) and isinstance(b.number, Fraction):
        return abs(a.number - b.number)
    if math.inf in (a.scale, b.scale):
        return 0.0
    gap = abs(complex(a.number) - complex(b.number))
    return max(0.0, gap - 1e-9 * max(a.scale, b.scale))


class _Evaluator:
    """Recursive descent over canonical tokens; the tokenizer has bounded their nesting."""

    def __init__(self, tokens: Sequence[str], point: int) -> None:
        self.tokens = [letter for token in tokens for letter in _factors(token)]
        self.point = point
        self.at = 0
        self.scale = 0.0
        self.symbols = False

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else ""

    def expect(self, token: str) -> None:
        if self.peek() != token:
            raise NoValue
        self.at += 1

    def sum(self) -> Number:
        total = self.product()
        while (sign := self.peek()) in ("+", "-"):
            self.at += 1
            term = self.product()
            self.scale = max(self.scale, _size(total), _size(term))
            total = _checked(total + term if sign == "+" else total - term)
        return total

    def product(self) -> Number:
        value = self.signed()
        divided = False
        while True:
            token = self.peek()
            if token in ("*", "/"):
                self.at += 1
                factor = self.signed()
                value = _checked(value * factor if token == "*" else value / factor)
                divided = token == "/"
            elif token and (token in _FACTORS or token in GREEK or token[0].isalpha()):
                if divided:  # 1/2x: people mean either
                    raise NoValue
                value = _checked(value * self.power())
            else:
                return value

    def signed(self) -> Number:
        sign = 1
        while (token := self.peek()) in ("+", "-"):
            self.at += 1
            sign = -sign if token == "-" else sign
        return sign * self.power()

    def power(self) -> Number:
        base = self.atom()
        while self.peek() == "!":
            self.at += 1
            if not _is_count(base):
                raise (
                    TooLarge
                    if _exceeds(base, _HOPELESS_FACTORIAL) and not self.symbols
                    else NoValue
                )
            assert isinstance(base, Fraction)
            base = Fraction(math.factorial(base.numerator))
        if self.peek() == "^":
            self.at += 1
            exponent = self.group()
            if not self.symbols and _exceeds(base, 1) and _exceeds(exponent, _HOPELESS_EXPONENT):
                raise TooLarge
            base = _power(base, exponent)
        return base

    def group(self) -> Number:
        self.expect("{")
        value = self.sum()
        self.expect("}")
        return value

    def atom(self) -> Number:
        token = self.peek()
        self.at += 1
        if token[:1].isdecimal() or token[:1] == ".":
            return self.mixed(token)
        if token == "(":
            value = self.sum()
            self.expect(")")
            return value
        if token == "\\frac":
            upper = self.group()
            return _checked(upper / self.group())
        if token == "\\sqrt":
            return self.root()
        if token == "\\binom":
            n, k = self.group(), self.group()
            if not (_is_count(n) and _is_count(k)):
                raise TooLarge if _exceeds(n, _HOPELESS_FACTORIAL) and not self.symbols else NoValue
            return Fraction(math.comb(int(n.real), int(k.real)))
        if token == "\\pi":
            return complex(math.pi)
        if token in GREEK or (token.isalpha() and token.isascii() and len(token) == 1):
            return self.letters(token)
        raise NoValue

    def mixed(self, token: str) -> Number:
        """A number; a whole number right before a fraction of digits is a mixed number."""
        ahead = [self.peek(n) for n in range(7)]
        number = Fraction(token)
        if (
            ahead[:2] == ["\\frac", "{"]
            and ahead[3:5] == ["}", "{"]
            and ahead[6] == "}"
            and token.isdecimal()
            and ahead[2].isdecimal()
            and ahead[5].isdecimal()
        ):
            self.at += 7
            number += Fraction(int(ahead[2]), int(ahead[5]))
        return number

    def root(self) -> Number:
        degree: Number = Fraction(2)
        if self.peek() == "[":
            self.at += 1
            degree = self.sum()
            self.expect("]")
        radicand = self.group()
        if not (_is_count(degree) and degree):
            raise NoValue
        if isinstance(radicand, complex) and radicand.real < 0 and not radicand.imag:
            if not degree.real % 2:
                raise NoValue
        elif not (isinstance(radicand, Fraction) and radicand < 0):
            return _power(radicand, 1 / degree)
        if degree.real % 2:  # the real root, as the sign is read in school books
            return -_power(-radicand, 1 / degree)
        if degree != 2:
            raise NoValue
        return 1j * complex(_power(-radicand, 1 / degree))

    def letters(self, token: str) -> Number:
        """A letter, which may have an index."""
        name = token
        if self.peek() == "_":
            end = self.tokens.index("}", self.at) + 1
            name += " ".join(self.tokens[self.at : end])
            self.at = end
        if self.peek() == "(" and name[0] in _FUNCTIONS:
            raise NoValue
        return self.symbol(name)

    def symbol(self, name: str) -> Number:
        if name == "i":
            return 1j
        if name == "e":
            return complex(math.e)
        self.symbols = True
        return 1 + Fraction(zlib.crc32(f"{name} {self.point}".encode()), 2**32)


def _factors(token: str) -> Sequence[str]:
    """A run of letters is a product, and an exponent or index is that of the last: `gt^2`."""
    return token if token.isalpha() and token.isascii() and len(token) <= 4 else (token,)


_FUNCTIONS = frozenset("fghFGHPQ")
_FACTORS = frozenset({"(", "\\frac", "\\sqrt", "\\binom", "\\pi"})


def _is_count(number: Number) -> bool:
    return isinstance(number, Fraction) and number.denominator == 1 and 0 <= number <= 200


def _exceeds(number: Number, limit: int) -> bool:
    return isinstance(number, Fraction) and abs(number) > limit


def _size(number: Number) -> float:
    try:
        return abs(complex(number))
    except OverflowError:
        return math.inf


def _checked(number: Number) -> Number:
    if isinstance(number, Fraction):
        if number.numerator.bit_length() + number.denominator.bit_length() > _MOST_BITS:
            raise NoValue
    elif not cmath.isfinite(number):
        raise NoValue
    return number


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        if isinstance(base, Fraction):
            bits = base.numerator.bit_length() + base.denominator.bit_length()
            if bits * abs(exponent) > _MOST_BITS:
                raise NoValue
            return base**exponent.numerator
        return _checked(base ** int(exponent))
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if base < 0:  # which root is meant is open
            raise NoValue
        root = _exact_root(base, exponent.denominator)
        if root is not None:
            return _power(root, Fraction(exponent.numerator))
    return _checked(complex(base) ** complex(exponent))


def _exact_root(number: Fraction, degree: int) -> Fraction | None:
    if degree > 20:
        return None
    parts = []
    for part in (number.numerator, number.denominator):
        guess = round(part ** (1 / degree)) if part.bit_length() < 900 else 0
        if degree == 2:
            guess = math.isqrt(part)
        if guess**degree != part:
            return None
        parts.append(guess)
    return Fraction(parts[0], parts[1])
