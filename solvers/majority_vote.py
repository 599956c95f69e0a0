"""`--solver majority_vote`: sample many answers and take the one that most agree on."""

from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with


@solver
def majority_vote(samples: int, **forcing: Any) -> Solver:
    """samples: how many. forcing: budget forcing's parameters, the same for every sample."""
    return solve_with("majority_vote", {"samples": samples, **forcing})
