"""Folders as people have them: what can't be used is skipped and told of, and never changes a
number in silence; a file given by its own name is still an error."""

import json

import pytest
import runs

from s1_eval.cli.main import main
from s1_eval.errors import UserError
from s1_eval.records import RunWriter, read_rows, read_runs


def write_ours(folder, record, rows):
    with RunWriter(folder, record) as writer:
        for row in rows:
            writer.append(row)


@pytest.fixture
def folder(tmp_path):
    """Two good runs."""
    for cap in (16, 64):
        record = runs.record(method_params={"max_thinking_tokens": cap})
        rows = [runs.row(record, f"q{i}", thinking=cap, budget=cap) for i in range(5)]
        write_ours(tmp_path / f"cap{cap}", record, rows)
    return tmp_path


def spoil(folder, how):
    """A third run that can't be used."""
    planned = {"planned_samples": 30} if how == "unfinished" else {}
    record = runs.record("plain", **planned)
    rows = [runs.row(record, f"q{i}", correct=False) for i in range(5)]
    if how == "invalid row":
        rows[3] = {**rows[3], "thinking_tokens": -1}
    write_ours(folder / "bad", record, rows)
    path = folder / "bad" / "samples.jsonl"
    whole = path.read_bytes()
    if how == "half-written":
        path.write_bytes(whole[:-20])
    elif how == "damaged":
        path.write_bytes(whole.replace(b"\n", b"\n{\n", 1))
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "no run.json":
        (folder / "bad" / "run.json").unlink()
    elif how == "contradicted":
        with RunWriter(folder / "bad2", record) as writer:
            writer.append({**rows[0], "correct": True})
    return path


BAD = {
    "half-written": "line 5 is half-written",
    "damaged": "line 2 is not JSON",
    "empty": "holds no sample yet",
    "no run.json": "has no run.json beside it",
    "unfinished": "has 5 of 30 samples",
    "invalid row": "line 4: thinking_tokens",
    "contradicted": "is there twice with different results",
}


@pytest.mark.parametrize("how", BAD)
def test_one_bad_run_does_not_take_the_others_down(folder, how):
    path = spoil(folder, how)
    told = []
    found = read_runs([folder], tell=told.append)
    assert [run.params["max_thinking_tokens"] for run in found] == [16, 64]
    assert all(len(run.rows) == 5 for run in found)
    [said] = told
    assert said.startswith("skipped ")
    assert str(path) in said
    assert BAD[how] in said
    if how == "contradicted":
        return  # each of the two files is good by itself
    with pytest.raises(UserError, match=BAD[how]):
        read_runs([folder, path], tell=told.append)


def test_a_good_copy_of_a_bad_file_is_taken_whole(folder):
    path = spoil(folder, "half-written")
    write_ours(folder / "copy", runs.record("plain"), _rows(path))
    assert len(read_runs([folder], tell=[].append)) == 2
    rows = [runs.row(runs.record("plain"), f"q{i}", correct=False) for i in range(5)]
    write_ours(folder / "whole", runs.record("plain"), rows)
    [plain] = [run for run in read_runs([folder], tell=[].append) if run.method == "plain"]
    assert len(plain.rows) == 5


