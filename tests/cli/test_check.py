"""`s1-eval check` explains verdicts."""

import argparse
import json

import pytest

from s1_eval.cli import check
from s1_eval.errors import UserError


@pytest.fixture
def run(capsys):
    """Run the subcommand; its exit code and what it printed."""
    parser = argparse.ArgumentParser()
    check.add_parser(parser.add_subparsers())

    def run(*argv: str) -> tuple[int, str]:
        args = parser.parse_args(["check", *argv])
        return args.run(args), capsys.readouterr().out

    return run


def test_json_has_the_promised_keys(run):
    code, out = run("--json", "--", r"\frac{1}{2}", r"The answer is $\boxed{0.5}$.")
    verdict = json.loads(out)
    assert code == 0
    assert verdict["equal"] is True
    assert verdict["rule"] == "boxed: exact numbers"
    assert verdict["gold_read_as"] == verdict["answer_read_as"] == "1/2"
    assert verdict["milliseconds"] > 0


def test_text_says_what_was_extracted_how_it_was_read_and_what_decided(run):
    code, out = run("--", r"90^\circ", "So we get 90 in the end")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert lines[:-1] == [
        "not equal",
        "extracted 90",
        "gold read as 90 degree",
        "answer read as 90",
        "rule last number: different units",
    ]


def test_answers_that_begin_with_a_sign_are_no_options(run):
    assert json.loads(run("--json", "--", "-5", "-5.0")[1])["equal"]


@pytest.mark.parametrize(
    ("argv", "equal"),
    [
        (("--grader", "integer", "--", "025", "25"), True),
        (("--grader", "integer", "--set", "maximum=99", "--", "25", "125"), False),
        (("--grader", "choice", "--", "C", "(C)"), True),
        (("--grader", "choice", "--option", "x", "--option", "y", "--", "B", "Answer: y"), True),
        (("--set", "degrees=false", "--", r"90^\circ", "90"), True),
        (("--set", "tolerance=0.01", "--", r"\pi", "3.14"), True),
        (("--set", "order=none", "--", "(1,2)", "(2,1)"), True),
    ],
)
def test_the_grader_and_its_strictness_are_options(run, argv, equal):
    assert json.loads(run("--json", *argv)[1])["equal"] is equal


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--", r"\frac{1}{", "1"), "can't be read: unbalanced braces"),
        (("--grader", "integer", "--", "x", "1"), "not an integer: correct the data"),
        (
            ("--grader", "integer", "--set", "maximum=99", "--", "100", "1"),
            "not an integer from any to 99",
        ),
        (("--set", "degrees", "--", "1", "1"), "give KEY=VALUE"),
        (("--set", "colour=red", "--", "1", "1"), "does not take these settings"),
    ],
)
def test_mistakes_are_named(run, argv, message):
    with pytest.raises(UserError, match=message):
        run(*argv)


def test_control_characters_of_an_answer_do_not_reach_the_terminal(run):
    _, out = run("--", "5", r"\boxed{\x1b[2J" + "\x1b[31m5}")
    assert "\x1b" not in out


@pytest.mark.slow
def test_a_file_of_pairs_gets_one_verdict_a_line_in_order(run, tmp_path):
    lines = [
        {"grader": "math", "gold": "20", "answer": r"\boxed{x^2 = 20}"},
        {"grader": "integer", "gold": 1234, "answer": "Final Answer: 1234"},
        "no JSON",
        {"grader": "choice", "gold": "E", "answer": "I choose E", "options": list("vwxyz")},
        {"grader": "math", "gold": r"x+1", "answer": r"\boxed{x + 2^{3^{x^{9^{9}}}} + 1000000!}"},
        {"grader": "math", "gold": r"\frac{1}{", "answer": "1"},
        {"grader": "choice", "gold": "E", "answer": "E", "options": ["x", "y"]},
        {"grader": "other", "gold": "1", "answer": "1"},
        {"gold": "1", "answer": "1"},
        {"grader": "math", "gold": "1", "answer": 1},
        [],
        {"grader": "math", "gold": float("nan"), "answer": "1"},
        {"grader": "choice", "gold": "A", "answer": "A", "options": {}},
        {"grader": "math", "gold": "1, 2", "answer": ",".join(["100"] * 1000)},
        {"grader": "math", "gold": r"\frac{1}{2}", "answer": "It is\u2028 $0.5$"},
    ]
    file = tmp_path / "pairs.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_bytes("\n".join(texts).encode() + b"\n\xff\n")
    code, out = run("--json", "--file", str(file))
    found = [json.loads(line) for line in out.rstrip("\n").split("\n")]
    assert code == 0
    assert [row.get("equal", "error") for row in found] == [
        False, True, "error", True, False, "error", "error", "error", "error", "error", "error",
        "error", "error", False, True, "error",
    ]  # fmt: skip
    assert {"equal", "rule", "gold_read_as", "answer_read_as", "milliseconds"} <= found[0].keys()
    assert all(isinstance(row["error"], str) and row["error"] for row in found if "error" in row)


def test_a_file_that_is_not_there_is_named(run):
    with pytest.raises(UserError, match=r"can't read nowhere\.jsonl"):
        run("--json", "--file", "nowhere.jsonl")
