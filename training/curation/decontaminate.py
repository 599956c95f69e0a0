"""Stage 2: drop every question that shares eight words in a row with an evaluation question or
with an earlier source, and every exact duplicate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from s1_eval.evaluation.benchmark import benchmark
from s1_eval.training.curation.overlap import Index, Reference
from s1_eval.training.curation.question import Question


@dataclass(frozen=True, slots=True)
class Decision:
    """What a stage says about one question.

    reason: why it is dropped, a few words from a short list; empty if it stays.
    detail: what is particular to this question.
    """

    id: str
    reason: str = ""
    detail: str = ""


def evaluation_questions(task: str) -> list[Reference]:
    """The questions of a task as it asks them, from where its data comes from. Raises UserError
    for an unknown task or unreadable data."""
    about = benchmark(task)
    return [Reference(f"{task} {s.id}", s.words, about.secret) for s in about.load().samples]


def decontaminate(
    pool: Iterable[Question],
    evaluation: Sequence[Reference],
    secret_sources: Collection[str] = (),
) -> Iterator[Decision]:
    """A decision for each question, in order.

    pool: source after source. What stays of one is held against those that follow; questions of
        one source may resemble each other, as long as they are not the same.
    secret_sources: sources whose words may not be written.
    """
    index = Index()
    index.add(evaluation)
    seen: dict[str, str] = {}
    for source, group in groupby(pool, key=lambda question: question.source):
        questions = list(group)
        kept: list[Reference] = []
        overlaps = index.overlaps([question.question for question in questions])
        for asked, overlap in zip(questions, overlaps, strict=True):
            if overlap:
                shared = f": {overlap.words}" if overlap.words else ""
                yield Decision(asked.id, "shared words", overlap.name + shared)
            elif (first := seen.setdefault(asked.question, asked.id)) != asked.id:
                yield Decision(asked.id, "exact duplicate", first)
            else:
                kept.append(Reference(asked.id, asked.question, source in secret_sources))
                yield Decision(asked.id)
        index.add(kept)
