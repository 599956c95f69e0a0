"""Accuracies as the Hugging Face hub shows them on a model's page and on a benchmark's leaderboard:
`.eval_results/*.yaml` in the model's repository (https://huggingface.co/docs/hub/eval-results).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s1_eval.errors import UserError
from s1_eval.metrics.caveats import partial
from s1_eval.metrics.entries import Entry, Point
from s1_eval.metrics.series import describe, settings
from s1_eval.names import file_name
from s1_eval.records import Run
from s1_eval.records.run import UNKNOWN
from s1_eval.report.table import fixed

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Where a task's leaderboard is: the hub's data set, and the task's id in its `eval.yaml`."""

    dataset: str
    task_id: str


def hub(
    entries: Sequence[Entry],
    runs: Sequence[Run],
    folder: Path,
    model_ids: Mapping[str, str],
    benchmarks: Mapping[str, Benchmark],
    source_url: str | None = None,
) -> list[Path]:
    """Write `folder/ORGANISATION/NAME/.eval_results/TASK_METHOD_RUN.yaml` for every run, which is a
    variant of its model on its task; the paths. Each `folder/ORGANISATION/NAME` is laid out as the
    model's repository.

    benchmarks: by task. source_url: a page that shows the traces. Raises UserError for a task
    without a benchmark.
    """
    import yaml
    from huggingface_hub import eval_result_entries_to_yaml
    from huggingface_hub.constants import EVAL_RESULTS_FOLDER

    records = {run.id: run for run in runs}
    paths = []
    for entry in entries:
        task = entry["task"]
        if task not in benchmarks:
            raise UserError(
                f"can't tell which benchmark of the hub task {task!r:.200} is: add "
                f"--benchmark {task[:200]}=DATASET:TASK_ID (the hub's data set with the "
                "leaderboard, and the task's id in its eval.yaml)"
            )
        for point in entry["points"]:
            run = records[point["run_id"]]
            result = _result(entry, point, run, benchmarks[task], source_url)
            name = file_name(f"{task}_{entry['method']}_{run.id}")
            path = folder / model_ids[entry["model"]] / EVAL_RESULTS_FOLDER / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(eval_result_entries_to_yaml([result]), sort_keys=False, width=100)
            path.write_text(text, "utf-8", newline="\n")
            paths.append(path)
    return paths


def _result(
    entry: Entry,
    point: Point,
    run: Run,
    benchmark: Benchmark,
    source_url: str | None,
) -> EvalResultEntry:
    from huggingface_hub import EvalResultEntry

    accuracy, thinking = point["accuracy"], point["thinking_tokens"]["value"]
    data = run.record.get("dataset") or UNKNOWN
    notes = [
        *(f"partial: {said}" for said in partial(run)),
        describe(entry["method"], settings(entry, point)),
        f"accuracy in percent, {entry['questions']} questions",
        f"{fixed(thinking, 0)} thinking tokens on average",
        f"run {run.id}",
    ]
    if accuracy["low"] is not None:
        notes.insert(-2, f"95% interval {fixed(accuracy['low'])} to {fixed(accuracy['high'])}")
    return EvalResultEntry(
        dataset_id=benchmark.dataset,
        task_id=benchmark.task_id,
        value=round(accuracy["value"], 4),
        # Another data set's revision would be none of the benchmark's.
        dataset_revision=data["revision"] if data["id"] == benchmark.dataset else None,
        date=run.record.get("started"),
        source_url=source_url,
        source_name="s1_eval" if source_url else None,
        notes="; ".join(notes),
    )
