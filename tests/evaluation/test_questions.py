"""One's own questions from files and data sets: every cell's text as it stands, clear columns,
stable ids, and errors that name row and column."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Data
from s1_eval.evaluation.named import find_task
from s1_eval.evaluation.questions import find_columns, open_questions, parse_columns, text_of
from s1_eval.evaluation.tables import Table

ROWS: list[dict[str, Any]] = [
    {"question": "What is 6*7?", "answer": "42", "level": 1},
    {"question": "And 100-93,\nin full?", "answer": "007", "level": 2},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows in the form that the file's ending says."""
    if path.suffix == ".parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix in (".csv", ".tsv"):
        import csv

        with path.open("w", encoding="utf-8", newline="") as file:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), "utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def loaded(path: Path, grader: Any = "math", **told: Any) -> Data:
    return open_questions(str(path), grader, **told).load()


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".tsv", ".parquet"])
def test_every_form_gives_the_same_questions(tmp_path: Path, ending: str) -> None:
    data = loaded(write(tmp_path / f"mine{ending}", ROWS))
    assert [s.prompt for s in data.samples] == [row["question"] for row in ROWS]
    assert [s.target for s in data.samples] == ["42", "007"]
    assert data.id == f"mine{ending}"
    assert data.chosen == {"columns": {"question": "question", "answer": "answer"}}
    by_list = loaded(write(tmp_path / "other.jsonl", ROWS))
    assert data.fingerprint == by_list.fingerprint


@pytest.mark.parametrize("text", ["NA", "007", "null", "1.50", " spaced ", "1e5", "TRUE"])
def test_a_cell_is_the_text_that_stands_there(tmp_path: Path, text: str) -> None:
    file = write(tmp_path / "mine.csv", [{"question": "Spell it.", "answer": text}])
    [sample] = loaded(file).samples
    assert sample.target == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (3.0, "3"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (True, "true"),
        (["5"], "5"),
        (-0.5, "-0.5"),
    ],
)
def test_numbers_are_spelled_as_people_do(value: Any, text: str) -> None:
    assert text_of(value) == text


def test_whole_numbers_that_a_gap_made_floats_stay_whole(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"question": ["a?", "b?"], "answer": pyarrow.array([3.0, 12.0])})
    pyarrow.parquet.write_table(table, tmp_path / "mine.parquet")
    assert [s.target for s in loaded(tmp_path / "mine.parquet", "integer").samples] == ["3", "12"]


@pytest.mark.parametrize("empty", ["", "  ", None, float("nan"), [], ["1", "2"], {"a": 1}])
def test_a_cell_without_a_text_is_named_with_row_and_column(tmp_path: Path, empty: Any) -> None:
    file = write(tmp_path / "mine.jsonl", [*ROWS, {"question": "?", "answer": empty}])
    with pytest.raises(UserError, match=r"mine\.jsonl, row 3: .*the answer, column 'answer', "):
        loaded(file)


def test_a_row_without_the_column_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.jsonl", [*ROWS, {"question": "?"}])
    with pytest.raises(UserError, match=r"row 3: .*no field 'answer'"):
        loaded(file)


def test_a_target_that_the_grader_cannot_read_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.csv", [*ROWS, {"question": "Half?", "answer": "1/2", "level": 1}])
    with pytest.raises(
        UserError, match=r"mine\.csv, row 3: .*column 'answer': .*'1/2' is not an integer"
    ):
        loaded(file, "integer")


