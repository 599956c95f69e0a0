"""What people do with Inspect and then score: our solvers on tasks of their own, logs without
scores, samples with errors and limits, retries, and the manifest of an eval-set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task, eval, eval_retry, score
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log, write_eval_log, write_log_dir_manifest
from inspect_ai.scorer import Score, accuracy, includes, match, scorer
from inspect_ai.solver import generate
from scripted import break_at_second_call

from s1_eval.cli.main import main
from s1_eval.errors import UserError
from s1_eval.records import read_runs
from s1_eval.solvers import budget_forcing, plain
from s1_eval.tasks.nano import nano


def theirs(scorers: Any, name: str = "sums", **options: Any) -> Task:
    """A task of somebody else's: sums, one of them with another target."""
    samples = [Sample(id=i, input=f"What is {i}+4?", target=str(i + 4)) for i in range(3)]
    return Task(name=name, dataset=samples, solver=generate(), scorer=scorers, **options)


def ran(task: Task, folder: Path, solver: Any = None, **options: Any) -> Any:
    quiet = {"display": "none", "log_realtime": False, "log_dir": str(folder)}
    solver = solver or budget_forcing(max_thinking_tokens=64)
    [log] = eval(task, solver=solver, model="s1_hf/nano", **{**quiet, **options})
    return log


def valued(value: Any) -> Any:
    """A scorer that gives every answer the same value."""

    @scorer(metrics=[accuracy()])
    def fixed() -> Any:
        async def score(state: Any, target: Any) -> Score:
            return Score(value=value)

        return score

    return fixed()


@pytest.mark.parametrize("own", [match, includes])
def test_our_solver_on_their_task_keeps_its_method_and_their_verdict(
    own: Any, tmp_path: Path
) -> None:
    log = ran(theirs(own()), tmp_path)
    [run] = read_runs([tmp_path])
    assert (run.model, run.task, run.method, run.budget) == ("nano", "sums", "budget_forcing", 64)
    assert run.params["max_thinking_tokens"] == 64
    assert run.record["grader"] == {"name": own.__name__}
    assert all(0 < row["thinking_tokens"] <= 64 for row in run.rows)
    verdicts = {str(s.id): s.scores[own.__name__].value == "C" for s in log.samples}
    assert {row["sample_id"]: row["correct"] for row in run.rows} == verdicts


def test_what_a_choice_scorer_says_is_read_and_not_made(tmp_path: Path) -> None:
    """Its verdict rests on marks that `multiple_choice` leaves, which nothing of ours could see."""
    ran(theirs(valued("I"), "letters"), tmp_path)
    [path] = tmp_path.glob("*.eval")
    log = read_eval_log(str(path))
    log.eval.scorers[0].name = "choice"
    for sample, letter in zip(log.samples, "ABC", strict=True):
        sample.scores = {"choice": Score(value="C" if letter == "B" else "I", answer=letter)}
    write_eval_log(log, str(path))
    [run] = read_runs([tmp_path])
    assert run.record["grader"] == {"name": "choice"}
    rows = sorted(run.rows, key=lambda row: row["sample_id"])
    assert [(row["answer"], row["correct"]) for row in rows] == [
        ("A", False),
        ("B", True),
        ("C", False),
    ]


def test_two_tasks_of_theirs_are_two_runs(tmp_path: Path) -> None:
    for name in ("one", "two"):
        ran(theirs(match(), name), tmp_path)
    assert sorted(run.task for run in read_runs([tmp_path])) == ["one", "two"]


@pytest.mark.parametrize(
    ("value", "correct"),
    [("C", True), ("I", False), ("N", False), (1, True), (0.0, False), (True, True), ("no", False)],
)
def test_what_their_metrics_count_as_right_is_right(
    value: Any, correct: bool, tmp_path: Path
) -> None:
    log = ran(theirs(valued(value)), tmp_path)
    [run] = read_runs([tmp_path])
    assert {row["correct"] for row in run.rows} == {correct}
    assert log.results.scores[0].metrics["accuracy"].value == correct


