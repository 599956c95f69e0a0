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
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from annotated_types import Ge, Gt, Predicate

from s1_eval.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Says:
    """In an `Annotated` type: what a refusal tells the user to give."""

    text: str


Count = Annotated[int, Ge(0), Says("a whole number of 0 or more")]
Positive = Annotated[int, Ge(1), Says("a whole number of 1 or more")]
Temperature = Annotated[float, Ge(0), Predicate(isfinite), Says("a number, 0 (greedy) or more")]
PositiveFloat = Annotated[float, Gt(0), Predicate(isfinite), Says("a number above 0")]


@dataclass(frozen=True, slots=True)
class Without:
    """In an `Annotated` part of settings: those of its settings that have to stay as they are here,
    with the reason that a refusal gives."""

    reasons: Mapping[str, str]


class Settings:
    """The base of a frozen dataclass whose fields are checked against their annotations, then
    by the `check` that it or any class above it defines. A list becomes a tuple.

    A field whose type is such a dataclass too is a part: users and records see its settings beside
    the others, under their own names. See `flat` and `build`.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        """Raises UserError on a value of another type or out of range."""
        held = {part.name: part for part in parts(type(self))}
        own = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        check_types(type(self), {name: own[name] for name in own if name not in held})
        for name, value in own.items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        for part in held.values():
            part.check(own[part.name])
        for cls in reversed(type(self).__mro__):
            if (check := cls.__dict__.get("check")) is not None:
                check(self)

    if not TYPE_CHECKING:  # a type checker is to see what a class itself has

        def __getattr__(self, name: str) -> Any:
            """A part's setting, by its own name: `getattr(settings, name, default)` must never
            take the default for one that stands a level lower."""
            for part in parts(type(self)):
                if name in flat_fields(part.type):
                    return getattr(getattr(self, part.name), name)
            raise AttributeError(f"{type(self).__name__} has no setting {name!r}")


@dataclass(frozen=True, slots=True)
class Part:
    """A field of settings that is settings itself. without: what it can't have here, and why."""

    name: str
    type: type[Settings]
    without: Mapping[str, str]

    def check(self, value: Any) -> None:
        """Raises UserError on another type, or a setting that can't be had."""
        if not isinstance(value, self.type):
            raise UserError(f"{self.name}={value!r:.200}: give {self.type.__name__}(…)")
        usual = flat_fields(self.type)
        for name, reason in self.without.items():
            if (given := flat(value)[name]) != usual[name].default:
                raise UserError(f"{name}={given}: {reason}")


def parts(cls: Callable[..., Any]) -> tuple[Part, ...]:
    """The parts of a dataclass of settings."""
    return _parts_of(cls)


@cache
def _parts_of(cls: Callable[..., Any]) -> tuple[Part, ...]:
    hints = get_type_hints(cls, include_extras=True)
    found = []
    for field in fields(cls):  # type: ignore[arg-type]  # a dataclass
        kind, *notes = (
            get_args(hints[field.name]) if _annotated(hints[field.name]) else (hints[field.name],)
        )
        if inspect.isclass(kind) and issubclass(kind, Settings):
            without = {k: v for n in notes if isinstance(n, Without) for k, v in n.reasons.items()}
            found.append(Part(field.name, kind, without))
    return tuple(found)


def _annotated(hint: Any) -> bool:
    return get_origin(hint) is Annotated


def flat(settings: Any) -> dict[str, Any]:
    """A dataclass's settings by name, as plain data; those of its parts among them."""
    held = {part.name for part in parts(type(settings))}
    found: dict[str, Any] = {}
    for name, value in asdict(settings).items():
        found |= flat(getattr(settings, name)) if name in held else {name: value}
    return found


def flat_fields(cls: Callable[..., Any]) -> Mapping[str, Field[Any]]:
    """The fields of a dataclass of settings by name, and those of its parts in their place.

    Raises TypeError where two have one name.
    """
    return _flat_fields(cls)


@cache
def _flat_fields(cls: Callable[..., Any]) -> Mapping[str, Field[Any]]:
    held = {part.name: part for part in parts(cls)}
    found: dict[str, Field[Any]] = {}
    for field in fields(cls):  # type: ignore[arg-type]  # a dataclass
        more = flat_fields(held[field.name].type) if field.name in held else {field.name: field}
        if twice := found.keys() & more.keys():
            raise TypeError(f"{cls.__name__} and its parts have two settings {min(twice)!r}")
        found |= more
    return found


def flat_hints(cls: type[Any]) -> dict[str, Any]:
    """The annotations of `flat_fields`."""
    held = {part.name: part for part in parts(cls)}
    hints = get_type_hints(cls, include_extras=True)
    found: dict[str, Any] = {}
    for field in fields(cls):
        name = field.name
        found |= flat_hints(held[name].type) if name in held else {name: hints[name]}
    return found


def takes_numbers(hint: Any) -> bool:
    """Whether a setting of this annotation can be an amount."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    plain = {get_args(each)[0] if _annotated(each) else each for each in members}
    return bool({int, float} & plain)


def settings_of(cls: type[Any]) -> tuple[type[Any], ...]:
    """A class of settings and those of all its parts."""
    return cls, *(inner for part in parts(cls) for inner in settings_of(part.type))


def build(cls: type[T], given: Mapping[str, Any]) -> T:
    """The settings of a class from those by name, its parts' among them: `flat` undone. Every name
    has to be one of `flat_fields`. Raises UserError as the class itself does."""
    held = {part.name: part for part in parts(cls)}
    made: dict[str, Any] = {}
    for field in fields(cls):  # type: ignore[arg-type]  # a dataclass
        name = field.name
        if name in held:
            kind = held[name].type
            made[name] = build(kind, {k: given[k] for k in flat_fields(kind) if k in given})
        elif name in given:
            made[name] = given[name]
    return cls(**made)


def check_types(of: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """`values` against the annotations of a dataclass's fields or of a class's arguments; names
    that have none pass. Raises UserError on the first that is of another type or out of range.

    Nothing is converted: `True` is no number, `"64"` none either, and 1.5 no whole one. A list may
    stand for a tuple.
    """
    from pydantic import ValidationError

    known = _adapters(of)
    for name, value in values.items():
        if name not in known:
            continue
        adapter, wanted = known[name]
        try:
            whole = tuple(value) if isinstance(value, list) else value
            adapter.validate_python(whole, strict=True)
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
}
_MEMBERS: Mapping[Any, str] = {str: "texts", int: "whole numbers", float: "numbers"}


def _words(part: Any) -> list[str]:
    origin = get_origin(part)
    if origin is Annotated:
        said = [note.text for note in part.__metadata__ if isinstance(note, Says)]
        return said or _words(part.__origin__)
    if origin is Literal:
        return [f"`{choice}`" for choice in get_args(part)]
    kind = origin or part
    if kind is tuple:
        members = get_args(part)
        number = "" if members[-1] is ... else f"{len(members)} "
        kinds = _MEMBERS.get(members[0])
        return [f"a list of {number}{kinds}" if kinds else "a list"]
    if kind in _TYPES:
        return [_TYPES[kind]]
    return ["a mapping" if issubclass(kind, Mapping) else "a list"]
