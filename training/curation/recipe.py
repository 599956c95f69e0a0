"""What a curation recipe may say, read from YAML; unknown keys are refused.

sources:    {math: {revision: …}, mine: {path: …, question: …}}   in order: earlier ones stay
evaluation: [aime24, …]     tasks whose questions must not be trained on
traces:     traces.jsonl    what `s1-train traces` wrote
difficulty: {models: [{model: s1_vllm/…}, …]} or {recorded: grades.jsonl}
domains:    {model: s1_vllm/…} or {recorded: domains.jsonl}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from s1_eval.errors import UserError
from s1_eval.training.curation import sources
from s1_eval.training.curation.asking import Asking
from s1_eval.training.curation.hub import SOURCES
from s1_eval.training.recipe import checked, parse, read

Length = Literal["thinking_tokens", "solution_words"]
KEEP = {"gpqa": 0, "aime": 0, "math": 5600}
EVALUATION = ("aime24", "aime25", "gpqa_diamond", "math500")


@dataclass(frozen=True, slots=True)
class Model:
    """A model that answers or classifies. temperature: s1 grades at 0.05. max_tokens: of one
    answer. thinking_format: `none` for a model that does not think. engine_args: of its engine.
    concurrency: questions in flight."""

    model: str
    temperature: float = 0.05
    max_tokens: int | None = None
    thinking_format: str = "auto"
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 128

    def asking(self, seed: int) -> Asking:
        """Raises UserError on a model or a setting that there is not."""
        params = {"max_tokens": self.max_tokens, "thinking_format": self.thinking_format}
        return Asking(self.model, "plain", params, self.temperature, seed, self.engine_args)


@dataclass(frozen=True, slots=True)
class Decided:
    """Who decides something about questions: models, or a file where it was recorded."""

    models: tuple[Model, ...] = ()
    recorded: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The recipe's plain values.

    traces: a JSONL file of `s1-train traces`. teacher_recorded: rows {id, correct} in place of
        grading its attempts with our checker.
    length: what ranks questions; `solution_words` stands in where there are no traces.
    size: how many questions are wanted. seed: of every draw.
    """

    traces: str | None = None
    teacher_recorded: str | None = None
    length: Length = "thinking_tokens"
    size: int = 1000
    seed: int = 0
    output: str = "runs/s1k"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UserError(f"size={self.size}: give 1 or more")


@dataclass(frozen=True, slots=True)
class Curation:
    """A recipe; see the parts. keep: by source, the trace length over which what the teacher
    solved is taken without a draw."""

    sources: Mapping[str, sources.Settings]
    choice: Choice
    evaluation: tuple[str, ...] = EVALUATION
    difficulty: Decided | None = None
    domains: Decided | None = None
    keep: Mapping[str, int] = field(default_factory=lambda: dict(KEEP))


@dataclass(frozen=True, slots=True)
class _Keys:
    """All keys of a recipe file."""

    sources: Any
    evaluation: Any = None
    traces: Any = None
    teacher_recorded: Any = None
    length: Any = None
    difficulty: Any = None
    domains: Any = None
    keep: Any = None
    size: Any = None
    seed: Any = None
    output: Any = None


def load(path: Path) -> Curation:
    """The recipe in the YAML file `path`. Raises UserError on anything that is not one."""
    data = checked(_Keys, parse(path), "the recipe")
    evaluation = data.get("evaluation", list(EVALUATION))
    if not isinstance(evaluation, list) or not all(isinstance(t, str) for t in evaluation):
        raise UserError(f"evaluation={evaluation!r}: give a list of tasks, e.g. [aime24, math500]")
    plain = {f.name for f in dataclasses.fields(Choice)}
    return Curation(
        sources=_sources(data["sources"]),
        choice=read(Choice, {k: v for k, v in data.items() if k in plain}, "the recipe"),
        evaluation=tuple(evaluation),
        difficulty=_decided(data["difficulty"], "difficulty") if "difficulty" in data else None,
        domains=_decided(data["domains"], "domains") if "domains" in data else None,
        keep=_keep(data.get("keep", KEEP)),
    )


def _sources(data: Any) -> dict[str, sources.Settings]:
    if not isinstance(data, Mapping) or not data:
        raise UserError(f"sources has to name at least one of {', '.join(SOURCES)}, or a file")
    found = {}
    for name, given in data.items():
        where = f"sources.{name}"
        try:
            settings = read(sources.Settings, given, where)
        except UserError as error:
            said = str(error)
            raise UserError(said if said.startswith(where) else f"{where}: {said}") from None
        sources.check(str(name), settings)
        found[str(name)] = settings
    return found


def _decided(data: Any, where: str) -> Decided:
    shape = "give exactly one of models (a list), recorded (a file)"
    if not isinstance(data, Mapping) or set(data) not in ({"models"}, {"recorded"}):
        raise UserError(f"{where}: {shape}")
    if "recorded" in data:
        return Decided(recorded=str(data["recorded"]))
    if not isinstance(data["models"], list) or not data["models"]:
        raise UserError(f"{where}: {shape}")
    if where == "domains" and len(data["models"]) > 1:
        raise UserError("domains.models: give one model")
    return Decided(
        tuple(_model(given, f"{where}.models[{i}]") for i, given in enumerate(data["models"]))
    )


def _model(data: Any, where: str) -> Model:
    data = checked(Model, data, where)
    engine_args = data.pop("engine_args", {})
    if not isinstance(engine_args, Mapping):
        raise UserError(
            f"{where}.engine_args={engine_args!r}: give a mapping, e.g. {{dtype: auto}}"
        )
    model: Model = dataclasses.replace(read(Model, data, where), engine_args=engine_args)
    model.asking(0)
    return model


def _keep(data: Any) -> dict[str, int]:
    if not isinstance(data, Mapping) or not all(type(v) is int for v in data.values()):
        raise UserError(f"keep={data!r}: give a whole number for each source, e.g. {{aime: 0}}")
    return {str(name): value for name, value in data.items()}
