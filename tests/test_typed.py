"""Every setting of every method, sampling, engine and verifier refuses a value of another type, in
one form of words, before anything is loaded."""

from __future__ import annotations

import dataclasses
import pickle
import pkgutil
from copy import deepcopy
from math import inf, nan
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pytest

from s1_eval.engines import Sampling
from s1_eval.engines.table import ENGINES, open_engine
from s1_eval.errors import UserError
from s1_eval.methods import METHODS, settings
from s1_eval.methods.method import Axes
from s1_eval.typed import Positive, Settings, Without, build, flat, flat_fields, flat_hints
from s1_eval.verifiers.table import ENGINES as VERIFIERS
from s1_eval.verifiers.table import open_verifier

AXES = Axes(max_thinking_tokens=[64], steps=[4], samples=[4])


def needed(name: str) -> dict[str, Any]:
    """Settings without which a method can't be: those of a run that a sweep makes."""
    return dict(METHODS[name].sweep(name, AXES)[0])


WRONG: dict[type, tuple[Any, ...]] = {
    bool: ("true", 1, 0, "yes"),
    int: (True, False, 1.0, 1.5, nan, "64", "abc", b"1", {}, (1,)),
    float: (True, "0.5", "abc", {}, ()),
    str: (True, 1, 0.5, b"text", ("text",)),
    tuple: ("text", 1, True, (1,), ("a", None)),
}


def wrong(hint: Any) -> list[Any]:
    """Values that an annotation does not allow: those wrong for each of its parts."""
    kinds = [kind(part) for part in _parts(hint)]
    every = [value for values in WRONG.values() for value in values] + [None, -1, inf]
    return [value for value in every if not any(accepts(k, value) for k in kinds)]


def _parts(hint: Any) -> tuple[Any, ...]:
    union = get_args(hint) if get_origin(hint) not in (Annotated, Literal, tuple, None) else (hint,)
    return (hint,) if not union or get_origin(hint) in (list, dict) else union


def kind(part: Any) -> Any:
    return get_args(part)[0] if get_origin(part) is Annotated else part


def accepts(kind: Any, value: Any) -> bool:
    """Whether plain Python agrees; ranges are another matter."""
    if kind is Any:
        return True
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(isinstance(text, str) for text in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return type(value) is int
    if isinstance(kind, type):
        return isinstance(value, kind)
    origin = get_origin(kind)
    if isinstance(value, str | bytes) or not isinstance(value, origin):
        return False
    return all(isinstance(text, str) for text in value)


CASES = [
    (name, field, value)
    for name, method in METHODS.items()
    for field, hint in flat_hints(method.settings).items()
    for value in wrong(hint)
]


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_of_a_method_refuses_other_types(name: str) -> None:
    cases = [(field, value) for method, field, value in CASES if method == name]
    assert {field for field, _ in cases} == flat_fields(METHODS[name].settings).keys()
    for field, value in cases:
        with pytest.raises(UserError, match=rf"^{field}=.*: give |thinking_format"):
            settings(name, {**needed(name), field: value})


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("plain", {"max_tokens": "abc"}, "max_tokens='abc': give a whole number of 1 or more"),
        ("token_conditional", {"tokens": True}, "tokens=True: give a whole number of 1 or more"),
        ("majority_vote", {"samples": 1.5}, "samples=1.5: give a whole number of 1 or more"),
        ("rebase", {"samples": 4, "softmax_temperature": nan}, "give a number above 0"),
        ("budget_forcing", {"max_thinking_tokens": "all"}, "`auto`, or leave it out"),
        ("budget_forcing", {"until_thinking": "."}, "until_thinking='.': give a list of texts"),
        ("budget_forcing", {"temperature_thinking": -1}, "give a number, 0 \\(greedy\\) or more"),
        ("budget_forcing", {"num_ignores": -1}, "give a whole number of 0 or more"),
        ("class_conditional", {"length": "huge"}, "give `short`, `default`"),
    ],
)
def test_the_message_says_what_would_have_been_right(name, params, says) -> None:
    with pytest.raises(UserError, match=says):
        settings(name, params)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Sampling)])
def test_sampling_refuses_other_types(field: str) -> None:
    for value in wrong(get_type_hints(Sampling, include_extras=True)[field]):
        with pytest.raises(UserError, match=rf"^{field}="):
            Sampling(**{field: value})


@pytest.mark.parametrize("engine", ENGINES)
def test_every_argument_of_an_engine_refuses_other_types_before_it_loads(engine: str) -> None:
    made = pkgutil.resolve_name(ENGINES[engine].path)
    refused = 0
    for name, hint in get_type_hints(made.__init__).items():
        for value in wrong(hint) if name not in ("model", "return", "engine_args") else ():
            refused += 1
            with pytest.raises(UserError, match=rf"^{name}=.*: give "):
                open_engine(engine, "no/such-model", **{name: value})
    assert refused > 20


@pytest.mark.parametrize("engine", VERIFIERS)
def test_every_argument_of_a_verifier_refuses_other_types_before_it_loads(engine: str) -> None:
    made = pkgutil.resolve_name(VERIFIERS[engine])
    given = {"model", "format", "name", "return", "engine_args"}
    for name, hint in get_type_hints(made.__init__).items():
        for value in wrong(hint) if name not in given else ():
            with pytest.raises(UserError, match=rf"^{name}=.*: give "):
                open_verifier(f"{engine}/nano-prm", **{name: value})


@dataclasses.dataclass(frozen=True, slots=True)
class Inner(Settings):
    width: Positive = 1
    kind: Literal["a", "b"] = "a"


@dataclasses.dataclass(frozen=True, slots=True)
class Middle(Settings):
    inner: Annotated[Inner, Without({"kind": "it has one kind, leave it out"})] = Inner()
    texts: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outer(Settings):
    middle: Middle
    depth: Positive


def test_the_settings_of_parts_stand_beside_the_others() -> None:
    made = build(Outer, {"depth": 2, "width": 3, "texts": ["x"]})
    assert made == Outer(depth=2, middle=Middle(Inner(width=3), ("x",)))
    assert flat(made) == {"width": 3, "kind": "a", "texts": ("x",), "depth": 2}
    assert [*flat_fields(Outer)] == [*flat_hints(Outer)] == [*flat(made)]
    assert build(Outer, flat(made)) == made
    assert (getattr(made, "width", 7), getattr(made, "height", 7)) == (3, 7)
    assert pickle.loads(pickle.dumps(made)) == deepcopy(made) == made  # noqa: S301


def test_a_part_is_checked_and_may_lack_a_setting() -> None:
    with pytest.raises(UserError, match="width=0: give a whole number of 1 or more"):
        build(Outer, {"depth": 1, "width": 0})
    with pytest.raises(UserError, match=r"^kind=b: it has one kind, leave it out"):
        build(Outer, {"depth": 1, "kind": "b"})
    with pytest.raises(UserError, match=r"middle=3: give Middle\(…\)"):
        Outer(depth=1, middle=3)  # type: ignore[arg-type]


def test_two_settings_of_one_name_are_the_authors_mistake() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Twice(Settings):
        width: Positive = 1
        inner: Inner = Inner()

    with pytest.raises(TypeError, match="two settings 'width'"):
        flat_fields(Twice)


def test_a_list_becomes_a_tuple_so_that_settings_stay_hashable() -> None:
    made = settings("budget_forcing", {"until_thinking": ["a", "b"]})
    assert made.until_thinking == ("a", "b")
    assert hash(made) == hash(settings("budget_forcing", {"until_thinking": ("a", "b")}))
