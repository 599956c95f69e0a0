"""The table: one row per series, for the terminal, as plain text and as Markdown. A metric that is
undefined shows as a dash, and a note below the table says why."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s1_eval.metrics.entries import Entry, Metric, Span
from s1_eval.metrics.series import describe

if TYPE_CHECKING:
    from rich.console import Console

HEADINGS = (
    "Method",
    "Varied",
    "Runs",
    "Control %",
    "Scaling",
    "Performance %",
    "Cross-fitted %",
    "Thinking tokens",
    "No answer %",
)
UNDEFINED = "—"
LEGEND = (
    "Control: runs that keep within their limit. Scaling: points per doubling of thinking tokens. "
    "Performance: best accuracy. Cross-fitted: the best run picked on one half of the questions, "
    "scored on the other. Thinking tokens: mean per question, of all that were generated. In "
    "brackets: 95% intervals, over questions."
)

_DIGITS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_WIDEST = 240
_NARROW = 130
"""Columns of a terminal. Below that an interval goes under its value."""


@dataclass(frozen=True, slots=True)
class Cell:
    """mark: raised numbers of the notes that belong to it. detail: the interval. of: what it is a
    part of. value: what it sorts by; None sorts last."""

    main: str
    detail: str = ""
    mark: str = ""
    of: str = ""
    value: str | float | None = None

    @property
    def beside(self) -> str:
        return f"{self.detail} {self.of}".strip()

    def __str__(self) -> str:
        return f"{self.main}{self.mark} {self.beside}".rstrip()


@dataclass(frozen=True, slots=True)
class Table:
    """The series of one model on one task. rows: cells under `HEADINGS`. notes: the first one is
    marked ¹."""

    title: str
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]


def tables(entries: Sequence[Entry]) -> list[Table]:
    """The entries that `s1_eval.metrics.score` returns, one table per model and task, and one for
    what tells some of its questions from others."""
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        told = (
            f"by {', '.join(entry['by'])}" if "by" in entry else f"{entry['questions']} questions"
        )
        groups.setdefault((entry["model"], entry["task"], told), []).append(entry)
    return [
        _table(f"{model} on {task}, {told}", group) for (model, task, told), group in groups.items()
    ]


def render(entries: Sequence[Entry], console: Console) -> None:
    """Print the tables; `console` decides about colour and width."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    narrow = console.width < _NARROW
    for table in tables(entries):
        grid = Grid(
            title=Text(table.title, "bold"),
            title_justify="left",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 0 if narrow else 1, 0, 0),
        )
        for i, heading in enumerate(HEADINGS):
            if narrow and heading in ("Varied", "Runs"):  # they stand under the method
                continue
            name = heading.replace(" ", "\n").replace("-", "-\n") if narrow else heading
            grid.add_column(name, justify="left" if i < 2 else "right", overflow="fold")
        for method, varied, count, *others in table.rows:
            runs = "1 run" if count.main == "1" else f"{count.main} runs"
            below = "\n".join(filter(None, (varied.main, runs)))
            first = [Cell(method.main, below)] if narrow else [method, varied, count]
            grid.add_row(
                *(
                    Text(f"{c.main}{c.mark}\n{c.beside}".rstrip() if narrow else str(c))
                    for c in (*first, *others)
                )
            )
        console.print(grid)
        console.print()
        for number, note in enumerate(table.notes, 1):
            console.print(Text(f"{raised(number)} {note}"))
        console.print()
    console.print(Text(LEGEND, "dim"))


def text(entries: Sequence[Entry]) -> str:
    """The tables as plain text, each line as long as it needs."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=_WIDEST, color_system=None, force_terminal=False)
    with console.capture() as captured:
        render(entries, console)
    return "\n".join(row.rstrip() for row in captured.get().split("\n"))


def markdown(entries: Sequence[Entry]) -> str:
    """The tables as GitHub-flavoured Markdown."""
    lines: list[str] = []
    for table in tables(entries):
        lines += [f"**{escape(table.title)}**", "", line(HEADINGS)]
        lines.append(line(["---", "---", *["---:"] * (len(HEADINGS) - 2)]))
        for method, varied, *others in table.rows:
            names = [escape(method.main), escape(varied.main)]
            lines.append(line([*names, *map(str, others)]))
        lines.append("")
        lines += [f"{raised(n)} {escape(note)}  " for n, note in enumerate(table.notes, 1)]
        lines.append("")
    return "\n".join([*lines, LEGEND, ""])


def span(metric: Span, digits: int = 1) -> str:
    """`[low, high]`, or nothing."""
    if metric["low"] is None:
        return ""
    return f"[{fixed(metric['low'], digits)}, {fixed(metric['high'], digits)}]"


def fixed(value: float | None, digits: int = 1) -> str:
    """`value` with that many decimals, never `-0.0`; a dash for None."""
    return UNDEFINED if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def _table(title: str, entries: Sequence[Entry]) -> Table:
    notes: dict[str, int] = {}
    rows = [cells(entry, notes) for entry in entries]
    return Table(title, tuple(rows), tuple(notes))


def cells(entry: Entry, notes: dict[str, int]) -> tuple[Cell, ...]:
    """The row of a series under `HEADINGS`. notes: grows by what its metrics have to say."""

    def number(
        value: float | None,
        digits: int = 1,
        said: Sequence[str] = (),
        detail: str = "",
        of: str = "",
    ) -> Cell:
        return Cell(fixed(value, digits), detail, marks(notes, said), of, value)

    def metric(found: Metric, digits: int = 1) -> Cell:
        said = [found["note"]] if found["note"] else []
        return number(found["value"], digits, said, span(found, digits))

    name = describe(entry["method"], {**entry["held"], **entry.get("by", {})})
    if "by" in entry:
        name += f" ({entry['questions']} question{'s' if entry['questions'] > 1 else ''})"
    return (
        Cell(name, value=name),
        Cell(entry["varied"] or "", value=entry["varied"]),
        Cell(str(entry["runs"]), value=entry["runs"]),
        metric(entry["control"], 0),
        metric(entry["scaling"]),
        metric(entry["performance"]),
        number(entry["performance"]["cross_fitted"]),
        number(
            entry["mean_thinking_tokens"],
            0,
            entry["remarks"]["thinking_tokens"],
            of=f"of {fixed(entry['generated_tokens'], 0)}",
        ),
        number(entry["unanswered"], said=entry["remarks"]["unanswered"]),
    )


def marks(notes: dict[str, int], said: Iterable[str]) -> str:
    """The raised numbers of what is said, which is added to the notes where it is new."""
    return ",".join(raised(notes.setdefault(note, len(notes) + 1)) for note in said)


def raised(number: int) -> str:
    """The raised number of a note."""
    return str(number).translate(_DIGITS)


def line(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def escape(text: str) -> str:
    """`text` as Markdown that means nothing but itself."""
    return re.sub(r"([\\`*\[\]<>|&])", r"\\\1", text)
