"""Our benchmarks, solvers, providers and scorer under Inspect."""

from __future__ import annotations

import dataclasses
import inspect
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    ContentImage,
    ContentReasoning,
    ContentText,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import choice, match
from inspect_ai.solver import Generate, Solver, TaskState, chain_of_thought, generate
from inspect_ai.solver import solver as inspect_solver
from scripted import ScriptedEngine, break_at_second_call

from s1_eval import _registry, solvers
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Benchmark
from s1_eval.evaluation.benchmark import Sample as OurSample
from s1_eval.evaluation.opened import shared
from s1_eval.harness.inspect_errors import InspectUserError
from s1_eval.harness.inspect_models import MAX_CONNECTIONS
from s1_eval.harness.inspect_tasks import inspect_task
from s1_eval.methods import METHODS, Method, Policy, Question
from s1_eval.methods.plain import PLAIN, Plain
from s1_eval.records.readers import KEY, read_runs
from s1_eval.records.schema import validate_run, validate_sample
from s1_eval.solvers import budget_forcing, plain
from s1_eval.tasks.nano import nano
from s1_eval.thinking import Outcome, Trace
from s1_eval.typed import flat_fields

Run = Callable[..., EvalLog]
Script = Callable[..., ScriptedEngine]

ANSWERS = ("7", "8")
RIGHT = "\nFirst line.\n<|im_start|>answer\nFinal Answer: 7<|im_end|>"
BENCH = Benchmark(
    "bench",
    sample=lambda row: OurSample(f"q{row['target']}", f"Say {row['target']}.", row["target"]),
    grader="integer",
    generate=lambda: [{"target": t} for t in ANSWERS],
)


@task
def bench() -> Task:
    return inspect_task(BENCH)


def records(log: EvalLog) -> list[dict[str, Any]]:
    return [sample.scores["s1_eval/grade"].metadata[KEY] for sample in log.samples]


def metrics(log: EvalLog) -> dict[str, float]:
    return {name: m.value for score in log.results.scores for name, m in score.metrics.items()}


def test_a_row_is_a_valid_record_with_its_run_and_its_traces(
    run_inspect: Run, scripted: Script
) -> None:
    scripted(RIGHT)
    log = run_inspect(bench(), solver=plain(), model="s1_hf/any")
    assert log.status == "success"
    for row in records(log):
        validate_sample(row)
        validate_run(row["run"])
        (trace,) = (Trace.from_dict(trace) for trace in row["traces"])
        assert trace.thinking_tokens == row["thinking_tokens"] > 0
    assert [row["correct"] for row in records(log)] == [True, False]
    (run,) = read_runs([log.location])
    assert (run.task, run.method, len(run.rows)) == ("bench", "plain", 2)
    assert run.record["dataset"]["fingerprint"] == BENCH.load().fingerprint


def test_the_message_shows_thinking_and_answer_and_usage_counts_what_was_paid(
    run_inspect: Run, scripted: Script
) -> None:
    scripted(RIGHT)
    log = run_inspect(bench(), solver=plain(), model="s1_hf/any", limit=1)
    (sample,), (row,) = log.samples, records(log)
    reasoning, text = sample.messages[-1].content
    assert isinstance(reasoning, ContentReasoning)
    assert reasoning.reasoning == "\nFirst line.\n"
    assert sample.output.completion == text.text == row["response"] == "Final Answer: 7"
    (usage,) = log.stats.model_usage.values()
    assert usage.output_tokens == row["generated_tokens"]
    assert usage.reasoning_tokens == row["thinking_tokens"]


def test_unanswered_questions_are_counted_apart(run_inspect: Run, scripted: Script) -> None:
    scripted("\nthinking and nothing else<|im_end|>")
    log = run_inspect(bench(), solver=plain(), model="s1_hf/any")
    found = metrics(log)
    assert (found["accuracy"], found["unanswered"]) == (0, 1)
    assert math.isnan(found["accuracy_answered"])
    assert found["thinking_tokens"] == records(log)[0]["thinking_tokens"]


def test_sampling_options_reach_the_engine_with_a_seed_per_question_and_epoch(
    run_inspect: Run, scripted: Script
) -> None:
    engine = scripted(RIGHT)

    def seeds(**options: Any) -> list[int]:
        options = {"temperature": 0.5, "top_p": 0.9, "top_k": 7, **options}
        log = run_inspect(bench(), solver=plain(), model="s1_hf/any", epochs=2, **options)
        sampling = engine.calls[0].sampling
        assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.5, 0.9, 7)
        assert records(log)[0]["run"]["sampling"]["temperature"] == 0.5
        return [row["seed"] for row in records(log)]

    first = seeds(seed=1)
    assert len(set(first)) == 4
    assert seeds(seed=1) == first
    assert not set(seeds(seed=2)) & set(first)


