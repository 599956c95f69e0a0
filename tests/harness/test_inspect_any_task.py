"""Our solvers and our scorer on other people's Inspect tasks: options, prompts as they stand, what
is refused, and whose verdict is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from inspect_ai import Task, score
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import Score, Scorer, Target, accuracy, choice, match, scorer
from inspect_ai.solver import (
    Generate,
    Solver,
    TaskState,
    chain_of_thought,
    generate,
    multiple_choice,
    prompt_template,
    self_critique,
    solver,
    system_message,
    use_tools,
    user_message,
)
from inspect_ai.tool import Tool, tool
from scripted import ScriptedEngine

from s1_eval.harness.inspect_errors import InspectUserError
from s1_eval.harness.inspect_scoring import grade
from s1_eval.metrics import score as scored
from s1_eval.records.foreign import Told, readers
from s1_eval.records.readers import read_runs
from s1_eval.solvers import budget_forcing, majority_vote, plain

Run = Callable[..., EvalLog]
Script = Callable[..., ScriptedEngine]

COLOURS = [
    Sample(id="sky", input="The sky?", choices=["blue", "green", "red"], target="A"),
    Sample(id="leaf", input="A leaf?", choices=["blue", "green", "red"], target="B"),
]
MINE = "Look:\n{question}\n\n{choices}\nLast line: ANSWER: one of {letters}."


def says(answer: str) -> str:
    return f"\nHm.\n<|im_start|>answer\n{answer}<|im_end|>"


def metrics(log: EvalLog) -> dict[str, float]:
    return {name: m.value for each in log.results.scores for name, m in each.metrics.items()}


def verdicts(log: EvalLog) -> dict[str, Any]:
    return {sample.id: sample.scores["choice"].value for sample in log.samples}


def prompts(engine: ScriptedEngine) -> list[str]:
    return [engine.tokenizer.decode(call.prompt) for call in engine.calls]


@solver
def around(inner: Solver) -> Solver:
    """`multiple_choice` with a solver in the place of the model."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        async def ask(state: TaskState, **_: Any) -> TaskState:
            return await inner(state, generate)

        return await multiple_choice(template=MINE)(state, ask)

    return solve


@solver
def shown_by_hand() -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        options = "\n".join(f"({c}) {o.value}" for c, o in zip("ABC", state.choices, strict=True))
        state.user_prompt.text = f"{state.user_prompt.text}\n{options}"
        return state

    return solve


@pytest.mark.parametrize(
    "chain",
    [
        budget_forcing(max_thinking_tokens=64),
        [multiple_choice(template=MINE), budget_forcing(max_thinking_tokens=64)],
        around(plain()),
        [shown_by_hand(), plain()],
        [system_message("Be brief."), chain_of_thought(), plain()],
    ],
    ids=["task", "before", "around", "by hand", "prompted"],
)
def test_options_are_in_the_prompt_once_and_the_choice_scorer_reads_the_answer(
    run_inspect: Run, scripted: Script, chain: Any
) -> None:
    engine = scripted(says("ANSWER: B"))
    log = run_inspect(
        Task(dataset=COLOURS, solver=chain, scorer=choice(), name="colours"), model="s1_hf/any"
    )
    assert log.status == "success", log.error
    shown = prompts(engine)
    assert all(text.count(") green") == 1 for text in shown)
    assert verdicts(log) == {"sky": "I", "leaf": "C"}
    assert [sample.messages[-1].role for sample in log.samples] == ["assistant"] * 2
    (run,) = read_runs([log.location])
    assert run.task == "colours"
    found = {row["sample_id"]: (row["answer"], row["correct"]) for row in run.rows}
    assert found == {"sky": ("B", False), "leaf": ("B", True)}


