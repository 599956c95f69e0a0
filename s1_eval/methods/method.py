"""What a method is: one object that describes itself. Solvers, the sweep's plan and lm-eval's
`gen_kwargs` read it here; records hold `describe` as plain data, and metrics read that."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from s1_eval.errors import UserError
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Outcome
from s1_eval.typed import flat, flat_fields

ANSWER_LIMITS = ("max_answer_tokens", "max_tokens")
"""What settings call the limit on an answer, the first that a method has."""


@dataclass(frozen=True)
class Axes:
    """What a sweep varies. An empty list leaves a method's own default.

    grid: every cap with every number of ignores, instead of one series for each.
    """

    max_thinking_tokens: Sequence[int | str | None] = ()
    num_ignores: Sequence[int] = ()
    steps: Sequence[int] = ()
    samples: Sequence[int] = ()
    grid: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)

    def numbers(self, axis: str, method: str) -> list[int]:
        """The numbers of one list, which `method` can't do without. Raises UserError if there are
        none."""
        found = [number for number in getattr(self, axis) if isinstance(number, int)]
        if not found:
            option = f"--{axis.replace('_', '-')}"
            raise UserError(f"{method} needs {option} with at least one number, e.g. {option} 4,16")
        return found


Sweep = Callable[[str, Axes], Sequence[Mapping[str, Any]]]
"""From a method's name and a sweep's lists to the settings of its runs, the most thinking first:
the continuation cache answers the shorter ones from it."""


def once(name: str, axes: Axes) -> Sequence[Mapping[str, Any]]:
    """A single run."""
    return [{}]


def caps(name: str, axes: Axes) -> Sequence[Mapping[str, Any]]:
    """A run for each cap that is a number."""
    found = sorted(axes.numbers("max_thinking_tokens", name), reverse=True)
    return [{"max_thinking_tokens": cap} for cap in found]


def widths(name: str, axes: Axes) -> Sequence[Mapping[str, Any]]:
    """A run for each number of samples."""
    return [{"samples": n} for n in sorted(axes.numbers("samples", name), reverse=True)]


@dataclass(frozen=True, slots=True)
class Dial:
    """A setting that changes how much is computed.

    levels: its values from least to most, where they are no numbers.
    value: its value in given settings; None reads the field of its name.
    """

    name: str
    levels: tuple[str, ...] = ()
    value: Callable[[Any], Any] | None = None

    def of(self, settings: Any) -> Any:
        return flat(settings)[self.name] if self.value is None else self.value(settings)


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a run may think, per chain, in tokens.

    tokens: the limit, which rows record; None without one.
    at_least: the least thinking.
    side: on which side of the reference run's mean the run's own has to lie. Control then holds
        the run against nothing else.
    held: whether Control holds the run's mean against `tokens` and `at_least`.
    """

    tokens: int | None = None
    at_least: int | None = None
    side: Literal["below", "above"] | None = None
    held: bool = True

    def control(self) -> dict[str, Any]:
        """What Control holds the run's mean thinking tokens against, as plain data."""
        limits = {"at_least": self.at_least, "at_most": self.tokens} if self.held else {}
        found = {**limits, "side": self.side}
        return {name: value for name, value in found.items() if value is not None}


def at_least(settings: Any) -> Budget:
    """The budget of methods that have none but the least thinking of their chains."""
    return Budget(at_least=flat(settings).get("min_thinking_tokens") or None)


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A method of test-time scaling.

    name: as users type it, and as records have it.
    settings: a frozen dataclass that validates itself; best an `s1_eval.typed.Settings`.
    coroutine: what it does with a question.
    paper: where the method comes from.
    dials: what varies in it. Of the runs of a series the first dial that differs is the axis.
    sweep: how a sweep's lists become its runs.
    budget: how much a run of given settings may think.
    asks: the dial by which the prompt asks for an amount. A cap on top is then another method in
        tables, `+bf`.
    service: the control of a hosted model that stands for what the prompt asks for: a reasoning
        `effort`, or a number of `tokens` of thinking.
    reference: the settings of the run that asks for nothing, which others are held against.
    sampled: the method has no meaning at temperature 0.
    verifier: it needs one.
    forces: it forces thinking, and has no meaning without any.
    chooses: its answer is chosen among independent samples, so that a run with n of them serves
        every k up to n; a function where that depends on the settings.
    unforced: the model as it is; first in tables.
    single: it is one chain whose answer is the answer, so it can be shown as it grows.
    """

    name: str
    settings: type[Any]
    coroutine: Callable[[Policy, Question, Any], Awaitable[Outcome]]
    paper: str = ""
    dials: tuple[Dial, ...] = ()
    sweep: Sweep = once
    budget: Callable[[Any], Budget] = at_least
    asks: str | None = None
    service: Literal["effort", "tokens"] | None = None
    reference: Mapping[str, Any] | None = None
    sampled: bool = False
    verifier: bool = False
    forces: bool = False
    chooses: bool | Callable[[Any], bool] = False
    unforced: bool = False
    single: bool = False

    async def run(self, policy: Policy, question: Question, settings: Any) -> Outcome:
        """The method's outcome, with the limit that its settings set.

        Raises ValueError where the coroutine itself set another: Control would not know it.
        """
        outcome = await self.coroutine(policy, question, settings)
        tokens = self.budget(settings).tokens
        if outcome.budget not in (None, tokens):
            raise ValueError(
                f"{self.name} set a budget of {outcome.budget}, and its Method says {tokens}: "
                "give it as budget=lambda settings: Budget(…)"
            )
        return replace(outcome, budget=tokens)

    @property
    def answer_limit(self) -> str | None:
        """The setting that limits the answer's tokens."""
        known = flat_fields(self.settings)
        return next((name for name in ANSWER_LIMITS if name in known), None)

    @property
    def summary(self) -> str:
        """What it does, in a sentence: the first paragraph of its coroutine's documentation."""
        return " ".join((inspect.getdoc(self.coroutine) or "").split("\n\n")[0].split())

    def describe(self, settings: Any) -> dict[str, Any]:
        """The method at these settings as plain data: `method_info` of a run record."""
        return {
            "paper": self.paper,
            "dials": [
                {
                    "name": dial.name,
                    "value": dial.of(settings),
                    **({"levels": list(dial.levels)} if dial.levels else {}),
                }
                for dial in self.dials
            ],
            "control": self.budget(settings).control(),
            "asks": self.asks,
            "reference": None if self.reference is None else dict(self.reference),
            "answer_limit": self.answer_limit,
            "sampled": self.sampled,
            "verifier": self.verifier,
            "forces": self.forces,
            "chooses": self.chooses(settings) if callable(self.chooses) else self.chooses,
            "unforced": self.unforced,
        }
