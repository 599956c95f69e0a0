"""GPQA: the archive stays closed to others, and options always stand in the same order.

No question appears here: assertions compare counts and letters, never texts that a failure would
print.
"""

import subprocess
import sys
import zipfile
from collections import Counter

import pytest

from s1_eval.answers import grader
from s1_eval.errors import UserError
from s1_eval.evaluation import gpqa

ROW = {
    "Record ID": "rec06pnAkLOr2t2mp",
    "Question": " Which colour? ",
    "Correct Answer": "red",
    "Incorrect Answer 1": "green\n",
    "Incorrect Answer 2": "blue",
    "Incorrect Answer 3": "grey",
    "High-level domain": "Physics",
}


@pytest.fixture(scope="module")
def archive(shared_data):
    return shared_data / "benchmarks" / "gpqa_dataset.encrypted.zip"


def test_a_row_becomes_a_question_with_lettered_options():
    sample = gpqa.sample(ROW)
    assert sample.prompt == "Which colour?\n\nA) blue\nB) green\nC) grey\nD) red"
    assert (sample.id, sample.target) == ("rec06pnAkLOr2t2mp", "D")
    assert sample.options == ("blue", "green", "grey", "red")
    assert grader("choice").grade("Answer: red", sample.target, sample.options).correct


@pytest.mark.parametrize(
    ("record_id", "order"),
    [
        ("rec06pnAkLOr2t2mp", (2, 1, 3, 0)),
        ("rec0Arme2jcXQZnAW", (2, 3, 0, 1)),
        ("rec0wZvZgiz320KRs", (2, 3, 0, 1)),
    ],
)
def test_the_order_of_a_questions_options_never_changes(record_id, order):
    assert gpqa.shown_order(record_id) == order


def test_the_order_does_not_depend_on_the_process():
    script = "from s1_eval.evaluation.gpqa import shown_order; print(*shown_order('recX'))"
    found = {
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {" ".join(map(str, gpqa.shown_order("recX"))).encode() + b"\n"}


def test_all_diamond_questions_are_read_and_their_right_options_are_spread(archive):
    rows = list(gpqa.read_archive(archive))
    samples = [gpqa.sample(row) for row in rows]
    assert len({s.id for s in samples}) == 198
    wrong = [
        s.id
        for s, row in zip(samples, rows, strict=True)
        if s.options["ABCD".index(s.target)] != row["Correct Answer"].strip()
    ]
    assert wrong == []
    assert set(Counter(s.target for s in samples)) == set("ABCD")
    assert min(Counter(s.target for s in samples).values()) > 30
    for sample in samples:
        grader("choice").check_target(sample.target)


@pytest.mark.parametrize(("member", "rows"), [("main", 448), ("extended", 546)])
def test_the_other_sets_are_in_the_archive_too(archive, member, rows):
    assert sum(1 for _ in gpqa.read_archive(archive, f"dataset/gpqa_{member}.csv")) == rows


def test_reading_the_archive_writes_no_file(archive):
    script = (
        "import pathlib, sys\n"
        "from s1_eval.evaluation.gpqa import read_archive, sample\n"
        "written = []\n"
        "def hook(event, args):\n"
        "    if event == 'open' and args[2] & 3:\n"
        "        written.append(args[0])\n"
        "sys.addaudithook(hook)\n"
        "rows = read_archive(pathlib.Path(sys.argv[1]))\n"
        "print(len([sample(row) for row in rows]))\n"
        "print(written)\n"
    )
    command = [sys.executable, "-c", script, str(archive)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert found.stdout == "198\n[]\n"


def test_something_else_than_the_archive_is_refused(tmp_path):
    path = tmp_path / "other.zip"
    path.write_bytes(b"PK no zip")
    with pytest.raises(UserError, match="is not GPQA's archive"):
        list(gpqa.read_archive(path))
    with zipfile.ZipFile(path, "w") as other:
        other.writestr("data.csv", "a,b\n")
    with pytest.raises(UserError, match=r"no item named 'dataset/gpqa_diamond\.csv'"):
        list(gpqa.read_archive(path))
    with pytest.raises(UserError, match="No such file"):
        list(gpqa.read_archive(tmp_path / "missing.zip"))