def test_shuffled_options_keep_their_letters(run_inspect: Run, scripted: Script) -> None:
    dataset = MemoryDataset([sample.model_copy(deep=True) for sample in COLOURS])
    dataset.shuffle_choices(seed=7)
    assert dataset[0].choices != COLOURS[0].choices
    engine = scripted(says(f"ANSWER: {dataset[0].target}"))
    log = run_inspect(Task(dataset=dataset, solver=plain(), scorer=choice()), model="s1_hf/any")
    assert f"{dataset[0].target}) blue" in prompts(engine)[0]
    assert verdicts(log)["sky"] == "C"


@pytest.mark.parametrize("target", [["A", "C"], "A,C", "AC"])
def test_several_right_options_are_asked_for_and_marked(
    run_inspect: Run, scripted: Script, target: Any
) -> None:
    engine = scripted(says("ANSWER: C, A"))
    one = Sample(input="Which?", choices=["blue", "green", "red"], target=target)
    log = run_inspect(Task(dataset=[one], solver=plain(), scorer=choice()), model="s1_hf/any")
    assert "multiple answers may be correct" in prompts(engine)[0]
    assert log.samples[0].scores["choice"].value == "C"


def test_an_answer_in_other_words_is_marked_on_options_that_somebody_else_has_shown(
    run_inspect: Run, scripted: Script
) -> None:
    scripted(says("The answer is (B)."))
    task = Task(dataset=COLOURS, solver=[shown_by_hand(), plain()], scorer=choice())
    log = run_inspect(task, model="s1_hf/any")
    assert verdicts(log) == {"sky": "I", "leaf": "C"}


def test_prompts_turns_and_system_messages_reach_the_model_as_they_stand(
    run_inspect: Run, scripted: Script
) -> None:
    engine = scripted(says("7"))
    turns = [
        ChatMessageSystem(content="Sum."),
        ChatMessageUser(content="3+3"),
        ChatMessageAssistant(content="6"),
        ChatMessageUser(content="3+4"),
    ]
    asked = [Sample(input=turns, target="7", metadata={"hint": "Count."})]
    chain = [
        system_message("Be {hint}"),
        prompt_template("{hint} {prompt} ="),
        chain_of_thought(),
        user_message("Now."),
        plain(),
    ]
    log = run_inspect(Task(dataset=asked, solver=chain, scorer=match()), model="s1_hf/any")
    assert log.status == "success", log.error
    (text,) = prompts(engine)
    assert text.startswith(
        "<|im_start|>system\nSum.<|im_end|>\n<|im_start|>system\nBe Count.<|im_end|>\n"
        "<|im_start|>user\n3+3<|im_end|>\n<|im_start|>assistant\n6<|im_end|>\n"
        "<|im_start|>user\n\nCount. 3+4 =\n\nBefore answering, reason"
    )
    assert text.endswith(
        "<|im_start|>user\nNow.<|im_end|>\n<|im_start|>assistant\n<|im_start|>think"
    )
    assert log.samples[0].scores["match"].value == "C"


def test_a_log_is_one_run_though_its_template_shows_what_differs(
    run_inspect: Run, scripted: Script
) -> None:
    scripted(says("7"))
    asked = [Sample(id=i, input="Say.", target="7", metadata={"n": f"n{i}"}) for i in range(3)]
    chain = [system_message("{n}"), prompt_template("{prompt} {n}"), plain()]
    log = run_inspect(Task(dataset=asked, solver=chain, scorer=match()), model="s1_hf/any")
    (run,) = read_runs([log.location])
    assert len(run.rows) == 3


@tool
def add() -> Tool:
    async def execute(x: int, y: int) -> int:
        """Add two numbers.

        Args:
            x: One number.
            y: The other.
        """
        return x + y

    return execute


@solver
def ask_again() -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state.messages.append(ChatMessageUser(content="Are you sure?"))
        return await generate(state)

    return solve


