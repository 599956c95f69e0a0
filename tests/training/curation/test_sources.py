"""Every source yields one schema, from folders laid out as the hub's data sets are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from s1_eval.errors import UserError
from s1_eval.training.curation.hub import SOURCES
from s1_eval.training.curation.sources import Settings, check, collect

MATH = {"problem": "What is 1+1?", "solution": r"It is $\boxed{2}$.", "answer": "2"}
HUB: dict[str, tuple[dict, dict, dict]] = {
    # a row that is taken, what of it is checked, what makes it one that is left out
    "numina_math": (
        {"source": "aops_forum", "problem": "Q", "solution": r"so \boxed{7}"},
        {"question": "Q", "answer": "7", "grader": "math"},
        {"source": "cn_k12"},
    ),
    "numina_math_500": ({"problem": "Q", "solution": "s"}, {"question": "Q", "answer": ""}, {}),
    "math": ({**MATH, "subject": "Algebra"}, {"question": "What is 1+1?", "answer": "2"}, {}),
    "olympic_arena": (
        {"problem": "Q", "solution": "s", "answer": "B", "language": "EN", "modality": "text-only"},
        {"answer": "B", "grader": "choice"},
        {"language": "ZH"},
    ),
    "omni_math": (MATH, {"answer": "2"}, {}),
    "agieval": (
        {
            "passage": "P", "question": "Q?", "options": ["(A)1", "(B)2"], "label": "B",
            "solution": "s", "level": 5,
        },
        {"question": "P\n\nQ?\n(A)1\n(B)2", "answer": "B", "grader": "choice"},
        {"level": 4},
    ),
    "xword": (
        {"input": "Solve.\n\n### Clue: Pet (3)", "output": "### Answer:\nCAT ### Explanation: x"},
        {"answer": "CAT"},
        {"input": "no clue"},
    ),
    "olympiad_bench": (
        {"question": "Q", "solution": ["s"], "final_answer": ["$3$"]},
        {"answer": "$3$", "solution": "s"},
        {},
    ),
    "aime": (
        {"ID": "1983-1", "Question": "Q", "Answer": "60"},
        {"answer": "60", "grader": "integer"},
        {"ID": "2024-II-1"},
    ),
    "theoremqa": ({"Question": "Q", "Answer": "1", "Picture": None}, {"answer": "1"}, {}),
    "usaco": ({"question": " Q\n"}, {"question": "Q", "grader": ""}, {}),
    "jeebench": (
        {"question": "Q", "gold": "C", "type": "MCQ"},
        {"answer": "C", "grader": "choice"},
        {},
    ),
    "gpqa": (
        {"Question": "Q", "Correct Answer": "a", "Explanation": "e"},
        {"answer": "a", "solution": "e"},
        {},
    ),
    "scieval": (
        {"question": "Q\nOptimal ligand:\n\nAnswer:", "answer": ["A"]},
        {"question": "Q\nWhat is the optimal ligand?", "answer": "A", "grader": "choice"},
        {"answer": []},
    ),
    "s1_prob": ({"question": "Q", "solution": "s"}, {"solution": "s", "grader": ""}, {}),
    "livecodebench": (
        {"question_content": "Q", "difficulty": "hard"},
        {"question": "Q", "grader": ""},
        {"difficulty": "easy"},
    ),
    "s1_teasers": ({"Question": "Q", "Answer": "1"}, {"answer": "1"}, {}),
}  # fmt: skip


def hub_copy(name: str, row: dict, folder: Path) -> Settings:
    """A folder as a clone of the hub's data set: a card that lists configurations and files."""
    source = SOURCES[name]
    folder.mkdir()
    line = json.dumps(row) + "\n"
    if source.files:
        for file in source.files:
            (folder / file).write_text(line)
    else:
        card = ["---", "configs:"]
        for config in source.configs:
            card += [f"- config_name: {config or 'default'}", "  data_files:"]
            for split in source.splits:
                file = f"{config or 'data'}-{split}.jsonl"
                (folder / file).write_text(line)
                card += [f"  - split: {split}", f"    path: {file}"]
        (folder / "README.md").write_text("\n".join([*card, "---", ""]))
    return Settings(path=str(folder), plain_text=True)


def test_every_source_is_tried():
    assert HUB.keys() == SOURCES.keys()
    assert sum(source.paper for source in SOURCES.values()) == 59_029


@pytest.mark.parametrize("name", HUB)
def test_a_row_becomes_a_question(name, tmp_path):
    row, expected, _ = HUB[name]
    found = list(collect(name, hub_copy(name, row, tmp_path / "hub"), seed=0))
    source = SOURCES[name]
    assert len(found) == (len(source.files) or len(source.configs) * len(source.splits))
    for question in found:
        assert {key: getattr(question, key) for key in expected} == expected
        assert question.source == name
    assert len({question.id for question in found}) == len(found)


