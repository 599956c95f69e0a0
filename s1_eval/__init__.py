"""Test-time scaling, measured: budget forcing and its baselines for Inspect and lm-eval."""

import os

__version__ = "0.1.0"

# In a checkout, `tasks`, `solvers` and `training` lie beside this folder; in a wheel, in it.
if not os.path.isdir(os.path.join(__path__[0], "tasks")):
    __path__.append(os.path.dirname(__path__[0]))

_HOMES = {
    "Benchmark": "s1_eval.evaluation.benchmark",
    "Method": "s1_eval.methods",
    "Result": "s1_eval.evaluation.api",
    "Sample": "s1_eval.evaluation.benchmark",
    "UserError": "s1_eval.errors",
    "advise": "s1_eval.evaluation.api",
    "compare": "s1_eval.evaluation.api",
    "evaluate": "s1_eval.evaluation.api",
    "evaluate_async": "s1_eval.evaluation.api",
    "read_runs": "s1_eval.evaluation.api",
    "score": "s1_eval.evaluation.api",
}
"""Where the public names live; each is imported when it is first asked for. `__init__.pyi` says the
same to type checkers."""

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 's1_eval' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
