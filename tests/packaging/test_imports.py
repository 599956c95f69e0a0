"""What importing costs, and which way imports point."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    *("torch", "vllm", "transformers", "datasets", "sympy", "matplotlib", "math_verify"),
    *("lm_eval", "trl", "pandas"),
}


def loaded_by(module: str) -> set[str]:
    program = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "s1_eval",
        "s1_eval.methods",
        "s1_eval.engines.table",
        "s1_eval.evaluation.run",
        "s1_eval.cli.main",
        "s1_eval.cli.train",
        "s1_eval.training.main",
    ],
)
def test_importing_a_room_loads_no_heavy_library_and_no_harness(module: str) -> None:
    assert not loaded_by(module) & (HEAVY | {"inspect_ai"})


def test_what_inspect_loads_at_every_start_is_light() -> None:
    assert not loaded_by("s1_eval._registry") & HEAVY


def test_the_layers_hold_and_cover_the_linked_folders() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    import grimp

    modules = grimp.build_graph("s1_eval", cache_dir=None).modules
    assert {"s1_eval.tasks.nano", "s1_eval.solvers", "s1_eval.training.main"} <= modules
