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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n`, a file's tests stay in one process, which has its fixtures, and all that load vLLM
    in the same one: two engines would want the same memory and cores."""
    for item in items:
        group = "vllm" if item.get_closest_marker("vllm") else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
