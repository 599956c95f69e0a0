"""What a plot shows, whoever draws it: curves of accuracy over an amount of compute, one for each
series or search strategy. The pictures draw them by matplotlib, the leaderboard by Chart.js.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from s1_eval.metrics.entries import Entry, Span
from s1_eval.metrics.series import describe, entry_name, shown
from s1_eval.metrics.strategies import Strategy


@dataclass(frozen=True, slots=True)
class Spot:
    """One run on a curve. label: the run's name. at: mean tokens or the width, by axis. accuracy,
    low, high: percent, and its 95% interval if there is one. dial: its value, where one is turned.
    reference: the run is not on the line.
    """

    label: str
    at: Mapping[str, float]
    accuracy: float
    low: float | None
    high: float | None
    dial: str | None = None
    reference: bool = False


@dataclass(frozen=True, slots=True)
class Curve:
    """kind: curves of one kind look alike. enforced: a cap is forced on top (+bf)."""

    model: str
    task: str
    method: str
    name: str
    kind: str
    enforced: bool
    varied: bool
    spots: tuple[Spot, ...]


def of_entries(entries: Sequence[Entry]) -> list[Curve]:
    """Axes: `thinking`, mean thinking tokens; `generated`, every token the policy sampled,
    discarded samples included, and every token a verifier read."""
    return [
        Curve(
            model=entry["model"],
            task=entry["task"],
            method=entry["method"],
            name=entry_name(entry),
            kind=describe(
                f"{entry['method'].removesuffix('+bf')} {entry['varied']}", entry["held"]
            ),
            enforced=entry["method"].endswith("+bf"),
            varied=entry["varied"] is not None,
            spots=tuple(
                Spot(
                    label=point["label"],
                    at={
                        "thinking": point["thinking_tokens"]["value"],
                        "generated": point["generated_tokens"] + point["verifier_tokens"],
                    },
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
    """Axes: `samples`, the width N; `tokens`, the policy's and the verifier's."""
    return [
        Curve(
            model=one["model"],
            task=one["task"],
            method=one["strategy"],
            name=f"{one['strategy']} by samples",
            kind=f"{one['strategy']} samples",
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


def _limits(span: Span) -> Span:
    return {"low": span["low"], "high": span["high"]}
