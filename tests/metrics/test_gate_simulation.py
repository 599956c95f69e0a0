"""The gate keeps what it promises where the truth is known; `benchmarks/gate.py` in few
repetitions."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

FILE = Path(__file__).parents[2] / "benchmarks" / "gate.py"


@pytest.fixture
def gate(monkeypatch):
    spec = importlib.util.spec_from_file_location("benchmark_of_the_gate", FILE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # its dataclasses look there
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PAIRS", 2)
    return module


def test_false_alarms_are_as_rare_as_alpha(gate):
    assert gate.false_alarms(60, 1, repetitions=50, resamples=500) <= 10


@pytest.mark.parametrize(("questions", "epochs"), [(30, 8), (150, 1)])
def test_what_is_stated_as_detectable_is_found_four_times_of_five(gate, questions, epochs):
    found = gate.power(questions, epochs, repetitions=40, resamples=1000)
    assert found.keys() == {"accuracy", "thinking_tokens"}
    for share, _ in found.values():
        assert 65 <= share <= 95
