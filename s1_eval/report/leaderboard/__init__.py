"""The leaderboard: a static folder that opens from the disk and asks for nothing from outside.

`index.html` has the sortable table, the plot, the budget audit and how each run was made; every
question has a page of its own with the traces, read only when it is opened.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from s1_eval import __version__
from s1_eval.errors import UserError
from s1_eval.metrics.entries import Entry
from s1_eval.records import Located, Run
from s1_eval.report import pages, table
from s1_eval.report.leaderboard import questions
from s1_eval.report.publishing import Publish, published, withheld

__all__ = ["build"]

DATA = "leaderboard.json"


def build(
    runs: Sequence[Run],
    entries: Sequence[Entry],
    rows: Iterable[Located],
    folder: str | Path,
    title: str = "Leaderboard",
    traces: Publish = "open",
) -> Path:
    """Write the page, leaderboard.md and leaderboard.json to `folder`; the path of the page.

    entries: of `s1_eval.metrics.score`, over `runs`. rows: the runs' rows again, with their
    traces, read one by one. traces: whose traces to publish. Raises UserError where `folder` holds
    something else.
    """
    to = Path(folder)
    kept = {run.task for run in runs if withheld(run, traces)}
    listed = questions.Listed(runs)
    shown = [published(run, traces) for run in runs]
    try:
        _clear(to)
        for name, text in (
            (DATA, json.dumps(_data(shown, entries, title), indent=1, allow_nan=False)),
            ("leaderboard.md", f"# {table.escape(title)}\n\n{table.markdown(entries)}"),
            ("index.html", pages.board(entries, shown, title, _questions(listed, kept))),
        ):
            # A record may hold a lone surrogate, which UTF-8 can't.
            (to / name).write_text(text, "utf-8", errors="backslashreplace", newline="\n")
        questions.write(to, listed, rows, kept)
    except OSError as error:
        raise UserError(f"can't write to {to} ({error}): choose another --out") from error
    return to / "index.html"


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


def _questions(listed: questions.Listed, withheld: set[str]) -> list[pages.Link]:
    return [
        pages.Link(
            f"{questions.FOLDER}/{number}/index.html",
            f"{task}: {len(ids)} questions",
            "without traces" if task in withheld else "",
        )
        for number, (task, ids) in enumerate(listed.ids.items())
    ]


def _data(runs: Sequence[Run], entries: Sequence[Entry], title: str) -> dict[str, Any]:
    return {
        "title": title,
        "s1_eval": __version__,
        "series": list(entries),
        "runs": [dict(run.record) for run in runs],
    }
