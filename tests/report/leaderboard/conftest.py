"""A built leaderboard, and a browser to open it."""

import shutil
from pathlib import Path

import boards
import pytest

from s1_eval.metrics import score
from s1_eval.records import read_rows, read_runs
from s1_eval.report.leaderboard import build


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The folder of a built leaderboard."""
    folder = boards.write_runs(tmp_path_factory.mktemp("runs"))
    to = tmp_path_factory.mktemp("site")
    read = read_runs([folder])
    build(read, score(read, resamples=200), read_rows(read), to)
    return to


@pytest.fixture(scope="module")
def browser():
    """Chromium, found on the PATH. Its event loop ends with the module: others want their own."""
    path = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        pytest.skip("no Chromium on the PATH: install it, e.g. apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as p:
        opened = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()
