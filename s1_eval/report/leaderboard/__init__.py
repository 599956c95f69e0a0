"""The leaderboard: a static folder that opens from the disk and asks for nothing from outside.

`index.html` has the sortable table, the plot, the budget audit and how each run was made; every
question has a page of its own with the traces, read only when it is opened.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from s1_eval import __version__
from s1_eval.errors import UserError
from s1_eval.metrics.entries import Entry
from s1_eval.metrics.series import entry_name
from s1_eval.records import Located, Run
from s1_eval.records.run import UNKNOWN
from s1_eval.report import curves, pages, table
from s1_eval.report.curves import Curve
from s1_eval.report.leaderboard import questions
from s1_eval.report.table import Cell

__all__ = ["build"]

DATA = "leaderboard.json"
Traces = Literal["open", "all", "none"]

_HINTS = {
    "Control %": "Runs whose mean thinking tokens keep within their limit",
    "Scaling": "Points of accuracy per doubling of thinking tokens",
    "Performance %": "Accuracy of the best run",
    "Cross-fitted %": "The best run picked on one half of the questions, scored on the other",
    "Thinking tokens": "Mean over questions and runs",
    "No answer %": "Samples in which no answer could be read",
}


def build(
    runs: Sequence[Run],
    entries: Sequence[Entry],
    rows: Iterable[Located],
    folder: str | Path,
    title: str = "Leaderboard",
    traces: Traces = "open",
) -> Path:
    """Write the page, leaderboard.md and leaderboard.json to `folder`; the path of the page.

    entries: of `s1_eval.metrics.score`, over `runs`. rows: the runs' rows again, with their
    traces, read one by one. traces: whose traces to publish; `open`, of benchmarks that are known
    to be open; `all`, also of those whose records don't say. Of benchmarks whose authors ask that
    their questions stay off the web none are ever published. Raises UserError where `folder` holds
    something else.
    """
    to = Path(folder)
    withheld = {run.task for run in runs if _withheld(run, traces)}
    listed = questions.Listed(runs)
    try:
        _clear(to)
        for name, text in (
            (DATA, json.dumps(_data(runs, entries, title), indent=1, allow_nan=False)),
            ("leaderboard.md", f"# {table.escape(title)}\n\n{table.markdown(entries)}"),
            ("index.html", _index(runs, entries, listed, title, withheld)),
        ):
            # A record may hold a lone surrogate, which UTF-8 can't.
            (to / name).write_text(text, "utf-8", errors="backslashreplace", newline="\n")
        questions.write(to, listed, rows, withheld)
    except OSError as error:
        raise UserError(f"can't write to {to} ({error}): choose another --out") from error
    return to / "index.html"


def _withheld(run: Run, traces: Traces) -> bool:
    """Whether the run's traces stay unpublished. They repeat the questions, so those of a secret
    benchmark always do. Where the record doesn't say, they do unless all are asked for, and even
    then where it is GPQA by its name."""
    secret = run.record.get("secret")
    if secret is None:
        dataset = run.record.get("dataset") or UNKNOWN
        named = "gpqa" in f"{run.task} {dataset['id']}".lower()
        return named or traces != "all"
    return bool(secret) or traces == "none"


def _clear(to: Path) -> None:
    """Make the folder, or take the last build's questions out of it."""
    to.mkdir(parents=True, exist_ok=True)
    for each in to.iterdir():
        if each.is_symlink():
            raise UserError(
                f"{each} is a link, and nothing is written through one: remove it, or choose "
                "another --out"
            )
    if (to / DATA).is_file():
        shutil.rmtree(to / questions.FOLDER, ignore_errors=True)
    elif any(to.iterdir()):
        raise UserError(f"{to} holds other files: choose an empty folder for --out")


def _data(runs: Sequence[Run], entries: Sequence[Entry], title: str) -> dict[str, Any]:
    return {
        "title": title,
        "s1_eval": __version__,
        "series": list(entries),
        "runs": [dict(run.record) for run in runs],
    }


def _index(
    runs: Sequence[Run],
    entries: Sequence[Entry],
    listed: questions.Listed,
    title: str,
    withheld: set[str],
) -> str:
    notes: dict[str, int] = {}
    return pages.render(
        "leaderboard/index.html.j2",
        ("leaderboard/vendor/chart.umd.min.js", "leaderboard/tables.js", "leaderboard/plot.js"),
        title=title,
        headings=[(name, _HINTS.get(name, "")) for name in ("Model", "Task", *table.HEADINGS)],
        # A phone has no room for a model or a task that is everywhere the same.
        same=[
            i
            for i, names in enumerate(
                ({entry["model"] for entry in entries}, {entry["task"] for entry in entries})
            )
            if len(names) == 1
        ],
        series=[
            {
                "model": entry["model"],
                "task": entry["task"],
                "method": entry["method"],
                "name": entry_name(entry),
                "cells": _cells(entry, notes),
                "points": entry["points"],
            }
            for entry in entries
        ],
        notes=list(notes),
        choices={
            "model": sorted({entry["model"] for entry in entries}),
            "task": sorted({entry["task"] for entry in entries}),
            "method": sorted({entry["method"] for entry in entries}),
        },
        plot=_plot(curves.of_entries(entries)),
        bootstrap=entries[0]["bootstrap"],
        tasks=[(task, len(ids), task in withheld) for task, ids in listed.ids.items()],
        questions=questions.FOLDER,
        setups=pages.setups(runs),
        version=__version__,
    )


def _cells(entry: Entry, notes: dict[str, int]) -> list[Cell]:
    """The row of a series. notes: grows by what its metrics have to say."""
    model, task = (Cell(name, value=name) for name in (entry["model"], entry["task"]))
    return [model, task, *table.cells(entry, notes)]


def _plot(drawn: Sequence[Curve]) -> list[Mapping[str, Any]]:
    """What plot.js draws, one object per curve. Its name tells it from all others of the page."""
    prefix = {
        "model": len({curve.model for curve in drawn}) > 1,
        "task": len({curve.task for curve in drawn}) > 1,
    }
    return [
        {
            "model": curve.model,
            "task": curve.task,
            "method": curve.method,
            "name": ": ".join(
                [*(getattr(curve, part) for part, several in prefix.items() if several), curve.name]
            ),
            "points": [
                {
                    "label": spot.label,
                    "y": spot.accuracy,
                    "low": spot.low,
                    "high": spot.high,
                    **spot.at,
                }
                for spot in curve.spots
            ],
        }
        for curve in drawn
    ]