@pytest.mark.parametrize("name", [name for name, (_, _, other) in HUB.items() if other])
def test_rows_that_s1_leaves_out_are_left_out(name, tmp_path):
    row, _, other = HUB[name]
    with pytest.raises(UserError, match=f"{name} has no questions"):
        list(collect(name, hub_copy(name, row | other, tmp_path / "hub"), seed=0))


@pytest.mark.parametrize("name", HUB)
def test_a_missing_column_is_named_with_what_is_there(name, tmp_path):
    settings = hub_copy(name, {"text": "x"}, tmp_path / "hub")
    with pytest.raises(
        UserError, match=rf"sources\.{name}, row 1 has no column .*: there are text"
    ):
        list(collect(name, settings, seed=0))


def write(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_file_of_ones_own_is_read_by_its_columns(tmp_path):
    rows = [{"q": "What?", "a": 3, "t": "hm", "n": 1, "x": "03"}, {"q": " ", "a": 1, "n": 2}]
    path = write(tmp_path / "mine.jsonl", rows)
    settings = Settings(
        path=path, question="q", answer="a", grader="math", thinking="t", thinking_tokens="n",
        domain="x",
    )  # fmt: skip
    [found] = collect("mine", settings, seed=0)
    assert (found.question, found.answer, found.grader) == ("What?", "3", "math")
    assert (found.thinking, found.thinking_tokens, found.domain) == ("hm", 1, "03")


def test_the_answer_may_stand_in_a_box_of_the_solution(tmp_path):
    path = write(tmp_path / "mine.jsonl", [{"q": "What?", "s": r"so $\boxed{5}$"}])
    with_grader = Settings(path=path, question="q", solution="s", grader="math")
    [found] = collect("mine", with_grader, seed=0)
    assert found.answer == "5"
    [found] = collect("mine", Settings(path=path, question="q", solution="s"), seed=0)
    assert (found.answer, found.grader) == ("", "")


def test_a_questions_id_is_its_own_whatever_stands_around_it(tmp_path):
    first = write(tmp_path / "1.jsonl", [{"q": "a"}, {"q": "b"}, {"q": "a"}])
    second = write(tmp_path / "2.jsonl", [{"q": "b"}])
    ids = [q.id for q in collect("mine", Settings(path=first, question="q"), seed=0)]
    assert ids[2] == f"{ids[0]}#2"
    [alone] = collect("mine", Settings(path=second, question="q"), seed=0)
    assert alone.id == ids[1]


def test_a_limit_takes_a_seeded_part_in_order(tmp_path):
    settings = Settings(
        path=write(tmp_path / "m.jsonl", [{"q": f"{i:03}"} for i in range(100)]),
        question="q",
        limit=10,
    )
    first, again, other = ([q.question for q in collect("m", settings, s)] for s in (0, 0, 1))
    assert first == again != other
    assert first == sorted(first)
    assert len(first) == 10


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("maths", {"revision": "main"}, "sources has no 'maths': did you mean 'math'"),
        ("gpqa", {"revision": "main"}, "give plain_text: true"),
    ],
)
def test_a_source_that_can_not_be_is_refused(name, settings, message):
    with pytest.raises(UserError, match=message):
        check(name, Settings(**settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give exactly one of revision"),
        ({"revision": "main", "path": "x"}, "give exactly one of revision"),
        ({"revision": "main", "question": "q"}, "give its path too"),
        ({"path": "x", "answer": "a"}, "need `question` among them"),
        ({"path": "x", "limit": 0}, "limit=0: give 1 or more"),
    ],
)
def test_settings_that_fit_nothing_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        Settings(**settings)


def test_the_hub_is_asked_for_each_part_at_the_commit(monkeypatch):
    asked = []

    def load_dataset(*args, **options):
        asked.append((*args, *options.values()))
        return [HUB["agieval"][0]]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    commit = "0123456789" * 4
    assert len(list(collect("agieval", Settings(revision=commit), seed=0))) == 16
    assert asked[0] == ("baber/agieval", "sat_en", "test", True, commit)
    assert asked[-1] == ("baber/agieval", "math_agieval", "few_shot", True, commit)
    assert len(asked) == 16


def test_files_are_read_in_place_of_a_loading_script(monkeypatch):
    asked = {}

    def load_dataset(kind, **options):
        asked.update(options, kind=kind)
        return [HUB["livecodebench"][0]]

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    list(collect("livecodebench", Settings(revision="c" * 40), seed=0))
    folder = f"hf://datasets/livecodebench/code_generation_lite@{'c' * 40}"
    assert asked["kind"] == "json"
    assert asked["data_files"] == [f"{folder}/test{n}.jsonl" for n in ("", 2, 3)]