# Columns


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Problem", "Short Answer"], {"question": "Problem", "answer": "Short Answer"}),
        (["prompt", "gold", "uuid"], {"question": "prompt", "answer": "gold", "id": "uuid"}),
        (["input", "target"], {"question": "input", "answer": "target"}),
        (["problem", "solution"], {"question": "problem", "answer": "solution"}),
        (["problem", "solution", "answer"], {"question": "problem", "answer": "answer"}),
        (
            ["question", "A", "B", "C", "label"],
            {"question": "question", "answer": "label", "options": ["A", "B", "C"]},
        ),
        (
            ["query", "option_a", "option_b", "answer", "system_prompt"],
            {
                "question": "query",
                "answer": "answer",
                "options": ["option_a", "option_b"],
                "system": "system_prompt",
            },
        ),
    ],
)
def test_usual_names_are_found(names: list[str], found: dict[str, Any]) -> None:
    assert find_columns(Table("mine.csv", "mine.csv", [dict.fromkeys(names, "x")]), {}) == found


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["question", "problem", "answer"], r"the question may be in question, problem.*--columns"),
        (["prompt", "answer", "target"], r"the answer may be in answer, target"),
        (["text", "answer"], r"no column is called like the question .*there are text, answer"),
        (["question", "result"], r"no column is called like the answer"),
    ],
)
def test_what_is_not_clear_is_refused_with_the_candidates(names: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        find_columns(Table("mine.csv", "mine.csv", [dict.fromkeys(names, "x")]), {})


def test_a_given_column_settles_it_and_a_misspelled_one_is_told_the_nearest() -> None:
    table = Table("mine.csv", "mine.csv", [{"question": 1, "problem": 1, "answer": 1}])
    assert find_columns(table, {"question": "problem"})["question"] == "problem"
    with pytest.raises(UserError, match=r"no column 'problme' for the question: did you mean 'p"):
        find_columns(table, {"question": "problme"})


@pytest.mark.parametrize(
    "given",
    [
        {"question": "Problem", "answer": "Short Answer"},
        ["question=Problem", "answer=Short Answer"],
        "question=Problem answer=Short Answer",
        "question=Problem,answer=Short Answer",
    ],
)
def test_columns_are_given_as_each_door_spells_them(given: Any) -> None:
    assert parse_columns(given) == {"question": "Problem", "answer": "Short Answer"}


@pytest.mark.parametrize("given", ["Problem", ["Problem"], "quesion=Problem", {"anwser": "x"}])
def test_columns_of_another_form_are_refused(given: Any) -> None:
    with pytest.raises(UserError, match="columns"):
        parse_columns(given)


# Options

TEXTS = ["red", "blue", "green"]


@pytest.mark.parametrize(
    ("row", "target"),
    [
        ({"options": TEXTS, "answer": "blue"}, "B"),
        ({"options": TEXTS, "answer": "C"}, "C"),
        ({"options": json.dumps(TEXTS), "answer": "red"}, "A"),
        ({"choices": {"text": TEXTS, "label": ["1", "2", "3"]}, "answerKey": "2"}, "B"),
        (
            {
                "choices": [{"label": "A", "text": "red"}, {"label": "B", "text": "blue"}],
                "answer": "B",
            },
            "B",
        ),
        ({"options": {"A": "red", "B": "blue"}, "answer": "B"}, "B"),
        ({"A": "red", "B": "blue", "C": None, "answer": "B"}, "B"),
        ({"option_a": "red", "option_b": "blue", "answer": "red"}, "A"),
        ({"choices": TEXTS, "answer": 0}, "A"),
    ],
)
def test_options_come_in_many_forms(tmp_path: Path, row: dict[str, Any], target: str) -> None:
    file = write(tmp_path / "mine.jsonl", [{"question": "Colour?", **row}])
    [sample] = loaded(file, None).samples
    assert sample.target == target
    assert sample.prompt.startswith("Colour?\n\nA) red\nB) blue")


def test_numbers_of_options_are_read_only_where_the_data_shows_their_base(tmp_path: Path) -> None:
    ask = [{"question": f"{n}?", "choices": TEXTS, "answer": n} for n in (0, 2)]
    assert [s.target for s in loaded(write(tmp_path / "a.jsonl", ask), None).samples] == ["A", "C"]
    ask = [{"question": f"{n}?", "choices": TEXTS, "answer": n} for n in (1, 3)]
    assert [s.target for s in loaded(write(tmp_path / "b.jsonl", ask), None).samples] == ["A", "C"]
    ask = [{"question": f"{n}?", "choices": TEXTS, "answer": n} for n in (1, 2)]
    with pytest.raises(UserError, match=r"row 1: .*the answer '1' is 0 of the options"):
        loaded(write(tmp_path / "c.jsonl", ask), None)


@pytest.mark.parametrize("empty", [None, "[]", [], " "])
def test_a_row_without_the_options_that_others_have_is_named(tmp_path: Path, empty: Any) -> None:
    rows = [
        {"question": "a", "options": ["x", "y"], "answer": "A"},
        {"question": "b", "options": empty, "answer": "A"},
    ]
    file = write(tmp_path / "mine.jsonl", rows)
    with pytest.raises(UserError, match=r"row 2: .*'options': there are no options"):
        loaded(file, None)
    assert loaded(file, "math").samples[1].options == ()


def test_true_and_false_are_no_numbers_of_options(tmp_path: Path) -> None:
    rows = [
        {"question": q, "options": ["True", "False"], "answer": a}
        for q, a in (("a", True), ("b", False))
    ]
    with pytest.raises(UserError, match=r"row 1: .*the answer 'true' is 0 of the options"):
        loaded(write(tmp_path / "mine.jsonl", rows), None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            '{"question": "b", "options": ["x", "y"], "answer": NaN}',
            "the answer '2' is 0 of the options",
        ),
        (
            '{"question": "b", "options": ["x", "y"], "answer": 1e999}',
            "the answer '2' is 0 of the options",
        ),
        ('{"question": "b", "options": "x;y", "answer": 1}', "row 2: .*'x;y' are no list"),
        ("[1, 2]", "row 2: .*no object with named fields"),
        (
            '{"question": "b", "answer": 1%s}' % ("0" * 5000),
            "line 2 is not JSON: Exceeds the limit",
        ),
    ],
)
def test_a_bad_row_among_numbers_of_options_is_named(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(f'{{"question": "a", "options": ["x", "y"], "answer": 2}}\n{line}\n')
    with pytest.raises(UserError, match=said):
        loaded(file, None)


def test_a_number_of_single_precision_is_as_short_as_it_was_written(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    answers = pyarrow.array([0.1, 3.0], pyarrow.float32())
    table = pyarrow.table({"question": ["a", "b"], "answer": answers})
    pyarrow.parquet.write_table(table, tmp_path / "mine.parquet")
    assert [s.target for s in loaded(tmp_path / "mine.parquet").samples] == ["0.1", "3"]


def test_an_answer_that_may_be_two_options_is_refused(tmp_path: Path) -> None:
    row = {"question": "?", "choices": ["B", "A"], "answer": "A"}
    with pytest.raises(UserError, match=r"the answer 'A' is 2 of the options"):
        loaded(write(tmp_path / "mine.jsonl", [row]), None)


def test_single_letters_are_no_options_of_mathematics(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.csv", [{"question": "A+B?", "A": "1", "B": "2", "answer": "3"}])
    [sample] = loaded(file, "math").samples
    assert (sample.prompt, sample.options) == ("A+B?", ())
    assert sample.metadata == {"A": "1", "B": "2"}


def test_without_options_a_grader_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give grader= one of choice, integer, math"):
        open_questions(str(write(tmp_path / "mine.csv", ROWS)))


# Ids


def test_ids_are_of_the_words_and_stay_when_rows_are_added_or_moved(tmp_path: Path) -> None:
    few = loaded(write(tmp_path / "few.jsonl", ROWS)).samples
    more = [{"question": "New?", "answer": "1"}, *reversed(ROWS)]
    many = loaded(write(tmp_path / "many.jsonl", more)).samples
    assert {s.id: s.prompt for s in few}.items() <= {s.id: s.prompt for s in many}.items()


def test_the_same_question_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"row 3: the id '\w+' occurs twice, first in row 1"):
        loaded(write(tmp_path / "mine.jsonl", [*ROWS, ROWS[0]]))


# Files that are not what they seem


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("mine.csv", b"question,answer\nWas ist gr\xfcn?,1\n", "byte 0xfc in line 2 is not UTF-8"),
        ("mine.csv", "question,answer\na,1\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
        ("mine.csv", b"question,answer\na,1,2\n", r"row 1 .*3 cells under 2 columns"),
        ("mine.csv", b"question,answer\na\n", r"row 1 .*1 cells under 2 columns"),
        ("mine.csv", b'question,answer\n"a,1\n', r"line \d: .*mend the quotes"),
        ("mine.csv", b"question,answer,answer\na,1,2\n", "two columns called 'answer'"),
        ("mine.csv", b"", "has no rows"),
        ("mine.csv", b"question,answer\n", "has no rows"),
        ("mine.json", b'{"question": "a"}', "holds no list"),
        ("mine.jsonl", b'{"question": "a"\n', "line 1 is not JSON"),
        ("mine.jsonl", b"[1, 2]\n", "has no named fields"),
        ("mine.parquet", b"PAR1", "can't read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        loaded(tmp_path / name)
    assert name in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    for name, text in (
        ("a.csv", "question,answer\nx,1\n"),
        ("a.jsonl", '{"question": "x", "answer": 1}'),
    ):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert loaded(tmp_path / name).samples[0].target == "1"


def test_a_file_that_is_not_there_and_one_that_has_no_splits(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        find_task(str(tmp_path / "none.csv"), "math")
    with pytest.raises(UserError, match="is a file, and has none"):
        open_questions(str(write(tmp_path / "mine.csv", ROWS)), "math", split="test")


def test_an_argument_that_the_task_does_not_take_is_named(tmp_path: Path) -> None:
    file = str(write(tmp_path / "mine.csv", ROWS))
    with pytest.raises(UserError, match="takes no argument month: it takes data, grader, columns"):
        find_task(file, "math", {"month": "0926"})
    with pytest.raises(UserError, match="nano takes no argument columns: it takes none"):
        find_task("nano", None, {"columns": "question=x"})


# Data sets, as the hub lays them out


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two splits, as `datasets` reads one from the hub."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "sums").mkdir()
    for split, rows in (("train", ROWS), ("test", ROWS[:1])):
        write(tmp_path / "sums" / f"{split}.parquet", rows)
    return tmp_path / "sums"


def test_a_data_set_of_several_splits_asks_which(hub: Path) -> None:
    with pytest.raises(UserError, match=r"has the splits train, test: give one, e\.g\. --split"):
        open_questions(str(hub), "math")
    data = open_questions(str(hub), "math", split="test").load()
    assert len(data.samples) == 1
    assert (data.id, data.chosen["split"]) == ("sums", "test")


def test_a_class_is_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    from s1_eval.evaluation.hub import Hub, read_hub

    kinds = datasets.Features({"answer": datasets.ClassLabel(names=["yes", "no"])})
    made = datasets.Dataset.from_list(
        [{"answer": 1}, {"answer": None}, {"answer": -1}], features=kinds
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: made)
    read = read_hub(Hub(str(tmp_path), "a" * 40, "train"), "")
    assert [row["answer"] for row in read.rows] == ["no", None, None]


def test_the_commit_that_main_is_at_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub

    asked = []
    monkeypatch.setattr(
        huggingface_hub.HfApi,
        "dataset_info",
        lambda self, name, revision: type("Info", (), {"sha": "c" * 40})(),
    )
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, revision, **k: asked.append(revision) or ROWS
    )
    data = open_questions("somebody/sums:main", "math", split="test").load()
    assert (data.id, data.revision, asked) == ("somebody/sums:main", "c" * 40, ["c" * 40])


# Which questions, in which order


def test_a_shuffle_is_the_seeds_and_leaves_the_fingerprint(tmp_path: Path) -> None:
    rows = [{"question": f"{n}?", "answer": str(n)} for n in range(20)]
    task = open_questions(str(write(tmp_path / "mine.jsonl", rows)), "integer")
    plain, one, same, other = (task.load(shuffle=seed) for seed in (None, 1, 1, 2))
    order = [[s.target for s in data.samples] for data in (plain, one, same, other)]
    assert order[1] == order[2] != order[0]
    assert order[3] not in order[:3]
    assert sorted(order[1]) == sorted(order[0])
    assert plain.fingerprint == one.fingerprint == other.fingerprint
    assert (one.chosen["shuffle"], "shuffle" in plain.chosen) == (1, False)


def test_questions_of_no_known_date_have_no_newer_ones(tmp_path: Path) -> None:
    task = open_questions(str(write(tmp_path / "mine.jsonl", ROWS)), "math")
    with pytest.raises(UserError, match=r"since=2026: when 2 of the 2 questions of mine became"):
        task.load(since="2026")


def test_the_first_question_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"question": "What\x1b[31m is 6*7?", "answer": "42"}]
    loaded(write(tmp_path / "mine.jsonl", rows))
    said = capsys.readouterr().err
    assert "mine.jsonl: 1 questions, question=question answer=answer, graded by math" in said
    assert "\x1b" not in said
    assert "target: 42" in said


@pytest.mark.parametrize(
    ("name", "columns"), [("mine", {"Canary String": "x"}), ("GPQA_main", {"other": "x"})]
)
def test_questions_that_are_to_stay_off_the_web_are_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, columns: dict[str, str]
) -> None:
    rows = [{"question": "Which?", "answer": "seven", **columns}]
    about = open_questions(str(write(tmp_path / f"{name}.csv", rows)), "math")
    data = about.load()
    assert about.about(data)["secret"] is True
    said = capsys.readouterr().err
    assert "1 questions" in said
    assert "Which?" not in said
    assert "seven" not in said


def test_questions_without_their_data_are_asked_for_it(tmp_path: Path) -> None:
    file = str(write(tmp_path / "mine.jsonl", ROWS))
    with pytest.raises(UserError, match="questions needs an argument: give -T data="):
        find_task("questions").load(file)
