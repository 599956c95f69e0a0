"""Multiple choice in Inspect: whether a prompt shows a sample's options, and marking on them what
was answered, which is what the `choice` scorer reads. Inspect's own `multiple_choice` shows them
where nobody has."""

from __future__ import annotations

import re
from collections.abc import Mapping

from inspect_ai.solver import TaskState

from s1_eval import libraries
from s1_eval.answers.extract import extract_option

libraries.check(__name__)
from inspect_ai._util.answer import answer_character  # noqa: E402
from inspect_ai.solver._multiple_choice import parse_answers  # noqa: E402


def several(state: TaskState) -> bool:
    """Whether the target names more than one option, spelled in one of the ways that the `choice`
    scorer reads: a list of letters, or `A,C` or `AC` as one text."""
    letters = {answer_character(i) for i in range(len(state.choices))}
    parts = [part for each in state.target for part in each.replace(",", " ").split()]
    named = [c for part in parts for c in ([part] if part.isnumeric() else part)]
    return len({*named}) > 1 and {*named} <= letters


def labels(prompt: str, state: TaskState) -> Mapping[str, int] | None:
    """Which option each letter stands for in a prompt that shows them, by its place in
    `state.choices`; None where it does not show them all.

    A prompt of the user's own may show options without letters, each on a line or all in a row:
    they have those of their order then. What is doubtful counts as not shown, since to be shown
    twice costs an answer nothing.
    """
    values = [choice.value.strip() for choice in state.choices]
    found: dict[str, int] = {}
    for letter in (answer_character(i) for i in range(len(values))):
        left = [i for i in range(len(values)) if i not in found.values()]
        shown = (i for i in left if _labelled(letter, values[i], prompt))
        if (at := next(shown, None)) is None:
            break
        found[letter] = at
    if len(found) == len(values):
        return found
    lines = [line.strip(" \t-*•") for line in prompt.splitlines()]
    listed = any(sign.join(values) in prompt for sign in (", ", "; ", " / ", "', '", '", "'))
    if listed or all(value in lines for value in values):
        return {answer_character(i): i for i in range(len(values))}
    return None


def _labelled(letter: str, value: str, prompt: str) -> bool:
    """Whether an option stands there with its letter, as in `A) blue`, `(A) blue`, `A. blue`."""
    return bool(re.search(rf"(?<!\w){letter}\W{{1,4}}{re.escape(value)}(?!\w)", prompt))


def mark(state: TaskState, shown: Mapping[str, int]) -> None:
    """Mark the options that the output names, as `multiple_choice` does; where it names none in
    that solver's form, the one that the answer plainly is. Without any, none is marked.

    shown: see `labels`.
    """
    many = several(state)
    answers = parse_answers(state, many)
    if not answers and not many and len(shown) <= len(_LETTERS):
        options = [state.choices[at].value for at in shown.values()]
        letters = _LETTERS[: len(shown)]
        answers = {*extract_option(state.output.completion, options, letters).text}
    if answers:
        for letter, at in shown.items():
            state.choices.mark_choice(at, letter in answers)


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
