"""The pictures: the plot model drawn by matplotlib, on a log2 axis. Nothing here touches pyplot or
any other global state."""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from s1_eval.metrics.entries import Entry
from s1_eval.metrics.strategies import Strategy
from s1_eval.report import curves
from s1_eval.report.curves import AXES, COLOURED, MARKERS, PALETTE, Curve, Panel, Spot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

INK, LINES, _REST = (PALETTE[name] for name in ("ink", "lines", "rest"))
_SHAPES = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "cross": "X"}

_MOST_TICKS = 9
_LONGEST = 60
_COLUMNS = 4
"""Of small panels."""

_TALLEST = 60_000
"""Pixels; matplotlib has no picture of 2^16."""

_WIDTH, _WHOLE, _SMALL = 9.6, 4.3, 2.4
"""Inches: a picture's width, and the heights of a whole and of a small panel."""


def accuracy_vs_thinking_tokens(entries: Sequence[Entry]) -> Figure:
    """`f(a)` over `a`, the curve that Scaling is the mean slope of."""
    return accuracy_over("thinking", entries)


def accuracy_vs_generated_tokens(entries: Sequence[Entry]) -> Figure:
    """Accuracy over total compute. Sequential and parallel methods share this axis."""
    verified = any(point["verifier_tokens"] for entry in entries for point in entry["points"])
    title = f"Mean generated {'and verifier ' if verified else ''}tokens per question"
    return accuracy_over("generated", entries, title)


def accuracy_over(axis: str, entries: Sequence[Entry], title: str = "") -> Figure:
    """Accuracy over an axis of `curves.AXES`."""
    return _figure(curves.of_entries(entries), axis, title or AXES[axis].title)


def strategies(found: Sequence[Strategy], axis: Literal["samples", "tokens"]) -> Figure:
    """Accuracy of search strategies over `samples` (their width N) or `tokens`."""
    title = {"samples": "N", "tokens": "Mean generated and verifier tokens per question"}[axis]
    return _figure(curves.of_strategies(found), axis, title)


def save(figure: Figure, path: Path) -> None:
    """Write `path` with the suffixes .png and .svg; the same figure gives the same bytes."""
    dpi = min(160, int(_TALLEST / figure.get_figheight()))
    path.with_suffix(".png").write_bytes(_render(figure, "png", path.stem, dpi=dpi))
    path.with_suffix(".svg").write_bytes(_render(figure, "svg", path.stem))


def inline_svg(figure: Figure, name: str) -> str:
    """An `<svg>` element without prolog or background, in the colours of the page around it. name:
    keeps its ids apart from those of other pictures on the page."""
    svg = _render(figure, "svg", name, transparent=True).decode()
    for colour, light in PALETTE.items():
        svg = svg.replace(light, f"var(--{colour})")
    return svg[svg.index("<svg") :]


def _render(figure: Figure, format: str, salt: str, **options: Any) -> bytes:
    from matplotlib import rc_context

    metadata = {"Date": None} if format == "svg" else {}
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format=format, metadata=metadata, **options)
    made = buffer.getvalue()
    if format != "svg":
        return made
    # Ids of clips come from the last digits of the layout, which differ from process to process.
    ids: dict[bytes, bytes] = {}
    return re.sub(
        rb'(?<=[#"])p[0-9a-f]{10}(?=[")])',
        lambda found: ids.setdefault(found[0], f"{salt}-clip-{len(ids)}".encode()),
        made,
    )


