"""Intervals and the gate keep what they promise where the truth is known: `benchmarks/coverage.py`
and `benchmarks/gate.py` in few repetitions."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def load(name, monkeypatch):
    spec = importlib.util.spec_from_file_location(f"benchmark_of_{name}", BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def gate(monkeypatch):
    return load("gate", monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("questions", [10, 30])
def test_intervals_hold_at_the_edges(monkeypatch, questions):
    coverage = load("coverage", monkeypatch)
    names = r"accuracy 0.(02|98)|difference 0.97|pass@. of 8, 0.(02|98)|Control|median"
    chosen = [
        row
        for row in coverage.rows()
        if row.questions == questions and coverage.re.search(names, row.name)
    ]
    assert len(chosen) == 20
    found = [coverage.measure(row, 60) for row in chosen]
    assert [str(each) for each in found if not each.kept] == []


@pytest.mark.slow
def test_all_rows_keep_their_bounds(monkeypatch):
    coverage = load("coverage", monkeypatch)
    found = [coverage.measure(row, 100) for row in coverage.rows()]
    assert [str(each) for each in found if not each.kept] == []


@pytest.mark.parametrize(
    ("pairs", "questions", "metric"),
    [(60, 30, "thinking_tokens"), (10, 10, "thinking_tokens"), (60, 30, "accuracy")],
)
def test_what_is_plain_is_found_among_however_many_comparisons(gate, pairs, questions, metric):
    assert gate.plain(pairs, questions, metric) >= gate.PLAIN[metric]


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_alpha(gate):
    assert gate.false_alarms(60, 1, repetitions=50) <= 10


@pytest.mark.slow
@pytest.mark.parametrize(("questions", "epochs"), [(30, 8), (150, 1)])
def test_what_is_stated_as_detectable_is_found_four_times_of_five(gate, questions, epochs):
    found = gate.power(questions, epochs, repetitions=100)
    assert found.keys() == {"accuracy", "thinking_tokens"}
    for each in found.values():
        assert 68 <= each.found <= 92
