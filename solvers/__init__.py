"""Inspect solvers, what `--solver` names: one for every method of the table, of its settings.
`s1_eval.solvers.budget_forcing` is the solver of the method `budget_forcing`.
"""

from __future__ import annotations

from collections.abc import Callable

from inspect_ai.solver import Solver

from s1_eval.harness.inspect_solving import solver_of
from s1_eval.methods import METHODS


def __getattr__(name: str) -> Callable[..., Solver]:
    """The solver of the method called `name`. Raises AttributeError, as a module does."""
    if name not in METHODS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return solver_of(METHODS[name])


def __dir__() -> list[str]:
    return [*METHODS]
