"""`s1-eval leaderboard check` speaks CI: its exit code, its Markdown and its JSON."""

import json

import pytest
import runs

from s1_eval.cli.main import main
from s1_eval.records import RunWriter


def write(folder, correct, **changes):
    record = runs.record(**changes)
    with RunWriter(folder, record) as writer:
        for i, right in enumerate(correct):
            writer.append(runs.row(record, f"q{i}", correct=right))
    return str(folder)


@pytest.fixture
def baseline(tmp_path):
    return write(tmp_path / "base", runs.graded(60, 100))


def check(new, baseline, *more):
    return main(["leaderboard", "check", new, "--baseline", baseline, *more])


def test_no_regression_is_exit_code_0(tmp_path, baseline, capsys):
    assert check(write(tmp_path / "new", runs.graded(61, 100), dtype="bfloat16"), baseline) == 0
    said = capsys.readouterr().out
    assert "## Regressions: none" in said
    assert 'dtype: "float32" → "bfloat16"' in said


def test_a_regression_is_exit_code_1_and_shows_in_the_summary(tmp_path, baseline, capsys):
    summary = tmp_path / "summary.md"
    summary.write_text("# Job\n")
    new = write(tmp_path / "new", runs.graded(40, 100))
    assert check(new, baseline, "--summary", str(summary)) == 1
    text = summary.read_text()
    assert text.startswith("# Job\n## Regressions: 1 of 2 comparisons")
    assert "| **worse** | toy | budget_forcing | accuracy | 60.0 | 40.0 | -20.0 points |" in text
    assert capsys.readouterr().out in text


def test_what_cant_be_compared_is_exit_code_2(tmp_path, baseline, capsys):
    new = write(tmp_path / "new", runs.graded(60, 100), grader={"name": "math"})
    assert check(new, baseline) == 2
    assert "the checker differs" in capsys.readouterr().err
    assert check(new, baseline, "--allow-different", "checker") == 0


def test_json_holds_every_comparison(tmp_path, baseline, capsys):
    assert check(write(tmp_path / "new", runs.graded(40, 100)), baseline, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["regression"] is True
    assert [c["metric"] for c in report["comparisons"]] == ["accuracy", "thinking_tokens"]
    assert report["comparisons"][0]["change"] == -20


def test_names_from_records_stay_inert_in_markdown(tmp_path, capsys):
    evil = "<img src=x>|`"
    old = write(tmp_path / "a", [True] * 5, task=evil)
    new = write(tmp_path / "b", [True] * 5, task=evil, dtype="x")
    assert check(new, old) == 0
    assert r"\<img src=x\>\|\`" in capsys.readouterr().out


def test_names_of_files_and_settings_never_drive_the_terminal(tmp_path, capsys):
    escape = "\x1b[31m"
    same = {"method_params": {f"{escape}x": 1}, "task": "toy"}
    old = write(tmp_path / f"a{escape}", [True] * 5, **same)
    new = write(tmp_path / "b", [True] * 5, **same, versions={f"{escape}v": "1"})
    assert check(new, old) == 0
    (tmp_path / f"a{escape}" / "samples.jsonl").write_text("broken\n")
    assert check(new, old) == 2
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "a\\x1b[31m/samples.jsonl line 1 is not JSON" in said.err
