"""Advice on budgets as Markdown and as a picture: what accuracy costs by each policy, and a map of
the questions by budget."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s1_eval.errors import UserError
from s1_eval.metrics.advice import ORACLE, Advice, Curve, Spot
from s1_eval.metrics.costs import AXES
from s1_eval.metrics.entries import Metric
from s1_eval.metrics.series import describe
from s1_eval.report import plots
from s1_eval.report.plots import INK, LINES
from s1_eval.report.table import UNDEFINED, escape, fixed, line, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POLICIES: Mapping[str, tuple[str, str, str]] = {
    "cap": ("one budget for all", "#0072b2", "o"),
    "difficulty": ("a budget by difficulty, not charged", "#009e73", "^"),
    "rule": ("the best practical rule", "#d55e00", "s"),
    "agree": ("stop when answers agree", "#cc79a7", "D"),
    "confidence": ("stop at a confidence", "#e69f00", "v"),
    "prompt length": ("a budget by prompt length", "#56b4e9", "P"),
    ORACLE: ("oracle: knows which answers are right", "#7f7f7f", ""),
}
"""In words, its colour (Okabe and Ito's palette) and its marker, in the order of the legend."""

_ROWS, _FEWER = 8, 4
"""Amounts of uniform budgets, and of other policies, that a table shows at most."""


def markdown(found: Sequence[Advice]) -> str:
    """What to do, the policies, and what the questions needed."""
    return "\n".join(text for advice in found for text in _lines(advice))


def title(advice: Advice) -> str:
    """The series and how much it rests on."""
    name = describe(f"{advice['method']} by {advice['varied']}", advice["held"])
    epochs = f" x {advice['epochs']} epochs" if advice["epochs"] > 1 else ""
    return f"{advice['model']} on {advice['task']}, {name}, {advice['questions']} questions{epochs}"


def _lines(advice: Advice) -> list[str]:
    unit = AXES[advice["at"]].label
    lines = [f"**{escape(title(advice))}**", ""]
    lines += [f"- {escape(said)}" for said in advice["sentences"]]
    headings = ("Policy", f"Mean {unit}", "Accuracy %", "Against one budget at equal cost")
    lines += ["", line(headings), line(["---", "---:", "---:", "---:"])]
    for curve in _shown(advice["curves"]):
        said = POLICIES[curve["policy"]][0]
        for spot in _few(curve["spots"], _ROWS if curve["policy"] == "cap" else _FEWER):
            name = escape(spot["name"] or said)
            if curve["policy"] != "cap" and spot["name"]:
                name = f"{said}: {name}"
            figures = (_cost(advice, spot["cost"]), _figure(spot["accuracy"]))
            lines.append(line([name, *figures, _figure(spot["against_cap"])]))
    lines += ["", *_shares(advice), "", *_needs(advice), ""]
    notes = list(advice["notes"])
    notes += [
        f"{c['policy'] if c['policy'] == ORACLE else POLICIES[c['policy']][0]}: {c['note']}"
        for c in _shown(advice["curves"])
        if c["note"]
    ]
    lines += [f"{escape(note)}.  " for note in notes]
    lines += ["In brackets: 95% intervals, over questions.", ""]
    return lines


def _shares(advice: Advice) -> list[str]:
    told = (
        ("Right at the largest budget", advice["stays_right"]),
        ("Right at no budget", advice["never"]),
        ("Right at some budget and wrong at the largest", advice["overthought"]),
        ("Went on thinking after the answer was settled", advice["thought_on"]),
        ("Thinking tokens after the answer was settled", advice["wasted"]),
    )
    found = [f"- {name}: {_figure(share)}%" for name, share in told if share is not None]
    return [*found, *_gap(advice)]


def _gap(advice: Advice) -> list[str]:
    """What there is to gain at most."""
    spots = {curve["policy"]: curve["spots"] for curve in advice["curves"]}
    best = max(spots["cap"], key=lambda spot: spot["accuracy"]["value"] or 0.0)
    bound = spots[ORACLE][-1]
    most, cost = bound["accuracy"]["value"] or 0.0, bound["cost"]["value"]
    more = fixed(most - (best["accuracy"]["value"] or 0.0))
    axis = AXES[advice["at"]]
    said = (
        f"{fixed(most)}% with {axis.show(cost)} {axis.label}, {more} points above the best budget"
    )
    return [f"- Oracle: {said} ({escape(best['name'])}, {_cost(advice, best['cost'])})"]


def _needs(advice: Advice) -> list[str]:
    """How many questions need which budget."""
    needed = Counter(str(q["budget"]) for q in advice["per_question"] if q["cost"] is not None)
    free = [q for q in advice["per_question"] if q["cost"] is None]
    labels = [_label(value) for value in advice["budgets"]]
    counts = [str(needed[str(value)]) for value in advice["budgets"]]
    heads = ["Smallest budget from which it is right and stays right", *labels, "never"]
    return [
        line(heads),
        line(["---", *["---:"] * (len(heads) - 1)]),
        line(["Questions", *counts, str(len(free))]),
    ]


def _label(value: object) -> str:
    return "none" if value is None else escape(str(value))


def _figure(metric: Metric | None, digits: int = 1) -> str:
    if metric is None or metric["value"] is None:
        return UNDEFINED
    return f"{fixed(metric['value'], digits)} {span(metric, digits)}".strip()


def _cost(advice: Advice, metric: Metric) -> str:
    """In the digits of its axis."""
    show = AXES[advice["at"]].show
    limits = "" if metric["low"] is None else f" [{show(metric['low'])}, {show(metric['high'])}]"
    return f"{show(metric['value'])}{limits}"


def _few(spots: Sequence[Spot], most: int) -> list[Spot]:
    """Evenly many of them, the first and the last among them."""
    if len(spots) <= most:
        return list(spots)
    places = {round(i * (len(spots) - 1) / (most - 1)) for i in range(most)}
    return [spots[place] for place in sorted(places)]


def _shown(curves: Sequence[Curve]) -> list[Curve]:
    """In their order; without the kinds of which the best practical rule is made, where that is a
    single one."""
    kinds = [c for c in curves if c["policy"] not in ("cap", "difficulty", "rule", ORACLE)]
    curves = [curve for curve in curves if len(kinds) > 1 or curve not in kinds]
    return sorted(curves, key=lambda curve: [*POLICIES].index(curve["policy"]))


def write(found: Sequence[Advice], said: str, folder: Path) -> None:
    """advice.md and the picture, as PNG and SVG."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "advice.md").write_text(said, "utf-8", errors="backslashreplace", newline="\n")
        plots.save(figure(found), folder / "advice")
    except OSError as error:
        raise UserError(f"can't write to {folder} ({error}): choose another --out") from error


def figure(found: Sequence[Advice]) -> Figure:
    """A row for each series: its policies, and its questions by budget."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with rc_context({"text.parse_math": False, "font.size": 11}):
        pads = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)
        drawn = Figure(figsize=(13, 5.6 * len(found)), layout=pads)
        rows = drawn.subfigures(len(found), 1, squeeze=False)[:, 0]
        for part, advice in zip(rows, found, strict=True):
            said = "\n".join(textwrap.wrap(title(advice), 100, max_lines=2))
            part.suptitle(said, color=INK, weight="bold", x=0.01, ha="left")
            left, right = part.subplots(1, 2, width_ratios=(1.15, 1))
            _policies(left, advice)
            _map(right, advice)
    return drawn


