"""Runs come back from our records, Inspect logs and lm-eval sample files alike; what can't be read
is named with its file and line, and nothing a file holds can do more than be read."""

import json
import shutil

import pytest
import runs

from s1_eval.errors import UserError
from s1_eval.json_lines import read_lines
from s1_eval.records import RunWriter, read_runs


def write_ours(folder, record, rows):
    with RunWriter(folder, record) as writer:
        for row in rows:
            writer.append(row)


def write_lm_eval(folder, rows, task="s1_toy"):
    """A sample file as lm-eval's own tracker writes it."""
    from lm_eval.loggers import EvaluationTracker

    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.model_name_sanitized = "nano"
    tracker.date_id = "2026-01-01T00-00-00.000000"
    samples = [
        {
            "doc_id": i,
            "doc": {"question": "What is 3+4?", "target": "7"},
            "target": "lm-eval's own",
            "arguments": [("prompt", {"until": []})],
            "resps": [["7"]],
            "filtered_resps": ["7"],
            "filter": "none",
            "metrics": ["exact_match"],
            "doc_hash": "d",
            "prompt_hash": "p",
            "target_hash": "t",
            **row,
        }
        for i, row in enumerate(rows)
    ]
    tracker.save_results_samples(task, samples)
    [path] = folder.rglob("samples_*.jsonl")
    return path


