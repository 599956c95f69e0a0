"""A built leaderboard."""

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
