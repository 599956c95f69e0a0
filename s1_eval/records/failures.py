"""The samples that a run asked for and got no answer to: `failures.jsonl` beside its records. A
failed sample is no row, since nothing is known of it that a row says."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from s1_eval.errors import SampleFailed
from s1_eval.json_lines import AppendedLines, read_lines, write_lines
from s1_eval.thinking.render import printable

FAILURES = "failures.jsonl"

Key = tuple[str, int]
"""(sample_id, epoch)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a question has no answer. tries: how often its last request was sent. when: UTC."""

    sample_id: str
    epoch: int
    reason: str
    tries: int
    when: str

    @classmethod
    def now(cls, sample_id: str, epoch: int, error: SampleFailed) -> Self:
        """The failure that an engine has just told of."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(sample_id, epoch, str(error)[:2000], error.tries, when)

    @property
    def key(self) -> Key:
        return self.sample_id, self.epoch

    def __str__(self) -> str:
        reason = " ".join(printable(self.reason).split())
        return f"{self.sample_id!r:.60} epoch {self.epoch}: {reason:.300}"


def read_failures(folder: Path) -> dict[Key, Failure]:
    """The failures that stand in a run's folder, the last one of each sample; lines that are none
    are passed over, so that what they told of counts as never asked. Some may have been answered
    since: who reads them knows the rows."""
    path = folder / FAILURES
    if not path.is_file():
        return {}
    found = (_failure(line) for _, line in read_lines(path, lambda _: None))
    return {each.key: each for each in found if each}


def _failure(line: Mapping[str, Any]) -> Failure | None:
    kinds = {"sample_id": str, "epoch": int, "reason": str, "tries": int, "when": str}
    if not all(isinstance(line.get(name), kind) for name, kind in kinds.items()):
        return None
    return Failure(**{name: line[name] for name in kinds})


class FailureLog:
    """The failures of a run that is being written. `current` holds those that stand."""

    def __init__(self, folder: Path, done: set[Key]) -> None:
        """done: the samples that have a row."""
        self._folder = folder
        there = read_failures(folder)
        self.current = {key: each for key, each in there.items() if key not in done}
        self._stale = len(self.current) < len(there)
        self._lines: AppendedLines | None = None

    def add(self, failure: Failure) -> None:
        """Write a failure down. Raises UserError where the disk takes no more."""
        if self._lines is None:
            path = self._folder / FAILURES
            self._lines = AppendedLines(path, self._folder, "choose another --out")
            self._lines.repair()
        self._lines.append(asdict(failure))
        self._stale = self._stale or failure.key in self.current
        self.current[failure.key] = failure

    def answered(self, key: Key) -> None:
        """Forget a failure, whose sample has a row now."""
        if self.current.pop(key, None):
            self._stale = True

    def close(self) -> None:
        """Leave in the file what stands, and no file for nothing. Where the disk is full it stays
        as it is: readers hold it against the rows."""
        if self._lines is not None:
            self._lines.close()
        path = self._folder / FAILURES
        with suppress(OSError):
            if not self.current:
                path.unlink(missing_ok=True)
            elif self._stale:
                write_lines(path, [asdict(each) for each in self.current.values()])
