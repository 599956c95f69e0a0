"""The wheel as a stranger gets it: its files, its entry points and its hook, in an environment
that has the dependencies and nothing else of this checkout, used from another directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from s1_eval.records.readers import read_runs

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "S1_EVAL_DATA")}
    done = subprocess.run(  # noqa: S603
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**inherited, "HF_HUB_OFFLINE": "1", **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, which borrows the dependencies' folder.

    A .pth in a borrowed folder is not executed, so an editable install there stays unseen.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    interpreter = folder / "bin" / "python"
    where = {"base": str(folder), "platbase": str(folder)}
    site_packages = Path(sysconfig.get_path("purelib", "venv", vars=where))
    pip = (sys.executable, "-m", "pip", "--python", interpreter, "install", "--no-deps")
    run(*pip, "--no-index", wheel, cwd=folder)
    (site_packages / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return interpreter


def records(log: Path) -> list[dict[str, Any]]:
    (found,) = read_runs([log])
    return [{**found.record, **row} for row in found.rows]


def test_nothing_but_the_package_and_its_hook_lands_in_site_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"s1_eval", "s1_eval_lm_eval_hook.pth"}


def test_the_wheel_has_everything_that_is_not_python(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "tasks", "solvers", "training", "s1_eval"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.split()
    expected = {name if name.startswith("s1_eval") else f"s1_eval/{name}" for name in tracked}
    assert expected <= names
    assert {"s1_eval/tasks/s1_nano.yaml", "s1_eval/nano/model.safetensors"} <= names


def test_a_source_archive_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        assert not [member.name for member in opened if member.issym() or member.islnk()]
    build = ("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, archive)
    run(sys.executable, "-m", "pip", *build, cwd=tmp_path)
    (rebuilt,) = tmp_path.glob("*.whl")
    names = (zipfile.ZipFile(path).namelist() for path in (wheel, rebuilt))
    assert next(names) == next(names)


def test_the_environment_uses_the_wheel(python: Path, tmp_path: Path) -> None:
    shown = run(python, "-c", "import s1_eval; print(s1_eval.__file__)", cwd=tmp_path).stdout
    assert Path(shown.strip()).is_relative_to(python.parent.parent)


@pytest.mark.parametrize("solver", ["budget_forcing", "s1_eval/budget_forcing"])
def test_inspect_finds_tasks_solvers_and_providers_by_name(
    python: Path, tmp_path: Path, solver: str
) -> None:
    command = ("-m", "inspect_ai", "eval", "s1_eval/nano", "--solver", solver)
    params = ("-S", "max_thinking_tokens=48", "-S", "num_ignores=1")
    options = ("--model", "s1_hf/nano", "--limit", "3", "--display", "none")
    run(python, *command, *params, *options, "--log-dir", tmp_path / "logs", cwd=tmp_path)
    rows = records(tmp_path / "logs")
    assert len(rows) == 3
    assert {row["method_params"]["max_thinking_tokens"] for row in rows} == {48}


def test_inspect_reads_the_data_folder(python: Path, tmp_path: Path, shared_data: Path) -> None:
    command = ("-m", "inspect_ai", "eval", "s1_eval/aime24", "--solver", "s1_eval/budget_forcing")
    params = ("-S", "max_thinking_tokens=8", "-S", "max_answer_tokens=4")
    options = ("--model", "s1_hf/nano", "--limit", "2", "--display", "none", "--log-dir", "logs")
    run(python, *command, *params, *options, cwd=tmp_path, S1_EVAL_DATA=str(shared_data))
    assert [row["task"] for row in records(tmp_path / "logs")] == ["aime24", "aime24"]


def test_lm_eval_finds_models_and_tasks_by_name(python: Path, tmp_path: Path) -> None:
    command = ("-m", "lm_eval", "--model", "s1_hf", "--model_args", "pretrained=nano")
    asked = ("--tasks", "s1_nano", "--gen_kwargs", "max_tokens_thinking=48,thinking_n_ignore=1")
    options = ("--limit", "3", "--log_samples", "--output_path", "out")
    run(python, *command, *asked, *options, cwd=tmp_path)
    (file,) = (tmp_path / "out").rglob("samples_s1_nano_*.jsonl")
    rows = [json.loads(line) for line in file.read_text().split("\n") if line]
    assert len(rows) == 3
    for row in rows:
        assert row["thinking_tokens"] <= 48
        assert row["exit_reason"] in ("natural", "budget", "eos")
        assert row["method_params"]["num_ignores"] == 1
    assert len(records(tmp_path / "out")) == 3


def test_lm_eval_lists_our_tasks(python: Path, tmp_path: Path) -> None:
    assert "s1_nano" in run(python, "-m", "lm_eval", "ls", "tasks", cwd=tmp_path).stdout


def test_the_hook_can_be_turned_off(python: Path, tmp_path: Path) -> None:
    program = (
        "import lm_eval.models; from lm_eval.tasks import manager; "
        "from lm_eval.api.registry import model_registry; "
        "print('s1_hf' in model_registry, manager.TaskIndex.__module__)"
    )
    on = run(python, "-c", program, cwd=tmp_path)
    assert on.stdout.split() == ["True", "s1_eval.harness.lm_eval_hook"]
    off = run(python, "-c", program, cwd=tmp_path, S1_EVAL_NO_LM_EVAL_HOOK="1")
    assert off.stdout.split() == ["False", "lm_eval.tasks._index"]


def test_uninstalling_takes_the_hook_away(python: Path, tmp_path: Path) -> None:
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = Path(run(python, "-c", where, cwd=tmp_path).stdout.strip())
    assert (site_packages / "s1_eval_lm_eval_hook.pth").is_file()
    pip = (sys.executable, "-m", "pip", "--python", python, "uninstall", "--yes")
    run(*pip, "s1_eval", cwd=tmp_path)
    assert not (site_packages / "s1_eval_lm_eval_hook.pth").exists()
