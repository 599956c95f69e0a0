"""Other people's tasks in a sweep: their prompts, their verdicts, the same rows as in the harness
that they were written for, and what is refused before a model is loaded."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalLog

import s1_eval
from s1_eval.errors import UserError
from s1_eval.evaluation.named import find_task
from s1_eval.records import read_runs
from s1_eval.records.foreign import Told, readers
from s1_eval.solvers import budget_forcing
from s1_eval.training.nano.problems import held_out

INSPECT = """
from random import Random

from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import (
    ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, ContentImage, ContentText,
    GenerateConfig,
)
from inspect_ai.scorer import (
    Score, accuracy, choice, includes, match, mean, model_graded_qa, pattern, scorer,
)
from inspect_ai.solver import (
    Solver, basic_agent, chain_of_thought, generate, multiple_choice, prompt_template,
    self_critique, solver, system_message, use_tools, user_message,
)
from inspect_ai.tool import tool

from s1_eval.solvers import budget_forcing
from s1_eval.training.nano.problems import held_out


def questions(**more):
    return [
        Sample(id=f"q{n}", input=p.question, target=p.target, metadata={"level": n % 2, **more})
        for n, p in enumerate(list(held_out())[:4])
    ]


@task
def sums():
    return Task(dataset=questions(), solver=generate(), scorer=match())


@task
def prompted(word: str = "Mind"):
    chain = [system_message(f"{word} the level {{level}}."), prompt_template("{prompt}")]
    return Task(dataset=questions(), solver=[*chain, generate()], scorer=includes())


@task
def shots():
    turns = [ChatMessageSystem(content="Sum."), ChatMessageUser(content="Compute mod 100.\\nS=1")]
    turns += [ChatMessageAssistant(content="Final Answer: 01")]
    samples = [
        Sample(input=[*turns, ChatMessageUser(content=each.input)], target=each.target)
        for each in questions()
    ]
    return Task(dataset=samples, setup=system_message("Twice."), scorer=pattern(r"(\\d+)$"))


@task
def options(seed: int = 1):
    samples = [
        Sample(id=n, input=each.input, choices=[each.target, "x", "y"], target="A")
        for n, each in enumerate(questions())
    ]
    dataset = MemoryDataset(samples)
    dataset.shuffle_choices(seed=seed)
    return Task(dataset=dataset, solver=multiple_choice(), scorer=choice())


@task
def limited():
    config = GenerateConfig(max_tokens=9, temperature=0.5, stop_seqs=["Answer"])
    return Task(dataset=questions(), config=config, scorer=match())


@scorer(metrics=[mean()])
def share():
    async def score(state, target):
        return Score(value=0.5)
    return score


@scorer(metrics=[accuracy()])
def halves():
    async def score(state, target):
        right = target.text in state.output.completion
        return Score(value={"first": right, "second": False}, answer=state.output.completion)
    return score


@scorer(metrics=[accuracy()])
def breaks():
    async def score(state, target):
        if state.sample_id == "q1" and state.output.completion:
            raise RuntimeError("no such file")
        return Score(value="I")
    return score


@task
def several():
    return Task(dataset=questions(), scorer=[match(), share(), halves()])


@task
def partly():
    return Task(dataset=questions(), scorer=share())


@task
def broken():
    return Task(dataset=questions(), scorer=breaks())


@tool
def add():
    async def execute(x: int, y: int) -> int:
        \"\"\"Add.

        Args:
            x: One.
            y: Other.
        \"\"\"
        return x + y
    return execute


@task
def tools():
    return Task(dataset=questions(), solver=[use_tools(add()), generate()], scorer=match())


@task
def agent():
    return Task(dataset=questions(), solver=basic_agent(tools=[add()]), scorer=match())


@task
def critique():
    return Task(dataset=questions(), solver=[generate(), self_critique()], scorer=match())


@task
def twice():
    return Task(dataset=questions(), solver=[generate(), user_message("?"), generate()])


@task
def silent():
    return Task(dataset=questions(), solver=prompt_template("{prompt}"), scorer=match())


@task
def drawn():
    @solver
    def any_word() -> Solver:
        async def solve(state, generate):
            state.user_prompt.text += str(Random().random())
            return await generate(state)
        return solve
    return Task(dataset=questions(), solver=any_word(), scorer=match())


