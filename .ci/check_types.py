"""The type check and the direction of imports, over the package as it is installed: mypy and
import-linter read files, and a checkout has `tasks`, `solvers` and `training` beside the package.
The benchmarks, which CI does not run, are held against that package.

    python .ci/check_types.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
TREE = ROOT / "build" / "tree"
LINT = "from importlinter.cli import lint_imports_command as lint; lint()"
SETTINGS = ROOT / "pyproject.toml"


def run(*command: object, cwd: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(cwd)}  # ours, which start-up imports, is this
    done = subprocess.run(  # noqa: S603
        [sys.executable, *map(str, command)], cwd=cwd, env=environment
    )
    if done.returncode:
        sys.exit(done.returncode)


shutil.rmtree(TREE, ignore_errors=True)
install = ("install", "--quiet", "--no-deps", "--no-build-isolation", "--target", TREE)
run("-m", "pip", *install, ROOT, cwd=ROOT)
mypy = ("-m", "mypy", "--config-file", SETTINGS, "--cache-dir", ROOT / ".mypy_cache")
run(*mypy, cwd=TREE)
run(*mypy, ROOT / "benchmarks", cwd=TREE)
caches = ("--cache-dir", ROOT / ".import_linter_cache")
run("-c", LINT, "--config", SETTINGS, *caches, cwd=TREE)