def test_bad_parameters_are_refused_in_one_line_before_any_model_is_loaded() -> None:
    from inspect_ai._util.error import PrerequisiteError

    for params in (
        {"max_thinking_tokens": 0},
        {"min_thinking_tokens": 9, "max_thinking_tokens": 3},
    ):
        with pytest.raises(InspectUserError, match="max_thinking_tokens") as caught:
            budget_forcing(**params)
        assert isinstance(caught.value, UserError)
        assert isinstance(caught.value, PrerequisiteError)
        assert str(caught.value) in caught.value.message


def test_another_providers_answers_are_graded_without_a_record(run_inspect: Run) -> None:
    outputs = [ModelOutput.from_content("mock", "The answer is 7.") for _ in ANSWERS]
    for output in outputs:
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    log = run_inspect(bench(), model=get_model("mockllm/model", custom_outputs=outputs))
    assert (metrics(log)["accuracy"], metrics(log)["unanswered"]) == (0.5, 0)
    assert math.isnan(metrics(log)["thinking_tokens"])
    assert all(KEY not in sample.scores["s1_eval/grade"].metadata for sample in log.samples)


def test_ordinary_solvers_get_thinking_and_an_answer(run_inspect: Run, scripted: Script) -> None:
    scripted(RIGHT)
    theirs = Task(
        dataset=[Sample(input="Say 7.", target="7")],
        solver=[chain_of_thought(), generate()],
        scorer=match(),
    )
    log = run_inspect(theirs, model="s1_hf/any")
    (sample,) = log.samples
    assert sample.output.completion == "Final Answer: 7"
    assert sample.scores["match"].value == "C"
    assert sample.output.usage.reasoning_tokens > 0


def test_a_conversation_of_many_turns_reaches_the_model_whole(
    run_inspect: Run, scripted: Script
) -> None:
    engine = scripted(RIGHT)
    turns = [
        ChatMessageSystem(content="Be brief."),
        ChatMessageUser(content="Say 6."),
        ChatMessageAssistant(content="6"),
        ChatMessageUser(content="Say 7."),
    ]
    for solver in (plain(), generate()):
        conversation = Task(dataset=[Sample(input=turns, target="7")], solver=solver)
        log = run_inspect(conversation, model="s1_hf/any")
        assert log.status == "success", log.error
        assert engine.tokenizer.decode(engine.calls[-1].prompt).startswith(
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSay 6.<|im_end|>\n"
            "<|im_start|>assistant\n6<|im_end|>\n<|im_start|>user\nSay 7.<|im_end|>\n"
        )


def test_a_question_has_its_own_system_message(run_inspect: Run, scripted: Script) -> None:
    engine = scripted(RIGHT)
    own = [OurSample(str(i), "Say 7.", "7", system=said) for i, said in enumerate(("Hm.", None))]
    spoken = dataclasses.replace(
        BENCH, sample=lambda row: own[row["i"]], generate=lambda: [{"i": 0}, {"i": 1}]
    )
    log = run_inspect(inspect_task(spoken), solver=plain(), model="s1_hf/any")
    prompts = {engine.tokenizer.decode(call.prompt)[:40] for call in engine.calls}
    assert {text.startswith("<|im_start|>system\nHm.<|im_end|>") for text in prompts} == {
        True,
        False,
    }
    assert len({row["run"]["run_id"] for row in records(log)}) == 1
    from s1_eval.harness.lm_eval_tasks import load

    with pytest.raises(UserError, match="system messages of their own"):
        load(spoken)


@inspect_solver
def shown_before() -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        turns = [ChatMessageUser(content="Say 6."), ChatMessageAssistant(content="6")]
        state.messages = [*state.messages[:-1], *turns, state.messages[-1]]
        return state

    return solve


def test_turns_that_a_solver_shows_before_the_question_are_part_of_the_run(
    run_inspect: Run, scripted: Script
) -> None:
    scripted(RIGHT)
    task = inspect_task(BENCH)
    runs = [
        records(run_inspect(task, solver=chain, model="s1_hf/any"))[0]["run"]
        for chain in (plain(), [shown_before(), plain()])
    ]
    assert runs[0]["run_id"] != runs[1]["run_id"]
    assert "turns" not in runs[0]["prompting"]
    assert runs[1]["prompting"]["turns"] == [
        {"role": "user", "content": "Say 6."},
        {"role": "assistant", "content": "6"},
    ]


def test_a_picture_is_refused_and_never_left_out(run_inspect: Run, scripted: Script) -> None:
    scripted(RIGHT)
    picture = ContentImage(image="data:image/png;base64,iVBORw0KGgo=")
    asked = [ChatMessageUser(content=[ContentText(text="What is it?"), picture])]
    log = run_inspect(Task(dataset=[Sample(input=asked)], solver=plain()), model="s1_hf/any")
    assert log.status == "error"
    assert "a message has image" in log.error.message


