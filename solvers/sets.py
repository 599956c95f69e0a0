"""`--solver sets`: sample, verify and correct each sample, then vote."""

from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with


@solver
def sets(samples: int, rounds: int = 1, **forcing: Any) -> Solver:
    """samples: how many first answers. rounds: of verification and correction per sample.

    forcing: budget forcing's parameters, the same for every answer and every verification.
    """
    return solve_with("sets", {"samples": samples, "rounds": rounds, **forcing})
