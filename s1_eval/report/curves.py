"""The plot model: what a plot shows, whoever draws it. Panels of curves of accuracy over an amount
of compute, which of them are coloured, and the colours. The pictures draw them by matplotlib, the
page by Chart.js.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from typing import Any

from s1_eval.metrics import costs
from s1_eval.metrics.entries import Entry, Point, Span
from s1_eval.metrics.series import describe, entry_name, shown
from s1_eval.metrics.strategies import Strategy

_STYLE = resources.files("s1_eval.report").joinpath("style.css").read_text("utf-8")
PALETTE: Mapping[str, str] = dict(
    re.findall(r"--(s\d|rest|ink|lines): (#[0-9a-f]{6})", _STYLE.partition("}")[0])
)
"""Colours on light paper by their names in `style.css`, where a page finds those on dark paper too:
of coloured curves (told apart with any colour vision, and readable as text), of the rest, of text,
of the grid."""

COLOURED = tuple(sorted(PALETTE.keys() - {"rest", "ink", "lines"}))
"""The most curves of a panel that have a colour; all others are grey."""

MARKERS = ("circle", "square", "triangle", "diamond", "cross")
"""By place in `COLOURED`: no coloured curve is told by its colour alone."""


FEW = 4
"""Models and tasks of which a picture has small panels too."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An amount of compute. label: in a list. title: under an axis. of: a run's amount, None where
    it is not known."""

    name: str
    label: str
    title: str
    of: Callable[[Point], float | None]


def _cost(name: str) -> Callable[[Point], float | None]:
    return lambda point: point["costs"][name]["value"] if name in point["costs"] else None


COSTS = {name: cost for name, cost in costs.AXES.items() if not name.endswith("_tokens")}
"""What is drawn over as it is recorded."""

AXES: Mapping[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis(
            "thinking",
            "mean thinking tokens",
            "Mean thinking tokens per question",
            lambda point: point["thinking_tokens"]["value"],
        ),
        Axis(
            "generated",
            "all tokens paid for, discarded and verifier's included",
            "Mean tokens paid for per question, discarded and verifier's included",
            lambda point: point["generated_tokens"] + point["verifier_tokens"],
        ),
        *(
            Axis(name, f"{cost.label} per question", f"Mean {cost.label} per question", _cost(name))
            for name, cost in COSTS.items()
        ),
    )
}
"""What accuracy is drawn over: tokens, and every other axis of `costs.AXES`. A run that does not
know its amount, or has none, is counted under the plot and not drawn."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One run on a curve. label: the run's name. at: its amounts, by axis. accuracy, low, high:
    percent, and its 95% interval if there is one. dial: its value, where one is turned. reference:
    the run is not on the line.
    """

    label: str
    at: Mapping[str, float | None]
    accuracy: float
    low: float | None
    high: float | None
    dial: str | None = None
    reference: bool = False

    def on(self, axis: str) -> float | None:
        """Where it is drawn; None where it can't be."""
        return self.at.get(axis) or None


