"""JSON lines: read from files that may be damaged or hostile, line by line, never a whole file at
once; appended to a file that a killed process can be started on again. Files whose names end in
`.zst` are packed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from s1_eval.errors import UserError
from s1_eval.packing import SUFFIX, Damaged, Packer, torn, unpacked

JsonObject = dict[str, Any]
"""An object as JSON has it, of whatever is in it."""

MAX_LINE = 1 << 28
"""Bytes. A row with every trace of 655 rejected samples has about a tenth of that; a file without
line ends must not fill the memory."""

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def read_lines(
    path: Path, on_bad: Callable[[UserError], None] | None = None
) -> Iterator[tuple[int, JsonObject]]:
    """(line number, JSON object) for each line of a JSONL file.

    Lines end at `\\n` only: generations may hold any other line separator. Raises UserError with
    file and line on anything that is not an object on a finished line; with `on_bad`, which is told
    instead, such a line is skipped.
    """
    for number, line in enumerate(raw_lines(path), 1):
        where = f"{path} line {number}"
        try:
            if isinstance(line, Damaged):
                raise UserError(f"{where} can't be unpacked: {line}") from line
            if not line.endswith(b"\n"):
                _check_unfinished(line, where)
            row = parse(line, where)
        except UserError as error:
            if on_bad is None:
                raise
            on_bad(error)
        else:
            yield number, row


def raw_lines(path: Path) -> Iterator[bytes | Damaged]:
    """The lines of a file as they are, with their ends, and what can't be unpacked of it."""
    with path.open("rb") as opened:
        file = unpacked(opened) if path.suffix == SUFFIX else opened
        while True:
            try:
                line = file.readline(MAX_LINE)
            except Damaged as error:
                yield error
                continue
            if not line:
                return
            yield line


def _check_unfinished(line: bytes, where: str) -> None:
    if len(line) == MAX_LINE:
        raise UserError(f"{where} is longer than {MAX_LINE} bytes: not a record")
    try:
        parse(line, where)
    except UserError as error:
        raise UserError(
            f"{where} is half-written: the run was killed or still goes on; finish it with the "
            "command that started it"
        ) from error


def parse(data: bytes, where: str) -> JsonObject:
    """The JSON object in `data`; NaN and infinities become None. Raises UserError, opening with
    `where`, on anything else."""
    try:
        # ValueError also covers bad UTF-8 and integers of more digits than Python converts.
        value = _DECODER.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is not JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise UserError(f"{where} holds {type(value).__name__}, not a JSON object")
    return value


_CUT_OFF = "a half-written last line was cut off"


class AppendedLines:
    """A file of JSON objects, one a line, open for appending by this process alone. One that was
    written to before has to be repaired first."""

    def __init__(self, path: Path, shown: Path, instead: str) -> None:
        """Open `path`, creating it and its folder.

        shown: what messages call the place. instead: what they tell the user to give.
        Raises UserError where it can't be written, or where another process is writing.
        """
        self.path, self._shown, self._instead = path, shown, instead
        self._packer = Packer() if path.suffix == SUFFIX else None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: a buffer would try again to write what the disk did not take.
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise UserError(f"can't write to {shown} ({error}): {instead}") from error
        try:
            self._lock()
        except BaseException:
            self._file.close()
            raise

    def repair(self) -> str | None:
        """Make the file end with a whole line: a last one that a kill cut short is taken off. What
        was done, one sentence for the user; None if nothing. Raises UserError where it can't."""
        if self._packer:
            return self._repair_packed()
        size = self._file.seek(0, os.SEEK_END)
        start = _start_of_last_line(self._file, size)
        self._file.seek(start)
        tail = self._file.read()
        if not tail:
            return None
        try:
            parse(tail, "")
        except UserError:
            self._file.truncate(start)
            return f"{self.path}: {_CUT_OFF}"
        self._file.write(b"\n")  # whole, only its line end is missing
        return None

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a line, which survives the death of this process. Raises UserError where the disk
        takes no more; the file stays whole."""
        self.append_line(json.dumps(row, allow_nan=False).encode() + b"\n")

    def append_line(self, line: bytes) -> None:
        """The same of a line that is written already, with its end."""
        if self._packer:
            line = self._packer.pack(line)
        size = self._file.seek(0, os.SEEK_END)
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            self._file.truncate(size)
            if self._packer:
                self._packer.lost()
            raise UserError(
                f"can't write to {self._shown} ({error}): make room; the same command goes on"
            ) from error

    def close(self) -> None:
        if self._packer and not self._file.closed:
            with suppress(OSError):  # the lines are there, and can be read without it
                self._file.write(self._packer.end())
        self._file.close()

    def _repair_packed(self) -> str | None:
        with self.path.open("rb") as file:
            try:
                found = torn(file)
            except Damaged as error:
                raise UserError(f"{self.path}: {error}") from error
        if found is None:
            return None
        good, end = found
        cut = good < self._file.seek(0, os.SEEK_END)
        self._file.truncate(good)
        self._file.write(end)
        return f"{self.path}: {_CUT_OFF}" if cut else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lock(self) -> None:
        if sys.platform == "win32":
            return
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"another process is writing to {self._shown}: wait for it, or {self._instead}"
            ) from error


def write_atomically(path: Path, record: Mapping[str, Any]) -> None:
    """One JSON object as a file of its own. Readers see the old file or the new one, never half of
    one."""
    _replace(path, json.dumps(record, indent=2, allow_nan=False) + "\n")


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """JSON objects, one a line, as a whole file; see `write_atomically`."""
    _replace(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _start_of_last_line(file: IO[bytes], size: int) -> int:
    """Where the bytes after the last line end begin; `size` if there are none."""
    block = 1 << 16
    end = size
    while end > 0:
        begin = max(0, end - block)
        file.seek(begin)
        at = file.read(end - begin).rfind(b"\n")
        if at >= 0:
            return begin + at + 1
        end = begin
    return 0