@pytest.mark.parametrize("value", ["P", 0.7, "perhaps", {"a": 1}])
def test_a_score_that_is_neither_right_nor_wrong_asks(value: Any, tmp_path: Path) -> None:
    ran(theirs(valued("C")), tmp_path)
    [path] = tmp_path.glob("*.eval")
    log = read_eval_log(str(path))
    for sample in log.samples or []:
        sample.scores["fixed"].value = value
    write_eval_log(log, str(path))
    with pytest.raises(UserError, match=r"the score of fixed is .*correct=scores\.fixed\.value"):
        read_runs([path])


def test_several_scorers_ask_whose_verdict_counts(tmp_path: Path, capsys: Any) -> None:
    log = ran(theirs([match(), includes()]), tmp_path)
    assert main(["score", str(tmp_path)]) == 2
    assert "has scores of match, includes" in capsys.readouterr().err
    columns = ["--columns", "correct=scores.includes.value:C"]
    assert main(["score", str(tmp_path), "--json", *columns]) == 0
    [entry] = json.loads(capsys.readouterr().out)
    right = sum(sample.scores["includes"].value == "C" for sample in log.samples)
    assert entry["performance"]["value"] == pytest.approx(100 * right / 3)


@pytest.mark.slow
def untimed(entries: list[Any]) -> list[Any]:
    """Entries without the time that their questions took."""
    for point in (point for entry in entries for point in entry["points"]):
        point["costs"].pop("seconds", None)
        point["costs"].pop("machine_seconds", None)
    return entries


def test_our_log_without_scores_is_scored_as_if_it_had_been(tmp_path: Path, capsys: Any) -> None:
    ran(nano(), tmp_path / "scored", limit=4)
    log = ran(nano(), tmp_path / "unscored", limit=4, score=False)
    found = {}
    for name in ("scored", "unscored"):
        assert main(["score", str(tmp_path / name), "--json"]) == 0
        found[name] = json.loads(capsys.readouterr().out)
    assert untimed(found["scored"]) == untimed(found["unscored"])
    assert found["scored"][0]["method"] == "budget_forcing"
    with pytest.raises(UserError, match="was not scored: run `inspect score`"):
        read_runs([log.location])
    from inspect_ai._eval.score import resolve_scorers

    again = score(log, resolve_scorers(log), action="overwrite", display="none")
    write_eval_log(again, str(tmp_path / "again.eval"))
    assert main(["score", str(tmp_path / "again.eval"), "--json"]) == 0
    assert untimed(json.loads(capsys.readouterr().out)) == found["scored"]
    assert again.eval.scorers[0].name == "s1_eval/grade"


def test_a_log_whose_solver_left_a_whole_record_is_scored_again_as_it_was(tmp_path: Path) -> None:
    """As logs of earlier versions have it: the run's record, a target, and a verdict to come."""
    from inspect_ai._eval.score import resolve_scorers

    log = ran(nano(), tmp_path, limit=3)
    [before] = read_runs([log.location])
    for sample in log.samples:
        row = sample.scores["s1_eval/grade"].metadata["s1_eval"]
        ungraded = {"answer": "", "correct": False, "answered": False}
        sample.output.metadata = {"s1_eval": {**row, **ungraded}}
        assert sample.target == row["target"]
    again = score(log, resolve_scorers(log), action="overwrite", display="none")
    write_eval_log(again, str(tmp_path / "again.eval"))
    [after] = read_runs([tmp_path / "again.eval"])
    assert (after.record, after.rows) == (before.record, before.rows)
    assert any(row["correct"] for row in after.rows)


def test_what_travels_through_the_model_knows_no_target(tmp_path: Path) -> None:
    log = ran(nano(), tmp_path, limit=1)
    [sample] = log.samples
    [event] = [each for each in sample.events if each.event == "model"]
    asked = event.config.extra_body["s1_eval"]
    answered = sample.output.metadata["s1_eval"]
    assert not {*asked, *answered, *answered["run"]} & {"target", "correct", "about", "task"}


