"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real benchmarks and real model outputs; tests that read it skip without it."""
    folder = Path(os.environ.get("S1_EVAL_DATA") or ROOT.parent / "shared" / "data").resolve()
    if not (folder / "benchmarks").is_dir():
        pytest.skip(f"no benchmarks in {folder}: set S1_EVAL_DATA to a folder that has them")
    return folder
