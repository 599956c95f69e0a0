"""Kills at random moments, the short form of `benchmarks/kills.py`: one of each command."""

from __future__ import annotations

import importlib.util
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import forked
import pytest

ROOT = Path(__file__).parents[2]


class Process:
    """As `subprocess` would give it. Forked with its imports done, it is killed at its work."""

    def __init__(self, command: list[str], said: Path) -> None:
        _, _, module, *words = command
        self.args, self._said = command, said
        self._process = forked.start(module, *words, cwd=ROOT, err=said)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> None:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)

    def communicate(self) -> tuple[str, str]:
        self.wait()
        return "", self._said.read_text("utf-8")

    def send_signal(self, _: int) -> None:
        self._process.kill()


@pytest.fixture
def kills(tmp_path: Path) -> Any:
    path = ROOT / "benchmarks" / "kills.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_kills", path)
    assert spec
    assert spec.loader
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    @contextmanager
    def begun(start: Any, out: Path) -> Iterator[Process]:
        out.mkdir(parents=True, exist_ok=True)
        yield Process(start(out), tmp_path / "said")

    module.QUESTIONS, module.begun = "12", begun
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sweep", "lm_eval", "inspect", "sft"])
def test_a_killed_command_ends_with_the_records_of_one_that_was_not(kills: Any, name: str) -> None:
    chance = random.Random(1)  # noqa: S311
    found = kills.tried(name, kills.STARTS[name], 1, chance)
    assert (found["kills"], found["other"]) == (1, 0)
    assert found["rows"] >= (1 if name == "sft" else 12)
