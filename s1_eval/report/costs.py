"""What runs cost on one axis, and the front of cost and accuracy, as Markdown for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from s1_eval.metrics.costs import Axis, axis
from s1_eval.metrics.entries import Metric
from s1_eval.metrics.front import Front, Standing
from s1_eval.report.table import UNDEFINED, escape, fixed, line


def markdown(fronts: Sequence[Front]) -> str:
    """One table per task, the cheapest run first, and how to read it."""
    return "\n".join(_table(front, axis(front["axis"])) for front in fronts)


def _table(front: Front, counted: Axis) -> str:
    timed = counted.name == "seconds"
    headings = ["Run", "Accuracy %", counted.label, "per correct answer", "Front", "Difference"]
    headings += ["In flight"] if timed else []
    lines = [f"**{escape(front['task'])}, {front['questions']} questions**", "", line(headings)]
    lines.append(line(["---", *["---:"] * 3, "---", *["---:"] * (len(headings) - 5)]))
    lines += [_row(each, counted, timed) for each in front["standings"]]
    lines += [
        "",
        f"{counted.label}: mean per question; per correct answer: what one costs. Front: no other "
        "run is as accurate for as little. Difference: points of accuracy over the next cheaper "
        "run on the front, or of a run off it over the best that costs no more, paired; * is told "
        "from none at 5% (Holm's correction). In brackets: 95% intervals.",
        "",
    ]
    notes = [each["cost"]["per_correct"]["note"] for each in front["standings"]]
    lines += [f"{note.capitalize()}.\n" for note in dict.fromkeys(notes) if note]
    if front["note"]:
        lines += [f"Not comparable: {front['note']}.", ""]
    reasons: dict[str, list[str]] = {}
    for label, why in front["unknown"].items():
        reasons.setdefault(why, []).append(label)
    for why, labels in reasons.items():
        lines += [f"Not known of {escape('; '.join(labels))}: {escape(why)}.", ""]
    return "\n".join(lines)


def _row(each: Standing, counted: Axis, timed: bool) -> str:
    found = each["difference"]
    difference = UNDEFINED
    if found is not None and found["value"] is not None:
        span = "" if found["low"] is None else f" [{fixed(found['low'])}, {fixed(found['high'])}]"
        mark = "*" if each["resolved"] else ""
        over = f" over {escape(each['against'] or '')}"
        difference = f"{round(found['value'], 1) + 0.0:+.1f}{mark}{span}{over}"
    load = each["cost"]["in_flight"]
    return line(
        [
            escape(each["label"]),
            fixed(each["accuracy"]),
            _shown(each["cost"], counted),
            _shown(each["cost"]["per_correct"], counted),
            "yes" if each["front"] else "",
            difference,
            *([UNDEFINED if load is None else f"{load:.3g}"] if timed else []),
        ]
    )


def _shown(found: Metric, counted: Axis) -> str:
    if found["low"] is None:
        return counted.show(found["value"])
    high = "∞" if found["high"] is None else counted.show(found["high"])
    return f"{counted.show(found['value'])} [{counted.show(found['low'])}, {high}]"
