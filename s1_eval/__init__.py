"""Test-time scaling, measured: budget forcing and its baselines for Inspect and lm-eval."""

import os

__version__ = "0.1.0"

# In a checkout, `tasks`, `solvers` and `training` lie beside this folder; in a wheel, in it.
if not os.path.isdir(os.path.join(__path__[0], "tasks")):
    __path__.append(os.path.dirname(__path__[0]))
