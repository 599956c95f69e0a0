"""`--solver step_conditional`: tell the model how many steps to think for."""

from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with


@solver
def step_conditional(steps: int, step_marker: str = "<|im_start|>", **forcing: Any) -> Solver:
    """steps: the number in the prompt. step_marker: what precedes the number in a step's header.

    forcing: budget forcing's parameters; with them the instruction is enforced as well.
    """
    params = {"steps": steps, "step_marker": step_marker, **forcing}
    return solve_with("step_conditional", params)