def test_options_are_shown_and_the_answer_is_marked(run_inspect: Run, scripted: Script) -> None:
    engine = scripted(RIGHT.replace("Final Answer: 7", "Final Answer: B"))
    asked = [
        Sample(input="Which one?", choices=["blue", "green"], target=letter) for letter in "BA"
    ]
    log = run_inspect(Task(dataset=asked, solver=plain(), scorer=choice()), model="s1_hf/any")
    assert log.status == "success", log.error
    assert "B) green" in engine.tokenizer.decode(engine.calls[0].prompt)
    assert [sample.scores["choice"].value for sample in log.samples] == ["C", "I"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"reasoning_effort": "low"}, "knows none at all"),
        ({"reasoning_tokens": 9}, "takes no number"),
    ],
)
def test_a_dial_that_the_template_lacks_is_refused(
    run_inspect: Run, scripted: Script, option: dict[str, Any], said: str
) -> None:
    scripted(RIGHT)
    for solver in (plain(), generate()):
        log = run_inspect(bench(), solver=solver, model="s1_hf/any", **option)
        assert log.status == "error"
        assert said in log.error.message


@pytest.mark.parametrize("options", [{"stop_seqs": ["x"]}, {"logprobs": True}, {"max_tokens": 5}])
def test_options_that_would_be_ignored_are_refused(
    run_inspect: Run, scripted: Script, options: dict[str, Any]
) -> None:
    scripted(RIGHT)
    log = run_inspect(bench(), solver=budget_forcing(), model="s1_hf/any", **options)
    assert log.status == "error"
    assert next(iter(options)).split("_")[0] in log.error.message


def test_the_connection_limit_is_ours_unless_the_user_sets_one(
    run_inspect: Run, scripted: Script
) -> None:
    scripted(RIGHT)
    log = run_inspect(bench(), model="s1_hf/any")
    assert log.eval.model_generate_config.max_connections == MAX_CONNECTIONS
    assert get_model("s1_hf/any", memoize=False).api.max_connections() == MAX_CONNECTIONS


def test_an_engine_is_opened_once_for_the_same_model_and_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = []
    monkeypatch.setattr("s1_eval.evaluation.opened._opened", {})

    def open_engine(*a: Any, **k: Any) -> ScriptedEngine:
        opened.append((a, k))
        return ScriptedEngine("x")

    one = shared(open_engine, "s1_hf", "m", dtype="float32")
    assert shared(open_engine, "s1_hf", "m", dtype="float32") is one
    assert shared(open_engine, "s1_hf", "m", dtype="float16") is not one
    assert len(opened) == 2


def test_every_method_has_a_solver_whose_parameters_are_its_settings() -> None:
    assert set(_registry.SOLVERS) == set(METHODS) == set(dir(solvers))
    for name, solver in _registry.SOLVERS.items():
        assert getattr(solvers, name) is solver
        fields = flat_fields(METHODS[name].settings)
        parameters = dict(inspect.signature(solver).parameters)
        assert (parameters.pop("verifier", None) is not None) == METHODS[name].verifier
        assert parameters.popitem()[1].kind is inspect.Parameter.VAR_KEYWORD
        assert set(parameters) == set(fields)
        for parameter in parameters.values():
            default = fields[parameter.name].default
            missing = default is dataclasses.MISSING
            assert parameter.default == (inspect.Parameter.empty if missing else default)


def test_only_a_task_of_ours_gives_solvers_their_bare_names() -> None:
    program = """
from inspect_ai.solver import Solver, generate, solver
from inspect_ai._util.registry import registry_info, registry_lookup
from s1_eval import _registry

@solver
def sets() -> Solver:
    return generate()

theirs = registry_lookup("solver", "sets")
assert registry_lookup("solver", "plain") is None
assert registry_info(registry_lookup("solver", "s1_eval/sets")).name == "s1_eval/sets"
_registry.TASKS["nano"]()
assert registry_info(registry_lookup("solver", "plain")).name == "plain"
assert registry_lookup("solver", "sets") is theirs
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_method_of_somebody_elses_is_a_solver(
    run_inspect: Run, scripted: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def curt(policy: Policy, question: Question, params: Plain) -> Outcome:
        """Nothing to say."""
        return await PLAIN.coroutine(policy, question, params)

    monkeypatch.setitem(METHODS, "curt", Method("curt", Plain, curt))
    scripted(RIGHT)
    solver = solvers.curt(max_tokens=40)
    assert solvers.curt.__doc__.startswith("Nothing to say.\n\nSettings of the unforced run.")
    log = run_inspect(bench(), solver=solver, model="s1_hf/any", limit=1)
    assert log.eval.solver == "s1_eval/curt"
    assert records(log)[0]["method"] == "curt"
    with pytest.raises(AttributeError):
        solvers.curd  # noqa: B018


def test_a_retry_finishes_what_failed(run_inspect: Run, scripted: Script) -> None:
    from inspect_ai import eval_retry

    engine = scripted(RIGHT)
    calls = break_at_second_call(engine)
    options = {"solver": plain(), "model": "s1_hf/any", "limit": 2, "max_samples": 1}
    log = run_inspect(nano(), **options)
    assert log.status == "error"
    (retried,) = eval_retry(log, display="none", log_dir=str(log.location) + ".retried")
    assert retried.status == "success"
    assert len(records(retried)) == 2
    assert len(calls) == 3
