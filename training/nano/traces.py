"""Nano's training traces: what it should think about a problem, and which of it carries loss.

A trace drafts the steps in the head, then checks its draft as often as it is told "Wait". A
slip (a wrong value, there so that checking has something to find) carries no loss: the model
never learns to err on purpose. Rendering to ids is `training.sft`'s.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from s1_eval.methods.class_conditional import PROMPTS
from s1_eval.training.examples import Example, Span
from s1_eval.training.nano import problems
from s1_eval.training.nano.problems import LETTERS, Problem, partial_values, written
from s1_eval.training.nano.tokenizer import (
    CHECK,
    IGNORE_STRINGS,
    IM_END,
    IM_START,
    PIECES,
    THINK_STEPS,
    THINK_TOKENS,
)

INSTRUCTIONS = {None: 66, "tokens": 13, "steps": 11, "short": 5, "long": 5}
INSTRUCTED_WAITS = {
    "tokens": (20, 18, 17, 15, 12, 10, 8),
    "steps": (26, 20, 18, 15, 12, 5, 4),
    "short": (1,),
    "long": (0, 10, 35, 30, 15, 6, 4),
}
OPENERS = (94, 3, 3)
"""Weights of the ignore strings as the first word of a check."""
CUT_SHARE = 0.15
BRIEF_SHARE = {None: 0.0, "tokens": 0.3, "steps": 0.25, "short": 1.0, "long": 0.0}
SHORT_OMITS = (4, 6)
"""Weights of 1 and 2 last lines left out of a draft that was to be short."""
SLIPS = (0.03, 0.35)
"""Shares of the values that are drafted wrong, of a step of one operation and of a hard one."""


@dataclass(frozen=True)
class Line:
    """One line of thinking. sound: nothing wrong stands in the draft up to here. value: the
    last value that was stated."""

    spans: tuple[Span, ...]
    sound: bool
    value: int

    @property
    def tokens(self) -> int:
        return sum(count(span.text) for span in self.spans)


def count(text: str) -> int:
    """How many tokens `text` has."""
    return len(PIECES.findall(text))


def example(
    rng: random.Random,
    waits: Sequence[int],
    max_steps: int = len(LETTERS),
    max_waits: int = 6,
    instructed: bool = True,
    cut_share: float = CUT_SHARE,
    slips: tuple[float, float] = SLIPS,
    learn_cut: bool = True,
) -> Example:
    """One training example; limits on steps and checks make it an easier one.

    waits: weights of 0, 1, 2, … checks where nothing is instructed. instructed: whether some
    questions say how long to think, in nano's tokens. cut_share: of thinking that is cut.
    slips: see `SLIPS`. learn_cut: whether thinking that is cut carries loss.
    """
    problem = problems.training(rng, max_steps)
    kind = _choose(rng, INSTRUCTIONS) if instructed else None
    weights = (INSTRUCTED_WAITS[kind] if kind else waits)[: max_waits + 1]
    checks = rng.choices(range(len(weights)), weights)[0]
    brief = rng.random() < BRIEF_SHARE[kind]
    lines = list(think(problem, rng, 0 if brief else checks, slips))
    suffix = None
    if kind == "tokens":
        suffix, lines = _instruct_tokens(rng, lines, brief)
    elif kind == "steps":
        suffix, lines = _instruct_steps(rng, lines, brief)
    elif kind == "short":
        suffix = PROMPTS["short"]
        lines = lines[: -rng.choices(range(1, 3), SHORT_OMITS)[0]]
    elif kind == "long":
        suffix = PROMPTS["long"]
    question = f"{problem.question}\n\n{suffix}" if suffix else problem.question
    cut = rng.random() < cut_share
    completion = _cut(rng, problem, lines, learn_cut) if cut else _ended(problem, lines)
    return Example(question, tuple(_merged(completion)))


def think(
    problem: Problem, rng: random.Random, waits: int, slips: tuple[float, float] = SLIPS
) -> Iterator[Line]:
    """The draft, then `waits` checks; each goes up to the first error, mends it and drafts the
    rest again."""
    drafted: dict[int, int] = {}
    truth = problem.values

    def line(value: int, *spans: Span) -> Line:
        sound = all(drafted[i] == truth[i] for i in drafted)
        return Line(spans, sound, value)

    def draft(first: int, value: int) -> Iterator[Line]:
        for i in range(first, len(problem.steps)):
            drafted.pop(i, None)
        for i in range(first, len(problem.steps)):
            step = problem.steps[i]
            right = partial_values(value, step)[-1]
            slipped = rng.random() < slips[len(step) > 1]
            value = _slip(rng, right) if slipped else right
            drafted[i] = value
            yield line(
                value,
                Span(f"{LETTERS[i]}{written(step)}="),
                Span(f"{value:02}", learn=value == right),
                Span("\n"),
            )

    yield line(problem.start, Span(f"S={problem.start:02}\n"))
    yield from draft(0, problem.start)
    for _ in range(waits):
        opener = rng.choices(IGNORE_STRINGS, OPENERS)[0]
        yield line(drafted[len(truth) - 1], Span(f"{opener}{CHECK}\n"))
        value = problem.start
        yield line(drafted[len(truth) - 1], Span(f"S={value:02}\n"))
        for i, step in enumerate(problem.steps):
            parts = partial_values(value, step)
            value = parts[-1]
            worked = "".join(
                f"{written((operation,))}={part:02}"
                for operation, part in zip(step, parts, strict=True)
            )
            was, found = drafted[i], drafted[i] == value
            verdict = " ok" if found else " fix"
            last = drafted[len(truth) - 1]
            yield line(last, Span(f"{LETTERS[i]}{worked} was {was:02}{verdict}\n"))
            if not found:
                drafted[i] = value
                for later in range(i + 1, len(truth)):
                    drafted.pop(later)
                yield line(value, Span(f"{LETTERS[i]}{written(step)}={value:02}\n"))
                yield from draft(i + 1, value)
                break


def _slip(rng: random.Random, right: int) -> int:
    """Another value; every second time only one digit is wrong, as the model's own errors are."""
    if rng.random() < 0.5:
        return (right + rng.randrange(1, 100)) % 100
    tens, ones = divmod(right, 10)
    if rng.random() < 0.7:
        return (tens + rng.randrange(1, 10)) % 10 * 10 + ones
    return tens * 10 + (ones + rng.randrange(1, 10)) % 10


