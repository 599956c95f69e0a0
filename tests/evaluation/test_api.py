"""`import s1_eval`: what is asked from Python is what the command line asks."""

from __future__ import annotations

import asyncio
import doctest
import inspect
import json
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedEngine, break_at_second_call

import s1_eval
from s1_eval.cli.main import main
from s1_eval.engines.table import open_engine
from s1_eval.errors import UserError
from s1_eval.evaluation.plan import plan_settings
from s1_eval.evaluation.sweep import EngineFailed
from s1_eval.methods import Method, Policy, Question
from s1_eval.methods.plain import Plain, plain
from s1_eval.records.readers import MAY_DIFFER
from s1_eval.thinking import Outcome
from s1_eval.typed import Positive, Settings

ROOT = Path(__file__).parent.parent.parent
CAPS = {"max_thinking_tokens": [16, 64], "limit": 4}
NANO = ("s1_hf/nano", "nano", "budget_forcing")


def rows(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """By run and question, without how long it took."""
    return {
        (path.parent.name, row["sample_id"]): {**row, **dict.fromkeys(MAY_DIFFER)}
        for path in folder.glob("*/samples.jsonl")
        for row in map(json.loads, path.read_text().splitlines())
    }


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def records(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*/run.json"))]
    return [{**record, "command": None, "started": None} for record in found]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("swept")
    command = ["sweep", "--model", NANO[0], "--task", NANO[1], "--method", NANO[2], "--no-cache"]
    options = ["--max-thinking-tokens", "16,64", "--limit", "4", "--out", str(out)]
    assert main([*command, *options]) == 0
    return out


@pytest.mark.slow
def test_evaluate_leaves_what_a_sweep_leaves_and_goes_on_with_it(
    swept: Path, tmp_path: Path
) -> None:
    result = s1_eval.evaluate(*NANO, **CAPS, cache=False, out=tmp_path)
    assert files(tmp_path) == files(swept)
    assert rows(tmp_path) == rows(swept)
    assert records(tmp_path) == records(swept)
    assert result.runs[0].record["command"] == [
        "s1_eval.evaluate(model='s1_hf/nano', task='nano', method='budget_forcing', limit=4, "
        f"cache=False, out='{tmp_path}', max_thinking_tokens=[16, 64])"
    ]
    before = {path: path.read_bytes() for path in swept.glob("*/samples.jsonl")}
    s1_eval.evaluate(*NANO, **CAPS, cache=False, out=swept)
    assert {path: path.read_bytes() for path in swept.glob("*/samples.jsonl")} == before


@pytest.mark.slow
async def test_both_work_where_an_event_loop_runs(swept: Path, tmp_path: Path) -> None:
    blocking, awaited = tmp_path / "blocking", tmp_path / "awaited"
    s1_eval.evaluate(*NANO, **CAPS, cache=False, out=blocking)
    result = await s1_eval.evaluate_async(*NANO, **CAPS, cache=False, out=awaited)
    assert rows(blocking) == rows(awaited) == rows(swept)
    assert len(result.runs) == 2
    assert len(asyncio.all_tasks()) == 1


def test_a_result_says_what_score_prints(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = s1_eval.read_runs(swept)
    result = s1_eval.Result(runs)
    assert main(["score", str(swept), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads(json.dumps(result.score())) == printed
    assert s1_eval.read_runs([swept]) == runs
    assert s1_eval.score(str(swept)) == s1_eval.score([result]) == result.score()
    assert main(["score", str(swept)]) == 0
    words = re.findall(r"\w+", capsys.readouterr().out)
    assert {*words} <= {*re.findall(r"\w+", result.table()), "Cross", "fitted"}
    [axes] = result.plot().axes
    assert axes.get_title(loc="left") == "nano on nano"
    assert "Mean generated" in result.plot("generated_tokens").axes[0].get_xlabel()
    frame = result.samples(traces=True)
    assert frame[["sample_id", "thinking_tokens"]].to_dict("records") == [
        {name: row[name] for name in ("sample_id", "thinking_tokens")}
        for run in runs
        for row in run.rows
    ]
    assert {"response", "traces"} <= {*frame.columns}
    assert "traces" not in result.samples().columns


def test_compare_is_what_compare_prints(swept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short, long = (str(next(swept.glob(f"*tokens={cap}-*"))) for cap in (16, 64))
    assert main(["compare", long, short, "--json"]) == 0
    assert s1_eval.compare(long, s1_eval.read_runs(short)) == json.loads(capsys.readouterr().out)


@dataclass(frozen=True, slots=True)
class Twice(Settings):
    times: Positive = 1


async def quoting(policy: Policy, question: Question, settings: Twice) -> Outcome:
    """The unforced run, and in the record how often it was asked for."""
    outcome = await plain(policy, question, Plain())
    return Outcome(outcome.answer, outcome.traces, extra={"times": settings.times})


QUESTIONS = [
    {"question": "Compute mod 100.\nS=25\nA-6\nB-6", "answer": 13, "level": "easy"},
    {"id": "b", "question": "Compute mod 100.\nS=4", "answer": "05", "system": "Be brief."},
]


def test_own_questions_are_asked_by_an_own_method_and_scored() -> None:
    result = s1_eval.evaluate(
        "s1_hf/nano", QUESTIONS, [quoting, "plain"], grader="integer", times=[1, 2]
    )
    assert [run.method for run in result.runs] == ["quoting", "quoting", "plain"]
    assert {run.task for run in result.runs} == {"questions"}
    frame = result.samples(traces=True)
    assert frame[frame.method == "quoting"].times.tolist() == [1, 1, 2, 2]
    told = frame[frame.times == 1].set_index("sample_id")
    assert told.correct.to_dict() == {"1": True, "b": False}
    ids = told.traces["b"][0]["prompt"]
    engine = open_engine("s1_hf", "nano")
    assert engine.tokenizer.decode(ids).startswith("<|im_start|>system\nBe brief.<|im_end|>\n")
    engine.close()
    assert sum(entry["runs"] for entry in result.score()) == 3


def test_options_are_shown_and_their_texts_or_letters_are_answers() -> None:
    asked = [
        {"question": "Which?", "options": ["red", "blue"], "answer": "blue"},
        {"question": "Which?", "options": ["red", "blue"], "answer": "A"},
    ]
    result = s1_eval.evaluate("s1_hf/nano", asked, "plain", max_tokens=4)
    assert [row["target"] for row in result.runs[0].rows] == ["B", "A"]
    assert result.runs[0].record["grader"]["name"] == "choice"
    both = [{"question": "Which?", "options": ["B", "A"], "answer": "A"}]
    with pytest.raises(s1_eval.UserError, match=r"row 1: .*'A' is 2 of the options"):
        s1_eval.evaluate("s1_hf/nano", both, "plain")


def test_an_engine_that_is_open_is_used_and_stays_so() -> None:
    engine = open_engine("s1_hf", "nano")
    first = s1_eval.evaluate(engine, "nano", "plain", limit=2)
    second = s1_eval.evaluate("s1_hf/nano", "nano", "plain", engine=engine, limit=2)
    assert first.runs[0].id == second.runs[0].id
    assert "engine=transformers nano" in second.runs[0].record["command"][0]
    with pytest.raises(s1_eval.UserError, match="has nano loaded, and the model is s1_hf/other"):
        s1_eval.evaluate("s1_hf/other", "nano", "plain", engine=engine)
    engine.close()


def test_a_broken_engine_is_told_and_the_same_call_goes_on(tmp_path: Path) -> None:
    engine = ScriptedEngine("\nSo.\n<|im_start|>answer\nFinal Answer: 7<|im_end|>", cyclic=True)
    said = [{"question": f"Say {i}.", "answer": i} for i in range(5, 9)]
    asked = {"model": engine, "task": said, "method": "plain", "grader": "integer"}
    working = engine.generate
    break_at_second_call(engine)
    with pytest.raises(
        EngineFailed, match=r"the engine broke\nWhat was .* the same command goes on"
    ):
        s1_eval.evaluate(**asked, out=tmp_path)
    [run] = s1_eval.evaluate(**asked, out=tmp_path).runs
    assert sorted(row["correct"] for row in run.rows) == [False, False, False, True]
    engine.generate = working
    break_at_second_call(engine)
    with pytest.raises(RuntimeError, match=r"^the engine broke$"):  # nothing is kept anywhere
        s1_eval.evaluate(**asked)


def test_a_list_that_is_no_axis_of_the_method_is_not_lost() -> None:
    def planned(*methods: str, **given: Any) -> list[dict[str, Any]]:
        return [dict(run.params) for run in plan_settings(methods, given)]

    assert planned("majority_vote", samples=2, max_thinking_tokens=[32, 64]) == [
        {"max_thinking_tokens": 32, "samples": 2},
        {"max_thinking_tokens": 64, "samples": 2},
    ]
    assert planned("budget_forcing", max_thinking_tokens=[32, 64], num_ignores=[0, 1]) == [
        {"num_ignores": 1},
        {"num_ignores": 0},
        {"max_thinking_tokens": 64},
        {"max_thinking_tokens": 32},
    ]
    waits = planned("budget_forcing", ignore_string=["Wait", "Hmm"], num_ignores=[1, 2])
    assert [(run["ignore_string"], run["num_ignores"]) for run in waits] == [
        *(("Wait", 2), ("Wait", 1)),
        *(("Hmm", 2), ("Hmm", 1)),
    ]
    assert planned("plain", "budget_forcing", max_thinking_tokens=8) == [
        {},
        {"max_thinking_tokens": 8},
    ]


def not_async(policy: Policy, question: Question, settings: Twice) -> None: ...


async def unsettled(policy: Policy, question: Question, settings: dict[str, int]) -> None: ...


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"max_thinking_token": 3}, "did you mean 'max_thinking_tokens'"),
        ({"method": "budget_forcng"}, "did you mean 'budget_forcing'"),
        ({"method": []}, "no methods: give one or more"),
        ({"method": not_async}, "not_async is no method: give a name, or an async function"),
        ({"method": unsettled}, "unsettled needs settings: annotate its third argument"),
        ({"method": Method("plain", Plain, plain)}, "give your own another name"),
        ({"task": "nan"}, "did you mean 'nano'"),
        ({"task": QUESTIONS}, "own questions need a grader: give grader= one of choice, integer"),
        ({"task": ["6*7?"], "grader": "math"}, "question 1 is '6[*]7[?]': give a Sample"),
        ({"task": [{"question": "?"}], "grader": "math"}, "row 1: .* no field 'answer'"),
        ({"grader": "math"}, "a benchmark brings its own"),
        ({"max_thinking_tokens": []}, "an empty list varies nothing"),
        ({"max_thinking_tokens": [64, 0]}, "give a whole number of 1 or more"),
        ({"limit": 0}, "limit=0: give 1 or more"),
        ({"model": "nano"}, "s1_hf/nano"),
        ({"engine": {"dtyp": "float32"}}, "dtyp"),
    ],
)
def test_bad_input_is_refused_before_a_model_is_loaded(
    changed: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "transformers.AutoModelForCausalLM.from_pretrained",
        lambda *a, **k: pytest.fail("a model was loaded"),
    )
    asked = {"model": "s1_hf/nano", "task": "nano", "method": "budget_forcing", **changed}
    with pytest.raises((s1_eval.UserError, TypeError), match=said):
        s1_eval.evaluate(**asked)


@pytest.mark.slow
def test_every_public_name_is_there_and_its_examples_are_right() -> None:
    finder = doctest.DocTestFinder()
    runner = doctest.DocTestRunner()
    for name in s1_eval.__all__:
        thing = getattr(s1_eval, name)
        if name != "evaluate_async" and "evaluation.api" in thing.__module__:
            for test in finder.find(thing, name, globs={"s1_eval": s1_eval}):
                runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries >= 10
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        _ = s1_eval.evalute
    stub = (ROOT / "s1_eval" / "__init__.pyi").read_text()
    assert {*re.findall(r"import (\w+) as", stub)} == {*s1_eval.__all__}


def test_the_reference_is_current() -> None:
    script = ROOT / "docs" / "api.py"
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(script)], capture_output=True, text=True, check=True
    )
    assert (ROOT / "docs" / "api.md").read_text("utf-8") == done.stdout


