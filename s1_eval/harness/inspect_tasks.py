"""A benchmark as an Inspect task."""

from __future__ import annotations

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset
from inspect_ai.dataset import Sample as InspectSample
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser

from s1_eval.evaluation.benchmark import Benchmark, Sample
from s1_eval.harness.inspect_errors import plainly
from s1_eval.harness.inspect_scoring import grade
from s1_eval.harness.inspect_solving import serve_bare_names, unforced
from s1_eval.records.readers import KEY


def inspect_task(benchmark: Benchmark, data: str | None = None) -> Task:
    """The prompt alone is the user message; there is a system message only where the data has one.
    From here on solvers of ours have their bare names too, see `serve_bare_names`.

    data: see `Benchmark.load`.
    """
    serve_bare_names()
    with plainly():
        loaded = benchmark.load(data)
    about = benchmark.about(loaded)
    samples = [
        InspectSample(
            id=sample.id,
            input=_conversation(sample),
            target=sample.target,
            metadata={**sample.metadata, KEY: {**about, "options": list(sample.options)}},
        )
        for sample in loaded.samples
    ]
    return Task(
        dataset=MemoryDataset(samples, name=benchmark.name, location=loaded.id),
        solver=unforced(),
        scorer=grade(),
    )


def _conversation(sample: Sample) -> str | list[ChatMessage]:
    if sample.system is None:
        return sample.prompt
    return [ChatMessageSystem(content=sample.system), ChatMessageUser(content=sample.prompt)]
