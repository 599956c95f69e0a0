"""Pages of HTML that ask for nothing from outside: how all of them are made, and the report page
(the table, the pictures, the budget audit, and how each run was made).

Everything that comes from a record is escaped by Jinja2, and a content security policy lets nothing
run but our own scripts, named by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from s1_eval.metrics.audit import EXIT_REASONS
from s1_eval.metrics.entries import Entry
from s1_eval.metrics.series import entry_name
from s1_eval.records import IDENTITY, Run
from s1_eval.report import plots, table

if TYPE_CHECKING:
    from jinja2 import Environment

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
    """The report page. entries: of `s1_eval.metrics.score`, over `runs`."""
    from markupsafe import Markup

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
    return render(
        "report.html.j2",
        inline_styles=True,
        tables=table.tables(entries),
        headings=table.HEADINGS,
        legend=table.LEGEND,
        bootstrap=entries[0]["bootstrap"],
        pictures=pictures,
        entries=[{**entry, "name": entry_name(entry)} for entry in entries],
        setups=setups(runs),
    )


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
