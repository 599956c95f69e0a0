"""Writing a run survives being killed anywhere, and never mixes two runs."""

import json
import multiprocessing
import os
import resource
import signal

import pytest
import runs
from hypothesis import given, settings
from hypothesis import strategies as st

from s1_eval.errors import UserError
from s1_eval.records import RunWriter, read_runs


def write(folder, record, ids):
    with RunWriter(folder, record) as writer:
        for sample_id in ids:
            writer.append(runs.row(record, sample_id))


def test_a_run_reads_back_as_it_was_written(tmp_path):
    record = runs.record()
    write(tmp_path, record, ["a", "b"])
    [run] = read_runs([tmp_path])
    assert run.record == record
    assert [row["sample_id"] for row in run.rows] == ["a", "b"]


def test_opening_again_knows_what_is_done(tmp_path):
    record = runs.record()
    write(tmp_path, record, ["a"])
    with RunWriter(tmp_path, record) as writer:
        assert writer.done == {("a", 1)}
        assert writer.recovered is None
        writer.append(runs.row(record, "a", epoch=2))
        assert writer.done == {("a", 1), ("a", 2)}


def test_a_writer_of_what_comes_once_remembers_only_what_was_there(tmp_path):
    record = runs.record()
    write(tmp_path, record, ["a"])
    with RunWriter(tmp_path, record, once=True) as writer:
        writer.append(runs.row(record, "b"))
        assert writer.done == {("a", 1)}
    with RunWriter(tmp_path, record) as writer:
        assert writer.done == {("a", 1), ("b", 1)}


@given(cut=st.integers(1, 400))
@settings(max_examples=25, deadline=None)
def test_a_cut_file_loses_the_half_line_and_nothing_else(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("run")
    record = runs.record()
    write(folder, record, ["a", "b"])
    path = folder / "samples.jsonl"
    whole = path.read_bytes()
    last = len(whole.split(b"\n")[1]) + 1
    cut = min(cut, last - 1)
    path.write_bytes(whole[:-cut])
    with RunWriter(folder, record) as writer:
        if cut == 1:  # only the line end was missing
            assert writer.done == {("a", 1), ("b", 1)}
        else:
            assert writer.done == {("a", 1)}
            assert "half-written" in writer.recovered
            writer.append(runs.row(record, "b"))
    assert path.read_bytes() == whole


def test_each_sample_survives_kill_9(tmp_path):
    def work():
        writer = RunWriter(tmp_path, runs.record())
        writer.append(runs.row(runs.record(), "a"))
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with RunWriter(tmp_path, runs.record()) as writer:
        assert writer.done == {("a", 1)}


def test_a_full_disk_is_named_and_the_file_stays_whole(tmp_path):
    path = tmp_path / "samples.jsonl"

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with RunWriter(tmp_path, runs.record()) as writer:
            writer.append(runs.row(runs.record(), "a"))
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, -1))
            with pytest.raises(UserError, match="make room; the same command goes on"):
                writer.append(runs.row(runs.record(), "b"))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert path.read_text().endswith("}\n")
    assert [json.loads(line)["sample_id"] for line in path.open()] == ["a"]


def test_another_run_in_the_folder_is_refused_by_its_differences(tmp_path):
    write(tmp_path, runs.record(), ["a"])
    with pytest.raises(UserError, match=r'model is "nano" there and "giant" now.*--out'):
        RunWriter(tmp_path, runs.record(model="giant"))
    write(tmp_path, runs.record(), ["b"])


def test_samples_of_another_run_are_refused(tmp_path):
    other = runs.record(seed=1)
    (tmp_path / "samples.jsonl").write_text(json.dumps(runs.row(other)) + "\n")
    with pytest.raises(UserError, match=f"samples.jsonl line 1 belongs to run '{other['run_id']}'"):
        RunWriter(tmp_path, runs.record())


def test_damage_before_the_last_line_is_no_reason_to_guess(tmp_path):
    record = runs.record()
    write(tmp_path, record, ["a", "b"])
    path = tmp_path / "samples.jsonl"
    path.write_text("{" + path.read_text())
    with pytest.raises(UserError, match=r"samples\.jsonl line 1 is not JSON"):
        RunWriter(tmp_path, record)


def test_a_damaged_run_json_is_named(tmp_path):
    write(tmp_path, runs.record(), ["a"])
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json is not JSON"):
        RunWriter(tmp_path, runs.record())


def test_two_writers_at_once_are_refused(tmp_path):
    with (
        RunWriter(tmp_path, runs.record()),
        pytest.raises(UserError, match="another process is writing"),
    ):
        RunWriter(tmp_path, runs.record())


def test_a_file_where_the_folder_should_be_is_named(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="choose another --out"):
        RunWriter(tmp_path / "out", runs.record())


def test_no_temporary_file_stays_behind(tmp_path):
    write(tmp_path, runs.record(), ["a"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.json", "samples.jsonl"]


def test_lines_hold_no_other_line_separator(tmp_path):
    record = runs.record()
    with RunWriter(tmp_path, record) as writer:
        writer.append({**runs.row(record), "answer": "a\u2028b\x85c\ud800"})
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) == 1
    [run] = read_runs([tmp_path])
    assert run.rows[0]["answer"] == "a\u2028b\x85c\ud800"
