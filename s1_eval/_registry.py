"""What Inspect finds by name: our tasks, solvers, providers and scorer, all but the scorer under
`s1_eval/`. The entry point `inspect_ai` loads this module at the start of every evaluation on this
machine, so it may import no model library, and takes no name that others may want.
"""

import pkgutil

from s1_eval import libraries
from s1_eval.engines.table import ENGINES
from s1_eval.evaluation.benchmark import BENCHMARKS
from s1_eval.harness.inspect_models import provide
from s1_eval.harness.inspect_scoring import SCORERS, grade
from s1_eval.harness.inspect_solving import solver_of, unforced
from s1_eval.methods import METHODS

libraries.check(__name__)
from inspect_ai._util.registry import registry_info  # noqa: E402
from inspect_ai.scorer._scorer import scorer_register  # noqa: E402

__all__ = ["grade", "unforced"]

TASKS = {name: pkgutil.resolve_name(f"s1_eval.tasks.{name}:{name}") for name in BENCHMARKS}

for _engine in ENGINES:
    provide(_engine)

SOLVERS = {name: solver_of(method) for name, method in METHODS.items()}

# Under the very name that logs have, too. The last name is the one that it keeps.
for _name, _scorer in SCORERS.items():
    for _each in (_name, registry_info(_scorer).name):
        scorer_register(_scorer, _each)
