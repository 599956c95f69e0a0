"""The report page: the table, the pictures, the budget audit, and how each run was made. One file
that asks for nothing from outside; everything from a record is escaped.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from s1_eval.metrics.audit import EXIT_REASONS
from s1_eval.metrics.entries import Entry
from s1_eval.metrics.series import entry_name
from s1_eval.records import IDENTITY, Run
from s1_eval.report import plots, table

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


def page(entries: Sequence[Entry], runs: Sequence[Run]) -> str:
    """The whole page. entries: of `s1_eval.metrics.score`, over `runs`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("s1_eval.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pictures = [
        {"caption": caption, "svg": Markup(_themed(plots.inline_svg(figure(entries), name)))}  # noqa: S704  (made by matplotlib, which escapes its text)
        for caption, name, figure in (
            (
                "Accuracy against mean thinking tokens, with 95% intervals",
                "thinking",
                plots.accuracy_vs_thinking_tokens,
            ),
            (
                "Accuracy against all tokens that were paid for, discarded samples included",
                "generated",
                plots.accuracy_vs_generated_tokens,
            ),
        )
    ]
    return environment.get_template("report.html.j2").render(
        tables=table.tables(entries),
        headings=table.HEADINGS,
        legend=table.LEGEND,
        raised=table.raised,
        fixed=table.fixed,
        span=table.span,
        undefined=table.UNDEFINED,
        bootstrap=entries[0]["bootstrap"],
        pictures=pictures,
        entries=[{**entry, "name": entry_name(entry)} for entry in entries],
        exit_reasons=EXIT_REASONS,
        setups=setups(runs),
    )


def _themed(svg: str) -> str:
    """The picture in the page's own colours, light or dark."""
    return svg.replace(plots.INK, "var(--ink)").replace(plots.LINES, "var(--lines)")


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
