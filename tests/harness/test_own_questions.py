"""One's own file, and a group of contests, by every way in: the same rows, and scores by what the
file says of its questions."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import forked
import pytest

import s1_eval
from s1_eval.records.readers import read_runs
from s1_eval.training.nano.problems import held_out

ROOT = Path(__file__).parent.parent.parent
MEASURED = ("target", "answer", "correct", "thinking_tokens", "generated_tokens", "seed")

pytestmark = pytest.mark.slow


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Four of nano's questions, whose cells have several lines, at two levels."""
    path = tmp_path / "mine.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Problem", "Short Answer", "level"])
        for number, problem in enumerate(held_out(4)):
            writer.writerow([problem.question, problem.row["answer"], number % 2])
    return path


def run(*command: str) -> subprocess.CompletedProcess[str]:
    done = forked.run(*command, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def rows(folder: Path) -> dict[str, list[Any]]:
    [found] = read_runs([folder])
    assert found.task == "mine"
    assert found.record["released"] == "2026-02"
    assert found.record["dataset"]["id"] == "mine.csv"
    assert found.record["dataset"]["shuffle"] == 3
    assert found.record["dataset"]["columns"] == {"question": "Problem", "answer": "Short Answer"}
    return {
        row["sample_id"]: [*(row[name] for name in MEASURED), row["metadata"]] for row in found.rows
    }


def test_a_file_gives_the_same_rows_by_sweep_inspect_and_lm_eval(
    mine: Path, tmp_path: Path
) -> None:
    """Scored together by level, too."""
    swept, inspected, harnessed = (tmp_path / name for name in ("swept", "logs", "out"))
    told = ("--model", "s1_hf/nano", "-M", "released=2026-02")
    done = run(
        *(
            "s1_eval.cli.main",
            "sweep",
            "--task",
            str(mine),
            "--grader",
            "integer",
            "--shuffle",
            "3",
        ),
        *("--columns", "question=Problem", "answer=Short Answer", "--out", str(swept), *told),
        *("--method", "budget_forcing", "--max-thinking-tokens", "48"),
    )
    assert "target: " in done.stderr
    columns = "question=Problem,answer=Short Answer"
    run(
        *("inspect_ai", "eval", "s1_eval/questions", "-T", f"data={mine}", "-T", "grader=integer"),
        *("-T", f"columns={columns}", "-T", "shuffle=3", "--solver", "s1_eval/budget_forcing"),
        *("-S", "max_thinking_tokens=48", "--log-dir", str(inspected), "--display", "plain"),
        *("--seed", "0", *told),
    )
    about = {"data": str(mine), "grader": "integer", "columns": columns, "shuffle": 3}
    run(
        *("lm_eval", "--model", "s1_hf", "--model_args", "pretrained=nano,released=2026-02"),
        *("--tasks", "s1_questions", "--metadata", json.dumps(about), "--log_samples"),
        *("--gen_kwargs", "max_tokens_thinking=48,seed=0", "--output_path", str(harnessed)),
    )
    found = [rows(folder) for folder in (swept, inspected, harnessed)]
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 4
    done = run(
        "s1_eval.cli.main",
        "score",
        *map(str, (swept, inspected, harnessed)),
        "--json",
        "--by",
        "level",
    )
    entries = json.loads(done.stdout)
    assert [(e.get("by"), e["questions"]) for e in entries] == [
        *[(None, 4)] * 3,
        *[({"level": level}, 2) for level in ("0", "1") for _ in range(3)],
    ]


def test_a_group_is_graded_alike_by_sweep_inspect_and_lm_eval(tmp_path: Path) -> None:
    """Each question by its own contest's grader, a vote among samples included."""
    import pyarrow
    import pyarrow.parquet
    from inspect_ai import eval as inspect_eval
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from s1_eval.harness.lm_eval_models import s1_hf
    from s1_eval.harness.lm_eval_tasks import configs
    from s1_eval.solvers import majority_vote
    from s1_eval.tasks.contests_2026 import contests_2026

    (tmp_path / "benchmarks").mkdir()
    for name, answer in (("aime26", "42"), ("hmmt_feb_2026", "\\frac{84}{2}")):
        question = [{"problem_idx": 1, "problem": "Compute mod 100.\nS=40\nA+2", "answer": answer}]
        table = pyarrow.Table.from_pylist(question)
        pyarrow.parquet.write_table(table, tmp_path / "benchmarks" / f"{name}.parquet")
    asked = {"samples": 2, "max_thinking_tokens": 48}
    sampled: dict[str, Any] = {"temperature": 1.0, "seed": 0}
    data = str(tmp_path)
    swept = s1_eval.evaluate("s1_hf/nano", "contests_2026", "majority_vote", data=data, **asked)
    [log] = inspect_eval(
        contests_2026(data=data),
        solver=majority_vote(**asked),
        model="s1_hf/nano",
        **sampled,
        log_dir=str(tmp_path / "logs"),
        display="none",
    )
    assert log.status == "success", log.error
    model = s1_hf("nano")
    scored = simple_evaluate(
        model=model,
        tasks=[configs()["s1_contests_2026"]],
        task_manager=TaskManager(include_defaults=False, metadata={"data": data}),
        gen_kwargs={
            "method": "majority_vote",
            **asked,
            "temperature": 1.0,
            "do_sample": True,
            "seed": 0,
        },
        bootstrap_iters=0,
    )
    model.engine.close()
    ways = [
        swept.samples().to_dict("records"),
        [sample.scores["s1_eval/grade"].metadata["s1_eval"] for sample in log.samples],
        scored["samples"]["s1_contests_2026"],
    ]
    each = [
        sorted(
            (
                row["sample_id"],
                row["answer"],
                row["correct"],
                json.dumps(row["grader"]),
                row["seed"],
            )
            for row in way
        )
        for way in ways
    ]
    assert each[0] == each[1] == each[2]
    assert [json.loads(grader)["name"] for _, _, _, grader, _ in each[0]] == ["integer", "math"]
    [run] = swept.runs
    assert run.record["strata"] == "contest"
    assert run.record["published"] == "2026-02-05"
