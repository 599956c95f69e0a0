"""Which questions stand in training data, named with where; secret words are never printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from s1_eval.cli.main import main
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Benchmark, Sample
from s1_eval.training.curation.contamination import contamination, texts

QUESTIONS = {
    "walk": "Every morning Aya goes for a long walk and stops at a shop.",
    "sum": "What is 6*7?",
    "new": "How many rubies has the crown of the queen of hearts got today?",
}


def asked(secret: bool = False) -> Benchmark:
    return Benchmark(
        "mine",
        lambda row: Sample(row["id"], f"Answer in a box.\n\n{row['q']}", "7", question=row["q"]),
        "integer",
        generate=lambda: [{"id": id, "q": text} for id, text in QUESTIONS.items()],
        secret=secret,
    )


@pytest.fixture
def training(tmp_path: Path) -> Path:
    folder = tmp_path / "training"
    (folder / "deep").mkdir(parents=True)
    turns = [{"role": "user", "content": "every morning  AYA goes for\na long walk they say"}]
    (folder / "chats.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    (folder / "deep" / "sums.csv").write_text("question,answer\nWhat is 6*7?,42\n")
    (folder / "notes.md").write_text(QUESTIONS["new"])
    return folder


def test_questions_are_found_in_any_row_of_any_file(training: Path) -> None:
    [found] = contamination([(asked(), None)], [str(training)])
    assert (found.task, found.questions) == ("mine", 3)
    assert {id: (o.name, o.words) for id, o in found.found.items()} == {
        "walk": (f"{training}/chats.jsonl, row 1", "every morning aya goes for a long walk"),
        "sum": (f"{training}/deep/sums.csv, row 1", "what is 6*7?"),
    }


def test_two_tasks_of_one_name_are_told_apart(training: Path) -> None:
    other = Benchmark(
        "mine",
        lambda row: Sample("walk", QUESTIONS["new"], "7"),
        "integer",
        generate=lambda: [{}],
    )
    one, two = contamination([(asked(), None), (other, None)], [str(training)])
    assert (len(one.found), len(two.found)) == (2, 0)


def test_words_of_a_secret_benchmark_stay_so(training: Path) -> None:
    [found] = contamination([(asked(secret=True), None)], [str(training)])
    assert {o.words for o in found.found.values()} == {None}


def test_an_instruction_is_no_question(tmp_path: Path) -> None:
    said = "Put your final answer within a box and then say nothing more at all, thank you."
    (tmp_path / "chats.jsonl").write_text(json.dumps({"text": said}) + "\n")
    about = Benchmark(
        "mine",
        lambda row: Sample("a", f"{said}\n\nFind x.", "7", question="Find x."),
        "integer",
        generate=lambda: [{}],
    )
    assert not contamination([(about, None)], [str(tmp_path)])[0].found


def test_a_folder_without_rows_and_a_file_that_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no file of rows"):
        list(texts([str(tmp_path)]))
    with pytest.raises(UserError, match="can't read"):
        list(texts([str(tmp_path / "none.jsonl")]))


def test_the_command_names_them(
    training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.jsonl"
    rows = [{"id": id, "question": text, "answer": "7"} for id, text in QUESTIONS.items()]
    mine.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["contamination", str(training), "--task", str(mine), "--grader", "integer"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "mine: 2 of 3 questions share eight words in a row with the training data" in said
    assert "  sum: " in said
    assert main([*command, "--json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert found["found"]["walk"]["words"] == "every morning aya goes for a long walk"


def test_the_command_takes_what_opens_a_task(
    training: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    months = tmp_path / "arxivmath_0926.jsonl"
    months.write_text(
        json.dumps({"problem_idx": 1, "problem": QUESTIONS["walk"], "answer": "7"}) + "\n"
    )
    asked = ["contamination", str(training), "--task"]
    assert main([*asked, "arxivmath", "-T", "month=0926", "--data", str(months)]) == 0
    assert "arxivmath_0926: 1 of 1 questions" in capsys.readouterr().out
    columns = ["--columns", "question=problem", "answer=answer", "id=problem_idx"]
    assert main([*asked, str(months), "--grader", "math", *columns]) == 0
    assert "  1: " in capsys.readouterr().out
