"""The table of methods. Adding one touches its own file, this table, its test and its line in
docs/methods.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING
from typing import Any

from s1_eval.errors import UserError
from s1_eval.methods.beam_search import BEAM_SEARCH
from s1_eval.methods.best_of_n import BEST_OF_N
from s1_eval.methods.budget_forcing import BUDGET_FORCING
from s1_eval.methods.class_conditional import CLASS_CONDITIONAL
from s1_eval.methods.confidence import CONFIDENCE
from s1_eval.methods.dvts import DVTS_METHOD
from s1_eval.methods.early_exit import EARLY_EXIT
from s1_eval.methods.majority_vote import MAJORITY_VOTE
from s1_eval.methods.method import Method
from s1_eval.methods.plain import PLAIN
from s1_eval.methods.rebase import REBASE
from s1_eval.methods.rejection_sampling import REJECTION_SAMPLING
from s1_eval.methods.self_refine import SELF_REFINE
from s1_eval.methods.sets import SETS
from s1_eval.methods.step_conditional import STEP_CONDITIONAL
from s1_eval.methods.token_conditional import TOKEN_CONDITIONAL
from s1_eval.methods.wrap_up import WRAP_UP
from s1_eval.names import choose_from
from s1_eval.typed import build, flat_fields

METHODS: dict[str, Method] = {
    each.name: each
    for each in (
        PLAIN,
        BUDGET_FORCING,
        WRAP_UP,
        EARLY_EXIT,
        TOKEN_CONDITIONAL,
        STEP_CONDITIONAL,
        CLASS_CONDITIONAL,
        REJECTION_SAMPLING,
        MAJORITY_VOTE,
        CONFIDENCE,
        BEST_OF_N,
        BEAM_SEARCH,
        DVTS_METHOD,
        REBASE,
        SELF_REFINE,
        SETS,
    )
}


def method(name: str | Method) -> Method:
    """The method called `name`, or the one given. Raises UserError with the nearest names where
    there is none."""
    if isinstance(name, Method):
        return name
    if name not in METHODS:
        raise UserError(f"unknown method {name!r}: {choose_from(name, METHODS)}")
    return METHODS[name]


def settings(of: str | Method, params: Mapping[str, Any]) -> Any:
    """The validated settings of a method. Raises UserError on an unknown parameter."""
    found = method(of)
    name, cls = found.name, found.settings
    known = flat_fields(cls)
    for key in params:
        if key not in known:
            raise UserError(f"{name} has no parameter {key!r}: {choose_from(key, known)}")
    for key, field in known.items():
        if field.default is MISSING and field.default_factory is MISSING and key not in params:
            raise UserError(f"{name} needs {key}: give e.g. {key}=…")
    return build(cls, params)
