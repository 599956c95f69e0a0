"""The pictures: accuracy against thinking tokens, and against every token that was paid for, on a
log2 axis, one line per series. Nothing here touches pyplot or any other global state."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from s1_eval.metrics.entries import Entry
from s1_eval.metrics.strategies import Strategy
from s1_eval.report import curves
from s1_eval.report.curves import Curve, Spot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, LINES = "#24292f", "#d0d7de"
"""Text and grid. A page that embeds the SVG may replace them by its own colours."""

_COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#5d3a9b"),
)
"""Okabe and Ito's palette and two more, told apart with any colour vision; the marker tells series
apart too. A method that is also enforced (+bf) has its colour and a dashed line."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_FEW = 4
"""Series that a picture shows with every point named."""

_MOST_TICKS = 9
_LONGEST_LABEL = 60


def accuracy_vs_thinking_tokens(entries: Sequence[Entry]) -> Figure:
    """`f(a)` over `a`, the curve that Scaling is the mean slope of."""
    label = "Mean thinking tokens per question (log2 scale)"
    return _figure(curves.of_entries(entries), "thinking", label)


def accuracy_vs_generated_tokens(entries: Sequence[Entry]) -> Figure:
    """Accuracy over total compute. Sequential and parallel methods share this axis."""
    verified = any(point["verifier_tokens"] for entry in entries for point in entry["points"])
    label = f"Mean generated {'and verifier ' if verified else ''}tokens per question (log2 scale)"
    return _figure(curves.of_entries(entries), "generated", label)


def strategies(found: Sequence[Strategy], axis: Literal["samples", "tokens"]) -> Figure:
    """Accuracy of search strategies over `samples` (their width N) or `tokens`."""
    label = {
        "samples": "N (log2 scale)",
        "tokens": "Mean generated and verifier tokens per question (log2 scale)",
    }[axis]
    return _figure(curves.of_strategies(found), axis, label)


def save(figure: Figure, path: Path) -> None:
    """Write `path` with the suffixes .png and .svg; the same figure gives the same bytes."""
    path.with_suffix(".png").write_bytes(_render(figure, "png", path.stem, dpi=160))
    path.with_suffix(".svg").write_bytes(_render(figure, "svg", path.stem))


def inline_svg(figure: Figure, name: str) -> str:
    """An `<svg>` element without prolog or background, for a page. name: keeps its ids apart from
    those of other pictures on the page."""
    svg = _render(figure, "svg", name, transparent=True).decode()
    return svg[svg.index("<svg") :]


def _render(figure: Figure, format: str, salt: str, **options: Any) -> bytes:
    from matplotlib import rc_context

    metadata = {"Date": None} if format == "svg" else {}
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format=format, metadata=metadata, **options)
    return buffer.getvalue()


def _figure(drawn: Sequence[Curve], axis: str, label: str) -> Figure:
    """One pair of axes per model and task."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    groups: dict[tuple[str, str], list[Curve]] = {}
    for curve in drawn:
        groups.setdefault((curve.model, curve.task), []).append(curve)
    # A name from a record is never a formula.
    with rc_context({"text.parse_math": False, "font.size": 11}):
        pads = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)
        heights = [4.3 + 0.28 * math.ceil(len(g) / _columns(len(g))) for g in groups.values()]
        figure = Figure(figsize=(7.5, sum(heights)), layout=pads)
        panels = figure.subplots(len(groups), squeeze=False, height_ratios=heights)[:, 0]
        for axes, ((model, task), group) in zip(panels, groups.items(), strict=True):
            axes.set_xlabel(label, color=INK)
            _draw(axes, group, axis)
            axes.set_title(
                _short(f"{model} on {task}"), color=INK, loc="left", weight="bold", pad=12
            )
            axes.set_ylabel("Accuracy (%), 95% interval", color=INK)
    return figure


def _draw(axes: Axes, drawn: Sequence[Curve], axis: str) -> None:
    hidden = 0
    shown: list[float] = []
    kinds: dict[str, int] = {}
    for i, curve in enumerate(drawn):
        k = kinds.setdefault(curve.kind, len(kinds))
        colour, marker = _COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)]
        spots = sorted((s for s in curve.spots if s.at[axis] > 0), key=lambda s: s.at[axis])
        hidden += len(curve.spots) - len(spots)
        shown += [spot.at[axis] for spot in spots]
        if on_line := [spot for spot in spots if not spot.reference]:
            # A lone run often lies on a point of another series: a ring lets that one show.
            style: dict[str, Any] = {"mfc": "none", "ls": "--"} if curve.enforced else {}
            if not curve.varied:
                style = {"mfc": "none", "ms": 12, "ls": ""}
            label = _short(curve.name)
            _bars(axes, on_line, axis, colour, marker=marker, label=label, **style)
            named = on_line if len(drawn) <= _FEW else [on_line[0], on_line[-1]]
            _name_spots(axes, named, axis, colour, below=i % 2 == 0)
        if apart := [spot for spot in spots if spot.reference]:
            label = _short(f"{curve.method}, unprompted")
            _bars(axes, apart, axis, colour, marker=marker, mfc="none", ls="", label=label)
    _style(axes, shown)
    if hidden:
        axes.set_xlabel(f"{axes.get_xlabel()}; runs without any ({hidden}) are not shown")


def _bars(axes: Axes, spots: Sequence[Spot], axis: str, colour: str, **style: Any) -> None:
    below = [s.accuracy - s.low if s.low is not None else 0 for s in spots]
    above = [s.high - s.accuracy if s.high is not None else 0 for s in spots]
    axes.errorbar(
        [spot.at[axis] for spot in spots],
        [spot.accuracy for spot in spots],
        yerr=[[max(0.0, b) for b in below], [max(0.0, a) for a in above]],
        color=colour,
        capsize=3,
        elinewidth=1,
        **{"ms": 6, "lw": 1.6, **style},
    )


def _name_spots(axes: Axes, spots: Sequence[Spot], axis: str, colour: str, below: bool) -> None:
    """The dial's value beside each point; neighbouring curves use different sides."""
    for spot in spots:
        if spot.dial is not None:
            axes.annotate(
                _short(spot.dial),
                (spot.at[axis], spot.accuracy),
                xytext=(6, -12) if below else (-6, 7),
                textcoords="offset points",
                ha="left" if below else "right",
                color=colour,
                fontsize=9,
            )


def _style(axes: Axes, shown: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure(root=True)
    assert figure
    axes.set_xscale("log", base=2)
    if shown:
        low = math.floor(math.log2(min(shown)) - 0.1)
        high = math.ceil(math.log2(max(shown)) + 0.1)
        every = math.ceil((high - low + 1) / _MOST_TICKS)
        axes.xaxis.set_major_locator(FixedLocator([2.0**e for e in range(low, high + 1, every)]))
        axes.set_xlim(2.0**low, 2.0**high)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: f"{tokens:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(color=LINES, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LINES)
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(0.0, bottom), min(100.0, top))
    if shown:  # below the axes the legend can't cover a point
        below = ScaledTranslation(0, -0.6, figure.dpi_scale_trans)
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=axes.transAxes + below,
            frameon=False,
            labelcolor=INK,
            fontsize=10,
            ncols=_columns(len(axes.get_legend_handles_labels()[1])),
        )


def _columns(series: int) -> int:
    """Of the legend."""
    return 1 if series <= _FEW else 2


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"