def _rows(path):
    """The first two rows of a damaged file."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:2]]


def test_a_run_whose_rest_can_not_be_read_is_no_run(folder):
    path = spoil(folder, "half-written")  # has q0 to q3
    write_ours(folder / "copy", runs.record("plain"), _rows(path))  # has q0 and q1
    told = []
    assert "plain" not in {run.method for run in read_runs([folder], tell=told.append)}
    assert "the rest of its samples is in" in told[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("score", "PATH"),
        ("compare", "PATH:budget_forcing", "PATH:budget_forcing"),
        ("leaderboard", "build", "PATH", "--out", "OUT"),
        ("leaderboard", "check", "PATH", "--baseline", "GOOD"),
        ("audit-checker", "PATH"),
    ],
)
def test_every_command_names_what_it_skipped_last(folder, tmp_path_factory, command, capsys):
    spoil(folder, "half-written")
    out = tmp_path_factory.mktemp("out")
    put = {"PATH": str(folder), "OUT": str(out / "site"), "GOOD": str(folder / "cap16")}
    filled = []
    for word in command:
        for name, value in put.items():
            word = word.replace(name, value)
        filled.append(word)
    assert main(filled) == 0
    last = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert last.startswith("s1-eval: skipped ")
    assert "is half-written" in last


def test_a_baseline_that_can_not_be_read_whole_is_no_baseline(folder, capsys):
    spoil(folder, "damaged")
    command = ["leaderboard", "check", str(folder), "--baseline", str(folder)]
    assert main(command) == 2
    assert "the baseline can't be read whole" in capsys.readouterr().err
    assert main([*command, "--allow-different", "runs"]) == 0


def test_nothing_left_is_an_error(folder, capsys):
    path = spoil(folder, "damaged")
    assert main(["score", str(path.parent)]) == 2
    error = capsys.readouterr().err
    assert "samples.jsonl line 2 is not JSON" in error
    assert error.rstrip().endswith("see there")


@pytest.mark.slow
def test_path_and_method_choose_everywhere_and_a_file_may_have_one(folder, capsys):
    spoil(folder, "nothing")
    for path in (folder, folder / "bad" / "samples.jsonl"):
        assert main(["score", f"{path}:plain", "--json"]) == 0
        [entry] = json.loads(capsys.readouterr().out)
        assert (entry["method"], entry["performance"]["value"]) == ("plain", 0)
    assert main(["audit-checker", f"{folder}:plain", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"] == 5
    assert main(["score", f"{folder}:dvts"]) == 2
    assert "it holds budget_forcing, plain" in capsys.readouterr().err
    assert main(["score", f"{folder}/nowhere:plain"]) == 2
    assert "there is no file or folder" in capsys.readouterr().err


def test_a_run_that_at_k_can_not_use_does_not_block_the_others(folder, capsys):
    record = runs.record("plain")
    rows = [runs.row(record, f"q{i}", epoch=epoch) for i in range(5) for epoch in (1, 2)]
    write_ours(folder / "twice", record, rows)
    assert main(["at-k", str(folder), "--json"]) == 0
    said = capsys.readouterr()
    assert [found["method"] for found in json.loads(said.out)] == ["plain"]
    assert said.err.count("one sample a question: take a run of majority_vote") == 2
    assert main(["at-k", f"{folder}:budget_forcing"]) == 2


HUB = ("--benchmark", "toy=o/d:toy", "--model-id", "other=o/m")


@pytest.mark.parametrize(
    "command",
    [
        ("score",),
        ("score", "--out", "OUT"),
        ("leaderboard", "build", "--out", "OUT"),
        ("leaderboard", "export", "--format", "hub", *HUB, "--out", "OUT"),
    ],
)
def test_a_series_of_different_questions_does_not_block_the_others(
    folder, tmp_path_factory, command, capsys
):
    one = runs.record(model="other")
    write_ours(folder / "other", one, [runs.row(one, f"q{i}") for i in range(5)])
    short = runs.record(method_params={"max_thinking_tokens": 32})
    [row] = [runs.row(short, "q0", thinking=32, budget=32)]
    write_ours(folder / "short", short, [row])
    out = tmp_path_factory.mktemp("out") / "made"
    words = [str(out) if word == "OUT" else word for word in command]
    assert main([*words, str(folder)]) == 0
    said = capsys.readouterr()
    last = said.err.rstrip().splitlines()[-1]
    assert last.startswith("s1-eval: skipped the runs of budget_forcing by max_thinking_tokens")
    files = [path for path in out.rglob("*") if path.suffix in (".md", ".json", ".yaml")]
    written = " ".join([f"{path} {path.read_text()}" for path in files]) or said.out
    assert "other" in written or "/o/m/" in written
    assert "nano" not in written
    if command == ("score",):
        assert main(["score", str(folder), str(folder / "short" / "samples.jsonl")]) == 2
        assert "different questions" in capsys.readouterr().err


def test_a_run_given_by_its_file_is_not_left_out(folder, capsys):
    record = runs.record("majority_vote", method_params={"samples": 4})
    write_ours(folder / "vote", record, [runs.row(record, f"q{i}") for i in range(5)])
    path = folder / "cap16" / "samples.jsonl"
    assert main(["at-k", str(folder), str(path)]) == 2
    assert "take a run of majority_vote" in capsys.readouterr().err


def test_whole_rows_come_once_and_only_those_of_the_runs(folder):
    path = spoil(folder, "half-written")
    record = runs.record(method_params={"max_thinking_tokens": 16})
    rows = [runs.row(record, f"q{i}", thinking=16, budget=16) for i in range(5)]
    write_ours(folder / "copy", record, rows)
    found = [located.row for located in read_rows(read_runs([folder], tell=[].append))]
    assert len(found) == 10
    assert "plain" not in {row["method"] for row in found}
    assert path.exists()
