"""One's own questions as a benchmark: a list instead of a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from s1_eval.answers import GRADERS
from s1_eval.answers.choices import ChoiceGrader
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Benchmark, Row, Sample, with_options

NAME = "questions"
"""What records call the task."""

_OWN = ("id", "question", "answer", "options", "system")


def own_questions(
    questions: Iterable[Mapping[str, Any] | Sample],
    grader: str | Mapping[str, Any] | None = None,
    name: str = NAME,
) -> Benchmark:
    """A benchmark of these questions.

    questions: `Sample`s, or mappings with `question` and `answer`, and where there are any
        `options` (texts; `answer` is one of them or its letter), `id` (the place in the list
        without one) and `system`. What else a mapping has is kept in logs.
    grader: `math`, `integer` or `choice`, or a mapping with it as `name` beside its settings. Left
        out, questions that all have options are graded by `choice`.
    Raises UserError without a grader that is called for; what is wrong with a question is said
    when they are loaded.
    """
    rows: list[Row] = [
        {"sample": each} if isinstance(each, Sample) else {"id": number, **_mapping(each, number)}
        for number, each in enumerate(questions, 1)
    ]
    if grader is None:
        if not all(
            row["sample"].options if "sample" in row else row.get("options") for row in rows
        ):
            raise UserError(
                f"own questions need a grader: give grader= one of {', '.join(GRADERS)}"
            )
        grader = "choice"
    given = {"name": grader} if isinstance(grader, str) else dict(grader)
    return Benchmark(name, _sample, given.pop("name", ""), given, generate=lambda: rows)


def _mapping(question: Any, number: int) -> Mapping[str, Any]:
    if not isinstance(question, Mapping):
        raise UserError(
            f"question {number} is {question!r:.80}: give a Sample, or a mapping as "
            "{'question': 'What is 6*7?', 'answer': '42'}"
        )
    return question


def _sample(row: Row) -> Sample:
    if "sample" in row:
        found: Sample = row["sample"]
        return found
    question, target = str(row["question"]), str(row["answer"])
    options = tuple(map(str, row.get("options") or ()))
    if options:
        question, target = with_options(question, options), _letter(target, options)
    return Sample(
        id=str(row["id"]),
        prompt=question,
        target=target,
        options=options,
        metadata={name: value for name, value in row.items() if name not in _OWN},
        system=row.get("system"),
    )


def _letter(answer: str, options: tuple[str, ...]) -> str:
    """The letter of the right option, which `answer` is or names."""
    letters = ChoiceGrader().letters[: len(options)]
    by_text = [letter for letter, text in zip(letters, options, strict=True) if text == answer]
    named = [*by_text, *(letter for letter in letters if letter == answer)]
    if len({*named}) != 1:
        raise ValueError(f"the answer {answer!r} is {len({*named})} of the options {options}")
    return named[0]
