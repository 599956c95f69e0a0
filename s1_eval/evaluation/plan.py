"""From a sweep's comma lists to its runs: which settings of which methods."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from s1_eval.errors import UserError
from s1_eval.methods import method, settings
from s1_eval.methods.class_conditional import PROMPTS
from s1_eval.methods.step_conditional import TOKENS_PER_STEP


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


@dataclass(frozen=True)
class PlannedRun:
    """One run: a method's name, what was asked for, and the validated settings."""

    method: str
    params: Mapping[str, Any]
    settings: Any

    @property
    def needs_sampling(self) -> bool:
        """Whether the method is meaningless at temperature 0."""
        return self.method in _SAMPLED

    @property
    def needs_verifier(self) -> bool:
        """Whether the method searches by a verifier's scores."""
        return method(self.method).verifier

    @property
    def slug(self) -> str:
        """The run's folder: what tells it from its neighbours, in plain letters and not too long
        for any file system, and a hash of the method and all its settings."""
        varied = [f"{k}={v}" for k, v in self.params.items() if isinstance(v, int | str | None)]
        told = "_".join([self.method, *varied]).lower()
        readable = re.sub(r"[^a-z0-9=_-]+", "-", told)[:80].rstrip("-_=")
        identity = json.dumps([self.method, dataclasses.asdict(self.settings)], sort_keys=True)
        return f"{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"

    @property
    def old_slug(self) -> str:
        """What the folder was called before it had a hash: two runs may have the same."""
        varied = [f"{k}={v}" for k, v in self.params.items() if isinstance(v, int | str | None)]
        safe = "_".join([self.method, *varied])
        return "".join(c if c.isalnum() or c in "=_-." else "-" for c in safe)[:120]


def plan(methods: Sequence[str], axes: Axes) -> list[PlannedRun]:
    """The runs of a sweep in the order they are started: the longest thinking first, so that the
    continuation cache can answer the shorter ones from it.

    A parameter of `axes.params` reaches the methods that have it; what is asked for twice is one
    run.
    Raises UserError on an unknown method, a parameter that none of them has, a setting out of
    range, or a list that a method needs and did not get.
    """
    known = {name: {f.name for f in fields(method(name).settings)} for name in methods}
    for key, value in axes.params.items():
        if methods and not any(key in names for names in known.values()):
            settings(methods[0], {key: value})
    runs: dict[str, PlannedRun] = {}
    for name in methods:
        given = {key: value for key, value in axes.params.items() if key in known[name]}
        for varied in _SERIES.get(name, _default)(axes):
            params = {**given, **varied}
            run = PlannedRun(name, params, settings(name, params))
            runs.setdefault(run.slug, run)
    if not runs:
        raise UserError("no runs: give --methods, e.g. --methods plain,budget_forcing")
    return list(runs.values())


def _budget_forcing(axes: Axes) -> list[dict[str, Any]]:
    """Two series: by caps without ignores, and by number of ignores without a cap. Where one of
    the lists has at most one member, or a grid is asked for, every cap with every number."""
    caps = sorted(axes.max_thinking_tokens, key=_longest_first)
    ignores = sorted(axes.num_ignores, reverse=True)
    if axes.grid or len(caps) <= 1 or len(ignores) <= 1:
        return [
            {
                **({"max_thinking_tokens": cap} if caps else {}),
                **({"num_ignores": n} if ignores else {}),
            }
            for cap in caps or [None]
            for n in ignores or [0]
        ]
    return [
        *({"num_ignores": n} for n in ignores),
        *({"max_thinking_tokens": cap} for cap in caps),
    ]


def _longest_first(cap: int | str | None) -> float:
    return -cap if isinstance(cap, int) else float("-inf")


def _token_conditional(axes: Axes) -> list[dict[str, Any]]:
    """Each number of tokens asked for, alone and enforced."""
    numbers = _needed("token_conditional", "--max-thinking-tokens", _numbers(axes))
    return [{"tokens": n} for n in numbers] + [
        {"tokens": n, "max_thinking_tokens": n} for n in numbers
    ]


def _step_conditional(axes: Axes) -> list[dict[str, Any]]:
    """Each number of steps asked for, alone and enforced at 100 tokens a step."""
    numbers = _needed("step_conditional", "--steps", axes.steps)
    return [{"steps": n} for n in numbers] + [
        {"steps": n, "max_thinking_tokens": TOKENS_PER_STEP * n} for n in numbers
    ]


def _class_conditional(axes: Axes) -> list[dict[str, Any]]:
    """Short, default and long, or the lengths of `-S length=low,medium,high`."""
    given = axes.params.get("length")
    lengths = PROMPTS if given is None else str(given).split(",")
    return [{"length": length.strip()} for length in lengths]


def _rejection_sampling(axes: Axes) -> list[dict[str, Any]]:
    numbers = _needed("rejection_sampling", "--max-thinking-tokens", _numbers(axes))
    return [{"max_thinking_tokens": n} for n in numbers]


def _samples(name: str) -> Callable[[Axes], list[dict[str, Any]]]:
    def series(axes: Axes) -> list[dict[str, Any]]:
        numbers = _needed(name, "--samples", axes.samples)
        return [{"samples": n} for n in sorted(numbers, reverse=True)]

    return series


def _default(axes: Axes) -> list[dict[str, Any]]:
    return [{}]


_WIDE = ("majority_vote", "best_of_n", "beam_search", "dvts", "rebase", "sets")
"""Methods whose runs `--samples` makes."""
_SAMPLED = frozenset({"rejection_sampling", *_WIDE})

_SERIES: Mapping[str, Callable[[Axes], list[dict[str, Any]]]] = {
    "budget_forcing": _budget_forcing,
    "token_conditional": _token_conditional,
    "step_conditional": _step_conditional,
    "class_conditional": _class_conditional,
    "rejection_sampling": _rejection_sampling,
    **{name: _samples(name) for name in _WIDE},
}


def _numbers(axes: Axes) -> list[int]:
    return [cap for cap in axes.max_thinking_tokens if isinstance(cap, int)]


def _needed(name: str, option: str, numbers: Sequence[int]) -> Sequence[int]:
    if not numbers:
        raise UserError(f"{name} needs {option} with at least one number, e.g. {option} 4,16")
    return numbers
