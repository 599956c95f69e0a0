"""From a sweep's comma lists to its runs: which settings of which methods."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from s1_eval.errors import UserError
from s1_eval.methods import Method, method, settings
from s1_eval.methods.method import Axes as Axes
from s1_eval.names import slug
from s1_eval.number_lists import spelled
from s1_eval.typed import flat, flat_fields, flat_hints, takes_numbers


@dataclass(frozen=True)
class PlannedRun:
    """One run: a method, what was asked for, and the validated settings."""

    method: Method
    params: Mapping[str, Any]
    settings: Any

    @property
    def needs_sampling(self) -> bool:
        """Whether the method is meaningless at temperature 0."""
        return self.method.sampled

    @property
    def needs_verifier(self) -> bool:
        """Whether the method searches by a verifier's scores."""
        return self.method.verifier

    @property
    def slug(self) -> str:
        """The run's folder: what tells it from its neighbours, in plain letters and not too long
        for any file system, and a hash of the method and all its settings."""
        varied = [f"{k}={v}" for k, v in self.params.items() if isinstance(v, int | str | None)]
        readable = slug("_".join([self.method.name, *varied]), 80, keep="=").rstrip("-_=")
        identity = json.dumps([self.method.name, flat(self.settings)], sort_keys=True)
        return f"{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"

    @property
    def old_slug(self) -> str:
        """What the folder was called before it had a hash: two runs may have the same."""
        varied = [f"{k}={v}" for k, v in self.params.items() if isinstance(v, int | str | None)]
        safe = "_".join([self.method.name, *varied])
        return "".join(c if c.isalnum() or c in "=_-." else "-" for c in safe)[:120]


def plan(methods: Sequence[str | Method], axes: Axes) -> list[PlannedRun]:
    """The runs of a sweep in the order they are started: the longest thinking first, so that the
    continuation cache can answer the shorter ones from it.

    A parameter of `axes.params` reaches the methods that have it; what is asked for twice is one
    run.
    Raises UserError on an unknown method, a parameter that none of them has, a setting out of
    range, or a list that a method needs and did not get.
    """
    found = [method(each) for each in methods]
    _check_known(found, axes.params)
    runs: dict[str, PlannedRun] = {}
    for each in found:
        given = {
            key: value for key, value in axes.params.items() if key in flat_fields(each.settings)
        }
        for varied in each.sweep(each.name, axes):
            params = {**given, **varied}
            run = PlannedRun(each, params, settings(each, params))
            runs.setdefault(run.slug, run)
    if not runs:
        raise UserError("no runs: give --methods, e.g. --methods plain,budget_forcing")
    return list(runs.values())


def plan_settings(
    methods: Sequence[str | Method], given: Mapping[str, Any], grid: bool = False
) -> list[PlannedRun]:
    """The runs of settings of which any may be a list, which is what varies: those of `plan` where
    it knows the list as an axis, else every member with every other. Of numbers a list may also be
    a `range`, or a text as `s1_eval.number_lists` reads it, by itself or as a member.

    Raises UserError as `plan` does, on a setting that no method has as well.
    """
    found = [method(each) for each in methods]
    _check_known(found, given)
    runs: dict[str, PlannedRun] = {}
    for each in found:
        hints = flat_hints(each.settings)
        own = {name: _listed(v, hints[name]) for name, v in given.items() if name in hints}
        lists = {name: values for name, values in own.items() if name in _AXES}
        # A list that is no axis of this method, as a cap of a vote is none, must not be lost.
        first = {name: values[0] for name, values in own.items() if name not in _AXES}
        series = each.sweep(each.name, Axes(**lists, grid=grid, params=first))
        axes = {n: v for n, v in lists.items() if {*v} <= {varied.get(n) for varied in series}}
        crossed = {name: values for name, values in own.items() if name not in axes}
        for members in product(*crossed.values()):
            params = dict(zip(crossed, members, strict=True))
            for run in plan([each], Axes(**axes, grid=grid, params=params)):
                runs.setdefault(run.slug, run)
    if not runs:
        raise UserError("no methods: give one or more, e.g. ['plain', 'budget_forcing']")
    return list(runs.values())


def _check_known(methods: Sequence[Method], given: Iterable[str]) -> None:
    """Raises UserError on a setting that none of the methods has."""
    known = {name for each in methods for name in flat_fields(each.settings)}
    for key in given:
        if methods and key not in known:
            settings(methods[0], {key: None})


def _listed(value: Any, hint: Any) -> list[Any]:
    """What varies; anything but a list is one value. Raises UserError on an empty one."""
    if not isinstance(value, list | range):
        value = [value]
    if not value:
        raise UserError("an empty list varies nothing: give one value or more")
    try:
        return [number for member in value for number in _members(member, hint)]
    except ValueError as error:
        raise UserError(str(error)) from None


def _members(member: Any, hint: Any) -> list[Any]:
    """The numbers that a text spells, where the setting takes some."""
    ranged = isinstance(member, str) and takes_numbers(hint) and {*member} & {*".^"}
    return [*spelled(member)] if ranged else [member]


_AXES = ("max_thinking_tokens", "num_ignores", "steps", "samples")