CALLED = [
    ChatMessageUser(content="2+2"),
    ChatMessageTool(content="4"),
    ChatMessageUser(content="?"),
]
ANSWERED = [ChatMessageUser(content="2+2"), ChatMessageAssistant(content="4")]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"solver": [use_tools(add()), plain()]}, "gives the model tools"),
        ({"dataset": [Sample(input=CALLED)]}, "gives the model tools"),
        ({"dataset": [Sample(input=ANSWERED)]}, "has to be a user's"),
        ({"solver": [generate(), plain()]}, "has to be a user's"),
        ({"solver": [plain(), plain()]}, "has to be a user's"),
        ({"solver": [plain(), ask_again()]}, "asks the model again after plain"),
        ({"solver": [plain(), self_critique()]}, "asks the model again after plain"),
        ({"solver": [plain(), multiple_choice()], "dataset": COLOURS}, "asks the model again"),
        ({"sandbox": "local"}, "sandbox=scorer"),
        ({"config": GenerateConfig(max_tokens=9)}, "-S max_tokens=N"),
    ],
)
def test_what_takes_tools_or_turns_is_refused_with_the_reason(
    run_inspect: Run, scripted: Script, task: dict[str, Any], said: str
) -> None:
    scripted(says("7"))
    whole = {"dataset": [Sample(input="Say 7.", target="7")], "solver": plain(), **task}
    log = run_inspect(Task(**whole), model="s1_hf/any")
    assert log.status == "error"
    assert said in log.error.message


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ({"sandbox": "local"}, {"sandbox": "scorer"}),
        ({"config": GenerateConfig(max_tokens=9)}, {"max_tokens": 12}),
    ],
)
def test_what_a_refusal_says_to_type_works(
    run_inspect: Run, scripted: Script, task: dict[str, Any], settings: dict[str, Any]
) -> None:
    scripted(says("7"))
    one = Task(dataset=[Sample(input="Say 7.", target="7")], scorer=match(), **task)
    log = run_inspect(one, solver=plain(**settings), model="s1_hf/any")
    assert log.status == "success", log.error
    with pytest.raises(InspectUserError, match="sandbox"):
        plain(sandbox="tools")


@scorer(metrics=[accuracy()])
def gives(value: Any) -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=value)

    return score


@pytest.mark.parametrize("value", ["P", 0.4, {"a": 1, "b": 0}, [1, 0]])
def test_a_verdict_that_is_neither_right_nor_wrong_is_asked_for_and_never_made_up(
    run_inspect: Run, scripted: Script, value: Any
) -> None:
    from s1_eval.errors import UserError

    scripted(says("7"))
    asked = [Sample(input="Say 7.", target="7")]
    log = run_inspect(
        Task(dataset=asked, solver=plain(), scorer=gives(value), metrics=[]), model="s1_hf/any"
    )
    assert log.status == "success", log.error
    with pytest.raises(UserError, match=r"--columns correct=scores\.gives\.value"):
        read_runs([log.location])


@pytest.mark.parametrize(
    ("grader", "target", "answer", "options", "right"),
    [
        ("math", r"\frac{1}{2}", "So it is 0.5", None, True),
        ("math", ["3", "0.5"], r"\boxed{\frac12}", None, True),
        ("integer", "7", "The answer is 8.", None, False),
        ("choice", "B", "I choose (B).", ["blue", "green"], True),
        ({"name": "choice", "letters": "AB"}, "A", "Final Answer: B", ["blue", "green"], False),
    ],
)
def test_our_scorer_grades_any_task_by_the_grader_that_is_named(
    run_inspect: Run,
    scripted: Script,
    grader: Any,
    target: Any,
    answer: str,
    options: Any,
    right: bool,
) -> None:
    scripted(says(answer))
    asked = [Sample(input="Which?", target=target, choices=options)]
    task = Task(dataset=asked, solver=plain(), scorer=grade(grader=grader), name="theirs")
    log = run_inspect(task, model="s1_hf/any")
    assert log.status == "success", log.error
    assert metrics(log)["accuracy"] == right
    (run,) = read_runs([log.location])
    name = grader if isinstance(grader, str) else grader["name"]
    assert (run.task, run.record["grader"]["name"]) == ("theirs", name)
    (row,) = run.rows
    assert (row["correct"], row["answered"]) == (right, True)
    assert metrics(log)["thinking_tokens"] == row["thinking_tokens"] > 0


