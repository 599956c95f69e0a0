"""Stage 5 and what leads to it: s1's own choice of questions, and the ablations that leave stages
out (arXiv 2501.19393, section 5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from s1_eval.errors import UserError
from s1_eval.training.curation import diversity, domains, models, recorded, sources
from s1_eval.training.curation.decontaminate import Decision
from s1_eval.training.curation.diversity import Candidate, Sampler
from s1_eval.training.curation.grades import Attempt, grade
from s1_eval.training.curation.pipeline import Pipeline, Step, said

Variant = Literal["s1", "random", "diverse", "longest", "full"]


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
    recipe, size = pipeline.recipe, pipeline.recipe.choice.size
    if recipe.choice.traces and not sources.exists(recipe.choice.traces):
        raise UserError(
            f"traces={recipe.choice.traces}: nothing is there; make it with `s1-train traces "
            "RECIPE --model ENGINE/TEACHER`, or leave the key out"
        )
    if pipeline.traces is not None and not pipeline.traces.keys() & set(pipeline.ids):
        raise UserError(
            f"traces={recipe.choice.traces} has no trace of any question here, only of others (the "
            f"first question is {pipeline.ids[0]}): make it with `s1-train traces RECIPE`"
        )
    files = [given.recorded for given in (recipe.difficulty, recipe.domains) if given]
    for path in filter(None, [recipe.choice.teacher_recorded, *files]):
        sources.local(path)
    if variant != "full" and size > len(pipeline.decontaminated.kept):
        raise UserError(
            f"size={size}: only {len(pipeline.decontaminated.kept)} questions are left after "
            "decontamination; give less, or more sources"
        )
    if variant == "s1" and recipe.difficulty is None:
        raise UserError(
            "the recipe has no difficulty: give difficulty: {models: [{model: s1_vllm/…}, …]}, "
            "or a --variant that ignores it (random, diverse, longest, full)"
        )
    by_domain = variant in ("s1", "diverse")
    own = pipeline.column("domain") if by_domain and recipe.domains is None else []
    if missing := [row for row in pipeline.decontaminated.kept if own and not own[row]]:
        raise UserError(
            f"{len(missing)} questions have no domain: give domains: {{models: [{{model: …}}]}}"
            " or domains: {recorded: FILE}, or --variant random or longest"
        )
    by_length = variant in ("s1", "longest") and recipe.choice.length == "thinking_tokens"
    if by_length and pipeline.traces is None:
        raise UserError(
            "there are no traces whose length could rank questions: give traces: FILE (see "
            "`s1-train traces`), or length: solution_words"
        )


def _drawn(pipeline: Pipeline, before: Step, variant: Variant, sampler: Sampler) -> Step:
    size, seed = pipeline.recipe.choice.size, pipeline.recipe.choice.seed
    if variant == "full":
        return Step("draw", before.kept, (), before.fingerprint)
    candidates, notes = _candidates(pipeline, before, variant)
    label = f"{sampler} sampler" if variant == "s1" else variant
    if variant == "s1":
        keep = pipeline.recipe.keep
        chosen = diversity.s1(candidates, size, seed, keep, sampler)
        notes = (*notes, f"kept before the draw: {len(diversity.kept(candidates, keep))}")
    elif variant == "random":
        chosen = diversity.uniform(candidates, size, seed)
    elif variant == "diverse":
        chosen = diversity.diverse(candidates, size, seed)
    else:
        chosen = diversity.longest(candidates, size)
    taken = {c.id for c in chosen}
    kept = tuple(row for row in before.kept if pipeline.ids[row] in taken)
    dropped = tuple(
        (Decision(pipeline.ids[row], "not drawn", f"{label}, seed {seed}"), row)
        for row in before.kept
        if pipeline.ids[row] not in taken
    )
    return Step("draw", kept, dropped, before.fingerprint, notes)


def _candidates(
    pipeline: Pipeline, before: Step, variant: Variant
) -> tuple[list[Candidate], tuple[str, ...]]:
    by_length = variant in ("s1", "longest")
    by_domain = variant in ("s1", "diverse")
    lengths, notes = _lengths(pipeline, before) if by_length else ({}, ())
    placed: Mapping[str, str] = {}
    if by_domain:
        placed, more = _domains(pipeline, before)
        notes = (*notes, *more)
    right: Mapping[str, bool | None] = {}
    if variant == "s1":
        right, more = _teacher(pipeline, before)
        notes = (*notes, *more)
    names = pipeline.column("source")
    return [
        Candidate(id, names[row], placed.get(id, ""), lengths.get(id, 0), right.get(id))
        for row in before.kept
        for id in [pipeline.ids[row]]
    ], notes


def _lengths(pipeline: Pipeline, before: Step) -> tuple[dict[str, int], tuple[str, ...]]:
    if pipeline.recipe.choice.length == "solution_words":
        solutions = pipeline.column("solution")
        return {pipeline.ids[row]: len(solutions[row].split()) for row in before.kept}, (
            "the words of the reference solution stand for the length of the trace",
        )
    found = {}
    for row in before.kept:
        trace = (pipeline.traces or {}).get(pipeline.ids[row])
        if trace is None or trace.tokens is None:
            raise UserError(
                f"{pipeline.ids[row]} has no thinking_tokens to be ranked by: give traces (see "
                "`s1-train traces`), or length: solution_words"
            )
        found[pipeline.ids[row]] = trace.tokens
    return found, ()


def _domains(pipeline: Pipeline, before: Step) -> tuple[dict[str, str], tuple[str, ...]]:
    from datasets import Value

    own = pipeline.column("domain")
    placed = {pipeline.ids[row]: own[row] for row in before.kept if own[row]}
    rest = [row for row in before.kept if not own[row]]
    given = pipeline.recipe.domains
    notes: tuple[str, ...] = ("domains of the source",) if placed else ()
    if not rest:
        return placed, notes
    assert given
    if given.recorded:
        path = sources.local(given.recorded)
        found = recorded.values(path, "domain", [pipeline.ids[row] for row in rest])
        notes = (*notes, f"recorded domains ({path.name})")
        return {**placed, **{id: str(domain) for id, domain in found.items()}}, notes
    [model] = given.models

    def classify() -> Iterator[dict[str, str]]:
        questions = pipeline.column("question")
        prompts = {pipeline.ids[row]: domains.prompt(questions[row]) for row in rest}
        answers = pipeline.answers(model, prompts, "domains")
        return ({"id": id, "domain": domains.parse(answers[id]["attempt"])} for id in prompts)

    inputs = {
        "after": before.fingerprint,
        "model": models.about(model, pipeline.recipe.choice.seed),
    }
    types = {"id": Value("string"), "domain": Value("string")}
    stage = pipeline.stages.get("domains", inputs, types, classify)
    pipeline.say(said("domains", len(stage.rows), stage.reused))
    placed |= dict(zip(stage.rows["id"], stage.rows["domain"], strict=True))
    lost = sum(domain == domains.UNCLASSIFIED for domain in placed.values())
    return placed, (*notes, f"domains by {model.model}, which left {lost} unclassified")


def _teacher(pipeline: Pipeline, before: Step) -> tuple[dict[str, bool | None], tuple[str, ...]]:
    """Whether the teacher is right, of the sources that may keep questions for it."""
    names = pipeline.column("source")
    wanted = [row for row in before.kept if names[row] in pipeline.recipe.keep]
    path = pipeline.recipe.choice.teacher_recorded
    if path:
        found = recorded.values(
            sources.local(path), "correct", [pipeline.ids[row] for row in wanted]
        )
        return dict(found), (f"recorded grades of the teacher ({Path(path).name})",)
    if pipeline.traces is None:
        return {}, ("no traces: no question is kept before the draw",)
    traces = pipeline.traces
    graders, answers = pipeline.column("grader"), pipeline.column("answer")
    attempts = (
        Attempt(id, graders[row], answers[row], traces[id].attempt)
        for row in wanted
        if (id := pipeline.ids[row]) in traces
    )
    return dict(grade(attempts)), ()
