"""The promised command lines, run in a checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import forked
import pytest
from inspect_ai.log import read_eval_log

from s1_eval.records.readers import read_runs

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.slow


def inspect_eval(logs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`inspect eval …` at the root of the repository."""
    options = ("--display", "plain", "--log-dir", str(logs))
    return forked.run("inspect_ai", "eval", *arguments, *options, cwd=ROOT)


def test_a_task_file_with_a_bare_solver_name(tmp_path: Path) -> None:
    params = ("-S", "max_thinking_tokens=128", "-S", "num_ignores=1")
    command = ("tasks/nano.py", "--solver", "budget_forcing", *params, "--model", "s1_hf/nano")
    done = inspect_eval(tmp_path, *command, "--limit", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = read_runs([tmp_path])
    assert (run.task, run.method, run.budget, len(run.rows)) == ("nano", "budget_forcing", 128, 4)
    assert run.record["command"][1:4] == ["eval", *command[:2]]


def test_aime24_with_data_from_a_path(tmp_path: Path, shared_data: Path) -> None:
    params = ("-S", "max_thinking_tokens=8", "-S", "max_answer_tokens=4")
    command = (
        "tasks/aime24.py",
        "-T",
        f"data={shared_data}",
        "--solver",
        "budget_forcing",
        *params,
    )
    done = inspect_eval(tmp_path, *command, "--model", "s1_hf/nano", "--limit", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = read_runs([tmp_path])
    assert run.record["dataset"]["id"] == "aime24.jsonl"
    assert [row["target"] for row in run.rows] == ["204", "113"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--solver", "budget_forcing", "-S", "max_thinking_tokens=0"), "max_thinking_tokens=0"),
        (("-T", "data=nowhere"), "data=nowhere: give a file"),
        (("--solver", "plain", "-S", "max_token=8"), "did you mean 'max_tokens'"),
    ],
)
def test_a_mistake_is_named_before_any_model_is_loaded(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = inspect_eval(tmp_path, "tasks/nano.py", *arguments, "--model", "s1_hf/no/such_model")
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(tmp_path.glob("*.eval"))


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    inspect_eval(tmp_path, "tasks/nano.py", "--model", "s1_hf/no/such_model", "--limit", "1")
    (log,) = tmp_path.glob("*.eval")
    assert "the model no/such_model can't be loaded" in read_eval_log(str(log)).error.message
