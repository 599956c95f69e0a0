"""`--solver class_conditional`: tell the model to think for a short or a long time."""

from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with


@solver
def class_conditional(length: str, **forcing: Any) -> Solver:
    """length: `short`, `long`, or `default` for the unprompted run that they are held against.

    forcing: budget forcing's parameters; with them the instruction is enforced as well.
    """
    return solve_with("class_conditional", {"length": length, **forcing})