@pytest.mark.slow
def test_the_outsiders_method_of_the_documents_runs() -> None:
    text = (ROOT / "docs" / "methods.md").read_text("utf-8")
    [snippet] = [
        found
        for found in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
        if "async" in found
    ]
    named: dict[str, Any] = {"__name__": "outsider"}
    exec(compile(snippet, "docs/methods.md", "exec", dont_inherit=True), named)  # noqa: S102
    [entry] = named["result"].score()
    assert (entry["method"], entry["varied"], entry["runs"]) == ("shortest_of_n", "samples", 2)
    body = inspect.cleandoc(snippet[snippet.index("async def") :].split("\n\n\n")[0])
    assert len(body.splitlines()) <= 10


def test_a_result_is_drawn_over_what_it_cost(tmp_path):
    result = s1_eval.evaluate("s1_hf/nano", "nano", "plain", limit=3)
    assert "FLOPs" in result.plot("flops").axes[0].get_xlabel()
    with pytest.raises(UserError, match="give prices=FILE"):
        result.plot("usd")
    prices = tmp_path / "prices.yaml"
    prices.write_text("models: {nano: {input: 1, output: 2}}")
    assert "US dollars" in result.plot("usd", prices=prices).axes[0].get_xlabel()
    [run] = result.runs
    old = replace(run, rows=[{**row, "flops": None} for row in run.rows])
    with pytest.raises(UserError, match="no run knows its flops"):
        s1_eval.Result([old]).plot("flops")
