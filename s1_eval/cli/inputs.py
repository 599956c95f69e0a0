"""What a command reads: `PATH` or `PATH:METHOD`, a folder or a file, read by one rule in all
commands. What a folder holds that can't be used is skipped and named when the command ends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from s1_eval.cli import foreign
from s1_eval.errors import UserError
from s1_eval.thinking.render import printable

if TYPE_CHECKING:
    from s1_eval.records import Located, Run

T = TypeVar("T")

HELP = "folders or files, or PATH:METHOD for one method's runs, e.g. runs/nano:budget_forcing"


def add_paths(parser: argparse.ArgumentParser, name: str = "paths", **options: Any) -> None:
    """The paths of a command, and the options for other people's logs."""
    parser.add_argument(name, **{"nargs": "+", "metavar": "PATH", "help": HELP, **options})
    foreign.add_options(parser)


class Inputs:
    """Reads the paths of a command with its options."""

    def __init__(
        self, args: argparse.Namespace, counted: bool = True, ungraded: bool = False
    ) -> None:
        """counted: whether the command needs the numbers of tokens. ungraded: whether it takes rows
        that nobody graded."""
        self._remarks: dict[str, None] = vars(args).setdefault("remarks", {})
        self._named: set[Path] = set()
        self.readers = foreign.readers(args, self.tell, counted, ungraded)

    def tell(self, remark: str) -> None:
        """Say it when the command ends, once."""
        self._remarks[remark] = None

    def runs(self, given: Iterable[str], whole: bool = False) -> list[Run]:
        """The runs of all paths together. whole: refuse where anything had to be skipped.
        Raises UserError where a path or a method in it has none."""
        from s1_eval.metrics.series import method_label
        from s1_eval.records import read_runs

        chosen = self.chosen(given)
        self._named |= {path.resolve() for path, _ in chosen}
        said: list[str] = []

        def tell(remark: str) -> None:
            said.append(remark)
            self.tell(remark)

        runs = read_runs(dict.fromkeys(path for path, _ in chosen), self.readers, tell)
        if whole and any(remark.startswith("skipped") for remark in said):
            raise UserError(
                "the baseline can't be read whole: mend what was skipped, or compare without it by "
                "--allow-different runs"
            )
        wanted: set[str] = set()
        for path, method in chosen:
            inside = [run for run in runs if any(_within(source, path) for source in run.sources)]
            found = {run.id for run in inside if method in (None, method_label(run))}
            if not found and method:
                known = ", ".join(sorted({method_label(run) for run in inside})) or "nothing usable"
                raise UserError(
                    f"{path}:{method}: no run of {method!r} in {path}; it holds {known}"
                )
            wanted |= found
        return [run for run in runs if run.id in wanted]

    def chosen(self, given: Iterable[str]) -> list[tuple[Path, str | None]]:
        """(path, method) of each argument."""
        return [_chosen(text) for text in given]

    def say(self) -> None:
        """Say now what was to be said when the command ends."""
        _print(self._remarks)
        self._remarks.clear()

    def rows(self, runs: Iterable[Run]) -> Iterator[Located]:
        """The whole rows of the runs, traces included."""
        from s1_eval.records import read_rows

        return read_rows(runs, self.readers)

    def each(self, runs: Sequence[Run], use: Callable[[Run], T]) -> list[T]:
        """`use` of every run that it does not refuse. Raises UserError if that is none."""
        from s1_eval.records import NOTHING_LEFT

        found = []
        for run in runs:
            try:
                found.append(use(run))
            except UserError as error:
                self.leave_out(error, [run])
        if not found:
            raise UserError(NOTHING_LEFT)
        return found

    def leave_out(self, error: UserError, runs: Sequence[Run]) -> None:
        """Tell of runs that are of no use. Raises the error where one was given by its file's own
        name."""
        if any(Path(source).resolve() in self._named for run in runs for source in run.sources):
            raise error
        self.tell(f"skipped {error}")


def say(args: argparse.Namespace) -> None:
    """What the command was told to say when it ends, on stderr. Names in it come from others."""
    _print(vars(args).get("remarks", ()))


def _print(remarks: Iterable[str]) -> None:
    for remark in remarks:
        print(f"s1-eval: {printable(remark)}", file=sys.stderr)  # noqa: T201


def _chosen(text: str) -> tuple[Path, str | None]:
    """(path, method) of an argument. What exists as it is written is a path."""
    path, colon, method = text.rpartition(":")
    if Path(text).exists() or not (colon and path and method and Path(path).exists()):
        return Path(text), None
    return Path(path), method


def _within(source: str, path: Path) -> bool:
    file, place = Path(source).resolve(), path.resolve()
    return file == place or place in file.parents
