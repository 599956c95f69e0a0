"""The texts that questions are held against. Plain data: the command line makes them of the
evaluation's tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """A text that others must not repeat.

    name: what an overlap with it is put down to, e.g. `math500 test/algebra/1.json`.
    secret: its words may not be written anywhere; an overlap gives the name alone.
    """

    name: str
    text: str
    secret: bool = False


Evaluation = Callable[[str], Sequence[Reference]]
"""The questions of an evaluation task, by the task's name."""
