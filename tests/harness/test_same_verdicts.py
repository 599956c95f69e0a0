"""Recorded answers to the real benchmarks get the same verdict in Inspect and in lm-eval."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import EvalLog
from inspect_ai.model import ModelOutput
from inspect_ai.solver import Generate, Solver, TaskState, solver
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from spellings import near_misses

from s1_eval.evaluation.benchmark import Benchmark
from s1_eval.tasks import __file__ as tasks_file
from s1_eval.tasks.aime24 import AIME24, aime24
from s1_eval.tasks.aime25 import AIME25, aime25
from s1_eval.tasks.gpqa_diamond import GPQA_DIAMOND, gpqa_diamond
from s1_eval.tasks.math500 import MATH500, math500

Answers = dict[str, str]
Verdicts = dict[str, tuple[bool, bool]]
"""By question: correct, answered."""

TASKS = {
    "aime24": (AIME24, aime24),
    "aime25": (AIME25, aime25),
    "math500": (MATH500, math500),
    "gpqa_diamond": (GPQA_DIAMOND, gpqa_diamond),
}


@pytest.fixture(scope="module")
def answers(shared_data: Path) -> dict[str, Answers]:
    """By task and question. AIME24's are DeepScaleR's at 8,192 tokens, MATH-500's its reference
    solutions and near misses in turn."""

    def made(bench: Benchmark, answer: Callable[[int, Any], str]) -> Answers:
        samples = bench.load(str(shared_data)).samples
        return {sample.id: answer(i, sample) for i, sample in enumerate(samples)}

    folder = shared_data / "outputs" / "deepscaler1.5B_aime24_maxtok"
    rows = [json.loads(line) for line in (folder / "8192.jsonl").open("rb")]
    texts = {str(row["id"]): row["generated_responses"][0] for row in rows}
    recorded = {id: text.partition("</think>")[2] for id, text in texts.items()}
    problems = (shared_data / "benchmarks" / "math500.jsonl").open("rb")
    solutions = {row["unique_id"]: row["solution"] for row in map(json.loads, problems)}

    def solved(i: int, sample: Any) -> str:
        wrong = [miss for _, miss in near_misses(sample.target)]
        return solutions[sample.id] if i % 2 or not wrong else rf"\boxed{{{wrong[0]}}}"

    return {
        "aime24": made(AIME24, lambda i, sample: recorded[sample.id]),
        "aime25": made(AIME25, lambda i, sample: ["", "I give up", sample.target][i % 3]),
        "math500": made(MATH500, solved),
        "gpqa_diamond": made(GPQA_DIAMOND, lambda i, sample: ["The answer is (B).", "C)"][i % 2]),
    }


@solver
def recite(answers: Answers) -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state.output = ModelOutput.from_content("recorded", answers[str(state.sample_id)])
        return state

    return solve


class Reciter(LM):
    """Answers by the prompt."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers

    def generate_until(self, requests: list[Instance]) -> list[str]:
        return [self.answers[request.args[0]] for request in requests]

    def loglikelihood(self, requests: Any) -> Any:
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


def by_lm_eval(answers: dict[str, Answers], shared_data: Path) -> dict[str, Verdicts]:
    """All four tasks by the name of their group."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    by_prompt = {
        sample.prompt: answers[name][sample.id]
        for name, (bench, _) in TASKS.items()
        for sample in bench.load(str(shared_data)).samples
    }
    results = simple_evaluate(
        model=Reciter(by_prompt),
        tasks=["s1"],
        task_manager=TaskManager(include_path=str(Path(tasks_file).parent), include_defaults=False),
        bootstrap_iters=0,
    )
    return {
        name.removeprefix("s1_"): {
            line["doc"]["id"]: (line["correct"], line["answered"]) for line in lines
        }
        for name, lines in results["samples"].items()
    }


def by_inspect(log: EvalLog) -> Verdicts:
    assert log.status == "success", log.error
    scores = {str(sample.id): sample.scores["s1_eval/grade"] for sample in log.samples or ()}
    return {id: (s.value == "C", s.metadata["answered"]) for id, s in scores.items()}


@pytest.mark.slow
def test_recorded_answers_get_the_same_verdicts_in_both_harnesses(
    answers: dict[str, Answers],
    run_inspect: Callable[..., EvalLog],
    shared_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("S1_EVAL_DATA", str(shared_data))
    ours = {
        name: by_inspect(run_inspect(task(), solver=recite(answers[name]), model="mockllm/model"))
        for name, (_, task) in TASKS.items()
    }
    assert ours == by_lm_eval(answers, shared_data)
    counts = {name: Counter(verdicts.values()) for name, verdicts in ours.items()}
    assert counts["aime24"] == {(True, True): 9, (False, True): 6, (False, False): 15}
    assert counts["aime25"] == {(True, True): 10, (False, True): 10, (False, False): 10}
    assert counts["math500"][True, True] + counts["math500"][False, True] == 500
    assert counts["math500"][False, True] >= 225
    assert set(counts["gpqa_diamond"]) == {(True, True), (False, True)}
