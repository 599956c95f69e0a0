"""From a sweep's comma lists to its runs: which settings of which methods."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from s1_eval.errors import UserError
from s1_eval.methods import method, settings
from s1_eval.methods.method import Axes as Axes
from s1_eval.typed import flat, flat_fields


@dataclass(frozen=True)
class PlannedRun:
    """One run: a method's name, what was asked for, and the validated settings."""

    method: str
    params: Mapping[str, Any]
    settings: Any

    @property
    def needs_sampling(self) -> bool:
        """Whether the method is meaningless at temperature 0."""
        return method(self.method).sampled

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
        identity = json.dumps([self.method, flat(self.settings)], sort_keys=True)
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
    known = {name: flat_fields(method(name).settings) for name in methods}
    for key, value in axes.params.items():
        if methods and not any(key in names for names in known.values()):
            settings(methods[0], {key: value})
    runs: dict[str, PlannedRun] = {}
    for name in methods:
        given = {key: value for key, value in axes.params.items() if key in known[name]}
        for varied in method(name).sweep(name, axes):
            params = {**given, **varied}
            run = PlannedRun(name, params, settings(name, params))
            runs.setdefault(run.slug, run)
    if not runs:
        raise UserError("no runs: give --methods, e.g. --methods plain,budget_forcing")
    return list(runs.values())
