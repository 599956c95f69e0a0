"""The wheel as a stranger gets it, built once."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's file."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pip", *build], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def tree(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what the wheel puts into site-packages."""
    folder = tmp_path_factory.mktemp("tree")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder
