"""Which runs form one set `A`, the set that Control, Scaling and Performance are taken over.

A series varies one dial, the first of its method's that differs, and holds everything else: model,
task, method, every other setting, engine, seed, data revision, versions. From a full grid of caps
and ignores this makes, by rule:

- runs without a cap form the series by number of ignores, 0 ignores included;
- runs with a cap form one series by cap for each number of ignores; if there is only one cap, one
  series by number of ignores.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from s1_eval.metrics.entries import Entry
from s1_eval.metrics.entries import Point as EntryPoint
from s1_eval.metrics.points import Point, Tally, answers_at_once
from s1_eval.names import natural
from s1_eval.records import Run, flatten
from s1_eval.records.method_info import CAP as CAP
from s1_eval.records.method_info import OFF, method_info


@dataclass(frozen=True, slots=True)
class Series:
    """One method at several amounts of thinking.

    method: the run's method, with `+bf` where a cap is forced on top of a conditional one.
    varied: the dial that is turned; None for a single run.
    held: the other dials that are on, and whatever tells this series from its siblings.
    runs: the set A, by the dial's value.
    reference: the run that asks for nothing, of class-conditional control. Not in A.
    """

    model: str
    task: str
    method: str
    varied: str | None
    held: Mapping[str, Any]
    runs: tuple[Run, ...]
    reference: Run | None = None

    @property
    def name(self) -> str:
        """Unique among the series of one model and task."""
        by = f"{self.method} by {self.varied}" if self.varied else self.method
        return describe(by, self.held)

    def label(self, run: Run) -> str:
        """The run by the dial's value, or by the series' name where nothing varies."""
        return f"{self.varied}={shown(dial(run, self.varied))}" if self.varied else self.name

    def points(self, tallies: Mapping[str, Tally]) -> list[Point]:
        """The points of A. tallies: by run id."""
        default = None if self.reference is None else tallies[self.reference.id].mean_thinking
        points = []
        for run in self.runs:
            t = tallies[run.id]
            point = Point(self.label(run), t.mean_thinking, t.accuracy)
            info = method_info(run)
            if answers_at_once(run):
                point = replace(point, at_once=True)
            elif info.side == "below":
                point = replace(point, below=default)
            elif info.side == "above":
                point = replace(point, above=default)
            else:
                point = replace(point, at_least=info.at_least, at_most=info.at_most)
            points.append(point)
        return points

    @property
    def lacking(self) -> str | None:
        """The settings of the reference that the runs are to be held against and that is not
        there."""
        wanted = method_info(self.runs[0]).reference if self.runs else None
        if self.reference or not wanted:
            return None
        return ", ".join(f"{name}={shown(value)}" for name, value in wanted.items())


def describe(name: str, held: Mapping[str, Any]) -> str:
    """`name` and what is held, on one printable line."""
    return ", ".join([name, *(f"{shown(key)}={shown(value)}" for key, value in held.items())])


def entry_name(entry: Entry) -> str:
    """`Series.name` of an entry that `s1_eval.metrics.score` returned."""
    by = f"{entry['method']} by {entry['varied']}" if entry["varied"] else entry["method"]
    return describe(by, entry["held"])


def settings(entry: Entry, point: EntryPoint) -> Mapping[str, Any]:
    """What tells one run of an entry from its siblings, and the entry from its."""
    if entry["varied"] is None or point["value"] is None:
        return entry["held"]
    return {entry["varied"]: point["value"], **entry["held"]}


def shown(value: Any) -> str:
    """A setting, or its name, on one printable line."""
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)


def method_label(run: Run) -> str:
    """The method's name; `+bf` where thinking is cut by force on top of a prompt that asks for an
    amount."""
    forced = method_info(run).asks is not None and run.params.get(CAP) is not None
    return f"{run.method}+bf" if forced else run.method


def dial(run: Run, name: str) -> Any:
    """A dial's setting in a run. Absent means off: 0 ignores, no minimum, None for the rest."""
    value = method_info(run).dials.get(name)
    return OFF.get(name) if value is None else value


