"""Rows found again by their ids: of our own files by their place, of others from a temporary file;
unfinished, damaged and ungraded ones too."""

from __future__ import annotations

import json
import tracemalloc

import pytest
import runs
from viewing import read

from s1_eval.errors import UserError
from s1_eval.records import RunWriter


def write(folder, samples=3, packed=False, **changes):
    record = runs.record(planned_samples=5, **changes)
    with RunWriter(folder, record, packed=packed) as writer:
        for i in range(samples):
            writer.append(runs.row(record, f"q{i}", correct=i > 0, with_traces=True))
    return record["run_id"]


@pytest.mark.parametrize("packed", [False, True])
def test_an_unfinished_run_is_shown_and_each_row_is_found_by_its_id(tmp_path, packed):
    id = write(tmp_path, packed=packed)
    records = read(tmp_path)
    assert [each.key for each in records.runs[id].in_order] == [("q0", 1), ("q1", 1), ("q2", 1)]
    assert records.row(id, "q2", 1)["traces"][0]["segments"]
    with pytest.raises(KeyError):
        records.row(id, "q9", 1)


def test_ids_are_in_the_order_that_people_count_in(tmp_path):
    id = write(tmp_path, samples=12)
    run = read(tmp_path).runs[id]
    assert [each.sample_id for each in run.in_order] == [f"q{i}" for i in range(12)]
    before, behind = run.beside(run.entries["q10", 1])
    assert (before.sample_id, behind.sample_id) == ("q9", "q11")
    assert run.beside(run.entries["q11", 1])[1] is None
    before, behind = run.beside(run.entries["q1", 1], verdict="wrong")
    assert (before.sample_id, behind) == ("q0", None)


def test_texts_stay_in_the_file(tmp_path):
    record = runs.record()
    with RunWriter(tmp_path, record) as writer:
        for i in range(200):
            writer.append({**runs.row(record, f"q{i}"), "response": "x" * 50_000})
    tracemalloc.start()
    records = read(tmp_path)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1_000_000  # of ten
    assert len(records.row(record["run_id"], "q150", 1)["response"]) == 50_000


def test_a_file_that_changed_is_no_other_row(tmp_path):
    id = write(tmp_path)
    records = read(tmp_path)
    path = tmp_path / "samples.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    for there in (b'{"gone": 1}\n' + second, first + third + second):  # cut, and another row
        path.write_bytes(there)
        with pytest.raises(UserError, match="start `s1-eval view` again"):
            records.row(id, "q1", 1)


def test_what_is_damaged_is_named_and_the_rest_is_shown(tmp_path):
    id = write(tmp_path)
    path = tmp_path / "samples.jsonl"
    rows = path.read_text().splitlines()
    rows[1] = rows[1].replace('"epoch": 1', '"epoch": -1')
    path.write_text("\n".join([*rows, rows[0][:40]]))
    told = []
    assert set(read(tmp_path, tell=told.append).runs[id].entries) == {("q0", 1), ("q2", 1)}
    assert ["line 2" in told[0], "line 4" in told[1]] == [True, True]


def test_other_peoples_logs_are_shown_ungraded_and_without_a_count(tmp_path):
    stamp = "2026-01-01T00-00-00.000000"
    (tmp_path / f"results_{stamp}.json").write_text('{"model_name": "org/model"}')
    rows = [
        {
            "doc_id": i,
            "target": "7",
            "arguments": [["What is 3+4?", {}]],
            "resps": [["<think>3, 4</think>7"]],
            "metrics": [],
        }
        for i in range(2)
    ]
    path = tmp_path / f"samples_sums_{stamp}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    records = read(tmp_path)
    [run] = records.runs.values()
    assert [(e.verdict, e.thinking_tokens) for e in run.in_order] == [("not graded", None)] * 2
    row = records.row(run.id, "1", 1)
    assert (row["question"], row["thinking"], row["response"]) == ("What is 3+4?", "3, 4", "7")


def test_runs_that_were_asked_the_same_are_beside_each_other(tmp_path):
    other = {"id": "toy", "revision": None, "fingerprint": "another"}
    first = write(tmp_path / "0")
    same = write(tmp_path / "1", method_params={"num_ignores": 1})
    write(tmp_path / "2", dataset=other)
    records = read(tmp_path)
    run = records.runs[first]
    beside = records.on_the_same_question(run, run.entries["q1", 1])
    assert {each.id for each, _ in beside} == {first, same}
