"""`--solver rebase`: a tree whose nodes get shares of the width by a verifier's rewards."""

from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with
from s1_eval.verifiers.table import VerifierSpec


@solver
def rebase(
    samples: int, verifier: VerifierSpec, softmax_temperature: float = 0.2, **search: Any
) -> Solver:
    """samples: the width. verifier: a process reward model, e.g. nano-prm. softmax_temperature:
    of the shares.

    search: the other parameters of `s1_eval.methods.rebase`, budget forcing's among them.
    """
    return solve_with(
        "rebase",
        {"samples": samples, "softmax_temperature": softmax_temperature, **search},
        verifier,
    )
