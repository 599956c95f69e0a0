"""The same questions under the same parameters, by every way in: same tokens, same scores."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalLog
from inspect_ai.model import get_model

from s1_eval import solvers
from s1_eval.engines import Sampling
from s1_eval.engines.models import resolve_model
from s1_eval.engines.table import open_engine
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import benchmark
from s1_eval.evaluation.opened import shared_verifier
from s1_eval.evaluation.run import open_run, run_samples
from s1_eval.methods import METHODS, settings
from s1_eval.records import readers, run_record
from s1_eval.tasks import __file__ as tasks_file
from s1_eval.tasks.nano import nano

QUESTIONS = 4
EPOCHS = 2
FORCED = {"max_thinking_tokens": 96, "num_ignores": 1}
SAMPLED = {"temperature": 1.0, "seed": 11}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("plain", {}, {}),
    ("budget_forcing", FORCED, {}),
    ("budget_forcing", FORCED, SAMPLED),
    ("wrap_up", {"max_thinking_tokens": 64, "wrap_up_string": "Wait", "grace_tokens": 9}, {}),
    ("early_exit", {"first_checkpoint": 24, "num_ignores": 1, "agreeing": 2}, {}),
    ("early_exit", {"first_checkpoint": 24, "confidence": 0.9, "num_ignores": 1}, SAMPLED),
    ("token_conditional", {"tokens": 64, "max_thinking_tokens": 64}, {}),
    ("step_conditional", {"steps": 4, "max_thinking_tokens": 400}, {}),
    ("class_conditional", {"length": "short"}, {}),
    ("rejection_sampling", {"max_thinking_tokens": 64, "max_tries": 8}, SAMPLED),
    ("majority_vote", {"samples": 2, "max_thinking_tokens": 96}, SAMPLED),
    ("confidence", {"samples": 3, "window": 16, "max_thinking_tokens": 96}, SAMPLED),
    (
        "confidence",
        {"samples": 4, "warm_up": 2, "window": 8, "check_every": 8, "max_thinking_tokens": 96},
        {**SAMPLED, "logprobs": 1},
    ),
    ("self_refine", {"rounds": 1, "max_thinking_tokens": 96}, {}),
    ("sets", {"samples": 2, "rounds": 1, "max_thinking_tokens": 96}, SAMPLED),
    ("best_of_n", {"samples": 2, "max_thinking_tokens": 96}, SAMPLED),
    ("beam_search", {"samples": 4, "beam_width": 2, "max_thinking_tokens": 96}, SAMPLED),
    ("dvts", {"samples": 4, "beam_width": 2, "max_thinking_tokens": 96}, SAMPLED),
    ("rebase", {"samples": 3, "max_thinking_tokens": 96}, SAMPLED),
]
"""Method, its settings, how it samples."""

VERIFIER = {"model": "nano-prm", "dtype": "bfloat16"}

MAY_DIFFER = {"harness", "run_id", "run", "question"} | (
    readers.MAY_DIFFER - {"cached_tokens", "flops"}
)

Rows = dict[tuple[str, int], dict[str, Any]]


def verifier(name: str) -> dict[str, Any]:
    """What a harness has to say besides a method's settings."""
    return {"verifier": VERIFIER} if METHODS[name].verifier else {}


def by_inspect(
    run: Callable[..., EvalLog],
    name: str,
    params: dict[str, Any],
    sampled: dict[str, Any],
    about: str = "nano",
    **chat: Any,
) -> Rows:
    solver = getattr(solvers, name)
    model = get_model(f"s1_hf/{about}", memoize=False, **chat)
    if "logprobs" in sampled:
        sampled = {**sampled, "logprobs": True, "top_logprobs": sampled["logprobs"]}
    log = run(
        nano(),
        solver=solver(**params, **verifier(name)),
        model=model,
        limit=QUESTIONS,
        epochs=EPOCHS,
        **sampled,
    )
    assert log.status == "success", log.error
    return keyed(sample.scores["s1_eval/grade"].metadata["s1_eval"] for sample in log.samples)


