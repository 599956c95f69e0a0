"""What Inspect finds by name: our tasks, solvers, providers and scorer. The entry point
`inspect_ai` loads this module at the start of every evaluation on this machine, so it may import
no model library.
"""

import functools
from collections.abc import Callable
from typing import Any

from inspect_ai.solver import Solver

from s1_eval import libraries
from s1_eval.harness.inspect_models import S1API, S1HF, S1VLLM
from s1_eval.harness.inspect_scoring import NAME, grade
from s1_eval.harness.inspect_solving import unforced
from s1_eval.solvers.beam_search import beam_search
from s1_eval.solvers.best_of_n import best_of_n
from s1_eval.solvers.budget_forcing import budget_forcing
from s1_eval.solvers.class_conditional import class_conditional
from s1_eval.solvers.dvts import dvts
from s1_eval.solvers.majority_vote import majority_vote
from s1_eval.solvers.plain import plain
from s1_eval.solvers.rebase import rebase
from s1_eval.solvers.rejection_sampling import rejection_sampling
from s1_eval.solvers.self_refine import self_refine
from s1_eval.solvers.sets import sets
from s1_eval.solvers.step_conditional import step_conditional
from s1_eval.solvers.token_conditional import token_conditional
from s1_eval.tasks.aime24 import aime24
from s1_eval.tasks.aime25 import aime25
from s1_eval.tasks.gpqa_diamond import gpqa_diamond
from s1_eval.tasks.math500 import math500
from s1_eval.tasks.nano import nano

libraries.check(__name__)
from inspect_ai._util.registry import registry_info  # noqa: E402
from inspect_ai.scorer._scorer import scorer_register  # noqa: E402
from inspect_ai.solver._solver import solver_register  # noqa: E402

__all__ = [
    "S1API",
    "S1HF",
    "S1VLLM",
    "aime24",
    "aime25",
    "gpqa_diamond",
    "grade",
    "math500",
    "nano",
    "unforced",
]

SOLVERS = (
    plain,
    budget_forcing,
    token_conditional,
    step_conditional,
    class_conditional,
    rejection_sampling,
    majority_vote,
    best_of_n,
    beam_search,
    dvts,
    rebase,
    self_refine,
    sets,
)


def _alias(solver: Callable[..., Solver]) -> None:
    """Register `solver` without our prefix too: `--solver budget_forcing` beside
    `--solver s1_eval/budget_forcing`. The copy keeps the registered name of either apart."""

    @functools.wraps(solver)
    def by_bare_name(*args: Any, **kwargs: Any) -> Solver:
        return solver(*args, **kwargs)

    solver_register(by_bare_name, solver.__name__)


for _solver in SOLVERS:
    _alias(_solver)


# Under the very name that logs have, too. The last name is the one that it keeps.
for _name in (NAME, registry_info(grade).name):
    scorer_register(grade, _name)
