"""Stock harnesses measure a method through the gateway: what they ask and grade is what a sweep
records."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval
from inspect_ai.model import ContentReasoning, get_model
from served import Served, serving

from s1_eval.engines import Sampling
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.evaluation.benchmark import benchmark
from s1_eval.evaluation.run import open_run, run_samples
from s1_eval.methods import METHODS, settings
from s1_eval.records import read_runs
from s1_eval.records.run import run_record
from s1_eval.tasks import __file__ as tasks_file
from s1_eval.tasks.nano import nano as nano_task

QUESTIONS = 3
PARAMS = {"num_ignores": 2, "max_thinking_tokens": 120}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swept(nano: TransformersEngine) -> dict[str, dict[str, Any]]:
    """By the question's prompt: what a sweep records of it."""
    task = benchmark("nano")
    data = task.load()
    run = open_run(
        nano,
        harness="s1-eval",
        grader=task.about(data)["grader"],
        method=METHODS["budget_forcing"],
        settings=settings("budget_forcing", PARAMS),
        sampling=Sampling(),
    )
    rows: list[Any] = []
    todo = [(sample, 1) for sample in data.samples[:QUESTIONS]]
    asyncio.run(run_samples(run, run_record(run.held, task.about(data)), todo, rows.append))
    return {row["question"]: row for row in rows}


@pytest.fixture
def served(nano: TransformersEngine, tmp_path: Path) -> Any:
    how: dict[str, Any] = {"default": "budget_forcing", "params": PARAMS}
    with serving(nano, out=tmp_path / "out", **how) as it:
        yield it


def recorded(served: Served) -> dict[str, dict[str, Any]]:
    """By the question: what the gateway has recorded, which all has the same run."""
    import json

    (path,) = served.gateway.out.glob("*/samples.jsonl")  # type: ignore[union-attr]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return {row["question"]: row for row in rows}


def check(served: Served, swept: dict[str, dict[str, Any]]) -> None:
    """The records have the ids of a sweep."""
    found = recorded(served)
    assert found.keys() == swept.keys()
    for question, row in swept.items():
        for name in ("traces", "response", "thinking_tokens", "generated_tokens", "exit_reason"):
            assert found[question][name] == row[name], name


def test_inspect_by_its_provider_for_compatible_servers(
    served: Served, swept: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    model = get_model("openai-api/s1/nano", base_url=f"{served.url}/v1", api_key="none")
    (log,) = eval(
        nano_task(),
        model=model,
        limit=QUESTIONS,
        temperature=0,
        display="none",
        log_realtime=False,
        log_dir=str(tmp_path / "logs"),
    )
    assert log.status == "success", log.error
    check(served, swept)
    right = {row["sample_id"]: row["correct"] for row in swept.values()}
    for sample in log.samples or ():
        score = (sample.scores or {})["s1_eval/grade"]
        assert (score.value == "C") == right[str(sample.id)]
        message = sample.output.message
        (thought,) = [c for c in message.content if isinstance(c, ContentReasoning)]
        assert "Wait" in thought.reasoning
        usage = sample.output.usage
        assert usage
        assert usage.reasoning_tokens
        assert usage.reasoning_tokens <= usage.output_tokens


def test_lm_eval_by_its_model_for_compatible_servers(
    served: Served,
    swept: dict[str, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    monkeypatch.setenv("OPENAI_API_KEY", "none")
    results = simple_evaluate(
        model="local-chat-completions",
        model_args=f"model=nano,base_url={served.url}/v1/chat/completions,max_gen_toks=2000",
        tasks=[str(Path(tasks_file).parent / "s1_nano.yaml")],
        limit=QUESTIONS,
        apply_chat_template=True,
        bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False),
    )
    check(served, swept)
    mean = sum(row["correct"] for row in swept.values()) / len(swept)
    found = next(v for k, v in results["results"]["s1_nano"].items() if k.startswith("exact_match"))
    assert found == pytest.approx(mean)


def test_what_a_gateway_records_is_read_as_runs(served: Served, swept: Any) -> None:
    for question, row in swept.items():
        served.answer(
            messages=[{"role": "user", "content": question}],
            s1_eval={"target": row["target"], "grader": "integer"},
        )
    (run,) = read_runs([served.gateway.out])  # type: ignore[list-item]
    assert sum(row["correct"] for row in run.rows) == sum(row["correct"] for row in swept.values())
