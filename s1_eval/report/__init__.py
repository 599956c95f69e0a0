"""Tables, pictures and the report page, from runs and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s1_eval.errors import UserError
from s1_eval.metrics import score
from s1_eval.metrics.entries import Entry
from s1_eval.metrics.scoring import whole
from s1_eval.records import Run
from s1_eval.report import curves, pages, plots, table
from s1_eval.report.table import render

__all__ = ["render", "score", "write"]


def write(
    runs: Sequence[Run],
    folder: str | Path,
    entries: Sequence[Entry] | None = None,
    x: str | None = None,
) -> Sequence[Entry]:
    """Write table.txt, table.md, report.html and both pictures, each as PNG and SVG, to `folder`.

    entries: what `score` returned for `runs`; left out, they are scored here. Returns them.
    x: a further cost to draw accuracy over, see `curves.COSTS`.
    """
    entries = score(runs) if entries is None else entries
    to = Path(folder)
    try:
        to.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("table.txt", table.text(entries)),
            ("table.md", table.markdown(entries)),
            ("report.html", pages.page(whole(entries), runs)),
        ):
            # A record may hold a lone surrogate, which UTF-8 can't.
            (to / name).write_text(text, "utf-8", errors="backslashreplace", newline="\n")
        drawn = whole(entries)
        plots.save(plots.accuracy_vs_thinking_tokens(drawn), to / "accuracy_vs_thinking_tokens")
        plots.save(plots.accuracy_vs_generated_tokens(drawn), to / "accuracy_vs_generated_tokens")
        if x in curves.COSTS:
            plots.save(plots.accuracy_over(x, drawn), to / f"accuracy_vs_{x}")
    except OSError as error:
        raise UserError(
            f"can't write the report to {to} ({error}): choose another --out"
        ) from error
    return entries