def _instruct_tokens(rng: random.Random, lines: list[Line], brief: bool) -> tuple[str, list[Line]]:
    used = 1 + sum(line.tokens for line in lines)
    limit = _power_of_two(used)
    if brief:
        limit = rng.choice([n for n in (16, 32, 64) if n < used] or [16])
        lines = _within(lines, limit * rng.uniform(0.7, 1.3))
    return f"{limit}".join(THINK_TOKENS), lines


def _instruct_steps(rng: random.Random, lines: list[Line], brief: bool) -> tuple[str, list[Line]]:
    """Every step is headed by how many are left. Now and then the instruction is too small for
    the trace, which then goes on after zero."""
    size = rng.randint(1, 4)
    if brief:
        lines = lines[: rng.randint(1, len(lines))]
    steps = [lines[at : at + size] for at in range(0, len(lines), size)]
    limit = _power_of_two(len(steps))
    if limit > 1 and rng.random() < 0.15:
        limit //= 2
    headed: list[Line] = []
    for i, step in enumerate(steps):
        if i <= limit:
            sound, value = (headed[-1].sound, headed[-1].value) if headed else (True, -1)
            header = Span(f"{IM_START}{limit - i} steps left\n")
            headed.append(Line((header,), sound, value))
        headed += step
    return f"{limit}".join(THINK_STEPS), headed


def _within(lines: list[Line], limit: float) -> list[Line]:
    kept, used = 0, 1
    while kept < len(lines) and used + lines[kept].tokens <= limit:
        used += lines[kept].tokens
        kept += 1
    return lines[: max(1, kept)]


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _ended(problem: Problem, lines: list[Line]) -> list[Span]:
    """Thinking that ends of itself. The answer is the draft's last value where it is whole, else
    a guess at the true one; what follows from a slip carries no loss."""
    last = lines[-1]
    whole = any(line.spans[0].text.startswith(LETTERS[len(problem.steps) - 1]) for line in lines)
    answer = f"{last.value:02}" if whole else problem.target
    return [
        Span(f"{IM_START}think", learn=False),
        Span("\n"),
        *(span for line in lines for span in line.spans),
        Span(f"{IM_START}answer\nFinal Answer:"),
        Span(f" {answer}", learn=last.sound),
        Span(IM_END),
    ]


def _cut(rng: random.Random, problem: Problem, lines: list[Line], learn: bool) -> list[Span]:
    """Thinking that is cut at any token, and the answer that is then forced: the model has to
    guess it from what stands there. What was forced carries no loss."""
    pieces = [
        (piece, learn and span.learn, i)
        for i, line in enumerate(lines)
        for span in line.spans
        for piece in PIECES.findall(span.text)
    ]
    kept = rng.randrange(len(pieces) + 1)
    at = pieces[min(kept, len(pieces) - 1)][2]
    sound = all(line.sound for line in lines[max(0, at - 1) : at + 1])
    text = "".join(piece for piece, *_ in pieces[:kept])
    newline = "" if text.endswith("\n") or not kept else "\n"
    return [
        Span(f"{IM_START}think", learn=False),
        Span("\n", learn),
        *(Span(piece, learn) for piece, learn, _ in pieces[:kept]),
        Span(f"{newline}{IM_START}answer\nFinal Answer:", learn=False, apart=True),
        Span(f" {problem.target}", learn=sound),
        Span(IM_END),
    ]


def _choose(rng: random.Random, weights: dict[str | None, int]) -> str | None:
    return rng.choices(list(weights), list(weights.values()))[0]


def _merged(spans: Sequence[Span]) -> Iterator[Span]:
    """Neighbours with the same `learn` as one, but for those that are apart."""
    held: Span | None = None
    for span in spans:
        if held and held.learn == span.learn and not (held.apart or span.apart):
            held = Span(held.text + span.text, span.learn)
        else:
            if held:
                yield held
            held = span
    if held:
        yield held
