"""`--solver plain`: the unforced run that other methods are compared with."""

from collections.abc import Mapping
from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with


@solver
def plain(
    max_tokens: int | None = None,
    thinking_format: str | Mapping[str, str] = "auto",
    **misspelled: Any,
) -> Solver:
    """Settings: see `s1_eval.methods.plain.Plain`."""
    params = {"max_tokens": max_tokens, "thinking_format": thinking_format, **misspelled}
    return solve_with("plain", params)
