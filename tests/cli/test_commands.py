"""`s1-eval` as a user types it, on the embedded model."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import forked
import pytest

from s1_eval.cli.main import main
from s1_eval.json_lines import AppendedLines, read_lines
from s1_eval.records import read_runs, validate_run, validate_sample
from s1_eval.records.readers import MAY_DIFFER

SWEEP = (
    *("sweep", "--model", "s1_hf/nano", "--task", "nano"),
    *("--methods", "plain,budget_forcing", "--max-thinking-tokens", "16,64"),
    *("--num-ignores", "0,1", "--limit", "12"),
)


def folder(out: Path, settings: str) -> Path:
    """A run's folder, by the readable part of its name; a hash of all settings follows."""
    [found] = out.glob(f"{settings}-??????????")
    return found


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("sweep") / "nano"
    assert main([*SWEEP, "--out", str(out)]) == 0
    return out


def test_a_sweep_leaves_records_that_fit_the_published_schema(swept):
    runs = sorted(p.parent for p in swept.glob("*/run.json"))
    assert [run.name.rpartition("-")[0] for run in runs] == [
        "budget_forcing_max_thinking_tokens=16",
        "budget_forcing_max_thinking_tokens=64",
        "budget_forcing_num_ignores=0",
        "budget_forcing_num_ignores=1",
        "plain",
    ]
    for run in runs:
        validate_run(json.loads((run / "run.json").read_text()))
        assert len(rows(run)) == 12
        for row in rows(run):
            validate_sample(row)


def test_a_cap_holds_for_every_sample(swept):
    for row in rows(folder(swept, "budget_forcing_max_thinking_tokens=16")):
        assert row["thinking_tokens"] <= 16
        assert row["budget"] == 16


def test_what_a_sweep_leaves_beside_the_records(swept):
    for name in (
        "table.txt",
        "table.md",
        "report.html",
        "accuracy_vs_thinking_tokens.png",
        "accuracy_vs_thinking_tokens.svg",
    ):
        assert (swept / name).stat().st_size > 100, name


def test_the_cache_answers_smaller_caps_from_the_longest_run(swept):
    reused = sum(
        row["reused_tokens"] for row in rows(folder(swept, "budget_forcing_max_thinking_tokens=16"))
    )
    assert reused == 12 * 16


def test_score_prints_the_fixed_keys(swept, capsys):
    assert main(["score", str(swept), "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    by_series = {(e["method"], e["varied"]): e for e in entries}
    assert set(by_series) == {
        ("plain", None),
        ("budget_forcing", "max_thinking_tokens"),
        ("budget_forcing", "num_ignores"),
    }
    caps = by_series["budget_forcing", "max_thinking_tokens"]
    assert caps["control"]["value"] == 100.0
    assert caps["runs"] == 2
    assert by_series["plain", None]["scaling"]["value"] is None
    assert by_series["plain", None]["scaling"]["note"]
    for entry in entries:
        assert {"model", "task", "method", "runs", "control", "scaling", "performance"} <= set(
            entry
        )


def test_the_same_command_again_decodes_and_writes_nothing(swept):
    before = {p: p.read_bytes() for p in swept.glob("*/samples.jsonl")}
    assert main([*SWEEP, "--out", str(swept)]) == 0
    assert {p: p.read_bytes() for p in swept.glob("*/samples.jsonl")} == before


@pytest.mark.slow
def test_a_packed_sweep_leaves_packed_rows_and_goes_on_with_them(swept, tmp_path):
    shutil.copytree(swept / "cache", tmp_path / "cache")  # which answers it all
    assert main([*SWEEP, "--out", str(tmp_path), "--packed"]) == 0
    before = {p: p.read_bytes() for p in tmp_path.glob("*/samples.jsonl.zst")}
    assert len(before) == 5
    assert not [*tmp_path.glob("*/samples.jsonl")]
    assert main([*SWEEP, "--out", str(tmp_path)]) == 0
    assert {p: p.read_bytes() for p in tmp_path.glob("*/samples.jsonl.zst")} == before


@pytest.fixture(scope="module")
def packed(swept, tmp_path_factory) -> Path:
    """The sweep's records, packed."""
    out = tmp_path_factory.mktemp("sweep") / "packed"
    shutil.copytree(swept, out, ignore=shutil.ignore_patterns("cache"))
    for path in out.glob("*/samples.jsonl"):
        with AppendedLines(path.with_suffix(".jsonl.zst"), out, "") as lines:
            for _, row in read_lines(path):
                lines.append(row)
        path.unlink()
    return out


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("score", "{}", "--json"),
        ("compare", "{}:plain", "{}:budget_forcing", "--at", "thinking_tokens"),
        ("advise", "{}"),
        ("leaderboard", "check", "{}", "--baseline", "{}"),
        ("plan", *SWEEP[1:5], "--method", "plain", "--points", "5", "--pilot", "{}"),
    ],
    ids=lambda command: command[0],
)
def test_what_reads_records_reads_packed_ones(command, swept, packed, capsys):
    said = []
    for folder in (swept, packed):
        code = main([part.replace("{}", str(folder)) for part in command])
        said.append((code, capsys.readouterr().out.replace(str(folder), "FOLDER")))
    assert said[0] == said[1]
    assert said[0][0] == 0


