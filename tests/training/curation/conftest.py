"""A small pool, and curation by the command line as a user starts it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from s1_eval.training.curation import pipeline
from s1_eval.training.curation.overlap import Reference
from s1_eval.training.curation.question import question_id
from s1_eval.training.main import main

EVALUATION = {
    "aime24": [Reference("aime24 60", "Aya walks nine kilometers every morning at a speed of s")],
    "gpqa_diamond": [
        Reference("gpqa_diamond rec1", "Which of these very secret particles decays first?", True)
    ],
}


def lines(path: Path, rows: list[Mapping[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def pool(tmp_path: Path) -> dict[str, Any]:
    """A recipe over 30 questions in two sources, three of them to be dropped before grading, with
    traces, recorded grades and domains for all."""
    texts = [f"What is {n} plus {n}, and why is it so for all of us?" for n in range(20)]
    mine = [{"q": text, "a": str(2 * n), "s": "w " * n} for n, text in enumerate(texts)]
    mine[3]["q"] = "Now aya walks nine kilometers every morning AT A speed of s"
    mine[5]["q"] = "Say which of these very secret particles decays first? Why?"
    mine[7]["q"] = "p1. Add. p2. Subtract."
    aime = [{"q": f"Find {n} squared.", "a": str(n * n), "s": "w"} for n in range(10)]
    path = {
        "mine": lines(tmp_path / "mine.jsonl", mine),
        "aime": lines(tmp_path / "aime.jsonl", aime),
    }
    ids = [
        question_id(name, r["q"]) for name, rows in (("mine", mine), ("aime", aime)) for r in rows
    ]
    answers = [r["a"] for r in mine + aime]
    traces = [
        {"id": id, "thinking": f"let me see {i}", "attempt": answer, "thinking_tokens": 100 + i}
        for i, (id, answer) in enumerate(zip(ids, answers, strict=True))
    ]
    traces[25]["attempt"] = "999"
    grades = [
        {"id": id, "model": model, "correct": i % 10 == at}
        for at, model in enumerate(("small", "large"))
        for i, id in enumerate(ids)
    ]
    domains = [{"id": id, "domain": ("05", "11", "51")[i % 3]} for i, id in enumerate(ids)]
    columns = {"question": "q", "answer": "a", "solution": "s"}
    return {
        "sources": {
            "mine": {"path": path["mine"], "grader": "math", **columns},
            "aime": {"path": path["aime"], "grader": "integer", **columns},
        },
        "evaluation": list(EVALUATION),
        "traces": lines(tmp_path / "traces.jsonl", traces),
        "difficulty": {"recorded": lines(tmp_path / "grades.jsonl", grades)},
        "domains": {"recorded": lines(tmp_path / "domains.jsonl", domains)},
        "size": 12,
        "output": str(tmp_path / "out"),
    }


@pytest.fixture
def curate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`s1-train curate`, or another command, with a recipe of this data; its exit code."""
    monkeypatch.setattr(pipeline, "evaluation_questions", EVALUATION.__getitem__)

    def run(recipe: Mapping[str, Any], *options: str, command: str = "curate") -> int:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(dict(recipe), sort_keys=False))
        return main([command, str(path), *options])

    return run
