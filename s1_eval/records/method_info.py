"""What a run record says of its method, `method_info`: so that whoever computes with runs knows no
method by name. Records of other programs and older ones of ours lack it; what is known of their
methods stands here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s1_eval.records.readers import Run

CAP, IGNORES, LEAST = "max_thinking_tokens", "num_ignores", "min_thinking_tokens"

OFF: Mapping[str, int] = {IGNORES: 0, LEAST: 0}
"""What a dial that a run does not have stands at; the others at None."""


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """A method at one run's settings, see `s1_eval.methods.Method`.

    dials: what varies in it, with this run's values; the order decides which of two is an axis.
    levels: a dial's values from least to most, where they are no numbers.
    at_least, at_most: tokens that Control holds the run's mean against.
    side: of the reference's mean on which it has to lie, `below` or `above`.
    asks: the dial by which the prompt asks for an amount.
    reference: the settings of the run that asks for nothing.
    """

    dials: Mapping[str, Any]
    levels: Mapping[str, tuple[str, ...]]
    at_least: int | None = None
    at_most: int | None = None
    side: str | None = None
    asks: str | None = None
    reference: Mapping[str, Any] | None = None
    answer_limit: str | None = None
    forces: bool = False
    chooses: bool = False
    unforced: bool = False

    @property
    def asks_by_number(self) -> bool:
        """Whether the prompt names a number."""
        return self.asks is not None and self.asks not in self.levels

    def is_reference(self, params: Mapping[str, Any]) -> bool:
        """Whether these settings are those of the run that asks for nothing."""
        return self.reference is not None and all(
            params.get(name) == value for name, value in self.reference.items()
        )


def method_info(run: Run) -> MethodInfo:
    """What is known of a run's method."""
    told = run.record.get("method_info")
    if told is None:
        return _of_old(run)
    control = told["control"]
    return MethodInfo(
        dials={dial["name"]: dial["value"] for dial in told["dials"]},
        levels={d["name"]: tuple(d["levels"]) for d in told["dials"] if "levels" in d},
        at_least=control.get("at_least"),
        at_most=control.get("at_most"),
        side=control.get("side"),
        **{
            name: told[name]
            for name in ("asks", "reference", "answer_limit", "forces", "chooses", "unforced")
        },
    )


_DIALS = ("tokens", "steps", "length", "samples", "rounds", "max_tokens", CAP, IGNORES, LEAST)
_ASKS = {
    "token_conditional": "tokens",
    "step_conditional": "steps",
    "class_conditional": "length",
}
_FORCES = frozenset({"budget_forcing", "rejection_sampling", *_ASKS})
_LENGTHS = (
    *("none", "minimal", "short", "low", "default", "medium", "long", "high", "xhigh", "max"),
)
_SIDES = {"short": "below", "long": "above"}


def _of_old(run: Run) -> MethodInfo:
    """Of a run whose record has no `method_info`."""
    asks, params = _ASKS.get(run.method), run.params
    dials = {name: params.get(name) for name in _DIALS}
    if asks == "tokens" and dials["tokens"] is None:
        dials["tokens"] = dials[CAP]  # the prompt names the cap
    by_length = asks == "length"
    least = dials[LEAST]
    return MethodInfo(
        dials,
        levels={"length": _LENGTHS},
        at_least=least if isinstance(least, int) and least > 0 and not by_length else None,
        at_most=None if by_length else run.budget,
        side=_SIDES.get(str(params.get("length"))) if by_length else None,
        asks=asks,
        reference={"length": "default"} if by_length else None,
        answer_limit="max_tokens" if run.method == "plain" else "max_answer_tokens",
        forces=run.method in _FORCES,
        chooses=run.method in ("majority_vote", "best_of_n"),
        unforced=run.method == "plain",
    )
