"""`--solver self_refine`: have the model criticise and revise its own answer."""

from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with


@solver
def self_refine(rounds: int = 1, **forcing: Any) -> Solver:
    """rounds: of feedback and refinement. forcing: budget forcing's parameters, the same for every
    answer and every critique."""
    return solve_with("self_refine", {"rounds": rounds, **forcing})
