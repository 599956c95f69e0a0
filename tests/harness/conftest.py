"""What the harness tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval
from inspect_ai.log import EvalLog
from scripted import ScriptedEngine

from s1_eval.harness import inspect_models


@pytest.fixture
def run_inspect(tmp_path: Path) -> Callable[..., EvalLog]:
    """Run an evaluation with our registrations, quietly, and return its only log."""

    def run(task: Any, **options: Any) -> EvalLog:
        quiet = {"display": "none", "log_realtime": False, "log_dir": str(tmp_path / "logs")}
        (log,) = eval(task, **{**quiet, **options})
        return log

    return run


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedEngine]:
    """Have Inspect's providers open a scripted engine; returns what sets its script."""
    engines: dict[str, ScriptedEngine] = {}
    monkeypatch.setattr("s1_eval.evaluation.opened._opened", {})
    monkeypatch.setattr("inspect_ai.model._model._models", {})

    def script(text: str, **options: Any) -> ScriptedEngine:
        engines["it"] = ScriptedEngine(text, cyclic=True, **options)
        return engines["it"]

    monkeypatch.setattr(inspect_models, "open_engine", lambda *a, **k: engines["it"])
    monkeypatch.setattr(inspect_models, "check_first", lambda *a: None)  # there is no such model
    return script
