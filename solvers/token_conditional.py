"""`--solver token_conditional`: tell the model how many tokens to think for."""

from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with


@solver
def token_conditional(tokens: int | None = None, **forcing: Any) -> Solver:
    """tokens: the number in the prompt; left out, it is `max_thinking_tokens`.

    forcing: budget forcing's parameters; with them the instruction is enforced as well.
    """
    return solve_with("token_conditional", {"tokens": tokens, **forcing})
