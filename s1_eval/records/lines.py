"""JSON from files that may be damaged or hostile: line by line, never a whole file at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError

MAX_LINE = 1 << 28
"""Bytes. A row with every trace of 655 rejected samples has about a tenth of that; a file without
line ends must not fill the memory."""


_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def read_lines(
    path: Path, on_bad: Callable[[UserError], None] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, JSON object) for each line of a JSONL file.

    Lines end at `\\n` only: generations may hold any other line separator. Raises UserError with
    file and line on anything that is not an object on a finished line; with `on_bad`, which is told
    instead, such a line is skipped.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            where = f"{path} line {number}"
            try:
                if not line.endswith(b"\n"):
                    _check_unfinished(line, where)
                row = parse(line, where)
            except UserError as error:
                if on_bad is None:
                    raise
                on_bad(error)
            else:
                yield number, row


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


def parse(data: bytes, where: str) -> dict[str, Any]:
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
