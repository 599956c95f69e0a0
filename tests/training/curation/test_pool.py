"""The real pool that is at hand, from end to end: AIME 1983-2023 and s1K's questions. nano stands
for the graders on a part of it; on the whole of it grades and domains are recorded stand-ins, made
up here from a hash and from keywords. Run with -s, the last test prints its report."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from s1_eval.cli.train import main
from s1_eval.evaluation.benchmark import DATA_VARIABLE
from s1_eval.training.curation import recipe as recipes
from s1_eval.training.curation.decontaminate import evaluation_questions
from s1_eval.training.curation.sources import collect

RECIPE = Path(__file__).parents[3] / "training" / "recipes" / "s1k_pool.yaml"
TASKS = ("aime24", "aime25", "gpqa_diamond", "math500")
KEYWORDS = {"51": "triangle|circle|polygon", "60": "probability", "11": "integer|prime|divis"}


@pytest.fixture
def written(shared_data, tmp_path, monkeypatch):
    """The shipped recipe with changes, as a file."""
    monkeypatch.setenv(DATA_VARIABLE, str(shared_data))

    def write(**changes) -> Path:
        data = yaml.safe_load(RECIPE.read_text()) | {"output": str(tmp_path / "out")} | changes
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return path

    return write


def pool(path: Path):
    loaded = recipes.load(path)
    return [q for name, settings in loaded.sources.items() for q in collect(name, settings, 0)]


def read(folder: Path, name: str) -> list[dict]:
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


@pytest.mark.slow
def test_decontamination_drops_what_a_naive_search_drops(written, tmp_path):
    path = written()
    assert main(["curate", str(path), "--variant", "full"]) == 0
    found = {r["id"] for r in read(tmp_path / "out" / "full-seed0", "dropped")}

    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.lower().split()
        return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}

    known = {run for task in TASKS for r in evaluation_questions(task) for run in runs(r.text)}
    dropped, texts = set(), set()
    for source in ("aime", "s1k"):
        fresh = set()
        for question in pool(path):
            if question.source == source:
                mine = runs(question.question)
                if known & mine or question.question in texts:
                    dropped.add(question.id)
                else:
                    fresh |= mine
                    texts.add(question.question)
        known |= fresh
    assert len(dropped) > 600
    assert found == dropped


def recorded(questions, folder: Path) -> dict[str, dict]:
    """Files of grades by two models and of domains for `questions`, as a recipe names them."""
    grades, domains = folder / "grades.jsonl", folder / "domains.jsonl"
    with grades.open("w") as graded, domains.open("w") as placed:
        for q in questions:
            draw = hashlib.sha256(q.id.encode()).digest()
            for model, chance, byte in zip(("small", "large"), (0.3, 0.45), draw, strict=False):
                row = {"id": q.id, "model": model, "correct": byte < 256 * chance}
                graded.write(json.dumps(row) + "\n")
            found = (code for code, words in KEYWORDS.items() if re.search(words, q.question))
            placed.write(json.dumps({"id": q.id, "domain": next(found, "00")}) + "\n")
    return {"difficulty": {"recorded": str(grades)}, "domains": {"recorded": str(domains)}}


@pytest.mark.slow
def test_nano_stands_for_the_graders_and_its_answers_are_kept(written, tmp_path):
    data = yaml.safe_load(RECIPE.read_text())
    part = {name: settings | {"limit": 8} for name, settings in data["sources"].items()}
    stand_ins = recorded(pool(written(sources=part)), tmp_path)
    models = [{"model": "s1_hf/nano", "max_tokens": n} for n in (8, 16)]
    path = written(sources=part, size=3, **stand_ins | {"difficulty": {"models": models}})
    assert main(["curate", str(path)]) == 0
    folder = tmp_path / "out" / "s1-paper-seed0"
    assert "graded by our checker: s1_hf/nano, s1_hf/nano" in (folder / "report.md").read_text()
    assert len(read(folder, "examples")) == 3
    answers = list((tmp_path / "out" / "answers").glob("difficulty-*.jsonl"))
    assert len(answers) == 2
    before = [path.read_bytes() for path in answers]
    assert main(["curate", str(path), "--sampler", "notebook"]) == 0
    assert [path.read_bytes() for path in answers] == before


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["notebook", "paper"])
def test_the_whole_pool_with_recorded_grades(written, tmp_path, sampler):
    questions = pool(written())
    path = written(**recorded(questions, tmp_path))
    assert main(["curate", str(path), "--sampler", sampler]) == 0
    folder = tmp_path / "out" / f"s1-{sampler}-seed0"
    chosen, dropped = read(folder, "examples"), read(folder, "dropped")
    assert len(chosen) == 200
    assert len({row["id"] for row in chosen + dropped}) == len(questions) == 1975
    report = (folder / "report.md").read_text()
    for label in (
        "recorded grades (grades.jsonl)",
        "recorded domains (domains.jsonl)",
        "stand for",
    ):
        assert label in report
    stages = Counter(row["stage"] for row in dropped)
    assert stages["difficulty"] / (1975 - stages["decontaminate"]) == pytest.approx(0.61, abs=0.05)
    gpqa = [row["detail"] for row in dropped if row["detail"].startswith("gpqa_diamond")]
    assert gpqa
    assert all(re.fullmatch(r"gpqa_diamond rec\w+", detail) for detail in gpqa)
