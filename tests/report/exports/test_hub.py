"""`s1-eval leaderboard export --format hub` writes what the hub's own library reads."""

import re

import pytest
import runs
import yaml
from huggingface_hub import parse_eval_result_entries

from s1_eval.cli.main import main
from s1_eval.records import RunWriter

BENCHMARK = ("--benchmark", "toy=lab/questions:default")


def export(paths, out, *more):
    return main(["leaderboard", "export", str(paths), "--format", "hub", "--out", str(out), *more])


def results(path):
    return parse_eval_result_entries(yaml.safe_load(path.read_text()))


def files(folder):
    """The results of every variant, by value."""
    paths = (folder / "lab/thinker/.eval_results").glob("*.yaml")
    return sorted((each for path in paths for each in results(path)), key=lambda each: each.value)


def test_every_run_is_a_variant_with_a_file_of_its_own(recorded, tmp_path):
    assert export(recorded, tmp_path, *BENCHMARK, "--source-url", "https://example.org/board") == 0
    names = [path.name for path in (tmp_path / "lab/thinker/.eval_results").iterdir()]
    assert len(names) == 2
    assert all(re.fullmatch(r"toy_budget_forcing_[0-9a-f]{12}\.yaml", name) for name in names)
    found = files(tmp_path)
    assert {each.date for each in found} == {"2026-11-26T09:00:00+00:00"}
    assert {each.source_name for each in found} == {"s1_eval"}
    assert [each.value for each in found] == [25.0, 75.0]
    assert {(each.dataset_id, each.task_id) for each in found} == {("lab/questions", "default")}
    assert found[0].source_url == "https://example.org/board"
    assert "budget_forcing, max_thinking_tokens=32; accuracy in percent, 20 questions" in (
        found[0].notes
    )
    assert "95% interval 11.2 to 46.9" in found[0].notes


def test_a_revision_is_given_for_its_own_data_set_only(recorded, tmp_path):
    export(recorded, tmp_path / "same", *BENCHMARK)
    export(recorded, tmp_path / "other", "--benchmark", "toy=lab/board:default")
    assert {each.dataset_revision for each in files(tmp_path / "same")} == {"0a1b2c3"}
    assert {each.dataset_revision for each in files(tmp_path / "other")} == {None}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"unasked": 480}, "partial: 2 of the 482 questions were asked"),
        (
            {"harness": "lm-eval", "command": ["lm_eval", "--limit", "2"]},
            "partial: the command may have asked a part of the questions",
        ),
        ({"left_out": 3}, "partial: 3 of 5 rows are missing"),
        ({}, None),
    ],
)
def test_a_partial_run_says_so(tmp_path, told, said):
    record = runs.record(model="lab/thinker", **told)
    with RunWriter(tmp_path / "run", record) as writer:
        for i in range(2):
            writer.append(runs.row(record, f"q{i}"))
    assert export(tmp_path / "run", tmp_path / "out", *BENCHMARK) == 0
    [found] = files(tmp_path / "out")
    assert found.notes.startswith(said or "budget_forcing; accuracy in percent")


def test_a_sweep_with_a_limit_is_partial(tmp_path):
    run = ["sweep", "--model", "s1_hf/nano", "--task", "nano", "--method", "budget_forcing"]
    run += ["--max-thinking-tokens", "8", "--limit", "2", "--out", str(tmp_path / "run")]
    assert main(run) == 0
    options = ("--benchmark", "nano=lab/questions:x", "--model-id", "nano=lab/thinker")
    assert export(tmp_path / "run", tmp_path / "out", *options) == 0
    [found] = files(tmp_path / "out")
    assert found.notes.startswith("partial: 2 of the 500 questions were asked")


def test_what_the_records_do_not_say_is_asked_for(recorded, tmp_path, capsys):
    assert export(recorded, tmp_path / "out") == 2
    assert "add --benchmark toy=DATASET:TASK_ID" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["nano", "../../evil/x", "/lab/thinker", "a/b/c", ".ssh/x"])
def test_a_model_without_a_hub_name_is_asked_for(tmp_path, capsys, name):
    record = runs.record(model=name)
    with RunWriter(tmp_path / "run", record) as writer:
        writer.append(runs.row(record))
    assert export(tmp_path / "run", tmp_path / "out", *BENCHMARK) == 2
    assert f"add --model-id {name}=ORGANISATION/NAME" in capsys.readouterr().err
    assert export(tmp_path / "run", tmp_path / "out", *BENCHMARK, "--model-id", f"{name}=a/b") == 0
    [path] = (tmp_path / "out").rglob("*.yaml")
    assert path.parent == tmp_path / "out/a/b/.eval_results"


def test_a_folder_with_a_hub_like_name_is_no_hub_name(recorded, tmp_path, capsys, monkeypatch):
    (tmp_path / "lab" / "thinker").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert export(recorded, tmp_path / "out", *BENCHMARK) == 2
    assert "--model-id lab/thinker=ORGANISATION/NAME" in capsys.readouterr().err


def test_a_task_name_never_leads_out_of_the_folder(tmp_path):
    record = runs.record(model="lab/thinker", task="../../evil")
    with RunWriter(tmp_path / "run", record) as writer:
        writer.append(runs.row(record))
    export(tmp_path / "run", tmp_path / "out", "--benchmark", "../../evil=lab/questions:x")
    [path] = tmp_path.rglob("*.yaml")
    assert path.parent == tmp_path / "out/lab/thinker/.eval_results"