def test_a_vote_on_their_task_has_the_verdict_on_every_sample(
    run_inspect: Run, scripted: Script
) -> None:
    scripted(says("7"))
    task = Task(dataset=[Sample(input="Say 7.", target="7")], scorer=grade("integer"))
    log = run_inspect(task, solver=majority_vote(samples=2), model="s1_hf/any", temperature=1.0)
    assert log.status == "success", log.error
    (run,) = read_runs([log.location])
    assert run.rows[0]["sample_correct"] == [True, True]


def outputs(*texts: str) -> list[ModelOutput]:
    """Answers of a service that reports nine reasoning tokens for each."""
    made = []
    for text in texts:
        parts = [ContentReasoning(reasoning="Hm."), ContentText(text=text)]
        message = ChatMessageAssistant(content=parts, source="generate")
        output = ModelOutput(model="m", choices=[ChatCompletionChoice(message=message)])
        output.usage = ModelUsage(
            input_tokens=1, output_tokens=12, total_tokens=13, reasoning_tokens=9
        )
        made.append(output)
    return made


def test_a_log_of_another_model_is_scored_by_our_scorer_with_what_its_usage_says(
    run_inspect: Run,
) -> None:
    asked = [Sample(id=t, input=f"Say {t}.", target=t) for t in "78"]
    model = get_model("mockllm/model", custom_outputs=outputs("It is 7.", ""))
    log = run_inspect(Task(dataset=asked, solver=generate(), name="theirs"), model=model)
    log = score(log, grade("integer"), display="none", model=model)
    found = metrics(log)
    assert (found["accuracy"], found["unanswered"], found["thinking_tokens"]) == (0.5, 0.5, 9)
    from inspect_ai.log import write_eval_log

    write_eval_log(log, log.location)
    (run,) = read_runs([log.location], readers(Told()))
    assert [(row["correct"], row["answered"]) for row in run.rows] == [(True, True), (False, False)]
    assert {row["thinking_tokens"] for row in run.rows} == {9}


def test_without_a_grader_their_task_asks_for_one(run_inspect: Run, scripted: Script) -> None:
    scripted(says("7"))
    asked = [Sample(input="Say 7.", target="7")]
    log = run_inspect(Task(dataset=asked, solver=plain(), scorer=grade()), model="s1_hf/any")
    assert "grade(grader=...)" in log.error.message
    with pytest.raises(InspectUserError, match="choice, integer, math"):
        grade(grader="mth")
    odd = [Sample(id="q", input="?", choices=["a", "b"], target=["A", "B"])]
    log = run_inspect(Task(dataset=odd, solver=plain(), scorer=grade("choice")), model="s1_hf/any")
    assert "several right options (A, B)" in log.error.message


@pytest.mark.parametrize(("temperature", "copies"), [(0, 2), (0.5, 0)])
def test_epochs_of_greedy_decoding_are_said_to_be_copies(
    run_inspect: Run, scripted: Script, temperature: float, copies: int
) -> None:
    scripted(says("7"))
    asked = [Sample(id=i, input="Say 7.", target="7") for i in (1, 2)]
    task = Task(dataset=asked, solver=plain(), scorer=match(), epochs=2)
    log = run_inspect(task, model="s1_hf/any", temperature=temperature)
    (run,) = read_runs([log.location])
    assert [row.get("copy", False) for row in run.rows].count(True) == copies
    note = scored([run], resamples=20)[0]["performance"]["note"] or ""
    assert ("2 of 4 samples are copies" in note) == bool(copies)
