"""The recipes of CONTRIBUTING.md, followed from outside the package: each one's code is written to
a file, its line is put into the table, and what it adds is used as a user would."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from scripted import S1_TEMPLATE, ToyTokenizer

from s1_eval.cli.main import main
from s1_eval.engines.table import ENGINES, Listed
from s1_eval.evaluation.benchmark import BENCHMARKS
from s1_eval.methods import METHODS
from s1_eval.records import Run, read_runs
from s1_eval.thinking import FORMATS, detect
from s1_eval.verifiers import formats
from s1_eval.verifiers.table import open_verifier

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
RECIPES = dict(
    re.findall(
        r"^### An? ([^\n]+)\n\n```python\n(.*?)^```",
        (ROOT / "CONTRIBUTING.md").read_text(),
        re.M | re.S,
    )
)

Follow = Callable[[str], ModuleType]


@pytest.fixture
def follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Follow:
    """Imports a recipe's code as the module `recipe_…`."""
    monkeypatch.syspath_prepend(tmp_path)

    def written(recipe: str) -> ModuleType:
        name = f"recipe_{recipe.replace(' ', '_')}"
        (tmp_path / f"{name}.py").write_text(RECIPES[recipe])
        return importlib.import_module(name)

    return written


def sweep(out: Path, *options: str, model: str = "s1_hf/nano", task: str = "nano") -> list[Run]:
    words = ["sweep", "--model", model, "--task", task, "--limit", "3", "--out", str(out)]
    assert main([*words, *options]) == 0
    return read_runs([out])


def test_there_is_a_recipe_for_whatever_has_a_table() -> None:
    assert list(RECIPES) == ["method", "benchmark", "engine", "verifier", "thinking format"]


def test_a_method(follow: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = follow("method").SHORTEST
    monkeypatch.setitem(METHODS, made.name, made)
    runs = sweep(tmp_path / "runs", "--methods", "shortest,majority_vote", "--samples", "1,4")
    means = {
        (run.method, run.params["samples"]): sum(row["thinking_tokens"] for row in run.rows)
        for run in runs
    }
    assert means["shortest", 1] == means["majority_vote", 1]
    assert means["shortest", 4] <= means["shortest", 1] < means["majority_vote", 4]
    assert main(["score", str(tmp_path / "runs")]) == 0

    from inspect_ai.util import registry_info

    from s1_eval.harness.inspect_solving import solver_of

    assert registry_info(solver_of(made)(samples=2)).name == "s1_eval/shortest"


def test_a_benchmark(follow: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = follow("benchmark")
    monkeypatch.setitem(BENCHMARKS, "sums", f"{made.__name__}:SUMS")
    [run] = sweep(tmp_path / "runs", "--methods", "plain", task="sums")
    assert [row["target"] for row in run.rows] == ["42", "43", "44"]
    assert all(row["correct"] for row in run.rows)
    assert [sample.target for sample in made.sums().dataset][:2] == ["42", "43"]
    assert made.load()["test"][0]["target"] == "42"


def test_an_engine(follow: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = follow("engine")
    monkeypatch.setitem(ENGINES, "s1_noted", Listed(f"{made.__name__}:NotedEngine"))
    notes = tmp_path / "notes"
    told = ("--methods", "plain", "-M", f"notes={notes}")
    [noted] = sweep(tmp_path / "noted", *told, model="s1_noted/nano")
    [plain] = sweep(tmp_path / "plain", "--methods", "plain")
    assert len(notes.read_text().splitlines()) == 3
    assert [row["answer"] for row in noted.rows] == [row["answer"] for row in plain.rows]


def test_a_verifier(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    made = follow("verifier").Numbered
    monkeypatch.setitem(formats.FORMATS, made.name, made)
    from s1_eval import nano_prm

    scores = []
    for spec in ("numbered", "nano_prm"):
        verifier = open_verifier(f"{spec}:{nano_prm.__path__[0]}")
        [scored] = asyncio.run(verifier.score("Compute mod 100.\nS=4\nA+8", [["4+8=12", "12"]]))
        verifier.close()
        assert len(scored.scores) == 2
        scores.append(scored.scores)
    assert scores[0] != scores[1]


def test_a_thinking_format(
    follow: Follow, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = follow("thinking format").MULL
    template = S1_TEMPLATE.replace("<|im_start|>think", "")
    template = f"Think between <mull> and </mull>.{template}"
    assert detect("auto", ToyTokenizer(chat_template=template), "a").format.name == "none"
    monkeypatch.setitem(FORMATS, made.name, made)
    found = detect("auto", ToyTokenizer(chat_template=template), "b").format
    assert (found.name, found.stops) == ("mull", ("</mull>",))
    command = ["doctor", "--model", "s1_hf/nano", "--thinking-format", "mull", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["stop"] == ["</mull>"]
