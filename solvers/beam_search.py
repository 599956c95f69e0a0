"""`--solver beam_search`: after every step, only the chains that a verifier likes best go on."""

from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with
from s1_eval.verifiers.table import VerifierSpec


@solver
def beam_search(samples: int, verifier: VerifierSpec, beam_width: int = 4, **search: Any) -> Solver:
    """samples: the width N. verifier: a process reward model, e.g. nano-prm. beam_width: m, in how
    many ways each of the N/m kept chains goes on.

    search: the other parameters of `s1_eval.methods.beam_search`, budget forcing's among them.
    """
    return solve_with(
        "beam_search", {"samples": samples, "beam_width": beam_width, **search}, verifier
    )