def _policies(axes: Axes, advice: Advice) -> None:
    for curve in _shown(advice["curves"]):
        policy = curve["policy"]
        said, colour, marker = POLICIES[policy]
        spots = sorted(curve["spots"], key=lambda spot: spot["cost"]["value"] or 0)
        x = [spot["cost"]["value"] or 0 for spot in spots]
        y = [spot["accuracy"]["value"] or 0 for spot in spots]
        if policy == "cap":
            low = [spot["accuracy"]["low"] for spot in spots]
            high = [spot["accuracy"]["high"] for spot in spots]
            whole = all(limit is not None for limit in (*low, *high))
            if whole:
                axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)  # type: ignore[arg-type]
        dotted = ":" if policy == ORACLE else "-"
        axes.plot(x, y, color=colour, marker=marker, label=said, ls=dotted, ms=5, lw=1.8)
    axes.set_xlabel(f"Mean {AXES[advice['at']].label} per question", color=INK)
    axes.set_ylabel("Accuracy (%), 95% interval of one budget for all", color=INK)
    axes.set_ylim(0, 100)
    axes.set_xlim(left=0)
    _plain(axes)
    axes.grid(color=LINES, linewidth=0.8)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        frameon=False,
        labelcolor=INK,
        fontsize=9.5,
        ncols=2,
    )


def _map(axes: Axes, advice: Advice) -> None:
    """Questions from those that need least to those that are never right, by budget."""
    import numpy as np

    budgets = [_label(value) for value in advice["budgets"]]
    order = {str(value): i for i, value in enumerate(advice["budgets"])}

    def need(index: int) -> tuple[float, float]:
        question = advice["per_question"][index]
        settled = question["cost"] is not None
        place = order[str(question["budget"])] if settled else len(order)
        return place, -sum(question["accuracies"])

    ranked = sorted(range(advice["questions"]), key=need)
    values = np.array([advice["per_question"][i]["accuracies"] for i in ranked])
    image = axes.imshow(
        values, aspect="auto", cmap="cividis", vmin=0, vmax=100, interpolation="nearest"
    )
    steps = [place for i in ranked if (place := need(i)[0]) < len(budgets)]
    edge = [(place - 0.5, row) for row, place in enumerate(steps)]
    xs = [x for x, _ in edge for _ in (0, 1)]
    ys = [y + off for _, y in edge for off in (-0.5, 0.5)]
    axes.plot(xs, ys, color="#d55e00", lw=2, label="right from here on")
    every = max(1, -(-len(budgets) // 9))
    axes.set_xticks(range(0, len(budgets), every), budgets[::every])
    axes.set_xlim(-0.5, len(budgets) - 0.5)
    axes.set_ylim(len(ranked) - 0.5, -0.5)
    axes.set_xlabel(advice["varied"], color=INK)
    axes.set_ylabel("Questions, those that need least first", color=INK)
    _plain(axes)
    figure = axes.get_figure()
    assert figure
    bar = figure.colorbar(image, ax=axes, pad=0.02, label="Epochs that are right (%)")
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, labelcolor=INK, fontsize=9.5
    )


def _plain(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LINES)
