"""Pages of HTML that ask for nothing from outside: how all of them are made, and the page of a
report or a leaderboard (the table, the plot, the budget audit, and how each run was made).

Everything that comes from a record is escaped by Jinja2, and a content security policy lets nothing
run but our own scripts, named by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from s1_eval import __version__
from s1_eval.metrics.audit import EXIT_REASONS
from s1_eval.metrics.entries import Entry
from s1_eval.metrics.series import entry_name
from s1_eval.records import IDENTITY, Run
from s1_eval.report import curves, plots, table
from s1_eval.report.curves import AXES
from s1_eval.report.table import Cell

if TYPE_CHECKING:
    from jinja2 import Environment

_HINTS = {
    "Control %": "Runs whose mean thinking tokens keep within their limit",
    "Scaling": "Points of accuracy per doubling of thinking tokens",
    "Performance %": "Accuracy of the best run",
    "Cross-fitted %": "The best run picked on one half of the questions, scored on the other",
    "Thinking tokens": "Mean over questions and runs",
    "No answer %": "Samples in which no answer could be read",
}
_SEPARATE = frozenset({"method", "method_params"})


@dataclass(slots=True)
class Setup:
    """What some runs have in common: everything but their method and its settings."""

    title: str
    command: str
    facts: list[tuple[str, str]]
    run_ids: list[str] = field(default_factory=list)

    @property
    def runs(self) -> str:
        return ", ".join(self.run_ids)


@dataclass(frozen=True, slots=True)
class Link:
    """note: what stands behind it in brackets."""

    to: str
    text: str
    note: str = ""


def page(entries: Sequence[Entry], runs: Sequence[Run]) -> str:
    """The report: the page in one file, with pictures in the place of the plot and no scripts.
    entries: of `s1_eval.metrics.score`, over `runs`."""
    from markupsafe import Markup

    drawn = (
        ("thinking", plots.accuracy_vs_thinking_tokens(entries)),
        ("generated", plots.accuracy_vs_generated_tokens(entries)),
    )
    pictures = [
        {
            "caption": f"Accuracy against {AXES[axis].label}, with 95% intervals",
            "svg": Markup(plots.inline_svg(figure, axis)),  # noqa: S704  (made by matplotlib, which escapes its text)
        }
        for axis, figure in drawn
    ]
    return _page(entries, runs, "Accuracy against thinking tokens", pictures=pictures)


def board(
    entries: Sequence[Entry], runs: Sequence[Run], title: str, questions: Sequence[Link]
) -> str:
    """The leaderboard: the page with a plot to look into, filters and sorting, all of which its
    address holds. questions: the tasks' pages."""
    return _page(entries, runs, title, _SCRIPTS, questions=questions)


_SCRIPTS = (
    *("leaderboard/vendor/chart.umd.min.js", "leaderboard/state.js"),
    *("leaderboard/tables.js", "leaderboard/plot.js"),
)


def _page(
    entries: Sequence[Entry],
    runs: Sequence[Run],
    title: str,
    scripts: tuple[str, ...] = (),
    pictures: Sequence[Mapping[str, str]] = (),
    questions: Sequence[Link] = (),
) -> str:
    notes: dict[str, int] = {}
    series = [
        {**entry, "name": entry_name(entry), "cells": cells(entry, notes)} for entry in entries
    ]
    names = {
        "model": sorted({entry["model"] for entry in entries}),
        "task": sorted({entry["task"] for entry in entries}),
        "method": sorted({entry["method"] for entry in entries}),
    }
    return render(
        "page.html.j2",
        scripts,
        inline_styles=bool(pictures),
        title=title,
        interactive=bool(scripts),
        headings=[(name, _HINTS.get(name, "")) for name in HEADINGS],
        # A phone has no room for a model or a task that is everywhere the same.
        same=[i for i, name in enumerate(("model", "task")) if len(names[name]) == 1],
        series=series,
        notes=list(notes),
        legend=table.LEGEND,
        bootstrap=entries[0]["bootstrap"],
        choices=names,
        plot=curves.as_data(curves.of_entries(entries)),
        pictures=pictures,
        # One table to sort and filter, or one for each series to read.
        audits=[series] if scripts else [[one] for one in series],
        questions=questions,
        setups=setups(runs),
        version=__version__,
    )


HEADINGS = ("Model", "Task", *table.HEADINGS)


def cells(entry: Entry, notes: dict[str, int]) -> list[Cell]:
    """The row of a series under `HEADINGS`. notes: grows by what its metrics have to say."""
    model, task = entry["model"], entry["task"]
    asked = Cell(task, f"{entry['questions']} questions", value=task)
    return [Cell(model, value=model), asked, *table.cells(entry, notes)]


def render(
    template: str, scripts: tuple[str, ...] = (), inline_styles: bool = False, **values: Any
) -> str:
    """A page, or a piece of one. scripts: files to run in it, in order. inline_styles: it holds
    pictures, whose elements have styles of their own."""
    frame = _frame(scripts, inline_styles)
    return str(_environment().get_template(template).render(**frame, **values))


@cache
def _frame(scripts: tuple[str, ...], inline_styles: bool) -> dict[str, Any]:
    """What the frame of a page takes: our own files, not a record's text."""
    from markupsafe import Markup

    code = [_asset(name) for name in scripts]
    style = _asset("style.css")
    runs = " ".join(map(_hash, code)) or "'none'"
    styles = "'unsafe-inline'" if inline_styles else _hash(style)
    policy = (
        f"default-src 'none'; style-src {styles}; script-src {runs}; "
        "base-uri 'none'; form-action 'none'"
    )
    return {
        "style": Markup(style),  # noqa: S704
        "scripts": [Markup(each) for each in code],  # noqa: S704
        "policy": Markup(policy),  # noqa: S704
    }


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("s1_eval.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        exit_reasons=EXIT_REASONS,
        fixed=table.fixed,
        span=table.span,
        raised=table.raised,
        undefined=table.UNDEFINED,
    )
    return environment


@cache
def _asset(name: str) -> str:
    text = resources.files("s1_eval.report").joinpath(name).read_text("utf-8")
    # A development tool would ask for the map, which is not here.
    return text.partition("//# sourceMappingURL")[0]


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def setups(runs: Sequence[Run]) -> list[Setup]:
    """The setups of the runs, in the order of their first run."""
    found: dict[str, Setup] = {}
    for run in runs:
        record = run.record
        shared = {name: record.get(name) for name in IDENTITY if name not in _SEPARATE}
        command = shlex.join(record.get("command", ()))
        key = json.dumps([shared, command], sort_keys=True)
        if key not in found:
            facts = [(name, _text(value)) for name, value in shared.items() if value is not None]
            title = f"{run.model} on {run.task}, {record['harness']} with {record['engine']}"
            found[key] = Setup(title, command, facts)
        found[key].run_ids.append(run.id)
    return list(found.values())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
