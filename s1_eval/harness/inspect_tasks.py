"""A benchmark as an Inspect task."""

from __future__ import annotations

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset
from inspect_ai.dataset import Sample as InspectSample

from s1_eval.evaluation.benchmark import Benchmark
from s1_eval.harness.inspect_errors import plainly
from s1_eval.harness.inspect_scoring import grade
from s1_eval.harness.inspect_solving import serve_bare_names, unforced
from s1_eval.records.readers import KEY


def inspect_task(benchmark: Benchmark, data: str | None = None) -> Task:
    """The prompt alone is the user message; there is no system message. From here on solvers of
    ours have their bare names too, see `serve_bare_names`.

    data: see `Benchmark.load`.
    """
    serve_bare_names()
    with plainly():
        loaded = benchmark.load(data)
    about = benchmark.about(loaded)
    samples = [
        InspectSample(
            id=sample.id,
            input=sample.prompt,
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
