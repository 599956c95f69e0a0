"""Where a benchmark's data comes from, and what is said when it isn't there."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import (
    BENCHMARKS,
    DATA_VARIABLE,
    Benchmark,
    Hub,
    Sample,
    benchmark,
    listed,
    open_grader,
    read_rows,
)
from s1_eval.tasks.aime24 import AIME24

ROWS = [
    {"id": 60, "problem": "How many?", "answer": "025"},
    {"id": 61, "problem": "One\u2028line", "answer": "7"},
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)


def test_a_path_is_a_file_or_a_folder_that_has_it(tmp_path: Path) -> None:
    file = write(tmp_path / "benchmarks" / "aime24.jsonl", ROWS)
    for path in (file, file.parent, tmp_path):
        data = AIME24.load(str(path))
        assert [s.id for s in data.samples] == ["60", "61"]
        assert (data.id, data.revision) == ("aime24.jsonl", None)


def test_the_environment_names_a_folder_and_a_path_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "benchmarks" / "aime24.jsonl", ROWS)
    other = write(tmp_path / "other.jsonl", ROWS[:1])
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    assert len(AIME24.load().samples) == 2
    assert len(AIME24.load(str(other)).samples) == 1


def test_a_folder_without_the_file_is_named_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"give a file or a folder with benchmarks/aime24\.jsonl"):
        AIME24.load(str(tmp_path))
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match=f"put it at {tmp_path}/benchmarks/aime24.jsonl"):
        AIME24.load()


def test_the_hub_is_read_at_the_pinned_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    asked = []
    real = datasets.load_dataset
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, **k: asked.append(k["revision"]) or real(*a, **k)
    )
    write(tmp_path / "hub" / "train.jsonl", ROWS)
    hub = Hub(str(tmp_path / "hub"), revision="a" * 40, split="train")
    here = Benchmark(name="here", sample=AIME24.sample, grader="integer", hub=hub)
    data = here.load()
    assert [s.prompt for s in data.samples] == ["How many?", "One\u2028line"]
    assert (data.id, data.revision, asked) == (hub.dataset, "a" * 40, ["a" * 40])


def test_an_unreachable_hub_says_how_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    class ConnectError(Exception):
        """As an HTTP library raises one: no OSError."""

    def offline(*args: object, **kwargs: object) -> None:
        raise ConnectError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_commits", offline)
    with pytest.raises(
        UserError, match=r"(?s)simplescaling/aime24_nofigures.*no network.*S1_EVAL_DATA"
    ):
        AIME24.load()


def test_an_abbreviated_revision_must_be_one_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub
    from huggingface_hub import GitCommitInfo

    def commits(*ids: str) -> list[GitCommitInfo]:
        facts = dict.fromkeys(
            ("authors", "created_at", "title", "message", "formatted_title", "formatted_message")
        )
        return [GitCommitInfo(commit_id=id, **facts) for id in ids]

    full = AIME24.hub.revision.ljust(40, "0")
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, revision, **k: [{**ROWS[0], "id": revision}]
    )
    monkeypatch.setattr(
        huggingface_hub.HfApi, "list_repo_commits", lambda *a, **k: commits("f" * 40, full)
    )
    assert AIME24.load().samples[0].id == full
    monkeypatch.setattr(
        huggingface_hub.HfApi, "list_repo_commits", lambda *a, **k: commits("f" * 40)
    )
    with pytest.raises(UserError, match="0 commits begin with"):
        AIME24.load()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "has no rows"),
        ([{"id": 1, "answer": "1"}], r"row 1: .* no field 'problem'"),
        ([*ROWS, {"id": 60, "problem": "?", "answer": "1"}], r"row 3: the id '60' occurs twice"),
        ([{"id": 1, "problem": "?", "answer": "1000"}], r"row 1: .*not an integer from 0 to 999"),
    ],
)
def test_a_row_that_is_no_sample_is_found_when_it_is_loaded(
    tmp_path: Path, rows: list[dict[str, object]], said: str
) -> None:
    file = write(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UserError, match=said) as caught:
        AIME24.load(str(file))
    assert str(file) in str(caught.value)


def test_a_damaged_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", ROWS[:1])
    file.write_text(file.read_text() + '{"id": 61, "prob')
    with pytest.raises(UserError, match=r"rows\.jsonl, line 2 is not JSON"):
        list(read_rows(file))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.json", b'{"id": 60}', "holds no list"),
        ("rows.json", b"[", "is not JSON"),
        ("rows.jsonl", b"\xff\xfe", "can't read"),
        ("rows.jsonl", b"[1]\n", "row 1: not a sample of aime24"),
    ],
)
def test_hostile_files_get_a_message(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        AIME24.load(str(tmp_path / name))


def test_the_fingerprint_changes_with_whatever_can_change_a_score() -> None:
    def fingerprint(**changes: object) -> str:
        sample = Sample(**{"id": "1", "prompt": "?", "target": "1", **changes})
        one = Benchmark("one", lambda row: sample, "integer", generate=lambda: [{}])
        return one.load().fingerprint

    changed = [{"id": "2"}, {"prompt": "!"}, {"target": "2"}, {"options": ("a",)}]
    assert len({fingerprint(), *(fingerprint(**change) for change in changed)}) == 5
    assert fingerprint(metadata={"level": 5}) == fingerprint()


def test_nano_asks_500_problems_that_training_keeps_out() -> None:
    from s1_eval.training.nano.problems import held_out

    data = benchmark("nano").load()
    assert [s.prompt for s in data.samples] == [p.question for p in held_out()]
    assert len(data.samples) == 500


def test_aime24_is_thirty_problems_with_integer_answers(shared_data: Path) -> None:
    data = AIME24.load(str(shared_data))
    assert len(data.samples) == 30
    grader = open_grader(AIME24.about(data)["grader"])
    assert all(grader.grade(f"\\boxed{{{int(s.target)}}}", s.target).correct for s in data.samples)


def test_a_benchmark_is_found_by_its_name_and_a_wrong_name_by_the_nearest() -> None:
    assert [benchmark(name).name for name in BENCHMARKS] == list(BENCHMARKS)
    with pytest.raises(UserError, match="did you mean 'aime24'"):
        benchmark("aime2024")


def test_a_benchmark_is_found_by_its_file(tmp_path, monkeypatch):
    """One of somebody else's, in a folder beside ours."""
    (tmp_path / "sums.py").write_text(
        "from s1_eval.evaluation.benchmark import Benchmark, Sample\n"
        "SUMS = Benchmark(\n"
        "    'sums',\n"
        "    sample=lambda row: Sample('q', 'What is 1 + 1?', row['answer']),\n"
        "    grader='integer',\n"
        "    generate=lambda: [{'answer': '2'}],\n"
        ")\n"
    )
    places = importlib.util.find_spec("s1_eval.tasks").submodule_search_locations
    monkeypatch.setattr(sys.modules["s1_eval.tasks"], "__path__", places)
    places.append(str(tmp_path))
    try:
        monkeypatch.setattr("s1_eval.evaluation.benchmark.BENCHMARKS", listed())
        [sample] = benchmark("sums").load().samples
    finally:
        places.remove(str(tmp_path))
    assert (sample.prompt, sample.target) == ("What is 1 + 1?", "2")
