"""Bad rows, files, disks and signals: each harms itself, and says what to do."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import runs

import s1_eval
from s1_eval.cli.main import main
from s1_eval.errors import UserError
from s1_eval.json_lines import MAX_LINE
from s1_eval.records import RunWriter, read_runs

SWEEP = ["sweep", "--model", "s1_hf/nano", "--task", "nano", "--method", "plain"]


def recorded(folder: Path, ids: str = "abc") -> Path:
    record = runs.record("plain", planned_samples=len(ids))
    with RunWriter(folder, record) as writer:
        for id in ids:
            writer.append(runs.row(record, id))
    return folder


@contextmanager
def file_limit(most: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes: a full disk that anybody can have."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("most", [500, 20_000])
def test_a_full_disk_is_told_and_the_same_command_goes_on(
    most: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [*SWEEP, "--limit", "20", "--no-cache", "--out", str(tmp_path)]
    with file_limit(most):
        assert main(command) == 2
    said = capfd.readouterr().err
    assert "can't write" in said
    assert "the same command goes on" in said
    assert "Traceback" not in said
    assert not [*tmp_path.rglob("*.tmp")]
    assert main(command) == 0
    [run] = read_runs([tmp_path])
    assert len(run.rows) == 20


@pytest.mark.parametrize("ignored", [False, True])
def test_sigterm_keeps_what_is_finished(ignored: bool, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "s1_eval.cli.main", *SWEEP]
    command += ["--epochs", "400", "--temperature", "1", "--out", str(tmp_path)]
    ignore = (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if ignored else None
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=ignore)  # noqa: S603
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if any(f.stat().st_size for f in tmp_path.rglob("samples.jsonl")):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=180)
    assert process.returncode == 143, said
    assert said.splitlines()[-1] == "s1-eval: terminated; the same command goes on from here"
    [samples] = tmp_path.rglob("samples.jsonl")
    lines = samples.read_bytes().splitlines(keepends=True)
    assert lines
    assert all(line.endswith(b"\n") and json.loads(line) for line in lines)


_PLAIN = {"answer": 1, "options": None}


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"question": "\ud800?", "answer": 1}, r"the prompt has '\\ud800' at character 1"),
        ({"question": "?", "answer": 1, "id": "\udfff"}, "the id has"),
        ({"question": "?", "answer": 1, "system": "x\ud800"}, "the system message .* character 2"),
        ({"question": "?", "answer": "a", "options": ["a", "\ud800"]}, "the prompt has"),
    ],
)
def test_half_a_surrogate_pair_is_named_with_its_row(row: dict[str, object], named: str) -> None:
    first = {"question": "?", "answer": "a", "options": ["a", "b"]}
    grader, rows = (
        (None, [first, row]) if "options" in row else ("math", [{**first, **_PLAIN}, row])
    )
    with pytest.raises(UserError, match=f"row 2: not a sample of questions: {named}"):
        s1_eval.evaluate("s1_hf/nano", rows, "plain", grader=grader)


def break_line(folder: Path) -> None:
    path = folder / "samples.jsonl"
    first, _, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, b'{"half": \n', *rest]))


def break_row(folder: Path) -> None:
    path = folder / "samples.jsonl"
    first, second, *rest = path.read_bytes().splitlines(keepends=True)
    broken = json.dumps({**json.loads(second), "correct": "x"}).encode() + b"\n"
    path.write_bytes(b"".join([first, broken, *rest]))


def break_run(folder: Path) -> None:
    path = folder / "run.json"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(("harm", "kept"), [(break_line, 2), (break_row, 2), (break_run, 3)])
def test_repair_takes_out_what_is_bad_and_the_run_goes_on(
    harm: Callable[[Path], None],
    kept: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = recorded(tmp_path / "run")
    harm(folder)
    record = runs.record("plain", planned_samples=3)
    with pytest.raises(UserError, match=f"`s1-eval repair {folder}` takes out"):
        RunWriter(folder, record)
    assert main(["repair", str(folder)]) == 0
    assert "the command that made the run" in capsys.readouterr().out
    with RunWriter(folder, record) as writer:
        assert len(writer.done) == kept
        for id in "abc":
            if (id, 1) not in writer.done:
                writer.append(runs.row(record, id))
    [run] = read_runs([folder])
    assert len(run.rows) == 3
    assert len([*folder.glob("*bad*")]) == 1
    assert main(["repair", str(folder)]) == 0
    assert "is whole: nothing was done" in capsys.readouterr().out


def test_repair_wants_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["repair", str(tmp_path)]) == 2
    assert "give the folder of one run" in capsys.readouterr().err


def test_only_regular_files_of_a_folder_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(tmp_path / "run")
    os.mkfifo(tmp_path / "samples_x.jsonl")
    (tmp_path / "gone.eval").symlink_to(tmp_path / "nowhere")
    assert main(["score", str(tmp_path), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)[0]["runs"] == 1
    assert "gone.eval: it is a link to nothing" in said.err
    assert "samples_x.jsonl: it is a pipe" in said.err
    assert main(["score", str(tmp_path / "samples_x.jsonl")]) == 2
    assert "give a regular file or a folder" in capsys.readouterr().err
    os.mkfifo(tmp_path / "run" / "failures.jsonl")
    assert main(["score", str(tmp_path), "--json"]) == 0


def test_a_leaderboard_is_not_written_through_links(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out, target = recorded(tmp_path / "run"), tmp_path / "out", tmp_path / "target"
    target.mkdir()
    build = ["leaderboard", "build", str(folder), "--out", str(out), "--resamples", "10"]
    assert main(build) == 0
    [questions] = [each for each in out.iterdir() if each.is_dir()]
    questions.rename(tmp_path / "before")
    questions.symlink_to(target)
    assert main(build) == 2
    assert f"{questions} is a link, and nothing is written" in capsys.readouterr().err
    assert not [*target.iterdir()]


def test_a_log_that_unpacks_to_more_than_a_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.eval"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("samples/1_epoch_1.json", "w", force_zip64=True) as member,
    ):
        for _ in range(MAX_LINE // 2**20 + 1):
            member.write(b" " * 2**20)
    with pytest.raises(UserError, match=r"samples/1_epoch_1.json unpacks to 269,484,032 bytes"):
        read_runs([path])
