"""The stages in their order, each from disk where it is there already, and what came of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from s1_eval.engines.models import resolve_model
from s1_eval.engines.table import parse_model
from s1_eval.errors import UserError
from s1_eval.training.curation import diversity, domains, recorded, sources
from s1_eval.training.curation.asking import ask_all, read_answers, slug
from s1_eval.training.curation.decontaminate import Asked, Decision, decontaminate
from s1_eval.training.curation.diversity import Candidate, Sampler
from s1_eval.training.curation.grades import Attempt, grade
from s1_eval.training.curation.quality import fault
from s1_eval.training.curation.question import columns
from s1_eval.training.curation.recipe import Curation, Model
from s1_eval.training.curation.reference import Evaluation
from s1_eval.training.curation.stages import Stage, Stages

Variant = Literal["s1", "random", "diverse", "longest", "full"]
VARIANTS: tuple[Variant, ...] = ("s1", "random", "diverse", "longest", "full")


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
    for the report. reused: it was on disk.
    """

    name: str
    kept: tuple[int, ...]
    dropped: tuple[tuple[Decision, int], ...]
    fingerprint: str
    reused: bool
    notes: tuple[str, ...] = ()


@dataclass
class Pipeline:
    """One recipe with one output folder. `run` is the whole; `decontaminated` what `s1-train
    traces` asks about."""

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
            self.say(_said(f"collect {name}", len(found[name].rows), found[name].reused))
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
        secret = {name for name, source in sources.SOURCES.items() if source.secret}

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
            inputs["models"] = [self._about(model) for model in difficulty.models]
            note = "graded by our checker: " + ", ".join(m.model for m in difficulty.models)

        def decide() -> Iterator[Decision]:
            grades = (
                recorded.grades(sources.local(difficulty.recorded), ids)
                if difficulty.recorded
                else {m.model: self._graded(m, before.kept) for m in difficulty.models}
            )
            for id in ids:
                solved = [model for model, right in grades.items() if right[id]]
                if all(right[id] is None for right in grades.values()):
                    yield Decision(id, "", "no checker could decide")
                else:
                    yield Decision(id, "solved" if solved else "", ", ".join(solved))

        return self._decided("difficulty", inputs, before.kept, decide, (note,))

    def run(self, variant: Variant, sampler: Sampler) -> list[Step]:
        """Every stage of a variant in order; the last one is the draw. Raises UserError where
        the recipe lacks what the variant needs, before any model is asked."""
        self._check(variant)
        steps = [self.decontaminated, self.traced]
        if variant != "full":
            steps.append(self.sound)
        if variant == "s1":
            steps.append(self.difficult)
        return [*steps, self._drawn(steps[-1], variant, sampler)]

    def questions(self) -> Iterator[tuple[str, str]]:
        """(id, question) of what decontamination left."""
        texts = self.column("question")
        return ((self.ids[row], texts[row]) for row in self.decontaminated.kept)

    def _check(self, variant: Variant) -> None:
        recipe, size = self.recipe, self.recipe.choice.size
        if recipe.choice.traces and not sources.exists(recipe.choice.traces):
            raise UserError(
                f"traces={recipe.choice.traces}: nothing is there; make it with `s1-train traces "
                "RECIPE --model ENGINE/TEACHER`, or leave the key out"
            )
        files = [given.recorded for given in (recipe.difficulty, recipe.domains) if given]
        for path in filter(None, [recipe.choice.teacher_recorded, *files]):
            sources.local(path)
        if variant != "full" and size > len(self.decontaminated.kept):
            raise UserError(
                f"size={size}: only {len(self.decontaminated.kept)} questions are left after "
                "decontamination; give less, or more sources"
            )
        if variant == "s1" and recipe.difficulty is None:
            raise UserError(
                "the recipe has no difficulty: give difficulty: {models: [{model: s1_vllm/…}, …]}, "
                "or a --variant that ignores it (random, diverse, longest, full)"
            )
        by_domain = variant in ("s1", "diverse")
        own = self.column("domain") if by_domain and recipe.domains is None else []
        if missing := [row for row in self.decontaminated.kept if own and not own[row]]:
            raise UserError(
                f"{len(missing)} questions have no domain: give domains: {{models: [{{model: …}}]}}"
                " or domains: {recorded: FILE}, or --variant random or longest"
            )
        by_length = variant in ("s1", "longest") and recipe.choice.length == "thinking_tokens"
        if by_length and self.traces is None:
            raise UserError(
                "there are no traces whose length could rank questions: give traces: FILE (see "
                "`s1-train traces`), or length: solution_words"
            )

    def _drawn(self, before: Step, variant: Variant, sampler: Sampler) -> Step:
        size, seed = self.recipe.choice.size, self.recipe.choice.seed
        if variant == "full":
            return Step("draw", before.kept, (), before.fingerprint, False)
        candidates, notes = self._candidates(before, variant)
        label = f"{sampler} sampler" if variant == "s1" else variant
        if variant == "s1":
            keep = self.recipe.keep
            chosen = diversity.s1(candidates, size, seed, keep, sampler)
            notes = (*notes, f"kept before the draw: {len(diversity.kept(candidates, keep))}")
        elif variant == "random":
            chosen = diversity.uniform(candidates, size, seed)
        elif variant == "diverse":
            chosen = diversity.diverse(candidates, size, seed)
        else:
            chosen = diversity.longest(candidates, size)
        taken = {c.id for c in chosen}
        kept = tuple(row for row in before.kept if self.ids[row] in taken)
        dropped = tuple(
            (Decision(self.ids[row], "not drawn", f"{label}, seed {seed}"), row)
            for row in before.kept
            if self.ids[row] not in taken
        )
        return Step("draw", kept, dropped, before.fingerprint, False, notes)

    def _candidates(
        self, before: Step, variant: Variant
    ) -> tuple[list[Candidate], tuple[str, ...]]:
        by_length = variant in ("s1", "longest")
        by_domain = variant in ("s1", "diverse")
        lengths, notes = self._lengths(before) if by_length else ({}, ())
        placed: Mapping[str, str] = {}
        if by_domain:
            placed, more = self._domains(before)
            notes = (*notes, *more)
        right: Mapping[str, bool | None] = {}
        if variant == "s1":
            right, more = self._teacher(before)
            notes = (*notes, *more)
        names = self.column("source")
        return [
            Candidate(id, names[row], placed.get(id, ""), lengths.get(id, 0), right.get(id))
            for row in before.kept
            for id in [self.ids[row]]
        ], notes

    def _lengths(self, before: Step) -> tuple[dict[str, int], tuple[str, ...]]:
        if self.recipe.choice.length == "solution_words":
            solutions = self.column("solution")
            return {self.ids[row]: len(solutions[row].split()) for row in before.kept}, (
                "the words of the reference solution stand for the length of the trace",
            )
        found = {}
        for row in before.kept:
            trace = (self.traces or {}).get(self.ids[row])
            if trace is None or trace.tokens is None:
                raise UserError(
                    f"{self.ids[row]} has no thinking_tokens to be ranked by: give traces (see "
                    "`s1-train traces`), or length: solution_words"
                )
            found[self.ids[row]] = trace.tokens
        return found, ()

    def _domains(self, before: Step) -> tuple[dict[str, str], tuple[str, ...]]:
        from datasets import Value

        own = self.column("domain")
        placed = {self.ids[row]: own[row] for row in before.kept if own[row]}
        rest = [row for row in before.kept if not own[row]]
        given = self.recipe.domains
        notes: tuple[str, ...] = ("domains of the source",) if placed else ()
        if not rest:
            return placed, notes
        assert given
        if given.recorded:
            path = sources.local(given.recorded)
            found = recorded.values(path, "domain", [self.ids[row] for row in rest])
            notes = (*notes, f"recorded domains ({path.name})")
            return {**placed, **{id: str(domain) for id, domain in found.items()}}, notes
        [model] = given.models

        def classify() -> Iterator[dict[str, str]]:
            questions = self.column("question")
            prompts = {self.ids[row]: domains.prompt(questions[row]) for row in rest}
            answers = self._answers(model, prompts, "domains")
            return ({"id": id, "domain": domains.parse(answers[id]["attempt"])} for id in prompts)

        inputs = {"after": before.fingerprint, "model": self._about(model)}
        types = {"id": Value("string"), "domain": Value("string")}
        stage = self.stages.get("domains", inputs, types, classify)
        self.say(_said("domains", len(stage.rows), stage.reused))
        placed |= dict(zip(stage.rows["id"], stage.rows["domain"], strict=True))
        lost = sum(domain == domains.UNCLASSIFIED for domain in placed.values())
        return placed, (*notes, f"domains by {model.model}, which left {lost} unclassified")

    def _teacher(self, before: Step) -> tuple[dict[str, bool | None], tuple[str, ...]]:
        """Whether the teacher is right, of the sources that may keep questions for it."""
        names = self.column("source")
        wanted = [row for row in before.kept if names[row] in self.recipe.keep]
        path = self.recipe.choice.teacher_recorded
        if path:
            found = recorded.values(
                sources.local(path), "correct", [self.ids[row] for row in wanted]
            )
            return dict(found), (f"recorded grades of the teacher ({Path(path).name})",)
        if self.traces is None:
            return {}, ("no traces: no question is kept before the draw",)
        traces = self.traces
        graders, answers = self.column("grader"), self.column("answer")
        attempts = (
            Attempt(id, graders[row], answers[row], traces[id].attempt)
            for row in wanted
            if (id := self.ids[row]) in traces
        )
        return dict(grade(attempts)), ()

    def _graded(self, model: Model, rows: Sequence[int]) -> dict[str, bool | None]:
        questions, graders, answers = map(self.column, ("question", "grader", "answer"))
        asked = [row for row in rows if graders[row] and answers[row]]
        attempts = self._answers(model, {self.ids[r]: questions[r] for r in asked}, "difficulty")
        graded = grade(
            Attempt(id, graders[row], answers[row], attempts[id]["attempt"])
            for row in asked
            for id in [self.ids[row]]
        )
        return {**dict.fromkeys((self.ids[row] for row in rows), None), **dict(graded)}

    def _answers(
        self, model: Model, prompts: Mapping[str, str], purpose: str
    ) -> dict[str, dict[str, Any]]:
        """From a file of their own for each way of asking, so that nothing is asked twice."""
        about = self._about(model)
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
        path = self.output / "answers" / f"{purpose}-{slug(model.model)}-{key}.jsonl"
        asking = model.asking(self.recipe.choice.seed)
        title = f"{purpose}: {model.model}"
        return ask_all(asking, prompts, path, title, model.concurrency)

    def _about(self, model: Model) -> dict[str, Any]:
        """What a model's answers depend on, weights included where they are a local folder."""
        from s1_eval.engines.checkpoints import fingerprint

        about = model.asking(self.recipe.choice.seed).about()
        engine, name = parse_model(model.model)
        folder = Path(resolve_model(name))
        local = engine != "s1_api" and folder.is_dir()
        return {**about, "weights": fingerprint(str(folder)) if local else None}

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
        self.say(_said(name, len(kept), stage.reused))
        return Step(name, kept, dropped, stage.fingerprint, stage.reused, notes)


def _rows(name: str, settings: sources.Settings, seed: int) -> Iterator[dict[str, Any]]:
    return (asdict(question) for question in sources.collect(name, settings, seed))


def _said(what: str, left: int, reused: bool) -> str:
    return f"{what}: {left:,}" + (" (from disk)" if reused else "")
