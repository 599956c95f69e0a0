"""What a curation leaves behind: the examples, a reason for every question that is not among
them, the counts beside the paper's, and the run's own description."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from s1_eval import __version__
from s1_eval.training.curation import sources
from s1_eval.training.curation.asking import read_answers
from s1_eval.training.curation.diversity import Sampler
from s1_eval.training.curation.hub import SOURCES
from s1_eval.training.curation.pipeline import Pipeline, Step
from s1_eval.training.curation.question import columns
from s1_eval.training.curation.stages import new_folder, write_rows
from s1_eval.training.curation.variants import Variant

PAPER: Mapping[str, int] = {
    "decontaminate": 59_029,
    "trace": 54_116,
    "quality": 51_581,
    "difficulty": 24_496,
    "draw": 1_000,
}
"""How many questions each stage left in the paper (section 2.2)."""
STAGES: Mapping[str, str] = {
    "decontaminate": "decontaminated",
    "trace": "with a trace",
    "quality": "well formatted",
    "difficulty": "difficult",
    "draw": "drawn",
}

Table = list[list[str]]
"""The first row is the head."""


@dataclass(frozen=True, slots=True)
class Report:
    """title, tables with their titles, and sentences for what stood in for what."""

    title: str
    tables: Mapping[str, Table]
    notes: Sequence[str]

    def markdown(self) -> str:
        parts = [f"# {self.title}", "\n".join(f"- {note}" for note in self.notes)]
        for title, (head, *rows) in self.tables.items():
            lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
            parts.append(f"## {title}\n\n" + "\n".join(f"| {' | '.join(r)} |" for r in lines))
        return "\n\n".join(part for part in parts if part) + "\n"

    def show(self) -> None:
        """On the terminal."""
        from rich.console import Console
        from rich.table import Table as Shown

        console = Console()
        for title, (head, *rows) in self.tables.items():
            shown = Shown(title=title, title_justify="left")
            for i, name in enumerate(head):
                shown.add_column(name, justify="right" if i else "left")
            for row in rows:
                shown.add_row(*row)
            console.print(shown, markup=False)
        for note in self.notes:
            console.print(note, markup=False, soft_wrap=True)


def report(pipeline: Pipeline, steps: Sequence[Step], variant: Variant, sampler: Sampler) -> Report:
    choice = pipeline.recipe.choice
    label = f"{variant}, {sampler} sampler" if variant == "s1" else variant
    notes = [f"{label}, seed {choice.seed}, evaluation: {', '.join(pipeline.recipe.evaluation)}"]
    notes += [f"{STAGES[step.name]}: {note}" for step in steps for note in step.notes]
    return Report(
        "Curation",
        {
            "Stages": _stages(pipeline, steps),
            "Sources": _sources(pipeline, steps),
            "Why questions were dropped": _reasons(steps),
        },
        notes,
    )


def _stages(pipeline: Pipeline, steps: Sequence[Step]) -> Table:
    rows = [["stage", "dropped", "left", "paper"]]
    rows.append(["collected", "", f"{len(pipeline.ids):,}", ""])
    for step in steps:
        paper = f"{PAPER[step.name]:,}"
        rows.append([STAGES[step.name], f"{len(step.dropped):,}", f"{len(step.kept):,}", paper])
    return rows


def _sources(pipeline: Pipeline, steps: Sequence[Step]) -> Table:
    names = pipeline.column("source")
    counts = [
        Counter(names),
        Counter(names[row] for row in steps[0].kept),
        Counter(names[row] for row in steps[-1].kept),
    ]
    rows = [["source", "collected", "decontaminated", "drawn", "paper, decontaminated"]]
    for name in pipeline.recipe.sources:
        known = SOURCES.get(name)
        paper = f"{known.paper:,}" if known and known.paper else ""
        rows.append([name, *(f"{count[name]:,}" for count in counts), paper])
    return rows


def _reasons(steps: Sequence[Step]) -> Table:
    """By stage and reason; overlaps also by what with: the task, or the source."""
    counts: Counter[tuple[str, str]] = Counter()
    for step in steps:
        for decision, _ in step.dropped:
            reason = decision.reason
            if reason == "shared words":
                reason += f" with {decision.detail.split()[0].partition('/')[0]}"
            elif reason == "formatting":
                kind = decision.detail if decision.detail[0] in "[!" else decision.detail[:1] + "…"
                reason += f" {kind}"
            counts[STAGES[step.name], reason] += 1
    rows = [[f"{stage}: {reason}", f"{n:,}"] for (stage, reason), n in counts.items()]
    return [["reason", "questions"], *rows]


def write(
    pipeline: Pipeline, steps: Sequence[Step], variant: Variant, sampler: Sampler
) -> tuple[Path, Report]:
    """The folder with examples.parquet, dropped.parquet, report.md and run.json, whole or not at
    all, and the report."""
    from datasets import Dataset, Value, disable_progress_bars

    disable_progress_bars()  # a line for each file
    choice = pipeline.recipe.choice
    label = f"s1-{sampler}" if variant == "s1" else variant
    folder = pipeline.output / f"{label}-seed{choice.seed}"
    made_of = report(pipeline, steps, variant, sampler)
    text = {name: Value("string") for name in ("id", "stage", "reason", "detail")}
    with new_folder(folder, replace=True) as made:
        for name, types, rows in (
            ("examples", columns(), _examples(pipeline, steps[-1])),
            ("dropped", text, _dropped(steps)),
        ):
            arrow = made / f"{name}.arrow"
            write_rows(arrow, types, rows)
            Dataset.from_file(str(arrow)).to_parquet(str(made / f"{name}.parquet"))
            arrow.unlink()
        (made / "report.md").write_text(made_of.markdown(), "utf-8")
        about = {
            "command": ["s1-train", *sys.argv[1:]],
            "s1_eval": __version__,
            "variant": variant,
            "sampler": sampler,
            "choice": asdict(choice),
            "evaluation": pipeline.recipe.evaluation,
            "keep": dict(pipeline.recipe.keep),
            "sources": {
                name: {"stage": stage.fingerprint, **pipeline.versions[name]}
                for name, stage in pipeline.collected.items()
            },
            "stages": {step.name: step.fingerprint for step in steps},
            "notes": made_of.notes,
        }
        (made / "run.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    return folder, made_of


def _dropped(steps: Sequence[Step]) -> Iterator[dict[str, str]]:
    for step in steps:
        for decision, _ in step.dropped:
            yield {"stage": step.name, **asdict(decision)}


def _examples(pipeline: Pipeline, drawn: Step) -> Iterator[dict[str, Any]]:
    wanted = {pipeline.ids[row] for row in drawn.kept}
    path = pipeline.recipe.choice.traces
    rows = read_answers(sources.local(path)) if path else iter(())
    traces = {row["id"]: row for row in rows if row["id"] in wanted}
    for question in pipeline.pool.select(drawn.kept):
        trace = traces.get(question["id"], {})
        given = ("thinking", "attempt", "thinking_tokens")
        yield {**question, **{name: trace[name] for name in given if name in trace}}
