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
CURRENCIES = {
    "\\$": Unit("dollar"),
    "\\euro": Unit("euro"),
    "\\pounds": Unit("pound sterling"),
    "\\yen": Unit("yen"),
    "\\rupee": Unit("rupee"),
    "\\won": Unit("won"),
    "\\ruble": Unit("ruble"),
    "\\franc": Unit("franc"),
    "\\yuan": Unit("yuan"),
    "\\krone": Unit("krone"),
}
CODES = {
    "USD": "\\$", "EUR": "\\euro", "GBP": "\\pounds", "JPY": "\\yen", "INR": "\\rupee",
    "KRW": "\\won", "RUB": "\\ruble", "CHF": "\\franc", "CNY": "\\yuan", "RMB": "\\yuan",
    "SEK": "\\krone", "NOK": "\\krone", "DKK": "\\krone",
}  # fmt: skip
MULTIPLES = {
    "dozen": "12",
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "billion": "1000000000",
    "trillion": "1000000000000",
}
"""Words after a number that are part of it."""
_COUNTED_WORDS = (
    "men boys cows dogs cats pigs hens eggs ants bees days ways kids boxes pens cars "
    "cups bags toys bus day way boy man cow dog cat pig hen egg ant bee kid box pen "
    "car cup bag toy can hat jar map key bat bed bus inch pie pies cubes units red "
    "blue"
)
COUNTED = frozenset(_COUNTED_WORDS.split())
"""Words after a number that are too short to be told from a product of letters by their length."""
_NO_UNITS_WORDS = (
    "or and more less fewer not no than least most if only squared cubed factorial "
    "plus minus modulo half halves third thirds quarter quarters fourths fifths "
    "sixths sevenths eighths ninths tenth tenths hundredth hundredths thousandth "
    "thousandths millionth millionths remainder below above negative between to "
    "through except but when where otherwise times"
)
NO_UNITS = frozenset(_NO_UNITS_WORDS.split())
"""Words after a number that say something about it."""


def spelled(text: str) -> str:
    """A unit of several factors, `kg\\cdot m^2/s^{2}` or `m\\,s^{-1}`, in one spelling: the known
    names in order with their powers, `meter second^-1`. Empty for what is none."""
    text = re.sub(r"/\s*\(([^()]*)\)", lambda m: "/" + re.sub(r"[*·\s]+|\\[,;]", "/", m[1]), text)
    powers: dict[str, int] = {}
    sign, at = 1, 0
    for factor in _FACTOR.finditer(text):
        if factor.start() != at or not factor.end() > at:
            return ""
        at = factor.end()
        symbol = factor["symbol"].removeprefix("\\")
        name = _SYMBOLS.get(symbol) or _ALIASES.get(symbol.lower() if len(symbol) > 3 else symbol)
        if name is None:
            return ""
        sign = -1 if "/" in factor["sign"] or factor["sign"].strip() == "per" else 1
        power = sign * int(factor["power"] or 1)
        powers[name] = powers.get(name, 0) + power
    if at != len(text):
        return ""
    left = sorted((name, power) for name, power in powers.items() if power)
    return " ".join(name if power == 1 else f"{name}^{power}" for name, power in left)


_FACTOR = re.compile(
    r"(?P<sign>(?:\s|\\[,;:! ]|\\cdot|\\times|[*·/]|\bper\b)*)"
    r"(?P<symbol>\\?[A-Za-zµμΩ]+)(?:\s*\^?\s*\{?(?P<power>-?\d)\}?)?\s*"
)


def parse_unit(words: str, power: int = 1) -> Unit:
    """The unit that `words` name, e.g. `square inches`, `cm`; `power` is an exponent after it."""
    one = spelled(words)
    if one:
        name, _, own = one.partition("^")
        if " " not in one and "^" not in name:
            return Unit(name, power * int(own or 1))
        return Unit(one, power)
    found = [w for w in _WORD.findall(words.lower()) if w not in ("of", "the", "a")]
    rest = []
    for word in found:
        if word in _POWERS:
            power *= _POWERS[word]
        else:
            rest.append(word)
    name = " ".join(rest)
    known = _ALIASES.get(name)
    if known is None:
        known = next((each for each in (name, name.removesuffix("s")) if each in _NAMED), None)
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
        "euro": "euro euros eur",
        "pound sterling": "gbp",
        "yen": "yen jpy",
        "rupee": "rupee rupees inr",
        "won": "won krw",
        "ruble": "ruble rubles rub",
        "franc": "franc francs chf",
        "yuan": "yuan cny rmb",
        "krone": "krone kroner krona kronor kr sek nok dkk",
        "degree": "degree degrees deg",
        "radian": "rad radian radians",
        "hour^-1 mile": "mph",
        "hour^-1 kilometer": "kph kmph km/h",
        "meter second^-1": "m/s mps",
        "newton": "n newton newtons",
        "joule": "j joule joules",
        "watt": "w watt watts",
        "volt": "v volt volts",
        "hertz": "hz hertz",
    }.items()
    for alias in aliases.split()
} | {
    "miles per hour": "hour^-1 mile",
    "feet per second": "foot second^-1",
    "meters per second": "meter second^-1",
    "kilometers per hour": "hour^-1 kilometer",
}
_SYMBOLS = {
    symbol: name
    for name, symbols in {
        "mole": "mol", "kelvin": "K", "pascal": "Pa", "kilopascal": "kPa", "ampere": "A",
        "coulomb": "C", "farad": "F", "tesla": "T", "newton": "N", "joule": "J", "watt": "W",
        "volt": "V", "kilojoule": "kJ", "kilowatt": "kW", "ohm": "Ω Omega", "hertz": "Hz",
        "kilohertz": "kHz", "megahertz": "MHz", "electronvolt": "eV", "kiloelectronvolt": "keV",
        "megaelectronvolt": "MeV", "atmosphere": "atm", "calorie": "cal", "kilocalorie": "kcal",
        "nanometer": "nm", "micrometer": "µm μm", "decimeter": "dm", "milligram": "mg",
        "millisecond": "ms", "liter": "L", "milliliter": "mL", "kilogram": "kg", "meter": "m",
        "second": "s", "gram": "g", "hour": "h", "megapascal": "MPa", "bar": "bar", "unit": "units",
    }.items()
    for symbol in symbols.split()
}  # fmt: skip
_NAMED = frozenset(_SYMBOLS.values()) - {"unit"}
_BARE = frozenset(
    {w for alias in _ALIASES for w in alias.split() if len(w) > 1 and w != "in"}
    | set(_POWERS)
    | set(MULTIPLES)
    | {"units", "unit", "per", "in"}
)