@task
def mixed():
    dataset = MemoryDataset([Sample(id=f"q{n}", input="?", target="1") for n in range(9)])
    dataset.shuffle()
    return Task(dataset=dataset, scorer=match())


@task
def swapped(seed: int | None = None):
    samples = [
        Sample(id=n, input="?", choices=[str(i) for i in range(9)], target="A") for n in range(9)
    ]
    dataset = MemoryDataset(samples)
    dataset.shuffle_choices(seed=seed)
    return Task(dataset=dataset, solver=multiple_choice(), scorer=choice())


@task
def graded():
    return Task(dataset=questions(), scorer=model_graded_qa())


@task
def boxed():
    return Task(dataset=questions(), sandbox="local", scorer=match())


@task
def picture():
    parts = [ContentText(text="What?"), ContentImage(image="data:image/png;base64,iVBORw0KGgo=")]
    return Task(dataset=[Sample(input=[ChatMessageUser(content=parts)])], scorer=match())


@task
def unscored():
    return Task(dataset=questions())


@task
def by_method():
    return Task(dataset=questions(), solver=budget_forcing(max_thinking_tokens=9), scorer=match())
"""

LM_EVAL = """
task: %s
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
fewshot_split: test
num_fewshot: 2
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["!"], do_sample: false, max_gen_toks: 40}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
filter_list:
  - name: last
    filter: [{function: regex, group_select: -1, regex_pattern: "(\\\\d+)"}, {function: take_first}]
"""


@pytest.fixture(scope="module", autouse=True)
def indexed_once() -> None:
    import indexed  # noqa: F401


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "theirs.py").write_text(textwrap.dedent(INSPECT))
    data = folder / "sums.jsonl"
    data.write_text(
        "".join(
            json.dumps({"question": p.question, "answer": p.target}) + "\n"
            for p in list(held_out())[:5]
        )
    )
    text = LM_EVAL % ("their_sums", data)
    (folder / "their_sums.yaml").write_text(text)
    strict = '  - {name: all, filter: [{function: "take_first"}]}\n'
    (folder / "their_two.yaml").write_text(text.replace("their_sums", "their_two") + strict)
    choice = text.replace("their_sums", "their_choice").replace("generate_until", "multiple_choice")
    choice = choice[: choice.index("generation_kwargs")] + 'doc_to_choice: ["02", "20"]\n'
    choice = choice.replace('"{{answer}}"', "0").replace("num_fewshot: 2\n", "")
    (folder / "their_choice.yaml").write_text(choice)
    begun = text.replace("their_sums", "their_begun") + 'gen_prefix: "It is"\n'
    (folder / "their_begun.yaml").write_text(begun)
    return folder


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    from s1_eval.engines.table import open_engine

    opened = open_engine("s1_hf", "nano")
    yield opened
    opened.close()


@pytest.fixture
def their(
    tasks: Path, engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., list[dict[str, Any]]]:
    """The rows of a sweep over one of the tasks, as they stand in its records."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tasks / "datasets"))

    def run(name: str, method: str = "plain", **options: Any) -> list[dict[str, Any]]:
        s1_eval.evaluate(
            engine, found(tasks, name, options), method, out=tmp_path / "out", **options
        )
        (samples,) = (tmp_path / "out").glob("*/samples.jsonl")
        return [json.loads(line) for line in samples.read_text().splitlines()]

    return run


def found(tasks: Path, name: str, options: dict[str, Any]) -> Any:
    grader, given = options.pop("grader", None), options.pop("task_args", {})
    if name.startswith("lm_eval/"):
        return find_task(name, grader, {"include_path": str(tasks), **given})
    return find_task(f"{tasks / 'theirs.py'}@{name}", grader, given)


SAME = (
    *("sample_id", "epoch", "target", "answer", "correct", "answered", "response", "task"),
    *("method_params", "thinking_tokens", "generated_tokens", "answer_tokens", "exit_reason"),
    "answer_exit",
)
FORCED = {"max_thinking_tokens": 48, "num_ignores": 1}


def alike(rows: Any) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (row["sample_id"], row["epoch"]): {
            **{name: row.get(name) for name in SAME},
            "chains": [[part["ids"] for part in trace["segments"]] for trace in row["traces"]],
        }
        for row in rows
    }


