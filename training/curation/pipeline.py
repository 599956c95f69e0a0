"""The stages up to the draw, each from disk where it is there already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from s1_eval.names import slug
from s1_eval.training.curation import recorded, sources
from s1_eval.training.curation.asking import complete, read_answers
from s1_eval.training.curation.decontaminate import (
    Decision,
    decontaminate,
    evaluation_questions,
)
from s1_eval.training.curation.grades import grade
from s1_eval.training.curation.hub import SOURCES
from s1_eval.training.curation.quality import fault
from s1_eval.training.curation.question import Question
from s1_eval.training.curation.recipe import Curation, Model
from s1_eval.training.curation.stages import Stage, Stages

UNDECIDED = "no checker could decide"


@dataclass(frozen=True, slots=True)
class Step:
    """What a stage left of the questions. notes: one sentence each, for the report."""

    name: str
    kept: tuple[Question, ...]
    dropped: tuple[Decision, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()


@dataclass
class Pipeline:
    """One recipe with one output folder: what is left after each stage up to the draw."""

    recipe: Curation
    output: Path
    say: Callable[[str], None] = lambda _: None

    @cached_property
    def stages(self) -> Stages:
        return Stages(self.output / "stages")

    @cached_property
    def versions(self) -> dict[str, dict[str, str]]:
        """What says which rows of each source are read."""
        return {name: sources.version(name, s) for name, s in self.recipe.sources.items()}

    @cached_property
    def collected(self) -> dict[str, Stage[Question]]:
        """Stage 1, by source."""
        found = {}
        for name, settings in self.recipe.sources.items():
            inputs = {
                "source": name,
                "version": self.versions[name],
                "columns": settings.columns(),
                "grader": settings.grader,
                "limit": settings.limit,
                "seed": self.recipe.seed,
            }
            make = partial(sources.collect, name, settings, self.recipe.seed)
            found[name] = self.stages.get(f"collect-{slug(name)}", inputs, Question, make)
            self.told(f"collect {name}", len(found[name].rows), found[name].reused)
        return found

    @cached_property
    def pool(self) -> list[Question]:
        """Every collected question."""
        return [question for stage in self.collected.values() for question in stage.rows]

    @cached_property
    def traces(self) -> dict[str, dict[str, Any]]:
        """The rows of the recipe's file of traces that are of a question here, by id."""
        if self.recipe.traces is None:
            return {}
        ids = {question.id for question in self.pool}
        rows = read_answers(sources.local(self.recipe.traces))
        return {row["id"]: row for row in rows if row["id"] in ids}

    @property
    def has_traces(self) -> bool:
        """Whether the recipe has traces, or a source has any."""
        return self.recipe.traces is not None or any(q.thinking for q in self.pool)

    @cached_property
    def decontaminated(self) -> Step:
        """Stage 2."""
        references = [r for task in self.recipe.evaluation for r in evaluation_questions(task)]
        listing = json.dumps([[r.name, r.text] for r in references])
        inputs = {
            "pool": [stage.fingerprint for stage in self.collected.values()],
            "evaluation": list(self.recipe.evaluation),
            "questions": hashlib.sha256(listing.encode()).hexdigest(),
        }
        secret = {name for name, source in SOURCES.items() if source.secret}
        return self._decided(
            "decontaminate",
            inputs,
            self.pool,
            lambda: decontaminate(self.pool, references, secret),
        )

    @cached_property
    def traced(self) -> Step:
        """Of stage 3 what the paper calls API failures; without traces, nothing. What stays has
        its trace from the recipe's file, where there is one, else its source's."""
        before, needed, rows = self.decontaminated, self.has_traces, self.traces
        inputs = {"after": before.fingerprint, "traces": self.digest(self.recipe.traces)}
        asked = [_traced(q, rows[q.id]) if q.id in rows else q for q in before.kept]

        def decide(question: Question) -> Decision:
            if not needed or (question.thinking and question.attempt):
                return Decision(question.id)
            some = question.thinking or question.attempt
            why = "the answer is missing" if some else "none was generated"
            return Decision(question.id, "no trace", why)

        notes = () if needed else ("no traces: none is checked",)
        return self._decided("trace", inputs, asked, lambda: map(decide, asked), notes)

    @cached_property
    def sound(self) -> Step:
        """Stage 3: formatting."""
        before = self.traced

        def decide(question: Question) -> Decision:
            found = fault(question.source, question.question)
            return Decision(question.id, "formatting" if found else "", found)

        inputs = {"after": before.fingerprint}
        return self._decided("quality", inputs, before.kept, lambda: map(decide, before.kept))

    @cached_property
    def difficult(self) -> Step:
        """Stage 4: what neither model solves."""
        before, difficulty = self.sound, self.recipe.difficulty
        assert difficulty
        inputs: dict[str, Any] = {"after": before.fingerprint}
        if difficulty.recorded:
            inputs["recorded"] = self.digest(difficulty.recorded)
            note = f"recorded grades ({Path(difficulty.recorded).name}), no model was run"
        else:
            asked = [model.asking(self.recipe.seed) for model in difficulty.models]
            inputs["models"] = [asking.about() for asking in asked]
            note = "graded by our checker: " + ", ".join(m.model for m in difficulty.models)

        def decide() -> Iterator[Decision]:
            if difficulty.recorded:
                path, ids = sources.local(difficulty.recorded), [q.id for q in before.kept]
                grades = list(recorded.grades(path, ids).items())
            else:
                grades = [(m.model, self.graded(m, before.kept)) for m in difficulty.models]
            for id in (question.id for question in before.kept):
                if all(right[id] is None for _, right in grades):
                    yield Decision(id, "", UNDECIDED)
                else:
                    solved = ", ".join(model for model, right in grades if right[id])
                    yield Decision(id, "solved" if solved else "", solved)

        return self._decided("difficulty", inputs, before.kept, decide, (note,))

    def graded(self, model: Model, questions: Sequence[Question]) -> dict[str, bool | None]:
        """By id: whether the model solves a question, None where no checker could tell."""
        decidable = [q for q in questions if q.grader and q.answer]
        answers = self.answers(model, {q.id: q.question for q in decidable}, "difficulty")
        found = grade((question, answers[question.id]["attempt"]) for question in decidable)
        return {**dict.fromkeys((q.id for q in questions), None), **dict(found)}

    def answers(
        self, model: Model, prompts: Mapping[str, str], purpose: str
    ) -> dict[str, dict[str, Any]]:
        """What a model of the recipe answers to `prompts`, by id; see `complete`."""
        asking = model.asking(self.recipe.seed)
        return complete(asking, prompts, self.output / "answers", purpose, model.concurrency)

    def digest(self, path: str | None) -> str | None:
        """Of a file that the recipe names."""
        return sources.digest(sources.local(path)) if path else None

    def told(self, what: str, left: int, reused: bool) -> None:
        self.say(f"{what}: {left:,}" + (" (from disk)" if reused else ""))

    def _decided(
        self,
        name: str,
        inputs: Mapping[str, Any],
        questions: Sequence[Question],
        decide: Callable[[], Iterator[Decision]],
        notes: tuple[str, ...] = (),
    ) -> Step:
        """A stage that decides about each of `questions`, in order."""
        stage = self.stages.get(name, inputs, Decision, decide)
        pairs = list(zip(questions, stage.rows, strict=True))
        kept = tuple(question for question, decision in pairs if not decision.reason)
        dropped = tuple(decision for _, decision in pairs if decision.reason)
        if undecided := sum(decision.detail == UNDECIDED for decision in stage.rows):
            notes = (*notes, f"{undecided} stay because {UNDECIDED}")
        self.told(name, len(kept), stage.reused)
        return Step(name, kept, dropped, stage.fingerprint, notes)


def _traced(question: Question, row: Mapping[str, Any]) -> Question:
    return replace(
        question,
        thinking=str(row.get("thinking") or ""),
        attempt=str(row.get("attempt") or ""),
        thinking_tokens=row.get("thinking_tokens"),
    )
