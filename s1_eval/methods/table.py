"""The table of methods: a method is its settings, its coroutine and the paper it comes from.
Adding one touches its own file, this table and its test."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from s1_eval.errors import UserError
from s1_eval.methods.budget_forcing import BudgetForcing, budget_forcing
from s1_eval.methods.plain import Plain, plain
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Outcome


@dataclass(frozen=True, slots=True)
class Method:
    """settings: a frozen dataclass that validates itself; run: the coroutine it configures."""

    settings: type[Any]
    run: Callable[[Policy, Question, Any], Awaitable[Outcome]]
    source: str


METHODS: Mapping[str, Method] = {
    "plain": Method(Plain, plain, "unforced run"),
    "budget_forcing": Method(BudgetForcing, budget_forcing, "arXiv 2501.19393, section 3.1"),
}


def method(name: str) -> Method:
    """The method called `name`. Raises UserError with the nearest names otherwise."""
    if name not in METHODS:
        raise UserError(f"unknown method {name!r}{_nearest(name, METHODS)}")
    return METHODS[name]


def settings(name: str, params: Mapping[str, Any]) -> Any:
    """The validated settings of method `name`. Raises UserError on an unknown parameter."""
    cls = method(name).settings
    known = [f.name for f in dataclasses.fields(cls)]
    for key in params:
        if key not in known:
            raise UserError(f"{name} has no parameter {key!r}{_nearest(key, known)}")
    return cls(**params)


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f": {hint}choose from {', '.join(known)}"
