"""`s1-eval leaderboard export --format every-eval-ever` writes what its own validator passes."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import runs

from s1_eval.cli.main import main
from s1_eval.records import RunWriter
from s1_eval.report.exports.every_eval_ever import SCHEMA_VERSION

WHO = ("--organization", "My lab", "--relationship", "third_party")


def export(paths, out, *more):
    command = ["leaderboard", "export", str(paths), "--format", "every-eval-ever"]
    return main([*command, "--out", str(out), *more])


@pytest.fixture
def log(recorded, tmp_path):
    assert export(recorded, tmp_path, *WHO) == 0
    [path] = (tmp_path / "data/toy/lab/thinker").glob("*.json")
    return json.loads(path.read_text())


@pytest.fixture
def instances(log, tmp_path):
    """Of the log, by run and sample."""
    path = tmp_path / log["detailed_evaluation_results"]["file_path"]
    made = [json.loads(line) for line in path.read_text("utf-8").rstrip("\n").split("\n")]
    return {(each["evaluation_result_id"], each["sample_id"]): each for each in made}


def test_every_sample_is_a_row_that_belongs_to_its_runs_accuracy(log, instances):
    companion = log["detailed_evaluation_results"]
    assert companion["total_rows"] == len(instances) == 40
    accuracies = {
        result["evaluation_result_id"]: result
        for result in log["evaluation_results"]
        if result["metric_config"]["metric_id"] == "accuracy"
    }
    for result, told in accuracies.items():
        rows = [each for (of, _), each in instances.items() if of == result]
        mean = sum(each["evaluation"]["score"] for each in rows) / len(rows)
        assert 100 * mean == told["score_details"]["score"]
        assert {each["evaluation_name"] for each in rows} == {told["evaluation_name"]}
    row = next(iter(instances.values()))
    assert row["input"] == {"raw": f"What is {row['sample_id'][1:]}? <b>\u2028", "reference": ["7"]}
    assert row["output"]["raw"] in (["It is 7."], ["It is 8."])
    assert set(row["output"]["reasoning_trace"][0]) == {"x"}
    assert row["token_usage"]["reasoning_tokens"] in (32 - 3, 64 - 3), "three were forced"
    assert row["metadata"]["exit_reason"] == "natural"


@pytest.mark.parametrize(
    ("secret", "task", "traces", "written"),
    [
        *((False, "toy", "open", True), (False, "toy", "none", False)),
        *((True, "toy", "all", False), (None, "toy", "open", False)),
        *((None, "toy", "all", True), (None, "gpqa_diamond", "all", False)),
    ],
)
def test_a_question_that_must_stay_off_the_web_is_in_no_file(
    secret, task, traces, written, tmp_path
):
    turns = [{"role": "user", "content": "the secret question"}]
    record = runs.record(model="lab/thinker", task=task, secret=secret)
    record = record | {"prompting": {"turns": turns}}
    with RunWriter(tmp_path / "run", record) as writer:
        for i in range(2):
            writer.append({**runs.row(record, f"q{i}"), "question": "the secret question"})
    assert export(tmp_path / "run", tmp_path / "out", *WHO, "--traces", traces) == 0
    text = "".join(path.read_text() for path in (tmp_path / "out").rglob("*.json*"))
    assert ("the secret question" in text) is written
    assert ("detailed_evaluation_results" in text) is written


def test_a_partial_run_says_so(tmp_path):
    record = runs.record(model="lab/thinker", unasked=480)
    with RunWriter(tmp_path / "run", record) as writer:
        for i in range(20):
            writer.append(runs.row(record, f"q{i}"))
    assert export(tmp_path / "run", tmp_path / "out", *WHO) == 0
    [path] = (tmp_path / "out").rglob("*.json")
    details = [
        r["score_details"]["details"] for r in json.loads(path.read_text())["evaluation_results"]
    ]
    said = [each.get("partial") for each in details if "run" in each]
    assert set(said) == {"20 of the 500 questions were asked"}
    assert not list((tmp_path / "out").rglob("*.jsonl"))  # the rows hold no question


def test_a_series_has_its_metrics_and_those_of_its_runs(log):
    found = [
        (result["metric_config"]["metric_id"], result["score_details"]["score"])
        for result in log["evaluation_results"]
    ]
    assert found[:3] == [
        ("s1_eval.control", 100),
        ("s1_eval.scaling", 50),
        ("s1_eval.performance", 75),
    ]
    assert found[3:] == [
        ("accuracy", 25),
        ("s1_eval.thinking_tokens", 32),
        ("accuracy", 75),
        ("s1_eval.thinking_tokens", 64),
    ]


def test_an_interval_says_how_it_was_made_or_why_there_is_none(log):
    scores = [result["score_details"] for result in log["evaluation_results"]]
    spans = [score["uncertainty"].get("confidence_interval", {}).get("method") for score in scores]
    assert spans[1] == "expanded percentile bootstrap"
    assert spans[3].startswith("Wilson score")
    assert spans[4] is None
    assert "every question has the same value" in scores[4]["details"]["note"]


def test_a_result_says_its_data_and_its_command(log):
    accuracy = log["evaluation_results"][3]
    assert accuracy["source_data"]["hf_repo"] == "lab/questions"
    assert accuracy["source_data"]["additional_details"]["revision"] == "0a1b2c3"
    config = accuracy["generation_config"]
    assert config["generation_args"]["execution_command"] == "s1-eval sweep"
    assert json.loads(config["additional_details"]["method_params"]) == {"max_thinking_tokens": 32}


def test_the_same_runs_have_the_same_file(recorded, tmp_path):
    export(recorded, tmp_path, *WHO)
    export(recorded, tmp_path, *WHO)
    assert len(list(tmp_path.rglob("*.json"))) == 1
    [rows] = tmp_path.rglob("*.jsonl")
    assert rows.read_bytes().count(b"\n") == 40


def test_a_copy_of_a_run_adds_no_samples(recorded, tmp_path):
    shutil.copytree(recorded, tmp_path / "copy")
    both = ["leaderboard", "export", str(recorded), str(tmp_path / "copy")]
    assert main([*both, "--format", "every-eval-ever", "--out", str(tmp_path / "out"), *WHO]) == 0
    [rows] = (tmp_path / "out").rglob("*.jsonl")
    assert rows.read_bytes().count(b"\n") == 40


def test_who_evaluated_is_asked_for(recorded, tmp_path, capsys):
    assert export(recorded, tmp_path, "--organization", "My lab") == 2
    assert "add --relationship" in capsys.readouterr().err


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """The folder of the published validator. It is fetched alone: its package asks for other
    versions of what this project uses, and needs none of them to validate."""
    folder = tmp_path_factory.mktemp("published")
    wanted = ["--no-deps", "--ignore-requires-python", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *wanted]
    done = subprocess.run(  # noqa: S603
        [*command, f"every-eval-ever=={SCHEMA_VERSION}"], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no package index to take every-eval-ever from: {done.stderr[-200:]}")
    return folder


def validate(published, folder):
    """The published validator's exit code and verdicts."""
    command = [sys.executable, "-m", "every_eval_ever", "validate", "--format", "json"]
    written = [*map(str, folder.rglob("data/*/*/*/*.json*"))]
    done = subprocess.run(  # noqa: S603
        [*command, *written],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(published)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_the_published_validator_passes_it_without_a_warning(published, recorded, tmp_path):
    export(recorded, tmp_path, *WHO)
    assert validate(published, tmp_path)[0] == 0
    [rows] = tmp_path.rglob("*.jsonl")
    whole = rows.read_text("utf-8")
    rows.write_text(whole.replace('"is_correct": true', '"is_correct": "perhaps"', 1), "utf-8")
    assert validate(published, tmp_path)[0] == 1
    rows.write_text(whole, "utf-8")
    assert validate(published, tmp_path)[0] == 0
    [path] = tmp_path.rglob("*.json")
    log = json.loads(path.read_text())
    del log["evaluation_results"][0]["metric_config"]["max_score"]
    path.write_text(json.dumps(log))
    code, said = validate(published, tmp_path)
    assert code == 1
    assert "max_score" in said


@pytest.mark.slow
def test_the_published_validator_passes_other_peoples_runs(published, shared_data, tmp_path):
    source = shared_data / "outputs/r1-distill-qwen-14b_simpleqa"
    columns = "sample_id=id target=answer correct=grading:A answered=grading:A|B task==simpleqa"
    more = "thinking_tokens=thinking_tokens answer_tokens=response_tokens method==budget_forcing"
    told = [*columns.split(), *more.split(), r"num_ignores=~waits_(\d+)", "exit_reason==natural"]
    told.append("model==deepseek-ai/DeepSeek-R1-Distill-Qwen-14B")
    shutil.copytree(source, tmp_path / "logs")
    assert export(tmp_path / "logs", tmp_path / "out", *WHO, "--columns", *told) == 0
    assert validate(published, tmp_path / "out")[0] == 0
