"""Kills at random moments, the short form of `benchmarks/kills.py`: one of each command."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "kills.py"


@pytest.fixture(scope="module")
def kills() -> Any:
    spec = importlib.util.spec_from_file_location("benchmark_of_kills", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.QUESTIONS = "12"
    return module


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sweep", "lm_eval", "inspect", "sft"])
def test_a_killed_command_ends_with_the_records_of_one_that_was_not(kills: Any, name: str) -> None:
    chance = random.Random(1)  # noqa: S311
    found = kills.tried(name, kills.STARTS[name], 1, chance)
    assert (found["kills"], found["other"]) == (1, 0)
    assert found["rows"] >= (1 if name == "sft" else 12)
