"""`s1-eval audit-checker` grades recorded answers again and lists disagreements."""

import argparse
import json

import pytest

from s1_eval.cli import audit_checker
from s1_eval.cli.inputs import Inputs, add_paths
from s1_eval.errors import UserError

OPPONENTS = {"Math-Verify", "Inspect math()", "lm-eval minerva", "lm-eval hendrycks"}


@pytest.fixture
def run(capsys):
    """Run the subcommand; what it printed."""
    parser = argparse.ArgumentParser()
    audit_checker.add_parser(parser.add_subparsers())

    def run(*argv: object) -> str:
        args = parser.parse_args(["audit-checker", *map(str, argv)])
        assert args.run(args) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def recorded(tmp_path):
    rows = [
        {"gold": "4", "answer": "4", "correct": True},
        {"gold": r"90^\circ", "answer": "90", "correct": True},
        {"gold": r"\frac{1}{2}", "answer": "Final Answer: 0.5", "correct": False},
        {"gold": "x+1", "answer": "1+x"},
        {"gold": "7", "answer": ""},
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.slow
def test_every_disagreement_is_listed_with_versions_and_times(run, recorded):
    found = json.loads(run("--json", recorded))
    assert found["answers"] == 5
    assert set(found["checkers"]) == OPPONENTS | {"s1_eval", "recorded"}
    for name in OPPONENTS:
        checker = found["checkers"][name]
        assert checker["version"]
        assert checker["missing"] or (checker["graded"], checker["mean_milliseconds"] > 0) == (4, 1)
    assert found["checkers"]["s1_eval"]["correct"] == 3
    disagreements = {row["gold"]: row for row in found["disagreements"]}
    assert {r"90^\circ", r"\frac{1}{2}"} <= set(disagreements)
    verdicts = disagreements[r"90^\circ"]["verdicts"]
    assert verdicts["recorded"]["equal"]
    assert verdicts["Math-Verify"]["equal"]
    assert not verdicts["s1_eval"]["equal"]
    assert disagreements[r"90^\circ"]["where"] == f"{recorded} line 2"


@pytest.mark.slow
def test_the_table_names_checkers_and_the_list_says_who_says_what(run, recorded):
    out = run(recorded)
    assert "Math-Verify" in out
    assert "gold 90^\\circ" in out
    assert "s1_eval no" in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no answers to grade"),
        ('{"question": "2+2"}\n', "has no answers to grade"),
        ("not json\n", "is not JSON"),
        ('{"gold": "\\\\frac{", "answer": "1"}\n', "can't be read"),
    ],
)
def test_files_without_readable_answers_are_named(run, tmp_path, content, message):
    path = tmp_path / "answers.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        run(path)


def test_a_missing_file_is_named(run, tmp_path):
    with pytest.raises(UserError, match="no file or folder"):
        run(tmp_path / "missing.jsonl")


def test_it_counts_what_score_counts(tmp_path):
    """Every filter's line is the same sample; every repeat is one; a cut row has no answer."""
    row = {
        "doc_id": 0,
        "target": "7",
        "arguments": [],
        "resps": [["a</think>7", "a</think>8", "7"]],
    }
    path = tmp_path / "samples_x_2026-01-01T00-00-00.jsonl"
    lines = [json.dumps({**row, "filter": name}) for name in ("strict", "loose")]
    path.write_text("".join(line + "\n" for line in lines))
    parser = argparse.ArgumentParser()
    add_paths(parser)
    told = [str(tmp_path), "--regrade", "integer", "--columns", "model==m"]
    args = parser.parse_args(told)
    found = audit_checker.read(args.paths, Inputs(args, counted=False))
    assert [(each.answer, each.correct) for each in found] == [
        ("7", True),
        ("8", False),
        ("", False),
    ]