def _figure(drawn: Sequence[Curve], axis: str, title: str) -> Figure:
    """For each model and task a whole panel, and small ones below it where `panels` has them."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows: list[list[Panel]] = []
    for whole, *small in curves.panels(drawn):
        rows += [[whole], *(small[i : i + _COLUMNS] for i in range(0, len(small), _COLUMNS))]
    heights = [_WHOLE if row[0].whole else _SMALL for row in rows]
    # A name from a record is never a formula.
    with rc_context({"text.parse_math": False, "font.size": 11}):
        pads = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout=pads)
        parts = figure.subfigures(len(rows), squeeze=False, height_ratios=heights)[:, 0]
        labels: list[tuple[Axes, list[tuple[Text, float]]]] = []
        wanted: list[tuple[Axes, Curve, Spot, float]] = []
        for part, row in zip(parts, rows, strict=True):
            grid = part.add_gridspec(1, 1 if row[0].whole else _COLUMNS)
            for column, panel in enumerate(row):
                axes = part.add_subplot(grid[column])
                _draw(axes, panel, axis, title)
                if panel.whole:
                    labels.append((axes, _ends(axes, panel, axis)))
                few = len(panel.curves) <= len(COLOURED)
                if few or not panel.whole:
                    wanted += [(axes, *each) for each in _named(panel, axis)]
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for axes, ends in labels:
            _spread(axes, ends)
        _name_spots(wanted)
    return figure


def _draw(axes: Axes, panel: Panel, axis: str, title: str) -> None:
    """The grey curves below the coloured ones, which alone have error bars."""
    style: dict[str, Any] = {} if panel.whole else {"ms": 4, "lw": 1.3}
    shown = [spot for curve in panel.curves for spot in curve.drawn(axis)]
    for curve in sorted(panel.curves, key=lambda curve: curve.colour != "rest"):
        spots = curve.drawn(axis)
        if on_line := [spot for spot in spots if not spot.reference]:
            _line(axes, curve, on_line, axis, _short(curve.name), **style)
        if apart := [spot for spot in spots if spot.reference]:
            label = _short(f"{curve.method}, unprompted")
            _line(axes, curve, apart, axis, label, **style, ls="", mfc="none")
    hidden = sum(len(curve.spots) for curve in panel.curves) - len(shown)
    _style(axes, [spot.on(axis) or 0 for spot in shown], panel.whole)
    if panel.whole:
        more = f"; runs without any ({hidden}) are not shown" if hidden else ""
        axes.set_xlabel(f"{title} (log2 scale){more}", color=INK)
        axes.set_ylabel("Accuracy (%), 95% interval", color=INK)
        axes.set_title(_short(panel.title), color=INK, loc="left", weight="bold", pad=12)
        _key(axes, panel)
    else:
        _heading(axes, panel)


def _line(
    axes: Axes, curve: Curve, spots: Sequence[Spot], axis: str, label: str, **style: Any
) -> None:
    grey = curve.colour == "rest"
    marker = "o" if grey else _SHAPES[MARKERS[COLOURED.index(curve.colour)]]
    # A lone run often lies on a point of another curve: a ring lets that one show.
    ring = {} if curve.varied else {"mfc": "none", "ms": 9, "ls": ""}
    below = [s.accuracy - s.low if s.low is not None else 0 for s in spots]
    above = [s.high - s.accuracy if s.high is not None else 0 for s in spots]
    axes.errorbar(
        [spot.on(axis) or 0 for spot in spots],
        [spot.accuracy for spot in spots],
        yerr=None if grey else [[max(0.0, b) for b in below], [max(0.0, a) for a in above]],
        color=PALETTE[curve.colour],
        marker=marker,
        label=label,
        capsize=2.5,
        elinewidth=0.9,
        alpha=0.45 if grey else 1,
        zorder=2 if grey else 3,
        **{
            "ms": 3 if grey else 6,
            "lw": 1 if grey else 1.8,
            "ls": "--" if curve.enforced else "-",
            **ring,
            **({**style, "ms": 3, "lw": 0.8} if grey and style else style),
        },
    )


def _ends(axes: Axes, panel: Panel, axis: str) -> list[tuple[Text, float]]:
    """The names of the coloured curves beside the axes, and the accuracy where each curve ends."""
    found: list[tuple[Text, float]] = []
    for curve in panel.curves:
        spots = curve.drawn(axis)
        if curve.colour == "rest" or not spots:
            continue
        text = axes.annotate(
            textwrap.fill(_short(curve.name), 24),
            (spots[-1].on(axis) or 0, spots[-1].accuracy),
            xytext=(1.03, 0.5),
            textcoords="axes fraction",
            va="center",
            color=PALETTE[curve.colour],
            fontsize=9.5,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": PALETTE[curve.colour],
                "lw": 0.6,
                "alpha": 0.5,
                "shrinkB": 5,
            },
        )
        found.append((text, spots[-1].accuracy))
    return found


def _spread(axes: Axes, ends: Sequence[tuple[Text, float]]) -> None:
    """Move the names so that each stands near its curve's end and none on another."""
    from matplotlib.text import Text

    box = axes.get_window_extent()
    tall = max((Text.get_window_extent(text).height for text, _ in ends), default=0) + 4
    wanted = [axes.transData.transform((1, accuracy))[1] for _, accuracy in ends]
    places = curves.spread(wanted, tall, box.y0 + tall / 2, box.y1 - tall / 2)
    for (text, _), place in zip(ends, places, strict=True):
        text.set_position((1.03, (place - box.y0) / box.height))


