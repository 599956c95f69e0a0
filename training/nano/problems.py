"""Chain arithmetic modulo 100: the questions nano is trained on and the benchmark `nano` asks.

Here are the problems, the split that keeps held-out ones apart, and the exact checker of a
trace's lines. How a trace is written stands in `traces`. Standard library only.

    Compute mod 100.
    S=47
    A*8
    B+5
    C*7*6        <- a hard step: two operations, done in the head when drafting
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

HEADER = "Compute mod 100."
LETTERS = "ABCDEFGHIJKL"
STEPS = range(2, len(LETTERS) + 1)
HARD_STEPS = (62, 22, 10, 4, 2)
"""Weights of 0, 1, 2, … hard steps in a held-out problem."""
TRAINING_HARD_STEPS = (15, 25, 25, 20, 15)
"""The same in training: hard steps take the most practice."""
HELD_OUT_SHARE = 16
"""One question in so many, by the hash of its text, is held out."""

Operation = tuple[str, int]


@dataclass(frozen=True)
class Problem:
    """start: the first value. steps: per letter one operation, or two for a hard step."""

    start: int
    steps: tuple[tuple[Operation, ...], ...]

    @cached_property
    def question(self) -> str:
        lines = [HEADER, f"S={self.start:02}"]
        lines += [letter + written(step) for letter, step in zip(LETTERS, self.steps, strict=False)]
        return "\n".join(lines)

    @cached_property
    def values(self) -> tuple[int, ...]:
        """The value after each step."""
        values = [self.start]
        for step in self.steps:
            values.append(partial_values(values[-1], step)[-1])
        return tuple(values[1:])

    @property
    def target(self) -> str:
        """The last value, two digits."""
        return f"{self.values[-1]:02}"

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.question.encode()).hexdigest()

    @property
    def id(self) -> str:
        return f"nano-{self.digest[:10]}"

    @property
    def row(self) -> dict[str, str]:
        """As the benchmark `nano` reads it."""
        return {"id": self.id, "question": self.question, "answer": self.target}

    @property
    def held_out(self) -> bool:
        return int(self.digest[-8:], 16) % HELD_OUT_SHARE == 0


def written(step: tuple[Operation, ...]) -> str:
    return "".join(f"{sign}{operand}" for sign, operand in step)


def partial_values(value: int, step: tuple[Operation, ...]) -> list[int]:
    """The value after each operation of `step`, modulo 100."""
    values = []
    for sign, operand in step:
        if sign == "*":
            value *= operand
        else:
            value += operand if sign == "+" else -operand
        value %= 100
        values.append(value)
    return values


def draw(rng: random.Random, hard_weights: Sequence[int], max_steps: int = len(LETTERS)) -> Problem:
    """A problem of either split with up to `max_steps` steps. hard_weights: of 0, 1, 2, … hard
    ones among them."""
    count = rng.randint(STEPS.start, max_steps)
    hard_steps = rng.choices(range(len(hard_weights)), hard_weights)[0]
    hard = set(rng.sample(range(count), min(hard_steps, count)))
    steps = tuple(_hard(rng) if i in hard else (_operation(rng),) for i in range(count))
    return Problem(rng.randrange(100), steps)


def _operation(rng: random.Random, signs: str = "*+-") -> Operation:
    sign = rng.choice(signs)
    return sign, rng.randint(2 if sign == "*" else 1, 9)


def _hard(rng: random.Random) -> tuple[Operation, ...]:
    """Two operations, at least one of them a product: two sums would be one sum."""
    first = _operation(rng)
    second = _operation(rng, "*" if first[0] != "*" else "*+-")
    return first, second


def training(rng: random.Random, max_steps: int = len(LETTERS)) -> Problem:
    """A problem that is not held out."""
    while (problem := draw(rng, TRAINING_HARD_STEPS, max_steps)).held_out:
        pass
    return problem


@cache
def held_out(n: int = 500, seed: int = 0, max_steps: int = len(LETTERS)) -> tuple[Problem, ...]:
    """The first `n` held-out problems of `seed` with up to `max_steps` steps, no question twice."""
    rng = random.Random(seed)  # noqa: S311
    found: dict[str, Problem] = {}
    while len(found) < n:
        problem = draw(rng, HARD_STEPS, max_steps)
        if problem.held_out:
            found.setdefault(problem.question, problem)
    return tuple(found.values())


_LINE = re.compile(r"([A-L])((?:[*+-]\d)+)=(\d\d)")
_CHECK = re.compile(r"([A-L])((?:[*+-]\d=\d\d)+) was (\d\d) (ok|fix)")
_PART = re.compile(r"([*+-])(\d)=(\d\d)")


def judge(problem: Problem, thinking: str) -> Iterator[tuple[str, bool | None]]:
    """(line, right) for each line of a trace. A drafted line is right if its value is the true
    one; a checking line if every value in it is and the verdict fits what was drafted. None for
    lines that state no value."""
    truth = dict(zip(LETTERS, zip(problem.steps, problem.values, strict=True), strict=False))
    before = dict(zip(LETTERS, (problem.start, *problem.values), strict=False))
    drafted: dict[str, str] = {}
    for line in thinking.splitlines():
        right: bool | None = None
        if match := _LINE.fullmatch(line):
            letter, operations, value = match.groups()
            step, true = truth.get(letter, ((), -1))
            right = operations == written(step) and int(value) == true
            drafted[letter] = value
        elif match := _CHECK.fullmatch(line):
            letter, parts, was, verdict = match.groups()
            step, _ = truth.get(letter, ((), -1))
            read = _PART.findall(parts)
            right = (
                tuple((sign, int(operand)) for sign, operand, _ in read) == step
                and [int(v) for *_, v in read] == partial_values(before[letter], step)
                and was == drafted.get(letter)
                and (verdict == "ok") == (was == read[-1][2])
            )
            drafted[letter] = read[-1][2]
        elif line.startswith("S="):
            right = line == f"S={problem.start:02}"
        yield line, right
