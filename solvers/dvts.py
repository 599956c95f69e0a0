"""`--solver dvts`: beam search in independent subtrees, diverse at large widths."""

from typing import Any

from inspect_ai.solver import Solver, solver

from s1_eval.harness.inspect_solving import solve_with
from s1_eval.verifiers.table import VerifierSpec


@solver
def dvts(samples: int, verifier: VerifierSpec, beam_width: int = 4, **search: Any) -> Solver:
    """samples: the width N. verifier: a process reward model, e.g. nano-prm. beam_width: m, the
    candidates for each step of each of the N/m subtrees.

    search: the other parameters of `s1_eval.methods.dvts`, budget forcing's among them.
    """
    return solve_with("dvts", {"samples": samples, "beam_width": beam_width, **search}, verifier)