def by_lm_eval(
    folder: Path,
    name: str,
    params: dict[str, Any],
    sampled: dict[str, Any],
    about: str = "nano",
    **chat: Any,
) -> Rows:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from s1_eval.harness.lm_eval_models import s1_hf

    task = folder / "repeated.yaml"
    ours = Path(tasks_file).parent / "s1_nano.yaml"
    task.write_text(f"include: {ours}\ntask: s1_nano\nrepeats: {EPOCHS}\n")
    model = s1_hf(about, **chat)
    results = simple_evaluate(
        model=model,
        tasks=[str(task)],
        gen_kwargs={
            "method": name,
            **params,
            **verifier(name),
            **sampled,
            "do_sample": bool(sampled),
        },
        limit=QUESTIONS,
        bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False),
    )
    model.engine.close()
    extra = {"doc", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_id"}
    extra |= {"doc_hash", "prompt_hash", "target_hash", "exact_match", "exact_match_answered"}
    rows = []
    for line in results["samples"]["s1_nano"]:
        first = {k: v for k, v in line.items() if k not in extra}
        rows += [first, *first.pop("other_epochs")]
    return keyed(rows)


def by_sweep(
    name: str,
    params: dict[str, Any],
    sampled: dict[str, Any],
    about: str = "nano",
    **chat: Any,
) -> Rows:
    nano_benchmark, engine = benchmark("nano"), open_engine("s1_hf", about, **chat)
    data = nano_benchmark.load()
    about_nano = nano_benchmark.about(data)
    run = open_run(
        engine,
        harness="s1-eval",
        grader=about_nano["grader"],
        method=METHODS[name],
        settings=settings(name, params),
        sampling=Sampling(**sampled),
        verifier=shared_verifier(verifier(name).get("verifier")),
    )
    rows: list[dict[str, Any]] = []
    todo = [(s, epoch + 1) for s in data.samples[:QUESTIONS] for epoch in range(EPOCHS)]
    asyncio.run(run_samples(run, run_record(run.held, about_nano), todo, rows.append))
    engine.close()
    return keyed(rows)


def keyed(rows: Any) -> Rows:
    return {
        (row["sample_id"], row["epoch"]): {
            **{k: v for k, v in row.items() if k not in MAY_DIFFER},
            "traces": [
                {**trace, "segments": [counted(segment) for segment in trace["segments"]]}
                for trace in row["traces"]
            ],
        }
        for row in rows
    }


def counted(segment: dict[str, Any]) -> dict[str, Any]:
    """With the number of log-probabilities: which rows share a batch moves their last digits."""
    told = {name: len(segment[name]) for name in ("logprobs", "top_logprobs") if name in segment}
    return {**segment, **told}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "params", "sampled"),
    CASES,
    ids=[f"{name}, seeded" if sampled else name for name, _, sampled in CASES],
)
def test_inspect_lm_eval_and_the_sweep_give_the_same_rows(
    run_inspect: Callable[..., EvalLog],
    tmp_path: Path,
    name: str,
    params: dict[str, Any],
    sampled: dict[str, Any],
) -> None:
    ours = by_sweep(name, params, sampled)
    assert len(ours) == QUESTIONS * EPOCHS
    assert by_inspect(run_inspect, name, params, sampled) == ours
    assert by_lm_eval(tmp_path, name, params, sampled) == ours
    chains = {str(row["traces"]) for row in ours.values()}
    assert (len(chains) > QUESTIONS) == bool(sampled), "epochs differ where something is sampled"


SWITCHED_OFF = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}"
    "<|im_start|>think{{ m.reasoning_content }}<|im_start|>answer{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if not enable_thinking %}"
    "<|im_start|>think<|im_start|>answer{% endif %}{% endif %}"
)
"""nano's own form, with thinking switched off until it is asked for."""


@pytest.mark.slow
def test_thinking_is_switched_on_alike_by_every_way_in(
    run_inspect: Callable[..., EvalLog], tmp_path: Path
) -> None:
    about = str(tmp_path / "nano")
    shutil.copytree(resolve_model("nano"), about)
    (tmp_path / "nano" / "chat_template.jinja").write_text(SWITCHED_OFF)
    off = by_sweep("plain", {}, {}, about)
    assert {row["thinking_tokens"] for row in off.values()} == {0}
    assert by_inspect(run_inspect, "plain", {}, {}, about) == off
    assert by_lm_eval(tmp_path, "plain", {}, {}, about) == off
    with pytest.raises(UserError, match="enable_thinking"):
        by_sweep("budget_forcing", FORCED, {}, about)
    on = by_sweep(
        "budget_forcing", FORCED, {}, about, chat_template_kwargs={"enable_thinking": True}
    )
    assert min(row["thinking_tokens"] for row in on.values()) > 0
    given = '{"enable_thinking": true}'
    assert (
        by_inspect(run_inspect, "budget_forcing", FORCED, {}, about, chat_template_kwargs=given)
        == on
    )
    assert by_lm_eval(tmp_path, "budget_forcing", FORCED, {}, about, enable_thinking=True) == on


BRACKETS = "[THINK]\\n...\\n[/THINK]"
"""As typed on a command line."""


@pytest.mark.slow
def test_a_format_of_brackets_and_newlines_is_read_alike_by_every_way_in(
    run_inspect: Callable[..., EvalLog], tmp_path: Path
) -> None:
    params = {"max_thinking_tokens": 24, "thinking_format": BRACKETS}
    ours = by_sweep("budget_forcing", params, {})
    assert by_inspect(run_inspect, "budget_forcing", params, {}) == ours
    assert by_lm_eval(tmp_path, "budget_forcing", params, {}) == ours
