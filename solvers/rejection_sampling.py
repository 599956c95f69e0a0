"""`--solver rejection_sampling`: sample the thinking again until it fits the budget."""

from collections.abc import Mapping
from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with


@solver
def rejection_sampling(
    max_thinking_tokens: int,
    max_tries: int = 64,
    max_answer_tokens: int | None = None,
    nudge_after_eos: bool = True,
    ban_delimiters: bool = False,
    thinking_format: str | Mapping[str, str] = "auto",
    **misspelled: Any,
) -> Solver:
    """Settings: see `s1_eval.methods.rejection_sampling.RejectionSampling`."""
    return solve_with(
        "rejection_sampling",
        {
            "max_thinking_tokens": max_thinking_tokens,
            "max_tries": max_tries,
            "max_answer_tokens": max_answer_tokens,
            "nudge_after_eos": nudge_after_eos,
            "ban_delimiters": ban_delimiters,
            "thinking_format": thinking_format,
            **misspelled,
        },
    )
