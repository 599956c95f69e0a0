"""What a curation recipe may say: a frozen dataclass that validates itself.

sources:    {math: {revision: …}, mine: {path: …, question: …}}   in order: earlier ones stay
evaluation: [aime24, …]     tasks whose questions must not be trained on
traces:     traces.jsonl    what `s1-train traces` wrote
difficulty: {models: [{model: s1_vllm/…}, …]} or {recorded: grades.jsonl}
domains:    {models: [{model: s1_vllm/…}]} or {recorded: domains.jsonl}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

from s1_eval.errors import UserError
from s1_eval.training.curation.asking import Asking
from s1_eval.training.curation.hub import SOURCES
from s1_eval.training.curation.sources import Settings as Source
from s1_eval.training.curation.sources import check as check_source
from s1_eval.training.recipe_files import based, find, read
from s1_eval.typed import Positive, Says, Settings

KEEP = {"gpqa": 0, "aime": 0, "math": 5600}
EVALUATION = ("aime24", "aime25", "gpqa_diamond", "math500")


@dataclass(frozen=True, slots=True)
class Model(Settings):
    """A model that answers or classifies. temperature: s1 grades at 0.05. max_tokens: of one
    answer. thinking_format: `none` for a model that does not think. engine_args: of its engine.
    concurrency: questions in flight."""

    model: str
    temperature: float = 0.05
    max_tokens: int | None = None
    thinking_format: str = "auto"
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    concurrency: Positive = 128

    def check(self) -> None:
        self.asking(0)

    def asking(self, seed: int) -> Asking:
        """Raises UserError on a model or a setting that there is not."""
        params = {"max_tokens": self.max_tokens, "thinking_format": self.thinking_format}
        return Asking(self.model, "plain", params, self.temperature, seed, self.engine_args)


@dataclass(frozen=True, slots=True)
class Decided(Settings):
    """Who decides something about questions: models, or a file where it was recorded."""

    models: tuple[Model, ...] = ()
    recorded: str | None = None

    def check(self) -> None:
        if bool(self.models) == (self.recorded is not None):
            raise UserError("give exactly one of models (a list), recorded (a file)")


@dataclass(frozen=True, slots=True)
class Curation(Settings):
    """traces: a JSONL file of `s1-train traces`. teacher_recorded: rows {id, correct} in place of
        grading its attempts with our checker.
    length: what ranks questions; `solution_words` stands in where there are no traces.
    keep: by source, the trace length over which what the teacher solved is taken without a draw.
    size: how many questions are wanted. seed: of every draw.
    """

    sources: Mapping[str, Source]
    evaluation: tuple[str, ...] = EVALUATION
    traces: str | None = None
    teacher_recorded: str | None = None
    length: Literal["thinking_tokens", "solution_words"] = "thinking_tokens"
    difficulty: Decided | None = None
    domains: Decided | None = None
    keep: Mapping[str, int] = field(default_factory=lambda: dict(KEEP))
    size: Annotated[int, Ge(1), Says("1 or more")] = 1000
    seed: int = 0
    output: str = "runs/s1k"

    def check(self) -> None:
        if not self.sources:
            raise UserError(f"sources has to name at least one of {', '.join(SOURCES)}, or a file")
        for name, settings in self.sources.items():
            check_source(name, settings)
        if self.domains and len(self.domains.models) > 1:
            raise UserError("domains.models: give one model")


def load(recipe: str | Path) -> Curation:
    """The recipe in a YAML file, or one of ours by its name. Raises UserError on anything that is
    not one."""
    return read(Curation, based(find(recipe)))
