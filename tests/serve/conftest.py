"""Recorded runs, and nano behind a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import viewing
from served import Served, serving

from s1_eval.engines.transformers import TransformersEngine
from s1_eval.evaluation.opened import shared_verifier


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return viewing.write(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="session")
def nano() -> Iterator[TransformersEngine]:
    engine = TransformersEngine("nano")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def nano_served(nano: TransformersEngine) -> Iterator[Served]:
    how: dict[str, Any] = {"default": "budget_forcing", "params": {"num_ignores": 1}}
    with serving(nano, verifier=shared_verifier("nano-prm"), **how) as served:
        yield served
