"""`--solver best_of_n`: sample many answers and take the one that a verifier likes best."""

from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with
from s1_eval.verifiers.table import VerifierSpec


@solver
def best_of_n(samples: int, verifier: VerifierSpec, **search: Any) -> Solver:
    """samples: how many. verifier: a process reward model, e.g. nano-prm.

    search: the parameters of `s1_eval.methods.best_of_n`: `selection` (weighted, vanilla,
    majority), `reduce` (last, min, prod), `step_separator`, and budget forcing's.
    """
    return solve_with("best_of_n", {"samples": samples, **search}, verifier)