def of_log(log: EvalLog) -> list[Any]:
    from s1_eval.records import read_rows

    assert log.status == "success", log.error
    return [located.row for located in read_rows(read_runs([log.location]))]


@pytest.mark.parametrize("name", ["sums", "prompted", "shots", "options"])
def test_a_sweep_and_inspect_give_the_same_rows_of_an_inspect_task(
    their: Any, tasks: Path, run_inspect: Callable[..., EvalLog], name: str
) -> None:
    ours = their(name, "budget_forcing", **FORCED)
    made = {"budget_forcing": budget_forcing(**FORCED)}["budget_forcing"]
    from inspect_ai._eval.loader import load_tasks

    (task,) = load_tasks([f"{tasks / 'theirs.py'}@{name}"], {})
    chains = {"prompted": [*task.solver[:-1], made] if name == "prompted" else None}
    log = run_inspect(task, solver=chains.get(name) or made, model="s1_hf/nano")
    assert alike(of_log(log)) == alike(ours)
    assert len(ours) == 4


@pytest.mark.parametrize("shots", [0, 2])
def test_a_sweep_and_lm_eval_give_the_same_rows_of_an_lm_eval_task(
    their: Any, tasks: Path, engine: Any, tmp_path: Path, shots: int
) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from s1_eval.harness.lm_eval_models import s1_hf

    given = {"task_args": {"num_fewshot": shots}}
    ours = their("lm_eval/their_sums", "budget_forcing", **given, **FORCED)
    model = s1_hf("nano")
    model.__dict__["engine"] = engine
    results = simple_evaluate(
        model=model,
        tasks=["their_sums"],
        gen_kwargs={"max_tokens_thinking": 48, "thinking_n_ignore": 1},
        task_manager=TaskManager(include_defaults=False, include_path=str(tasks)),
        num_fewshot=shots,
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    assert results
    lines = results["samples"]["their_sums"]
    for line in lines:
        line["arguments"] = {"gen_args_0": dict(enumerate(line["arguments"][0]))}
    file = tmp_path / "samples_their_sums_2026-01-01T00-00-00.000000.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    from s1_eval.records import read_rows

    rows = [each.row for each in read_rows(read_runs([file], readers(Told())), readers(Told()))]
    assert alike(rows) == alike(ours)
    assert {row["method_params"]["max_answer_tokens"] for row in ours} == {40}
    assert len({row["correct"] for row in ours}) == 2 - bool(shots)  # shots are too much for nano


def test_the_tasks_own_limits_and_sampling_hold_unless_the_user_says_otherwise(
    their: Any, tasks: Path, tmp_path: Path
) -> None:
    (row, *_) = their("limited", limit=1)
    record = json.loads(next((tmp_path / "out").glob("*/run.json")).read_text())
    assert record["sampling"]["temperature"] == 0.5
    assert row["method_params"]["max_tokens"] == 9
    assert record["prompting"]["until"] == ["Answer"]
    assert record["task"] == "limited"


def test_of_several_scorers_the_first_counts_or_the_one_that_is_named(
    their: Any, tasks: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = their("several", limit=2)
    assert "scored by match, share, halves: match counts" in caplog.text
    assert {row["correct"] for row in rows} == {True, False}
    assert rows[0]["scores"]["share"] == 0.5
    with pytest.raises(UserError, match="scored by match, share, halves"):
        found(tasks, "several", {"grader": "mtch"})


@pytest.mark.parametrize(("grader", "right"), [("halves.first", {True, False}), ("integer", None)])
def test_a_key_of_a_score_or_a_grader_of_ours_can_count(
    their: Any, grader: str, right: Any
) -> None:
    rows = their("several", limit=2, grader=grader)
    assert {row["correct"] for row in rows} == {True, False}
    assert ("rule" in rows[0]) == (grader == "integer")


def test_what_a_scorer_leaves_open_is_recorded_as_unknown_and_never_scored(
    their: Any, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"not known for 2 of 2 .*share 0.5.*correct=scores.share"):
        their("partly", limit=2)
    (samples,) = (tmp_path / "out").glob("*/samples.jsonl")
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    assert [(row["correct"], row["scores"]) for row in rows] == [(None, {"share": 0.5})] * 2


def test_a_scorer_that_breaks_fails_its_sample_alone(their: Any, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="no such file"):
        rows = their("broken", limit=3)
    assert {row["sample_id"] for row in rows} == {"q0", "q2"}


def test_of_several_filters_the_first_counts_and_all_are_recorded(
    their: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rows = their("lm_eval/their_two", limit=2)
    assert "exact_match,last counts" in caplog.text
    assert set(rows[0]["scores"]) == {"exact_match,last", "exact_match,all"}
    assert rows[0]["correct"] == bool(rows[0]["scores"]["exact_match,last"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tools", r"gives the model tools \(add\)"),
        ("agent", "gives the model tools"),
        ("critique", "asks the model several times"),
        ("twice", "asks the model several times"),
        ("silent", "never asks the model"),
        ("drawn", "another prompt each time"),
        ("swapped", "another order of options.*seed"),
        ("graded", "scorer that asks the evaluated model"),
        ("boxed", "has a sandbox"),
        ("picture", "a message has image"),
        ("unscored", "has no scorer: give --grader"),
        ("sum", "sums"),
        ("lm_eval/their_choice", "reads log-likelihoods"),
        ("lm_eval/their_begun", "gen_prefix"),
        ("lm_eval/their_sum", "did you mean lm_eval/their_sums"),
    ],
)
def test_what_no_method_can_answer_is_refused_before_a_model_is_loaded(
    tasks: Path, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tasks / "datasets"))
    with pytest.raises(UserError, match=said):
        found(tasks, name, {}).load()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("inspect_evals/gsm8kk", "inspect_evals"),
        ("nowhere.py@sums", "nowhere"),
        ("s1_eval/nanoo", "s1_eval/nano"),
    ],
)
def test_a_name_that_there_is_not(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        find_task(name)


def test_a_task_of_ours_and_one_with_a_method_of_ours_are_tasks_like_others(
    their: Any, tasks: Path
) -> None:
    by_name = find_task("s1_eval/nano").load().samples
    assert [sample.prompt for sample in by_name[:3]] == [p.question for p in list(held_out())[:3]]
    assert [row["budget"] for row in their("by_method", limit=1)] == [None]


def test_questions_come_in_one_order(tasks: Path, caplog: pytest.LogCaptureFixture) -> None:
    ids = [sample.id for sample in found(tasks, "mixed", {}).load().samples]
    assert ids == [f"q{n}" for n in range(9)]
    assert "in the order of ids" in caplog.text
    found(tasks, "swapped", {"task_args": {"seed": 1}}).load()


def test_arguments_reach_the_task_and_strange_ones_are_refused(tasks: Path) -> None:
    given = found(tasks, "prompted", {"task_args": {"word": "Heed"}})
    assert given.load().samples[1].before == ({"role": "system", "content": "Heed the level 1."},)
    with pytest.raises(UserError, match="does not take wrd: its arguments are word"):
        found(tasks, "prompted", {"task_args": {"wrd": "Heed"}})
    with pytest.raises(UserError, match="-T KEY=VALUE"):
        found(tasks, "sums", {}).load("somewhere")


async def test_options_that_the_solver_leaves_out_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "bare.py"
    file.write_text(
        textwrap.dedent(
            """
            from inspect_ai import Task, task
            from inspect_ai.dataset import Sample
            from inspect_ai.scorer import choice

            @task
            def bare():
                sky = Sample(input="Sky?", choices=["red", "blue"], target="B")
                both = Sample(input="Sky?", choices=["high", "blue", "red"], target=["A", "B"])
                shown = Sample(input="Sky, red or blue?", choices=["red", "blue"], target="B")
                return Task(dataset=[sky, both, shown], scorer=choice())
            """
        )
    )
    task = find_task(f"{file}@bare")
    one, both, shown = task.load().samples
    assert one.prompt.endswith("Sky?\n\nA) red\nB) blue")
    assert both.prompt.endswith("Sky?\n\nA) high\nB) blue\nC) red")
    assert shown.prompt == "Sky, red or blue?"
    assert task.foreign
    assert task.foreign.judge
    for sample, answer, right in ((one, "B", True), (one, "A", False), (both, "A,B", True)):
        solved: Any = {"response": f"ANSWER: {answer}", "epoch": 1}
        solved |= {"generated_tokens": 3, "thinking_tokens": 0}
        assert (await task.foreign.judge(sample, solved))["correct"] is right
