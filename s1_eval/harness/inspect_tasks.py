"""A benchmark as an Inspect task."""

from __future__ import annotations

from typing import Any

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset
from inspect_ai.dataset import Sample as InspectSample
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser
from inspect_ai.solver import Generate, Solver, TaskState, solver

from s1_eval.evaluation.benchmark import Benchmark, about_sample, ask
from s1_eval.harness.inspect_errors import plainly
from s1_eval.harness.inspect_scoring import SCORERS
from s1_eval.harness.inspect_solving import serve_bare_names, unforced
from s1_eval.harness.inspect_view import as_written, viewer
from s1_eval.records.readers import KEY


def inspect_task(benchmark: Benchmark, data: str | None = None, **arguments: Any) -> Task:
    """The prompt alone is the user message; there is a system message only where the data has one.
    From here on solvers of ours have their bare names too, see `serve_bare_names`.

    data, arguments: see `ask`.
    """
    serve_bare_names()
    with plainly():
        benchmark, loaded = ask(benchmark, data, **arguments)
    about = benchmark.about(loaded)
    shown = as_written([sample.prompt for sample in loaded.samples])
    samples = [
        InspectSample(
            id=sample.id,
            input=_conversation(sample.system, text),
            target=sample.target,
            metadata={
                **sample.metadata,
                KEY: {
                    **about_sample(about, sample),
                    "options": list(sample.options),
                    **({} if text == sample.prompt else {"question": sample.prompt}),
                },
            },
        )
        for sample, text in zip(loaded.samples, shown, strict=True)
    ]
    return Task(
        dataset=MemoryDataset(samples, name=benchmark.name, location=loaded.id),
        setup=question() if shown != [s.prompt for s in loaded.samples] else None,
        solver=unforced(),
        scorer=[scorer() for scorer in SCORERS.values()],
        viewer=viewer(),
    )


def _conversation(system: str | None, prompt: str) -> str | list[ChatMessage]:
    if system is None:
        return prompt
    return [ChatMessageSystem(content=system), ChatMessageUser(content=prompt)]


@solver("s1_eval/question")
def question() -> Solver:
    """Before any solver: the question itself in the place of what Inspect View shows of it, so that
    no model ever sees a fence."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        asked = state.metadata[KEY].get("question")
        if asked is not None:
            state.messages[-1].content = asked
            before = [] if isinstance(state.input, str) else state.input[:-1]
            state._input = [*before, state.messages[-1]] if before else asked
        return state

    return solve
