"""Stage 5 and what leads to it: s1's own choice of questions, and the ablations that leave stages
out (arXiv 2501.19393, section 5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from s1_eval.errors import UserError
from s1_eval.training.curation import diversity, domains, recorded, sources
from s1_eval.training.curation.decontaminate import Decision
from s1_eval.training.curation.diversity import Candidate, Sampler
from s1_eval.training.curation.grades import grade
from s1_eval.training.curation.pipeline import Pipeline, Step

Variant = Literal["s1", "random", "diverse", "longest", "full"]
BY_DOMAIN, BY_LENGTH = ("s1", "diverse"), ("s1", "longest")


@dataclass(frozen=True, slots=True)
class Placed:
    """A question's domain, as a stage keeps it."""

    id: str
    domain: str


def run(pipeline: Pipeline, variant: Variant, sampler: Sampler) -> list[Step]:
    """Every stage of a variant in order; the last one is the draw. Raises UserError where
    the recipe lacks what the variant needs, before any model is asked."""
    _check(pipeline, variant)
    steps = [pipeline.decontaminated, pipeline.traced]
    if variant != "full":
        steps.append(pipeline.sound)
    if variant == "s1":
        steps.append(pipeline.difficult)
    return [*steps, _drawn(pipeline, steps[-1], variant, sampler)]


def _check(pipeline: Pipeline, variant: Variant) -> None:
    recipe = pipeline.recipe
    if recipe.traces and not sources.exists(recipe.traces):
        raise UserError(
            f"traces={recipe.traces}: nothing is there; make it with `s1-train traces "
            "RECIPE --model ENGINE/TEACHER`, or leave the key out"
        )
    if recipe.traces and not pipeline.traces and not any(q.thinking for q in pipeline.pool):
        raise UserError(
            f"traces={recipe.traces} has no trace of any question here, only of others (the "
            f"first question is {pipeline.pool[0].id}): make it with `s1-train traces RECIPE`"
        )
    files = [given.recorded for given in (recipe.difficulty, recipe.domains) if given]
    for path in filter(None, [recipe.teacher_recorded, *files]):
        sources.local(path)
    left = pipeline.decontaminated.kept
    if variant != "full" and recipe.size > len(left):
        raise UserError(
            f"size={recipe.size}: only {len(left)} questions are left after decontamination; "
            "give less, or more sources"
        )
    if variant == "s1" and recipe.difficulty is None:
        raise UserError(
            "the recipe has no difficulty: give difficulty: {models: [{model: s1_vllm/…}, …]}, "
            "or a --variant that ignores it (random, diverse, longest, full)"
        )
    unplaced = sum(not question.domain for question in left)
    if variant in BY_DOMAIN and recipe.domains is None and unplaced:
        raise UserError(
            f"{unplaced} questions have no domain: give domains: {{models: [{{model: …}}]}}"
            " or domains: {recorded: FILE}, or --variant random or longest"
        )
    if variant in BY_LENGTH and recipe.length == "thinking_tokens" and not pipeline.has_traces:
        raise UserError(
            "there are no traces whose length could rank questions: give traces: FILE (see "
            "`s1-train traces`), or length: solution_words"
        )


def _drawn(pipeline: Pipeline, before: Step, variant: Variant, sampler: Sampler) -> Step:
    size, seed = pipeline.recipe.size, pipeline.recipe.seed
    if variant == "full":
        return Step("draw", before.kept, (), before.fingerprint)
    notes: list[str] = []
    candidates = _candidates(pipeline, before, variant, notes)
    label: str = variant
    if variant == "s1":
        label, keep = f"{sampler} sampler", pipeline.recipe.keep
        chosen = diversity.s1(candidates, size, seed, keep, sampler)
        notes.append(f"kept before the draw: {len(diversity.kept(candidates, keep))}")
    elif variant == "random":
        chosen = diversity.uniform(candidates, size, seed)
    elif variant == "diverse":
        chosen = diversity.diverse(candidates, size, seed)
    else:
        chosen = diversity.longest(candidates, size)
    taken = {candidate.id: candidate.domain for candidate in chosen}
    kept = tuple(
        replace(question, domain=taken[question.id] or question.domain)
        for question in before.kept
        if question.id in taken
    )
    dropped = tuple(
        Decision(question.id, "not drawn", f"{label}, seed {seed}")
        for question in before.kept
        if question.id not in taken
    )
    return Step("draw", kept, dropped, before.fingerprint, tuple(notes))


def _candidates(
    pipeline: Pipeline, before: Step, variant: Variant, notes: list[str]
) -> list[Candidate]:
    """notes: gets a sentence for everything that stands in for something else."""
    lengths = _lengths(pipeline, before, notes) if variant in BY_LENGTH else {}
    placed = _domains(pipeline, before, notes) if variant in BY_DOMAIN else {}
    right = _teacher(pipeline, before, notes) if variant == "s1" else {}
    return [
        Candidate(q.id, q.source, placed.get(q.id, ""), lengths.get(q.id, 0), right.get(q.id))
        for q in before.kept
    ]


def _lengths(pipeline: Pipeline, before: Step, notes: list[str]) -> dict[str, int]:
    if pipeline.recipe.length == "solution_words":
        notes.append("the words of the reference solution stand for the length of the trace")
        return {question.id: len(question.solution.split()) for question in before.kept}
    found = {}
    for question in before.kept:
        if question.thinking_tokens is None:
            raise UserError(
                f"{question.id} has no thinking_tokens to be ranked by: give traces (see "
                "`s1-train traces`), or length: solution_words"
            )
        found[question.id] = question.thinking_tokens
    return found


def _domains(pipeline: Pipeline, before: Step, notes: list[str]) -> dict[str, str]:
    given = pipeline.recipe.domains
    placed = {question.id: question.domain for question in before.kept if question.domain}
    rest = {q.id: q.question for q in before.kept if not q.domain}
    if placed:
        notes.append("domains of the source")
    if not rest or given is None:
        return placed
    if given.recorded:
        path = sources.local(given.recorded)
        found = recorded.values(path, "domain", list(rest))
        notes.append(f"recorded domains ({path.name})")
        return {**placed, **{id: str(domain) for id, domain in found.items()}}
    [model] = given.models

    def classify() -> Iterator[Placed]:
        prompts = {id: domains.prompt(question) for id, question in rest.items()}
        answers = pipeline.answers(model, prompts, "domains")
        return (Placed(id, domains.parse(answers[id]["attempt"])) for id in prompts)

    about = model.asking(pipeline.recipe.seed).about()
    inputs = {"after": before.fingerprint, "model": about}
    stage = pipeline.stages.get("domains", inputs, Placed, classify)
    pipeline.told("domains", len(stage.rows), stage.reused)
    placed |= {row.id: row.domain for row in stage.rows}
    lost = sum(domain == domains.UNCLASSIFIED for domain in placed.values())
    notes.append(f"domains by {model.model}, which left {lost} unclassified")
    return placed


def _teacher(pipeline: Pipeline, before: Step, notes: list[str]) -> dict[str, bool | None]:
    """Whether the teacher is right, of the sources that may keep questions for it."""
    wanted = [question for question in before.kept if question.source in pipeline.recipe.keep]
    if path := pipeline.recipe.teacher_recorded:
        notes.append(f"recorded grades of the teacher ({Path(path).name})")
        return recorded.values(sources.local(path), "correct", [q.id for q in wanted])
    if not pipeline.has_traces:
        notes.append("no traces: no question is kept before the draw")
    return dict(grade((q, q.attempt) for q in wanted if q.thinking or q.attempt))