def test_a_leaderboard_of_packed_records_is_that_of_plain_ones(swept, packed, tmp_path):
    for folder in (swept, packed):
        assert (
            main(["leaderboard", "build", str(folder), "--out", str(tmp_path / folder.name)]) == 0
        )
    sites = [
        {p.relative_to(tmp_path / f.name) for p in (tmp_path / f.name).rglob("*")}
        for f in (swept, packed)
    ]
    assert sites[0] == sites[1]


SAME_ALONE = {"cached_tokens", "flops"}
"""What a row costs, whatever other runs have left in a cache."""


@pytest.mark.slow
def test_the_same_seed_gives_the_same_records(swept, tmp_path):
    command = [*SWEEP, "--out", str(tmp_path), "--no-cache"]
    assert main(command) == 0

    def told(folder: Path) -> dict:
        return {
            (run.name, row["sample_id"]): {
                key: [{**t, "reused": 0} for t in value] if key == "traces" else value
                for key, value in row.items()
                if key not in MAY_DIFFER - SAME_ALONE
            }
            for run in sorted(p.parent for p in folder.glob("*/samples.jsonl"))
            for row in rows(run)
        }

    assert told(tmp_path) == told(swept)


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_loses_no_finished_sample(tmp_path):
    command = ["s1_eval.cli.main", *SWEEP, "--out", str(tmp_path)]
    command[command.index("12")] = "60"
    process = forked.start(*command, cwd=tmp_path)
    deadline = time.monotonic() + 300
    finished: dict[Path, bytes] = {}
    while time.monotonic() < deadline and process.is_alive():
        finished = {p: p.read_bytes() for p in tmp_path.glob("*/samples.jsonl")}
        if sum(text.count(b"\n") for text in finished.values()) >= 20:
            break
        time.sleep(0.02)
    process.kill()
    process.join()
    assert any(finished.values())
    assert forked.run(*command, cwd=tmp_path).returncode == 0
    for path, text in finished.items():
        complete = text[: text.rfind(b"\n") + 1]
        assert path.read_bytes().startswith(complete)
    for run in read_runs([tmp_path]):
        assert len({row["sample_id"] for row in run.rows}) == len(run.rows) == 60


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "nano"], "s1_hf/nano"),
        (["--task", "nan"], "did you mean 'nano'"),
        (["--methods", "budget_forcng"], "did you mean 'budget_forcing'"),
        (["--max-thinking-tokens", "0"], "give a whole number of 1 or more"),
        (["-S", "ignore_strin=Hm"], "did you mean 'ignore_string'"),
        (["-S", "thinking_format=xml"], "think_tags"),
        (["-S", "min_thinking_tokens=99", "--max-thinking-tokens", "64"], "lower the minimum"),
        (["--limit", "0"], "give 1 or more"),
        (["--temperature", "-1"], "temperature=-1"),
        (["--methods", "majority_vote"], "needs --samples"),
        (["--data", "/no/such/folder"], "nothing readable is there"),
        (["-M", "dtype"], "KEY=VALUE"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(arguments, says, tmp_path, capsys, monkeypatch):
    def loaded(*args, **kwargs):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("s1_eval.evaluation.sweep.open_engine", loaded)
    base = ["sweep", "--model", "s1_hf/nano", "--task", "nano", "--methods", "budget_forcing"]
    assert main([*base, "--out", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert says in error


def test_a_model_that_does_not_exist_is_named(tmp_path, capsys):
    command = [*SWEEP, "--out", str(tmp_path)]
    command[2] = "s1_hf/./no-such-model"
    assert main(command) == 2
    assert "no-such-model" in capsys.readouterr().err


@pytest.mark.parametrize("content", ['{"run_id": ', "not json\n"])
def test_a_damaged_record_is_named_with_its_line(swept, tmp_path, content, capsys):
    copy = tmp_path / "plain"
    copy.mkdir()
    (copy / "run.json").write_bytes((folder(swept, "plain") / "run.json").read_bytes())
    (copy / "samples.jsonl").write_text(content)
    assert main(["score", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "samples.jsonl" in error
    assert "1" in error


def test_a_folder_without_records_says_what_is_looked_for(tmp_path, capsys):
    assert main(["score", str(tmp_path)]) == 2
    assert "samples.jsonl" in capsys.readouterr().err


def test_doctor_shows_every_forced_token_and_loads_no_weights(capsys, monkeypatch):
    monkeypatch.setattr(
        "transformers.AutoModelForCausalLM.from_pretrained",
        lambda *a, **k: pytest.fail("weights were loaded"),
    )
    assert main(["doctor", "--model", "s1_hf/nano", "--num-ignores", "1"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for event in ("thinking starts", "an end is ignored", "natural end", "forced end"):
        assert event in shown
    assert "Wait" in shown
    assert "<|im_start|>·answer" in shown


def test_compare_puts_two_methods_side_by_side(swept, capsys):
    capped = str(folder(swept, "budget_forcing_max_thinking_tokens=16"))
    assert main(["compare", capped, f"{swept}:plain", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert found["difference"] == found["first_accuracy"] - found["second_accuracy"] < 0
    assert main(["compare", capped, f"{swept}:plain"]) == 0
    assert "| Difference |" in capsys.readouterr().out
    assert main(["compare", capped, f"{swept}:dvts"]) == 2
    assert "it holds budget_forcing, plain" in capsys.readouterr().err


@pytest.mark.slow
def test_advise_goes_from_a_range_of_caps_to_what_to_do(tmp_path, capsys):
    """Greedy chains of nano share their beginnings, and the records show it."""
    sweep = [*SWEEP[:5], "--method", "budget_forcing", "--max-thinking-tokens", "2^4..2^6"]
    assert main([*sweep, "--limit", "12", "--out", str(tmp_path / "runs")]) == 0
    capsys.readouterr()
    asked = ["advise", str(tmp_path / "runs")]
    assert main([*asked, "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert (found["budgets"], found["shared"], found["questions"]) == ([16, 32, 64], True, 12)
    for i, cap in enumerate((16, 32, 64)):
        recorded = rows(folder(tmp_path / "runs", f"budget_forcing_max_thinking_tokens={cap}"))
        spot = found["curves"][0]["spots"][i]
        assert spot["accuracy"]["value"] == pytest.approx(
            100 * sum(row["correct"] for row in recorded) / 12
        )
        assert spot["cost"]["value"] == pytest.approx(
            sum(row["generated_tokens"] for row in recorded) / 12
        )
    assert main([*asked, "--at", "thinking_tokens", "--out", str(tmp_path / "out")]) == 0
    assert found["method"] in capsys.readouterr().out
    assert (tmp_path / "out" / "advice.png").stat().st_size > 10_000
    assert main([*asked, "--at", "usd"]) == 2
    assert "--prices" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["32-64", "32..64", "2^6..2^4"])
def test_a_range_that_is_none_is_refused_before_a_model_is_loaded(given, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(
            [*SWEEP[:5], "--method", "budget_forcing", "--max-thinking-tokens", given, "--out", "x"]
        )
    assert "2^" in capsys.readouterr().err


@pytest.mark.slow
def test_at_k_reads_every_k_from_one_run(tmp_path, capsys):
    sweep = [*SWEEP[:5], "--method", "majority_vote", "--samples", "4", "--limit", "6"]
    assert main([*sweep, "--out", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["at-k", str(tmp_path), "--k", "1,4", "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    [recorded] = {
        tuple(row["correct"] for row in rows(folder(tmp_path, "majority_vote_samples=4")))
    }
    voted = found["at"][1]["metrics"]["maj@k"]["value"]
    assert voted == pytest.approx(100 * sum(recorded) / 6, rel=1e-12)
    assert main(["at-k", str(tmp_path)]) == 0
    assert "pass@1[avg-of-4]" in " ".join(capsys.readouterr().out.split())
    assert main(["at-k", str(tmp_path), "--k", "5"]) == 2
    assert "choose k from 1 to 4" in capsys.readouterr().err


@pytest.mark.slow
def test_compute_optimal_draws_what_search_strategies_gain(tmp_path, capsys):
    def sweep(out, methods, seed):
        command = [*SWEEP[:5], "--methods", methods, "--samples", "2", "--limit", "8"]
        return main([*command, "--seed", seed, "--out", str(tmp_path / out)])

    assert sweep("runs", "majority_vote,sets", "0") == 0
    assert sweep("estimate", "majority_vote", "1") == 0
    capsys.readouterr()
    command = ["compute-optimal", str(tmp_path / "runs"), "--bins", "2"]
    estimate = ["--difficulty", str(tmp_path / "estimate")]
    assert main([*command, *estimate, "--json", "--out", str(tmp_path / "out")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["strategy"] for each in found] == ["majority_vote", "sets", "compute-optimal"]
    assert (tmp_path / "out" / "accuracy_vs_tokens.png").stat().st_size > 10_000
    assert main([*command, *estimate]) == 0
    assert "compute-optimal" in " ".join(capsys.readouterr().out.split())
    assert main([*command, "--difficulty", str(tmp_path / "runs")]) == 2
    assert "holds 2 runs" in capsys.readouterr().err


@pytest.mark.slow
def test_a_plan_rests_on_a_pilot_and_loads_no_model(swept, capsys, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("s1_eval.engines.table.open_engine", refuse)
    asked = [*SWEEP[1:], "--out", "nowhere", "--questions", "30"]
    assert main(["plan", *asked, "--pilot", str(swept), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {run["source"] for run in found["runs"]} == {"pilot"}
    assert found["total"]["generated_tokens"] > 0
    assert found["total"]["hours"] > 0
    assert found["shows"]["can"] is False
    assert main(["plan", *asked, "--pilot", str(swept)]) == 0
    assert "30 questions can't show 5 points" in capsys.readouterr().out
    assert not Path("nowhere").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "a plan rests on something"),
        (["--assume", "acuracy=5"], "did you mean 'accuracy'"),
        (["--assume", "accuracy=50", "--points", "0"], "points=0"),
        (["--pilot", "no-such-folder"], "no-such-folder"),
        (["--assume", "accuracy=50", "--prices", "no-such-file"], "no-such-file"),
    ],
)
def test_a_plan_that_cannot_be_says_what_to_give(more, says, capsys):
    asked = ["--model", "s1_hf/nano", "--task", "nano", "--method", "plain"]
    assert main(["plan", *asked, *more]) == 2
    assert says in capsys.readouterr().err


def test_a_pilot_of_another_model_is_refused(swept, capsys):
    asked = ["--model", "s1_hf/other", "--task", "nano", "--method", "plain"]
    assert main(["plan", *asked, "--pilot", str(swept)]) == 2
    assert "a pilot of the same one" in capsys.readouterr().err


@pytest.mark.slow
def test_in_one_stream_a_question_has_the_machine_for_itself(tmp_path):
    asked = ["--model", "s1_hf/nano", "--task", "nano", "--limit", "3", "--out", str(tmp_path)]
    assert main(["sweep", *asked, "--method", "plain", "--in-flight", "1"]) == 0
    [run] = read_runs([tmp_path])
    for row in run.rows:  # two clocks, each rounded
        assert row["machine_seconds"] == pytest.approx(row["seconds"], abs=0.01)


@pytest.mark.parametrize(
    "command", ["score", "advise", "at-k", "compute-optimal", "leaderboard build"]
)
def test_a_seed_below_zero_is_refused_before_anything_is_read(command, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*command.split(), "nowhere", "--seed", "-1"])
    assert "--seed" in capsys.readouterr().err
