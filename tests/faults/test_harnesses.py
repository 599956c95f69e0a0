"""A question that the engine can't answer, under the harnesses: in lm-eval an unanswered row, in
Inspect a sample with an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from s1_eval.engines import Generation
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.errors import SampleFailed
from s1_eval.evaluation.failures import TooManyFailed
from s1_eval.records import read_runs
from s1_eval.records.schema import validate_run, validate_sample
from s1_eval.tasks import __file__ as tasks_file


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The embedded model, which can't answer the prompt that comes first while `on`."""
    state: dict[str, Any] = {"on": True, "first": None, "asked": 0}
    real = TransformersEngine.generate

    async def generate(self: Any, prompt: Sequence[int], **how: Any) -> Generation:
        state["first"] = state["first"] or tuple(prompt)
        state["asked"] += 1
        if state["on"] and tuple(prompt) == state["first"]:
            raise SampleFailed("5 tries failed", tries=5)
        return await real(self, prompt, **how)

    monkeypatch.setattr(TransformersEngine, "generate", generate)
    return state


def by_lm_eval(model: Any, **options: Any) -> dict[str, Any]:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    found: dict[str, Any] = simple_evaluate(
        model=model,
        tasks=[str(Path(tasks_file).parent / "s1_nano.yaml")],
        task_manager=TaskManager(include_defaults=False),
        gen_kwargs="max_tokens_thinking=48,thinking_n_ignore=1",
        limit=4,
        bootstrap_iters=0,
        **options,
    )
    return found


def test_in_lm_eval_it_is_an_unanswered_row_and_asked_again_alone(
    broken: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from s1_eval.harness.lm_eval_models import s1_hf

    model, cache = s1_hf("nano"), str(tmp_path / "cache")
    lines = by_lm_eval(model, use_cache=cache)["samples"]["s1_nano"]
    said = capsys.readouterr().err
    assert "1 of 4 questions failed and count as unanswered:" in said
    assert "epoch 1: 5 tries failed" in said
    [failed] = [line for line in lines if "error" in line]
    validate_sample(failed)
    validate_run(failed["run"])
    assert (failed["answered"], failed["correct"], failed["budget"]) == (False, False, 48)
    assert {line["run_id"] for line in lines} == {failed["run_id"]}
    broken.update(on=False, asked=0)
    again = by_lm_eval(model, use_cache=cache)["samples"]["s1_nano"]
    assert not any("error" in line for line in again)
    assert 0 < broken["asked"] < 8  # one question's requests, of four
    assert [line["answer"] for line in again if line["sample_id"] != failed["sample_id"]] == [
        line["answer"] for line in lines if line is not failed
    ]
    model.engine.close()


def test_in_lm_eval_fail_on_error_ends_the_command(broken: dict[str, Any]) -> None:
    from s1_eval.harness.lm_eval_models import s1_hf

    model = s1_hf("nano", fail_on_error="true")
    with pytest.raises(TooManyFailed, match="1 of 4 samples failed, and fail_on_error=True"):
        by_lm_eval(model)
    model.engine.close()


def test_in_inspect_it_is_a_sample_with_an_error(broken: dict[str, Any], tmp_path: Path) -> None:
    from inspect_ai import eval as evaluate

    from s1_eval.harness.inspect_solving import solver_of
    from s1_eval.methods import METHODS

    options: dict[str, Any] = {
        "tasks": "s1_eval/nano",
        "model": "s1_hf/nano",
        "solver": solver_of(METHODS["budget_forcing"])(max_thinking_tokens=48),
        "limit": 4,
        "display": "none",
        "log_dir": str(tmp_path),
    }
    [log] = evaluate(**options, fail_on_error=False)
    assert log.status == "success"
    assert [bool(sample.error) for sample in log.samples or []].count(True) == 1
    [run] = read_runs([tmp_path])
    assert [row["answered"] for row in run.rows if "error" in row] == [False]
    [stopped] = evaluate(**options, fail_on_error=True)
    assert stopped.status == "error"