def test_samples_with_errors_and_limits_are_unanswered_rows(tmp_path: Path, capsys: Any) -> None:
    from inspect_ai.log import EvalSampleLimit
    from inspect_ai.model import ModelUsage

    ran(nano(), tmp_path, limit=4)
    [path] = tmp_path.glob("*.eval")
    log = read_eval_log(str(path))
    from inspect_ai._util.error import EvalError

    broken, limited, *_ = log.samples or []
    broken.error = EvalError(message="the engine broke", traceback="", traceback_ansi="")
    broken.scores, broken.output.metadata = None, None
    broken.model_usage = {"m": ModelUsage(output_tokens=9, reasoning_tokens=5)}
    limited.limit = EvalSampleLimit(type="token", limit=50)
    write_eval_log(log, str(path))
    told: list[str] = []
    [run] = read_runs([tmp_path], tell=told.append)
    rows = {row["sample_id"]: row for row in run.rows}
    assert len(rows) == 4
    failed, cut = rows[str(broken.id)], rows[str(limited.id)]
    assert (failed["error"], failed["answered"], failed["correct"]) == (
        "the engine broke",
        False,
        False,
    )
    assert (failed["thinking_tokens"], failed["generated_tokens"]) == (5, 9)
    assert (cut["limit"], cut["answered"], cut["correct"]) == ("token 50", False, False)
    assert cut["thinking_tokens"] > 0
    [said] = told
    assert "2 of 4 samples ended by an error or a limit" in said
    assert main(["score", str(tmp_path)]) == 0
    assert "count as unanswered" in capsys.readouterr().err


def test_their_samples_with_errors_are_unanswered_too(tmp_path: Path) -> None:
    ran(theirs(match()), tmp_path)
    [path] = tmp_path.glob("*.eval")
    log = read_eval_log(str(path))
    from inspect_ai._util.error import EvalError

    first = (log.samples or [])[0]
    first.error = EvalError(message="no", traceback="", traceback_ansi="")
    first.scores, first.output.metadata = None, None
    write_eval_log(log, str(path))
    [run] = read_runs([path])
    assert len(run.rows) == 3
    assert [row["sample_id"] for row in run.rows if "error" in row] == [str(first.id)]


def test_a_folder_of_an_eval_set_is_read_like_its_finished_logs(tmp_path: Path) -> None:
    log = ran(nano(), tmp_path, limit=3)
    failed = log.model_copy(deep=True, update={"status": "error"})
    failed.eval.created = "2020-01-01T00:00:00+00:00"
    write_eval_log(failed, str(tmp_path / "2020-01-01T00-00-00-00-00_nano_x.eval"))
    other = failed.model_copy(deep=True, update={"status": "cancelled"})
    other.eval.task_id = "somethingelse"
    write_eval_log(other, str(tmp_path / "2020-01-02T00-00-00-00-00_nano_y.json"))
    write_log_dir_manifest(str(tmp_path))
    (tmp_path / "junk.eval").write_bytes(b"PK\x03\x04 half a zip")
    assert (tmp_path / "logs.json").stat().st_size > 100
    told: list[str] = []
    [run] = read_runs([tmp_path], tell=told.append)
    assert len(run.rows) == 3
    assert len(told) == 3
    assert "nano_x.eval" in told[0]
    assert "is a finished run of the same task" in told[0]
    assert "'cancelled'" in told[1]
    assert "inspect eval-retry" in told[1]
    assert "junk.eval is no readable Inspect log" in told[2]
    for name in ("2020-01-01T00-00-00-00-00_nano_x.eval", "junk.eval", "logs.json"):
        with pytest.raises(UserError):
            read_runs([tmp_path / name], tell=told.append)


def test_a_retry_replaces_what_failed(tmp_path: Path, scripted: Any) -> None:
    engine = scripted("<|im_start|>think\n3+4=7<|im_start|>answer\nFinal Answer: 7<|im_end|>")
    break_at_second_call(engine)
    log = ran(nano(), tmp_path, solver=plain(), limit=2, max_samples=1)
    assert log.status == "error"
    shutil.copy(log.location, tmp_path / "kept.eval")
    eval_retry(log, display="none", log_dir=str(tmp_path))
    told: list[str] = []
    [run] = read_runs([tmp_path], tell=told.append)
    assert len(run.rows) == 2
    assert told
    assert all(said.startswith("passed over") for said in told)
