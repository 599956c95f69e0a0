"""What importing costs, and which way imports point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

HEAVY = {
    *("torch", "vllm", "transformers", "datasets", "sympy", "matplotlib", "math_verify"),
    *("lm_eval", "trl", "pandas"),
}


def loaded_by(module: str) -> set[str]:
    return _printed(f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})")


def _printed(program: str, *options: str) -> set[str]:
    done = subprocess.run(  # noqa: S603
        [sys.executable, *options, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "s1_eval",
        "s1_eval.methods",
        "s1_eval.engines.table",
        "s1_eval.evaluation.run",
        "s1_eval.evaluation.api",
        "s1_eval.cli.main",
        "s1_eval.cli.train",
        "s1_eval.training.main",
    ],
)
def test_importing_a_room_loads_no_heavy_library_and_no_harness(module: str) -> None:
    assert not loaded_by(module) & (HEAVY | {"inspect_ai"})


def test_importing_the_package_loads_nothing_but_itself() -> None:
    program = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); had = {{*sys.modules}}; "
        "import s1_eval; dir(s1_eval); print(*{*sys.modules} - had)"
    )
    assert _printed(program, "-S") == {"s1_eval"}  # without the hook of this environment


@pytest.mark.slow
def test_what_inspect_loads_at_every_start_is_light() -> None:
    assert not loaded_by("s1_eval._registry") & HEAVY


def test_the_layers_hold_and_cover_every_module(tree: Path) -> None:
    """In the wheel's tree: import-linter looks for modules where the package's folder is."""
    program = (
        "from pathlib import Path; import grimp; from importlinter.cli import lint_imports as lint;"
        "print(*grimp.build_graph('s1_eval', cache_dir=None).modules, sep='\\n');"
        f"raise SystemExit(lint(config_filename={str(ROOT / 'pyproject.toml')!r}, no_cache=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tree, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    paths = {path.relative_to(tree).with_suffix("") for path in tree.rglob("*.py")}
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    assert {"s1_eval.tasks.nano", "s1_eval.solvers", "s1_eval.training.main"} <= names
    assert names <= set(done.stdout.splitlines())
