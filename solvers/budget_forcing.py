"""`--solver budget_forcing`: end the thinking by force at a cap, ignore attempts to end it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with


@solver
def budget_forcing(
    max_thinking_tokens: int | str | None = None,
    min_thinking_tokens: int = 0,
    num_ignores: int = 0,
    ignore_string: str = "Wait",
    final_answer_nudge: str = "Final Answer:",
    max_answer_tokens: int | None = None,
    nudge_after_eos: bool = True,
    ban_delimiters: bool = False,
    thinking_format: str | Mapping[str, str] = "auto",
    until_thinking: Sequence[str] = (),
    temperature_thinking: float | None = None,
    forcing: Literal["continue", "engine"] = "continue",
    **misspelled: Any,
) -> Solver:
    """Settings: see `s1_eval.methods.budget_forcing.BudgetForcing`."""
    return solve_with(
        "budget_forcing",
        {
            "max_thinking_tokens": max_thinking_tokens,
            "min_thinking_tokens": min_thinking_tokens,
            "num_ignores": num_ignores,
            "ignore_string": ignore_string,
            "final_answer_nudge": final_answer_nudge,
            "max_answer_tokens": max_answer_tokens,
            "nudge_after_eos": nudge_after_eos,
            "ban_delimiters": ban_delimiters,
            "thinking_format": thinking_format,
            "until_thinking": tuple(until_thinking),
            "temperature_thinking": temperature_thinking,
            "forcing": forcing,
            **misspelled,
        },
    )