@dataclass(frozen=True, slots=True)
class Curve:
    """enforced: a cap is forced on top (+bf), drawn dashed. varied: a dial is turned; a lone run is
    drawn as a ring. colour: of `COLOURED`, or `rest`."""

    model: str
    task: str
    method: str
    name: str
    enforced: bool
    varied: bool
    spots: tuple[Spot, ...]
    colour: str = "rest"

    def drawn(self, axis: str) -> list[Spot]:
        """The spots that the axis shows, in its order."""
        found = [spot for spot in self.spots if spot.on(axis)]
        return sorted(found, key=lambda spot: spot.on(axis) or 0)


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. title: the model and the task, or of a small one the method that is
    coloured in it. whole: it is none of the small ones."""

    title: str
    curves: tuple[Curve, ...]
    whole: bool = True


def panels(curves: Sequence[Curve]) -> list[list[Panel]]:
    """For each model and task its panels: one with the best curves in colour; where some had to
    stay grey, and models and tasks are few, one for each method too, small, in which that method's
    are."""
    groups: dict[tuple[str, str], list[Curve]] = {}
    for curve in curves:
        groups.setdefault((curve.model, curve.task), []).append(curve)
    found = []
    for (model, task), group in groups.items():
        whole = Panel(f"{model} on {task}", coloured(group))
        small = [
            Panel(method, coloured(whole.curves, method), whole=False)
            for method in dict.fromkeys(map(_family, group))
        ]
        apart = len(group) > len(COLOURED) and len(small) > 1 and len(groups) <= FEW
        found.append([whole, *(small if apart else ())])
    return found


def coloured(curves: Sequence[Curve], method: str | None = None) -> tuple[Curve, ...]:
    """The curves, and the best of them in colour: that which one has already, or the next. method:
    whose alone may have one; by default all."""
    among = [curve for curve in curves if method in (None, _family(curve))]
    best = sorted(among, key=lambda curve: -_best(curve))[: len(COLOURED)]
    kept = {curve.name: curve.colour for curve in best if curve.colour != "rest"}
    free = iter([name for name in COLOURED if name not in kept.values()])
    names = {c.name: kept.get(c.name) or next(free) for c in curves if c in best}
    return tuple(replace(curve, colour=names.get(curve.name, "rest")) for curve in curves)


def _family(curve: Curve) -> str:
    return curve.method.removesuffix("+bf")


def _best(curve: Curve) -> float:
    return max((spot.accuracy for spot in curve.spots), default=0)


def as_data(curves: Sequence[Curve]) -> dict[str, Any]:
    """The plot model as plain data, for what draws it in a page."""
    return {
        "axes": [
            {"name": axis.name, "label": axis.label, "title": axis.title}
            for axis in AXES.values()
            if axis.name == "thinking" or any(s.on(axis.name) for c in curves for s in c.spots)
        ],
        "colours": dict(zip(COLOURED, MARKERS, strict=True)),
        "groups": [
            {
                "title": whole.title,
                "curves": [
                    {name: value for name, value in asdict(curve).items() if name != "spots"}
                    | {"family": _family(curve), "points": [asdict(spot) for spot in curve.spots]}
                    for curve in whole.curves
                ],
            }
            for whole, *_ in panels(curves)
        ],
    }


def of_entries(entries: Sequence[Entry]) -> list[Curve]:
    """One for each series, over `AXES`."""
    return [
        Curve(
            model=entry["model"],
            task=entry["task"],
            method=entry["method"],
            name=entry_name(entry),
            enforced=entry["method"].endswith("+bf"),
            varied=entry["varied"] is not None,
            spots=tuple(
                Spot(
                    label=point["label"],
                    at={name: axis.of(point) for name, axis in AXES.items()},
                    accuracy=point["accuracy"]["value"],
                    **_limits(point["accuracy"]),
                    dial=None if point["value"] is None else shown(point["value"]),
                    reference=point["reference"],
                )
                for point in entry["points"]
            ),
        )
        for entry in entries
    ]


def of_strategies(strategies: Sequence[Strategy]) -> list[Curve]:
    """Over `samples`, the width N, and `tokens`, the policy's and the verifier's."""
    return [
        Curve(
            model=one["model"],
            task=one["task"],
            method=one["strategy"],
            name=describe(f"{one['strategy']} by samples", {}),
            enforced=False,
            varied=True,
            spots=tuple(
                Spot(
                    label=f"samples={point['samples']}",
                    at={"samples": point["samples"], "tokens": point["tokens"]},
                    accuracy=point["accuracy"]["value"],
                    **_limits(point["accuracy"]),
                )
                for point in one["points"]
            ),
        )
        for one in strategies
    ]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Where labels go that want to stand at `wanted`: at least `gap` apart, in the same order,
    between `low` and `high` if there is room, and moved as little as a sweep from below does."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places = [0.0] * len(wanted)
    least = low
    for i in order:
        places[i] = max(wanted[i], least)
        least = places[i] + gap
    most = high
    for i in reversed(order):
        places[i] = min(places[i], most)
        most = places[i] - gap
    return places


def _limits(span: Span) -> Span:
    return {"low": span["low"], "high": span["high"]}
