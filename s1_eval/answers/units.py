"""Units that stand beside a number, under one name each. Conversions are not made: an answer in
other units than the reference's is another answer."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """name: the unit's one name, or the words themselves where they are none that is known
    (`apples`, `ways`). power: 2 for square, 3 for cubic. known: whether `name` is a unit that
    contradicts other units."""

    name: str
    power: int = 1
    known: bool = True

    def __str__(self) -> str:
        return self.name if self.power == 1 else f"{self.name}^{self.power}"


DEGREE = Unit("degree")
PERCENT = Unit("percent")
DOLLAR = Unit("dollar")
MULTIPLES = {
    "dozen": "12",
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "billion": "1000000000",
}
"""Words after a number that are part of it."""
NO_UNITS = frozenset({"or", "and", "more", "less", "not", "than", "least", "most", "if", "only"})
"""Words after a number that say something about it."""


def parse_unit(words: str, power: int = 1) -> Unit:
    """The unit that `words` name, e.g. `square inches`, `cm`; `power` is an exponent after it."""
    found = [w for w in _WORD.findall(words.lower()) if w not in ("of", "the", "a")]
    rest = []
    for word in found:
        if word in _POWERS:
            power *= _POWERS[word]
        else:
            rest.append(word)
    name = " ".join(rest)
    known = _ALIASES.get(name)
    return Unit(known, power) if known else Unit(name, power, known=False)


def is_unit(word: str) -> bool:
    """Whether a bare word is a unit or says one's power, so that no formula has it in mind."""
    return word.lower() in _BARE


_WORD = re.compile(r"[a-z/%°]+")
_POWERS = {"square": 2, "squared": 2, "sq": 2, "cubic": 3, "cubed": 3, "cu": 3}
_ALIASES = {
    alias: name
    for name, aliases in {
        "millimeter": "mm millimeter millimeters millimetre millimetres",
        "centimeter": "cm centimeter centimeters centimetre centimetres",
        "meter": "m meter meters metre metres",
        "kilometer": "km kilometer kilometers kilometre kilometres",
        "inch": "in inch inches",
        "foot": "ft foot feet",
        "yard": "yd yard yards",
        "mile": "mi mile miles",
        "second": "s sec secs second seconds",
        "minute": "min mins minute minutes",
        "hour": "h hr hrs hour hours",
        "day": "day days",
        "week": "week weeks",
        "month": "month months",
        "year": "yr yrs year years",
        "gram": "g gm gram grams",
        "kilogram": "kg kilogram kilograms",
        "pound": "lb lbs pound pounds",
        "ounce": "oz ounce ounces",
        "liter": "l liter liters litre litres",
        "milliliter": "ml milliliter milliliters",
        "gallon": "gal gallon gallons",
        "dollar": "dollar dollars usd",
        "cent": "cent cents",
        "euro": "euro euros",
        "degree": "degree degrees deg",
        "radian": "rad radian radians",
        "mile per hour": "mph",
        "kilometer per hour": "kph kmph km/h",
        "meter per second": "m/s mps",
        "newton": "n newton newtons",
        "joule": "j joule joules",
        "watt": "w watt watts",
        "volt": "v volt volts",
        "hertz": "hz hertz",
    }.items()
    for alias in aliases.split()
} | {
    "miles per hour": "mile per hour",
    "feet per second": "foot per second",
    "meters per second": "meter per second",
    "kilometers per hour": "kilometer per hour",
}
_BARE = frozenset(
    {w for alias in _ALIASES for w in alias.split() if len(w) > 1 and w != "in"}
    | set(_POWERS)
    | set(MULTIPLES)
    | {"units", "unit", "per", "in"}
)
