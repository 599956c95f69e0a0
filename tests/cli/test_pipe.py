"""A command whose output nobody reads to the end (`| head`) ends quietly."""

import os
import subprocess
import sys

import pytest
import runs

from s1_eval.records import RunWriter


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("s1_eval.cli.main", "--help"),
        ("s1_eval.cli.main", "score", "RUN"),
        ("s1_eval.cli.main", "score", "RUN", "--json"),
        ("s1_eval.cli.main", "compare", "RUN", "RUN"),
        ("s1_eval.cli.main", "check", "--json", "--", "1", "2"),
        ("s1_eval.cli.train", "--help"),
    ],
)
def test_a_closed_pipe_is_no_traceback(tmp_path, command):
    record = runs.record()
    with RunWriter(tmp_path, record) as writer:
        for i in range(5):
            writer.append(runs.row(record, f"q{i}"))
    words = [str(tmp_path) if word == "RUN" else word for word in command]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", *words], stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert done.returncode in (
        0,
        1,
        141,
    )  # 0 is argparse's, 1 that of rich, which prints the tables
    assert done.stderr == ""
