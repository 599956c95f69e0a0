"""The budget audit on the terminal: what each run was allowed, what it used, and why its thinking
ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s1_eval.metrics.audit import EXIT_REASONS
from s1_eval.metrics.entries import Entry, Point
from s1_eval.metrics.series import describe, settings
from s1_eval.report.table import UNDEFINED, fixed

if TYPE_CHECKING:
    from rich.console import Console

_WIDEST_WORD = 24
"""Columns of a terminal that a run's name gets at least, if one of its words needs them."""

_NARROW = 100

_HEADINGS = ("Limit", "Over limit", "Mean", "Most", "Forced", "Generated", "Thinking ended")


def render(entries: Sequence[Entry], console: Console) -> None:
    """Print one row per run; samples over their limit in red."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(
        title=Text("Budget audit: thinking tokens per sample", "bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    narrow = console.width < _NARROW
    several = len({(entry["model"], entry["task"]) for entry in entries}) > 1
    rows = []
    for entry in entries:
        where = f"{entry['model']} on {entry['task']}: " if several else ""
        for point in entry["points"]:
            a = point["audit"]
            over = a["over_budget"]
            forced = a["forced_thinking"]
            ended = [f"{a['exit_reasons'][r]} {r}" for r in EXIT_REASONS if a["exit_reasons"][r]]
            row = (
                Text(where + _name(entry, point)),
                UNDEFINED if point["budget"] is None else str(point["budget"]),
                Text(UNDEFINED if over is None else str(over), "red" if over else ""),
                fixed(a["thinking"] / a["samples"]),
                str(a["most_thinking"]),
                fixed(None if forced is None else forced / a["samples"]),
                *(() if narrow else (fixed(point["generated_tokens"]),)),
                (",\n" if narrow else ", ").join(ended),
            )
            rows.append(row)
    longest = max(len(word) for row in rows for word in row[0].plain.split())
    grid.add_column("Run", overflow="fold", min_width=min(longest, _WIDEST_WORD))
    for heading in _HEADINGS:
        if not (narrow and heading == "Generated"):
            name = heading.replace(" ", "\n") if narrow else heading
            grid.add_column(name, justify="right", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    console.print(grid)


def _name(entry: Entry, point: Point) -> str:
    return describe(entry["method"], settings(entry, point))