def _named(panel: Panel, axis: str) -> Iterable[tuple[Curve, Spot, float]]:
    """The first and the last run of every coloured curve, whose dials are named."""
    for curve in panel.curves:
        spots = [spot for spot in curve.drawn(axis) if spot.dial is not None]
        if curve.colour != "rest" and spots:
            ends = (spots[0], spots[-1]) if len(spots) > 1 else spots
            yield from ((curve, spot, spot.on(axis) or 0) for spot in ends)


def _name_spots(wanted: Sequence[tuple[Axes, Curve, Spot, float]]) -> None:
    """The dial's value beside each of the spots where there is room; none stands on another, on a
    run or outside its axes."""
    taken: dict[Axes, list[Bbox]] = {}
    for axes, curve, spot, at in wanted:
        boxes = taken.setdefault(axes, _marks(axes))
        box = axes.get_window_extent()
        for x, y, ha in ((6, -11, "left"), (-6, 6, "right"), (6, 6, "left"), (-6, -11, "right")):
            text = axes.annotate(
                _short(spot.dial or ""),
                (at, spot.accuracy),
                xytext=(x, y),
                textcoords="offset points",
                ha=ha,
                color=PALETTE[curve.colour],
                fontsize=8,
            )
            found = text.get_window_extent()
            inside = box.containsx(found.x0) and box.containsx(found.x1)
            inside = inside and box.containsy(found.y0) and box.containsy(found.y1)
            if inside and not found.count_overlaps(boxes):
                boxes.append(found)
                break
            text.remove()


def _marks(axes: Axes) -> list[Bbox]:
    """What the runs of some axes cover, in pixels."""
    from matplotlib.transforms import Bbox

    lines = [axes.transData.transform(line.get_path().vertices) for line in axes.get_lines()]
    return [Bbox.from_bounds(x - 4, y - 4, 8, 8) for places in lines for x, y in places]


def _heading(axes: Axes, panel: Panel) -> None:
    """Of a small panel: the method, and above the axes its curves' names in their colours."""
    named = [curve for curve in panel.curves if curve.colour != "rest"]
    for line, curve in enumerate(reversed(named)):
        name = curve.name.removeprefix(panel.title).strip() or "one run"
        axes.text(
            0,
            1.03 + 0.12 * line,
            _short(name, 32),
            transform=axes.transAxes,
            color=PALETTE[curve.colour],
            fontsize=7.5,
        )
    axes.set_title(
        _short(panel.title, 26),
        color=INK,
        loc="left",
        weight="bold",
        fontsize=9.5,
        pad=4 + 13.5 * len(named),
    )


def _key(axes: Axes, panel: Panel) -> None:
    """What the lines of this panel mean beyond their names; below the axes it covers no run."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    looks: list[tuple[str, bool, dict[str, Any]]] = [
        ("varied by a dial", any(c.varied for c in panel.curves), {"marker": "o"}),
        (
            "one run",
            any(not c.varied for c in panel.curves),
            {"marker": "o", "mfc": "none", "ls": "", "ms": 9},
        ),
        ("capped by force", any(c.enforced for c in panel.curves), {"ls": "--"}),
        (
            "not among the five best",
            any(c.colour == "rest" for c in panel.curves),
            {"color": _REST, "alpha": 0.6, "marker": "o", "ms": 3},
        ),
    ]
    handles = [
        Line2D([], [], **{"color": INK, "label": label, **look})
        for label, needed, look in looks
        if needed
    ]
    figure = axes.get_figure(root=True)
    assert figure
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=axes.transAxes + ScaledTranslation(0, -0.5, figure.dpi_scale_trans),
        frameon=False,
        labelcolor=INK,
        fontsize=9,
        ncols=len(handles),
    )


def _style(axes: Axes, shown: Sequence[float], whole: bool) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log", base=2)
    if shown:
        low = math.floor(math.log2(min(shown)) - 0.1)
        high = math.ceil(math.log2(max(shown)) + 0.1)
        every = math.ceil((high - low + 1) / (_MOST_TICKS if whole else 5))
        axes.xaxis.set_major_locator(FixedLocator([2.0**e for e in range(low, high + 1, every)]))
        axes.set_xlim(2.0**low, 2.0**high)
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda amount, _: f"{amount:g}" if 1 <= amount < 1e6 else f"{amount:.3g}")
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(color=LINES, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=10 if whole else 8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LINES)
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(0.0, bottom), min(100.0, top))


def _short(label: str, longest: int = _LONGEST) -> str:
    return label if len(label) <= longest else label[: longest - 1] + "…"