def dials_on(run: Run) -> dict[str, Any]:
    """The dials that are on in a run, in its method's order."""
    return {name: value for name, value in method_info(run).dials.items() if value}


def series(runs: Iterable[Run]) -> list[Series]:
    """The runs, put into series by the rule above; the unforced first, then by name."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[_canonical(_fixed(run))].append(run)
    found = [part for group in groups.values() for part in _split(group)]
    found = [replace(one, held=_held(one, found)) for one in found]
    return sorted(found, key=_place)


def _place(one: Series) -> tuple[str, str, bool, list[str | int]]:
    forced = not method_info(_any_run(one)).unforced
    return one.model, one.task, forced, natural(one.name)


def _fixed(run: Run) -> dict[str, Any]:
    """Everything about a run that no series varies."""
    dials = method_info(run).dials
    return {
        **{k: v for k, v in flatten(run.record).items() if not k.startswith("method_params.")},
        **{f"method_params.{k}": v for k, v in run.params.items() if k not in dials},
        "method": method_label(run),
        "capped": isinstance(run.params.get(CAP), int),
    }


def _split(group: Sequence[Run]) -> list[Series]:
    """Runs that differ in dials only, as series that turn one dial each."""
    capped = isinstance(group[0].params.get(CAP), int)
    names = list(dict.fromkeys(name for run in group for name in method_info(run).dials))
    settings = {
        name: [_canonical(dial(run, name)) for run in group]
        for name in names
        if capped or name != CAP  # None and `auto` are no amounts
    }
    moving = [name for name, values in settings.items() if len(set(values)) > 1][:1]
    # The cap that enforces what the prompt asks for moves with it and is no dial of its own.
    info = method_info(group[0])
    if moving == [info.asks] and info.asks_by_number and CAP in settings:
        moving += [CAP] if _in_step(settings[moving[0]], settings[CAP]) else []
    parts: dict[str, list[Run]] = defaultdict(list)
    for run in group:
        parts[_canonical({n: dial(run, n) for n in names if n not in moving})].append(run)
    return [_series(part, moving) for part in parts.values()]


def _series(part: Sequence[Run], moving: Sequence[str]) -> Series:
    first = part[0]
    varied = moving[0] if len(part) > 1 and moving else None
    runs = sorted(part, key=_order(varied)) if varied else list(part)
    reference = None
    info = method_info(first)
    if info.reference is not None:
        reference = next((run for run in runs if info.is_reference(run.params)), None)
        runs = [run for run in runs if not info.is_reference(run.params)]
    on = {n: v for n, v in dials_on(first).items() if not varied or n not in moving}
    return Series(first.model, first.task, method_label(first), varied, on, tuple(runs), reference)


def _held(one: Series, all_series: Sequence[Series]) -> dict[str, Any]:
    """The dials that are on and the conditions in which the series' namesakes differ from it."""
    key = (one.model, one.task, one.method, one.varied)
    namesakes = [s for s in all_series if (s.model, s.task, s.method, s.varied) == key]
    held = dict(one.held)
    if len(namesakes) > 1:
        facts = [_fixed(_any_run(s)) for s in namesakes]
        mine = _fixed(_any_run(one))
        for name in sorted({name for each in facts for name in each} - {"capped"}):
            if len({_canonical(each.get(name)) for each in facts}) > 1:
                held[name.removeprefix("method_params.")] = mine.get(name)
    return held


def _any_run(one: Series) -> Run:
    run = one.runs[0] if one.runs else one.reference
    assert run is not None
    return run


def _order(varied: str) -> Callable[[Run], tuple[bool, float, str]]:
    """By amount; what is no amount comes last."""

    def key(run: Run) -> tuple[bool, float, str]:
        value = dial(run, varied)
        if isinstance(value, int | float):
            return False, value, ""
        levels = method_info(run).levels.get(varied, ())
        place = levels.index(str(value)) if str(value) in levels else -1
        return True, place, _canonical(value)

    return key


def _in_step(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two dials determine each other."""
    return len(set(zip(one, other, strict=False))) == len(set(one)) == len(set(other))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
