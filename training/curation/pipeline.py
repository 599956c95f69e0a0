"""The stages up to the draw, each from disk where it is there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from s1_eval.training.curation import models, recorded, sources
from s1_eval.training.curation.asking import read_answers, slug
from s1_eval.training.curation.decontaminate import Asked, Decision, decontaminate
from s1_eval.training.curation.grades import Attempt, grade
from s1_eval.training.curation.hub import SOURCES
from s1_eval.training.curation.quality import fault
from s1_eval.training.curation.question import columns
from s1_eval.training.curation.recipe import Curation, Model
from s1_eval.training.curation.reference import Evaluation
from s1_eval.training.curation.stages import Stage, Stages


@dataclass(frozen=True, slots=True)
class Trace:
    """What the stages need of a teacher's trace. whole: both thinking and answer are there."""

    tokens: int | None
    attempt: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What a stage left of the questions.

    kept: their rows in the pool, in order. dropped: (decision, row). notes: one sentence each,
    for the report.
    """

    name: str
    kept: tuple[int, ...]
    dropped: tuple[tuple[Decision, int], ...]
    fingerprint: str
    notes: tuple[str, ...] = ()


@dataclass
class Pipeline:
    """One recipe with one output folder: what is left after each stage up to the draw."""

    recipe: Curation
    output: Path
    evaluation: Evaluation
    say: Callable[[str], None] = lambda _: None

    @cached_property
    def stages(self) -> Stages:
        return Stages(self.output / "stages")

    @cached_property
    def versions(self) -> dict[str, dict[str, Any]]:
        """What says which rows of each source are read."""
        return {name: sources.version(name, s) for name, s in self.recipe.sources.items()}

    @cached_property
    def collected(self) -> dict[str, Stage]:
        """Stage 1, by source."""
        seed, found = self.recipe.choice.seed, {}
        for name, settings in self.recipe.sources.items():
            inputs = {
                "source": name,
                "version": self.versions[name],
                "columns": settings.columns(),
                "grader": settings.grader,
                "limit": settings.limit,
                "seed": seed,
            }
            found[name] = self.stages.get(
                f"collect-{slug(name)}",
                inputs,
                columns(),
                partial(_rows, name, settings, seed),
            )
            self.say(said(f"collect {name}", len(found[name].rows), found[name].reused))
        return found

    @cached_property
    def pool(self) -> Any:
        """Every collected question, as a `datasets.Dataset`."""
        from datasets import concatenate_datasets

        return concatenate_datasets([stage.rows for stage in self.collected.values()])

    @cached_property
    def ids(self) -> list[str]:
        return self.column("id")

    def column(self, name: str) -> list[Any]:
        """Of the pool."""
        return list(self.pool[name])

    @cached_property
    def decontaminated(self) -> Step:
        """Stage 2."""
        references = [r for task in self.recipe.evaluation for r in self.evaluation(task)]
        listing = json.dumps([[r.name, r.text] for r in references])
        inputs = {
            "pool": [stage.fingerprint for stage in self.collected.values()],
            "evaluation": list(self.recipe.evaluation),
            "questions": hashlib.sha256(listing.encode()).hexdigest(),
        }
        secret = {name for name, source in SOURCES.items() if source.secret}

        def decide() -> Iterator[Decision]:
            texts = zip(self.ids, self.column("source"), self.column("question"), strict=True)
            return decontaminate((Asked(*text) for text in texts), references, secret)

        return self._decided("decontaminate", inputs, range(len(self.ids)), decide)

    @cached_property
    def traces(self) -> dict[str, Trace] | None:
        """By question; None where the recipe has no traces and no source has any."""
        path = self.recipe.choice.traces
        found: dict[str, Trace] = {}
        if path:
            for row in read_answers(sources.local(path)):
                whole = bool(row.get("thinking") and row.get("attempt"))
                tokens, attempt = row.get("thinking_tokens"), str(row.get("attempt") or "")
                found[row["id"]] = Trace(tokens, attempt, whole)
        own = self.pool.select_columns(["id", "thinking_tokens", "attempt", "thinking"])
        for row in own:
            if row["thinking"] and row["id"] not in found:
                whole = bool(row["attempt"])
                found[row["id"]] = Trace(row["thinking_tokens"], row["attempt"], whole)
        return found if found or path else None

    @cached_property
    def traced(self) -> Step:
        """Of stage 3 what the paper calls API failures; without traces, nothing."""
        before = self.decontaminated
        traces = self.traces
        inputs = {"after": before.fingerprint, "traces": self._file(self.recipe.choice.traces)}

        def decide() -> Iterator[Decision]:
            for row in before.kept:
                trace = None if traces is None else traces.get(self.ids[row])
                missing = traces is not None and not (trace and trace.whole)
                why = "the answer is missing" if trace else "none was generated"
                yield Decision(self.ids[row], "no trace" if missing else "", why if missing else "")

        notes = () if traces is not None else ("no traces: none is checked",)
        return self._decided("trace", inputs, before.kept, decide, notes)

    @cached_property
    def sound(self) -> Step:
        """Stage 3: formatting."""
        before = self.traced

        def decide() -> Iterator[Decision]:
            for row in self.pool.select_columns(["id", "source", "question"]).select(before.kept):
                found = fault(row["source"], row["question"])
                yield Decision(row["id"], "formatting" if found else "", found)

        return self._decided("quality", {"after": before.fingerprint}, before.kept, decide)

    @cached_property
    def difficult(self) -> Step:
        """Stage 4: what neither model solves."""
        before, difficulty = self.sound, self.recipe.difficulty
        assert difficulty
        ids = [self.ids[row] for row in before.kept]
        inputs: dict[str, Any] = {"after": before.fingerprint}
        if difficulty.recorded:
            inputs["recorded"] = self._file(difficulty.recorded)
            note = f"recorded grades ({Path(difficulty.recorded).name}), no model was run"
        else:
            inputs["models"] = [
                models.about(model, self.recipe.choice.seed) for model in difficulty.models
            ]
            note = "graded by our checker: " + ", ".join(m.model for m in difficulty.models)

        def decide() -> Iterator[Decision]:
            grades = (
                list(recorded.grades(sources.local(difficulty.recorded), ids).items())
                if difficulty.recorded
                else [(m.model, self._graded(m, before.kept)) for m in difficulty.models]
            )
            for id in ids:
                solved = [model for model, right in grades if right[id]]
                if all(right[id] is None for _, right in grades):
                    yield Decision(id, "", "no checker could decide")
                else:
                    yield Decision(id, "solved" if solved else "", ", ".join(solved))

        return self._decided("difficulty", inputs, before.kept, decide, (note,))

    def questions(self) -> Iterator[tuple[str, str]]:
        """(id, question) of what decontamination left."""
        texts = self.column("question")
        return ((self.ids[row], texts[row]) for row in self.decontaminated.kept)

    def _graded(self, model: Model, rows: Sequence[int]) -> dict[str, bool | None]:
        questions, graders, answers = map(self.column, ("question", "grader", "answer"))
        asked = [row for row in rows if graders[row] and answers[row]]
        prompts = {self.ids[row]: questions[row] for row in asked}
        attempts = self.answers(model, prompts, "difficulty")
        graded = grade(
            Attempt(id, graders[row], answers[row], attempts[id]["attempt"])
            for row in asked
            for id in [self.ids[row]]
        )
        return {**dict.fromkeys((self.ids[row] for row in rows), None), **dict(graded)}

    def answers(
        self, model: Model, prompts: Mapping[str, str], purpose: str
    ) -> dict[str, dict[str, Any]]:
        """See `models.answers`."""
        folder, seed = self.output / "answers", self.recipe.choice.seed
        return models.answers(model, prompts, purpose, folder, seed)

    def _file(self, path: str | None) -> str | None:
        return sources.digest(sources.local(path)) if path else None

    def _decided(
        self,
        name: str,
        inputs: Mapping[str, Any],
        rows: Sequence[int],
        decide: Callable[[], Iterator[Decision]],
        notes: tuple[str, ...] = (),
    ) -> Step:
        """A stage whose rows are decisions about the questions in `rows`."""
        from datasets import Value

        types = {field: Value("string") for field in ("id", "reason", "detail")}
        stage = self.stages.get(name, inputs, types, lambda: map(asdict, decide()))
        decisions = [Decision(**row) for row in stage.rows]
        kept = tuple(row for d, row in zip(decisions, rows, strict=True) if not d.reason)
        dropped = tuple((d, row) for d, row in zip(decisions, rows, strict=True) if d.reason)
        undecided = sum(d.detail == "no checker could decide" for d in decisions)
        if undecided:
            notes = (*notes, f"{undecided} stay because no checker could decide")
        self.say(said(name, len(kept), stage.reused))
        return Step(name, kept, dropped, stage.fingerprint, notes)


def _rows(name: str, settings: sources.Settings, seed: int) -> Iterator[dict[str, Any]]:
    return (asdict(question) for question in sources.collect(name, settings, seed))


def said(what: str, left: int, reused: bool) -> str:
    return f"{what}: {left:,}" + (" (from disk)" if reused else "")
