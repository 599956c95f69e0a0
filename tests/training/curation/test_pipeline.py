"""Curation from end to end on a small pool: what is chosen, what is said about the rest, and what
happens the second time."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from s1_eval.training.curation import pipeline, stages


def rows(folder: Path, name: str) -> list[dict]:
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_every_question_is_chosen_or_has_a_reason(curate, pool, out):
    assert curate(pool) == 0
    folder = out / "s1-paper-seed0"
    chosen, dropped = rows(folder, "examples"), rows(folder, "dropped")
    assert len(chosen) == 12
    assert len({row["id"] for row in chosen + dropped}) == 30
    assert all(row["reason"] for row in dropped)
    reasons = Counter((row["stage"], row["reason"]) for row in dropped)
    assert reasons == {
        ("decontaminate", "shared words"): 2,
        ("quality", "formatting"): 1,
        ("difficulty", "solved"): 6,
        ("draw", "not drawn"): 9,
    }
    details = {row["detail"] for row in dropped if row["stage"] == "difficulty"}
    assert details == {"small", "large"}


def test_an_overlap_names_the_words_and_gpqas_stand_nowhere(curate, pool, out, capfd):
    assert curate(pool) == 0
    details = [row["detail"] for row in rows(out / "s1-paper-seed0", "dropped")]
    assert "aime24 60: aya walks nine kilometers every morning at a" in details
    assert "gpqa_diamond rec1" in details
    written = [p for p in out.rglob("*") if p.is_file() and "collect-" not in str(p)]
    assert len(written) > 10
    assert not any(b"secret particles" in p.read_bytes() for p in written)
    tables = [pq.read_table(p) for p in written if p.suffix == ".parquet"]
    assert len(tables) > 5
    assert not any("secret particles" in str(table.to_pylist()) for table in tables)
    assert "secret particles" not in "".join(capfd.readouterr())


def test_what_the_teacher_solved_of_aime_is_kept_and_examples_have_their_traces(curate, pool, out):
    assert curate(pool) == 0
    chosen = {row["id"]: row for row in rows(out / "s1-paper-seed0", "examples")}
    # 8 of 10 are difficult; the teacher is wrong about one of them.
    assert sum(row["source"] == "aime" for row in chosen.values()) >= 7
    for row in chosen.values():
        assert row["thinking"].startswith("let me see")
        assert row["attempt"]
        assert row["thinking_tokens"] >= 100
    assert "kept before the draw: 7" in (out / "s1-paper-seed0" / "report.md").read_text()


def test_the_report_labels_what_was_recorded_and_has_the_papers_counts(curate, pool, out, capfd):
    assert curate(pool) == 0
    report = (out / "s1-paper-seed0" / "report.md").read_text()
    assert "recorded grades (grades.jsonl), no model was run" in report
    assert "recorded domains (domains.jsonl)" in report
    for row in (
        "| decontaminated | 2 | 28 | 59,029 |",
        "| with a trace | 0 | 28 | 54,116 |",
        "| well formatted | 1 | 27 | 51,581 |",
        "| difficult | 6 | 21 | 24,496 |",
        "| drawn | 9 | 12 | 1,000 |",
        "| aime | 10 | 10 |",
        "| decontaminated: shared words with gpqa_diamond | 1 |",
        "| difficult: solved by small | 3 |",
    ):
        assert row in report
    chosen = [row for row in rows(out / "s1-paper-seed0", "examples") if row["domain"] == "11"]
    tokens = sum(row["thinking_tokens"] for row in chosen)
    assert f"| 11 Number theory | {len(chosen)} | {tokens:,} |" in report
    printed = capfd.readouterr().out
    assert "59,029" in printed
    assert "recorded grades" in printed


@pytest.mark.parametrize(
    ("options", "folder", "size", "between"),
    [
        (["--variant", "random"], "random-seed0", 12, ["quality"]),
        (["--variant", "diverse", "--seed", "3"], "diverse-seed3", 12, ["quality"]),
        (["--variant", "longest"], "longest-seed0", 12, ["quality"]),
        (["--variant", "full"], "full-seed0", 28, []),
        (["--sampler", "notebook"], "s1-notebook-seed0", 12, ["quality", "difficulty"]),
    ],
)
def test_a_variant_goes_through_its_own_stages(curate, pool, out, options, folder, size, between):
    assert curate(pool, *options) == 0
    assert len(rows(out / folder, "examples")) == size
    about = json.loads((out / folder / "run.json").read_text())
    assert list(about["stages"]) == ["decontaminate", "trace", *between, "draw"]


def test_the_longest_are_the_longest(curate, pool, out):
    assert curate(pool, "--variant", "longest") == 0
    chosen = [row["thinking_tokens"] for row in rows(out / "longest-seed0", "examples")]
    assert sorted(chosen) == list(range(118, 130))


def test_questions_without_a_whole_trace_are_dropped(curate, pool, out):
    path = Path(pool["traces"])
    traces = [json.loads(line) for line in path.read_text().splitlines()]
    traces[0]["attempt"] = ""
    path.write_text("".join(json.dumps(row) + "\n" for row in traces[:-1]))
    assert curate(pool, "--variant", "full") == 0
    dropped = rows(out / "full-seed0", "dropped")
    assert [r["detail"] for r in dropped if r["stage"] == "trace"] == [
        "the answer is missing",
        "none was generated",
    ]


def test_the_second_time_everything_is_on_disk(curate, pool, out, capfd, monkeypatch):
    assert curate(pool) == 0
    first = rows(out / "s1-paper-seed0", "examples")
    capfd.readouterr()
    monkeypatch.setattr(pipeline, "decontaminate", None)
    monkeypatch.setattr(pipeline, "fault", None)
    assert curate(pool, "--variant", "random") == 0
    assert curate(pool) == 0
    assert rows(out / "s1-paper-seed0", "examples") == first
    assert capfd.readouterr().err.count("(from disk)") == 5 + 6


def test_what_went_in_decides_what_is_made_anew(curate, pool, out, capfd):
    assert curate(pool) == 0
    aime = Path(pool["sources"]["aime"]["path"])
    aime.write_text(aime.read_text() + json.dumps({"q": "More?", "a": "1", "s": ""}) + "\n")
    capfd.readouterr()
    assert curate(pool, "--variant", "random") == 0
    said = capfd.readouterr().err
    assert "collect mine: 20 (from disk)" in said
    assert "collect aime: 11\n" in said
    assert "decontaminate: 29\n" in said


def test_a_run_that_breaks_off_leaves_nothing_half_and_goes_on(curate, pool, out, monkeypatch):
    def breaks(source, question):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "fault", breaks)
        with pytest.raises(KeyboardInterrupt):
            curate(pool)
    names = sorted(p.name.rpartition("-")[0] for p in (out / "stages").iterdir())
    assert names == ["collect-aime", "collect-mine", "decontaminate", "trace"]
    assert curate(pool) == 0


def test_a_full_disk_is_one_message_and_leaves_no_half_stage(
    curate, pool, out, monkeypatch, capsys
):
    real = stages.write_rows

    def full(path, columns, found):
        real(path, columns, found)
        if "quality" in str(path):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(stages, "write_rows", full)
    assert curate(pool) == 2
    error = capsys.readouterr().err
    assert "No space left on device): make room" in error
    assert not [p for p in (out / "stages").iterdir() if "quality" in p.name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 29}, "size=29: only 28 questions are left after decontamination"),
        ({"size": 22}, "size=22: only 21 questions are left to choose from"),
        ({"difficulty": None}, "the recipe has no difficulty"),
        ({"domains": None}, "28 questions have no domain"),
        ({"traces": None}, "no traces whose length could rank"),
        ({"traces": "nowhere.jsonl"}, "make it with `s1-train traces RECIPE"),
        ({"sorces": {}}, "no key 'sorces': did you mean 'sources'"),
        ({"sources": {"math": {"revisoin": 1}}}, "no key 'revisoin': did you mean 'revision'"),
        ({"sources": {"math": {}}}, "sources.math: give exactly one of revision"),
        ({"difficulty": {"models": [{"model": "nano"}]}}, "give an engine and a model"),
        ({"difficulty": {"models": [{"modle": "nano"}]}}, "did you mean 'model'"),
        ({"difficulty": {"models": []}}, "difficulty: give exactly one of"),
        ({"difficulty": {"models": "nano"}}, "difficulty.models='nano': give a list"),
        ({"sources": ["math"]}, "sources=['math']: give a mapping"),
        ({"keep": {"aime": "x"}}, "keep="),
        ({"size": 0}, "size=0: give 1 or more"),
        ({"length": "words"}, "length='words': give `thinking_tokens` or `solution_words`"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_said_in_one_message(curate, pool, capsys, changes, message):
    recipe = {k: v for k, v in (pool | changes).items() if v is not None}
    assert curate(recipe) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("s1-train: ")
    assert message in error


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("difficulty", "no grade of small for 1 of 27 questions"),
        ("domains", "no domain for 1 of 21"),
    ],
)
def test_a_gap_in_what_was_recorded_is_named(curate, pool, capsys, name, message):
    path = Path(pool[name]["recorded"])
    kept = path.read_text().splitlines(keepends=True)
    path.write_text("".join(kept[:2] + kept[3:]))
    assert curate(pool) == 2
    assert message in capsys.readouterr().err


def test_another_folder_gives_the_same_examples(curate, pool, out, tmp_path):
    assert curate(pool) == 0
    assert curate(pool, "--output", str(tmp_path / "other")) == 0
    first, second = (rows(f / "s1-paper-seed0", "examples") for f in (out, tmp_path / "other"))
    assert first == second
    shutil.rmtree(tmp_path / "other")


def test_domains_are_asked_of_a_model_once(curate, pool, out, capfd):
    recipe = pool | {
        "sources": {"aime": pool["sources"]["aime"] | {"limit": 3}},
        "domains": {"models": [{"model": "s1_hf/nano", "max_tokens": 4}]},
        "size": 2,
    }
    assert curate(recipe, "--variant", "diverse") == 0
    report = (out / "diverse-seed0" / "report.md").read_text()
    assert "domains by s1_hf/nano, which left 3 unclassified" in report
    shutil.rmtree(next((out / "stages").glob("domains-*")))
    capfd.readouterr()
    assert curate(recipe, "--variant", "diverse") == 0
    assert "Loading" not in capfd.readouterr().err


def test_what_one_of_two_models_of_the_same_name_solves_is_dropped(curate, pool, out, monkeypatch):
    def graded(self, model, questions):
        ids = [question.id for question in self.pool]
        return {q.id: ids.index(q.id) % 2 == 0 and model.max_tokens == 4 for q in questions}

    monkeypatch.setattr(pipeline.Pipeline, "graded", graded)
    models = [{"model": "s1_hf/nano", "max_tokens": n} for n in (4, 8)]
    assert curate(pool | {"difficulty": {"models": models}, "size": 9}) == 0
    solved = [r for r in rows(out / "s1-paper-seed0", "dropped") if r["reason"] == "solved"]
    assert len(solved) == 15


def test_traces_of_other_questions_are_refused(curate, pool, tmp_path, capsys):
    path = tmp_path / "others.jsonl"
    path.write_text('{"id": "x", "thinking": "t", "attempt": "a", "thinking_tokens": 1}\n')
    assert curate(pool | {"traces": str(path)}) == 2
    assert "has no trace of any question here" in capsys.readouterr().err