def write_inspect(folder, rows, log_format="eval", metadata=lambda row: {"s1_eval": row}):
    """A log as Inspect itself writes it, its scorer leaving `rows` in the scores' metadata."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import Score, accuracy, scorer
    from inspect_ai.solver import generate

    by_key = {(row["sample_id"], row["epoch"]): row for row in rows}

    @scorer(metrics=[accuracy()])
    def leave():
        async def score(state, target):
            return Score(value="C", metadata=metadata(by_key[state.sample_id, state.epoch]))

        return score

    output = ModelOutput.from_content("mockllm/model", "7")
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    ids = list(dict.fromkeys(row["sample_id"] for row in rows))
    [log] = eval(
        Task(
            dataset=[Sample(id=id, input="3+4?", target="7") for id in ids],
            solver=generate(),
            scorer=leave(),
        ),
        model=get_model("mockllm/model", custom_outputs=[output] * len(rows)),
        epochs=max(row["epoch"] for row in rows),
        log_dir=str(folder),
        log_format=log_format,
        display="none",
    )
    assert log.status == "success"
    return log.location


@pytest.fixture
def record():
    return runs.record(method_params={"num_ignores": 2})


@pytest.fixture
def rows(record):
    return [
        runs.row(record, sample_id, epoch=epoch, with_traces=True)
        for sample_id in ("a", "b")
        for epoch in (1, 2)
    ]


def essence(run):
    """What every way of writing a run must preserve."""
    kept = ("sample_id", "epoch", "target", "correct", "thinking_tokens", "exit_reason", "budget")
    return [tuple(row[name] for name in kept) for row in run.rows]


@pytest.mark.slow
def test_the_same_rows_read_the_same_from_every_kind_of_file(tmp_path, record, rows):
    write_ours(tmp_path / "ours", record, rows)
    told = [{**row, "run": record} for row in rows]
    write_lm_eval(tmp_path / "lm_eval", told)
    write_inspect(tmp_path / "inspect", told)
    write_inspect(tmp_path / "inspect_json", told, "json")
    found = {p.name: read_runs([p]) for p in tmp_path.iterdir() if p.is_dir()}
    assert set(found) == {"ours", "lm_eval", "inspect", "inspect_json"}
    for read in found.values():
        [run] = read
        assert run.record == record
        assert sorted(essence(run)) == sorted(essence(found["ours"][0]))
        assert "traces" not in run.rows[0]


def test_an_lm_eval_line_holds_all_epochs_of_a_question(tmp_path, record, rows):
    first, second, *_ = rows
    write_lm_eval(tmp_path, [{**first, "other_epochs": [{**second, "run": record}]}])
    [run] = read_runs([tmp_path])
    assert [row["epoch"] for row in run.rows] == [1, 2]


def test_rows_without_a_run_record_still_say_what_they_share(tmp_path, rows):
    [run] = read_runs([write_lm_eval(tmp_path, rows)])
    assert run.params == {"num_ignores": 2}
    assert (run.model, run.task, run.method) == ("nano", "toy", "budget_forcing")


def test_folders_are_searched_to_any_depth_and_runs_told_apart(tmp_path):
    for seed in (0, 1):
        record = runs.record(seed=seed)
        write_ours(tmp_path / "deep" / str(seed), record, [runs.row(record)])
    (tmp_path / "deep" / "report.html").write_text("<p>")
    (tmp_path / "deep" / "other.json").write_text('{"x": 1}')
    assert [run.record["seed"] for run in read_runs([tmp_path])] == [0, 1]


def test_the_same_result_read_twice_counts_once(tmp_path, record, rows):
    write_ours(tmp_path / "one", record, rows)
    again = [{**row, "seconds": 9.0, "reused_tokens": 1} for row in rows]
    write_ours(tmp_path / "two", record, again)
    [run] = read_runs([tmp_path])
    assert len(run.rows) == len(rows)


def test_two_results_for_one_sample_are_no_choice_of_ours(tmp_path, record, rows):
    write_ours(tmp_path / "one", record, rows)
    write_ours(tmp_path / "two", record, [{**row, "correct": False} for row in rows])
    with pytest.raises(UserError, match=r"two/samples\.jsonl: .*'a', epoch 1.*one/samples"):
        read_runs([tmp_path])


def test_an_unfinished_run_is_not_scored(tmp_path, rows):
    record = runs.record(method_params={"num_ignores": 2}, planned_samples=30)
    write_ours(tmp_path, record, rows)
    with pytest.raises(UserError, match="has 4 of 30 samples"):
        read_runs([tmp_path])


def test_a_half_written_line_is_named(tmp_path, record, rows):
    write_ours(tmp_path, record, rows)
    path = tmp_path / "samples.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"samples\.jsonl line 4 is half-written"):
        read_runs([tmp_path])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "is not JSON"),
        (b"\xff{}", "is not JSON"),
        (b"[1]", "holds list, not a JSON object"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"", "is not JSON"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, record, rows, line, said):
    write_ours(tmp_path, record, rows)
    path = tmp_path / "samples.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[2] = line
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(UserError, match=rf"samples\.jsonl line 3 {said}"):
        read_runs([path])


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("thinking_tokens", float("nan"), "thinking_tokens: None is not of type 'integer'"),
        ("thinking_tokens", 10**400, "thinking_tokens: "),
        ("budget", 5, "budget is 5"),
        ("model", "other", "model is 'other'"),
        ("run_id", "0" * 12, "run_id is '000000000000'"),
    ],
)
def test_a_row_that_does_not_belong_is_named(tmp_path, record, rows, field, value, said):
    write_ours(tmp_path, record, rows)
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write(json.dumps({**rows[0], "epoch": 3, field: value}) + "\n")
    with pytest.raises(UserError, match=f"line 5: {said}"):
        read_runs([tmp_path])


def test_nan_where_a_number_may_be_missing_is_missing(tmp_path, record, rows):
    write_ours(tmp_path, record, rows)
    with (tmp_path / "samples.jsonl").open("a") as file:
        file.write(json.dumps({**rows[0], "epoch": 3, "seconds": float("nan")}) + "\n")
    [run] = read_runs([tmp_path])
    assert run.rows[-1]["seconds"] is None


def test_what_is_missing_is_named(tmp_path, record, rows):
    with pytest.raises(UserError, match=r"there is no file or folder .*nowhere"):
        read_runs([tmp_path / "nowhere"])
    with pytest.raises(UserError, match=r"nothing to read in .*samples\.jsonl.*Inspect.*lm-eval"):
        read_runs([tmp_path])
    write_ours(tmp_path, record, rows)
    (tmp_path / "run.json").unlink()
    with pytest.raises(UserError, match=r"has no run\.json beside it"):
        read_runs([tmp_path])


def test_a_file_of_another_kind_is_not_guessed_at(tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n")
    with pytest.raises(UserError, match=r"can't tell what .*table\.csv is"):
        read_runs([tmp_path / "table.csv"])


def test_an_empty_run_is_named(tmp_path, record):
    write_ours(tmp_path, record, [])
    with pytest.raises(UserError, match="holds no sample yet"):
        read_runs([tmp_path])


def test_sample_files_of_other_lm_eval_tasks_are_named(tmp_path):
    path = write_lm_eval(tmp_path, [{"exact_match": 1.0}], task="gsm8k")
    with pytest.raises(UserError, match=r"samples_gsm8k_.* line 1 has no sample record"):
        read_runs([path])


@pytest.mark.slow
def test_logs_of_other_inspect_tasks_are_named(tmp_path, rows):
    write_inspect(tmp_path, rows, metadata=lambda row: {})
    with pytest.raises(UserError, match="sample 'a' epoch 1 has no sample record"):
        read_runs([tmp_path])


def test_a_damaged_inspect_log_is_named(tmp_path, rows):
    location = write_inspect(tmp_path, rows)
    path = tmp_path / location.rpartition("/")[2]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"\.eval is no readable Inspect log"):
        read_runs([tmp_path])


def test_a_cancelled_inspect_log_is_not_scored(tmp_path, rows):
    from inspect_ai.log import read_eval_log, write_eval_log

    location = write_inspect(tmp_path, rows)
    log = read_eval_log(location)
    log.status = "cancelled"
    write_eval_log(log, location)
    with pytest.raises(UserError, match=r"'cancelled'.*inspect eval-retry"):
        read_runs([tmp_path])


def test_a_run_may_be_spread_over_files(tmp_path, record, rows):
    write_lm_eval(tmp_path / "one", rows[:2])
    write_lm_eval(tmp_path / "two", rows[2:])
    [run] = read_runs([tmp_path])
    assert len(run.rows) == 4
    assert len(run.sources) == 2


def test_lines_end_at_line_feeds_only(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": "\u2028\u0085"}\n{"a": 1}\n', "utf-8")
    assert [n for n, _ in read_lines(path)] == [1, 2]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("s1_eval.json_lines.MAX_LINE", 100)
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": "' + "x" * 1000)
    with pytest.raises(UserError, match="line 1 is longer than 100 bytes"):
        list(read_lines(path))


def test_a_copied_folder_reads_the_same(tmp_path, record, rows):
    write_ours(tmp_path / "one", record, rows)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert read_runs([tmp_path / "one"])[0].rows == read_runs([tmp_path / "two"])[0].rows
