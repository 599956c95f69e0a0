"""What a curation leaves behind: the examples, a reason for every question that is not among
them, the counts beside the paper's, and the run's own description."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from s1_eval import __version__
from s1_eval.report.table import line
from s1_eval.training.curation.diversity import Sampler
from s1_eval.training.curation.domains import MSC
from s1_eval.training.curation.hub import SOURCES
from s1_eval.training.curation.pipeline import Pipeline, Step
from s1_eval.training.curation.question import Question
from s1_eval.training.curation.stages import write_rows
from s1_eval.training.curation.variants import Variant
from s1_eval.training.files import new_folder

STAGES: Mapping[str, tuple[str, int]] = {
    "decontaminate": ("decontaminated", 59_029),
    "trace": ("with a trace", 54_116),
    "quality": ("well formatted", 51_581),
    "difficulty": ("difficult", 24_496),
    "draw": ("drawn", 1_000),
}
"""What a stage leaves, and how many questions it left in the paper (section 2.2)."""

CHOICE = ("traces", "teacher_recorded", "length", "size", "seed", "output")
"""Keys of the recipe that run.json repeats."""

Table = list[list[str]]
"""The first row is the head."""


def report(pipeline: Pipeline, steps: Sequence[Step], notes: Sequence[str]) -> str:
    """Counts by stage, source, domain and reason, as Markdown. notes: what was asked for, and
    what stood in for what."""
    parts = ["# Curation", "\n".join(f"- {note}" for note in notes)]
    for title, (head, *rows) in (
        ("Stages", _stages(pipeline, steps)),
        ("Sources", _sources(pipeline, steps)),
        ("Domains", _domains(steps[-1].kept)),
        ("Why questions were dropped", _reasons(steps)),
    ):
        if not rows:
            continue
        lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
        parts.append(f"## {title}\n\n" + "\n".join(map(line, lines)))
    return "\n\n".join(parts) + "\n"


def _stages(pipeline: Pipeline, steps: Sequence[Step]) -> Table:
    rows = [["stage", "dropped", "left", "paper"]]
    rows.append(["collected", "", f"{len(pipeline.pool):,}", ""])
    for step in steps:
        name, paper = STAGES[step.name]
        rows.append([name, f"{len(step.dropped):,}", f"{len(step.kept):,}", f"{paper:,}"])
    return rows


def _sources(pipeline: Pipeline, steps: Sequence[Step]) -> Table:
    parts = (pipeline.pool, steps[0].kept, steps[-1].kept)
    counts = [Counter(question.source for question in part) for part in parts]
    rows = [["source", "collected", "decontaminated", "drawn", "paper, decontaminated"]]
    for name in pipeline.recipe.sources:
        known = SOURCES.get(name)
        paper = f"{known.paper:,}" if known and known.paper else ""
        rows.append([name, *(f"{count[name]:,}" for count in counts), paper])
    return rows


def _domains(chosen: Sequence[Question]) -> Table:
    """The chosen questions by domain, most first, and the tokens of their traces, as the
    paper's appendix counts them; no rows where domains played no part."""
    counts = Counter(question.domain for question in chosen)
    tokens: Counter[str] = Counter()
    for question in chosen:
        tokens[question.domain] += question.thinking_tokens or 0
    rows = [
        [f"{code} {MSC.get(code, '')}".strip(), f"{n:,}", f"{tokens[code]:,}"]
        for code, n in counts.most_common()
    ]
    return [["domain", "drawn", "thinking tokens"], *(rows if any(counts) else [])]


def _reasons(steps: Sequence[Step]) -> Table:
    """By stage and reason; overlaps also by what with (the task, or the source), what was solved
    also by whom."""
    counts: Counter[tuple[str, str]] = Counter()
    for step in steps:
        for decision in step.dropped:
            reason = decision.reason
            if reason == "shared words":
                reason += f" with {decision.detail.split()[0].partition('/')[0]}"
            elif reason == "solved":
                reason += f" by {decision.detail}"
            elif reason == "formatting":
                kind = decision.detail if decision.detail[0] in "[!" else decision.detail[:1] + "…"
                reason += f" {kind}"
            counts[STAGES[step.name][0], reason] += 1
    rows = [[f"{stage}: {reason}", f"{n:,}"] for (stage, reason), n in counts.items()]
    return [["reason", "questions"], *rows]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row of dropped.parquet."""

    id: str
    stage: str
    reason: str
    detail: str


def write(
    pipeline: Pipeline, steps: Sequence[Step], variant: Variant, sampler: Sampler
) -> tuple[Path, str]:
    """The folder with examples.parquet, dropped.parquet, report.md and run.json, whole or not at
    all, and the report."""
    recipe = pipeline.recipe
    name, label = (
        (f"s1-{sampler}", f"s1, {sampler} sampler") if variant == "s1" else (variant, variant)
    )
    folder = pipeline.output / f"{name}-seed{recipe.seed}"
    notes = [f"{label}, seed {recipe.seed}, evaluation: {', '.join(recipe.evaluation)}"]
    notes += [f"{STAGES[step.name][0]}: {note}" for step in steps for note in step.notes]
    text = report(pipeline, steps, notes)
    about = {
        "command": ["s1-train", *sys.argv[1:]],
        "s1_eval": __version__,
        "variant": variant,
        "sampler": sampler,
        "choice": {key: getattr(recipe, key) for key in CHOICE},
        "evaluation": recipe.evaluation,
        "keep": dict(recipe.keep),
        "sources": {
            source: {"stage": stage.fingerprint, **pipeline.versions[source]}
            for source, stage in pipeline.collected.items()
        },
        "stages": {step.name: step.fingerprint for step in steps},
        "notes": notes,
    }
    dropped = [Dropped(d.id, s.name, d.reason, d.detail) for s in steps for d in s.dropped]
    with new_folder(folder, replace=True) as made:
        write_rows(made / "examples.parquet", Question, steps[-1].kept)
        write_rows(made / "dropped.parquet", Dropped, dropped)
        (made / "report.md").write_text(text, "utf-8")
        (made / "run.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    return folder, text
