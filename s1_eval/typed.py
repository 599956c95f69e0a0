"""Settings that check themselves by their annotations: one mechanism and one message for methods,
sampling, engines and verifiers. What settings mean stands with each of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass, fields
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Predicate

from s1_eval.errors import UserError


@dataclass(frozen=True, slots=True)
class Says:
    """In an `Annotated` type: what a refusal tells the user to give."""

    text: str


Count = Annotated[int, Ge(0), Says("a whole number of 0 or more")]
Positive = Annotated[int, Ge(1), Says("a whole number of 1 or more")]
Temperature = Annotated[float, Ge(0), Predicate(isfinite), Says("a number, 0 (greedy) or more")]
PositiveFloat = Annotated[float, Gt(0), Predicate(isfinite), Says("a number above 0")]


class Settings:
    """The base of a frozen dataclass whose fields are checked against their annotations, then
    by the `check` that it or any class above it defines. A list becomes a tuple."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Raises UserError on a value of another type or out of range."""
        for field in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            if isinstance(value := getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(value))
        check_types(type(self), {f.name: getattr(self, f.name) for f in fields(self)})  # type: ignore[arg-type]
        for cls in reversed(type(self).__mro__):
            if (check := cls.__dict__.get("check")) is not None:
                check(self)


def flat(settings: Any) -> dict[str, Any]:
    """A dataclass's settings by name, as plain data."""
    return asdict(settings)


def flat_fields(cls: type[Any]) -> dict[str, Field[Any]]:
    """The fields of a dataclass of settings by name."""
    return {field.name: field for field in fields(cls)}


def check_types(of: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """`values` against the annotations of a dataclass's fields or of a class's arguments; names
    that have none pass. Raises UserError on the first that is of another type or out of range.

    Nothing is converted: `True` is no number, `"64"` none either, and 1.5 no whole one.
    """
    from pydantic import ValidationError

    known = _adapters(of)
    for name, value in values.items():
        if name not in known:
            continue
        adapter, wanted = known[name]
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError:
            raise UserError(f"{name}={value!r:.200}: give {wanted}") from None


@cache
def _adapters(of: Callable[..., Any]) -> dict[str, tuple[Any, str]]:
    from pydantic import TypeAdapter

    plain = inspect.isclass(of) and not hasattr(of, "__dataclass_fields__")
    hints = get_type_hints(of.__init__ if plain else of, include_extras=True)
    hints = {name: hint for name, hint in hints.items() if name != "return"}
    return {name: (TypeAdapter(hint), _said(hint)) for name, hint in hints.items()}


def _said(hint: Any) -> str:
    """An annotation in words: what would have been right."""
    choices = [c for part in _parts(hint) for c in (_words(part) if part is not NoneType else ())]
    *most, last = choices or ["nothing"]
    text = f"{', '.join(most)} or {last}" if most else last
    return f"{text}, or leave it out" if NoneType in _parts(hint) else text


def _parts(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


_TYPES: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list of texts",
}


def _words(part: Any) -> list[str]:
    origin = get_origin(part)
    if origin is Annotated:
        said = [note.text for note in part.__metadata__ if isinstance(note, Says)]
        return said or _words(part.__origin__)
    if origin is Literal:
        return [f"`{choice}`" for choice in get_args(part)]
    kind = origin or part
    if kind in _TYPES:
        return [_TYPES[kind]]
    return ["a mapping" if issubclass(kind, Mapping) else "a list"]
