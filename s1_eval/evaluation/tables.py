"""Tables of questions: files that are lists of rows, and data sets of the hub. Cells stay what they
are: `NA` and `007` are texts."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError
from s1_eval.libraries import needs

Row = Mapping[str, Any]

_HUB = re.compile(r"(?P<dataset>[\w.-]+/[\w.-]+?)(?::(?P<config>[^@]+))?(?:@(?P<revision>.+))?")


@dataclass(frozen=True)
class Table:
    """where: for messages. name: a file's own, or the data set's, without a path. revision, split:
    of a data set."""

    where: str
    name: str
    rows: Sequence[Row]
    revision: str | None = None
    split: str | None = None

    @cached_property
    def columns(self) -> list[str]:
        """Of all rows, in the order in which they come up."""
        return list(dict.fromkeys(n for row in self.rows if isinstance(row, Mapping) for n in row))


def is_table(text: str) -> bool:
    """Whether a name is that of a file of rows."""
    return Path(text).suffix.lower() in READERS


def is_data_set(text: str) -> bool:
    """Whether a name may be that of a data set of the hub, or of a folder that holds one."""
    return bool(_HUB.fullmatch(text)) or Path(text).is_dir()


def read_table(source: str, split: str | None = None) -> Table:
    """The rows of a file, or of a data set of the hub at the commit that its revision, or else
    `main`, is at. Raises UserError where there are none to read."""
    if is_table(source):
        path = Path(source).expanduser()
        if not path.is_file():
            raise UserError(f"there is no file {path}: give one, or OWNER/NAME of the hub")
        rows = list(read_file(path))
        table = Table(str(path), path.name, rows)
    else:
        table = _read_hub(source, split)
    if not table.rows:
        raise UserError(f"{table.where} has no rows: give one for each question")
    if not table.columns:
        raise UserError(f"{table.where} has no named fields: give an object for each question")
    return table


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark. Raises UserError on another encoding."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"can't read {path}: {error}") from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"can't read {path}: it is UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"can't read {path}: byte 0x{content[error.start]:02x} in line {line} is not UTF-8; "
            "save it as UTF-8"
        ) from error


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a .jsonl file, or of a .json file that holds a list.

    Lines end at a line feed only: texts may contain U+2028 and the like.
    """
    text = read_text(path)
    if path.suffix.lower() == ".json":
        rows = _parse(text, str(path))
        if not isinstance(rows, list):
            raise UserError(f"{path} holds no list: give one object per question")
        yield from rows
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _parse(line, f"{path}, line {number}")


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # of a number of 5,000 digits too
        raise UserError(f"{where} is not JSON: {error}") from error


def read_cells(path: Path) -> Iterator[Row]:
    """The rows of a .csv or .tsv file under the names of its first line, every cell a text."""
    csv.field_size_limit(2**31 - 1)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True, delimiter=delimiter)
    try:
        names = [name.strip() for name in next(reader, [])]
        if twice := {name for name in names if names.count(name) > 1}:
            raise UserError(f"{path} has two columns called {', '.join(map(repr, twice))}")
        number = 0
        for cells in reader:
            if not cells:
                continue
            number += 1
            if len(cells) != len(names):
                raise UserError(
                    f"{path}, row {number} (to line {reader.line_num}): {len(cells)} cells under "
                    f'{len(names)} columns; a cell with a comma or a line end stands in "quotes"'
                )
            yield dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}; mend the quotes") from error


def read_parquet(path: Path) -> Iterator[Row]:
    """The rows of a .parquet file."""
    with needs():
        import pyarrow.parquet
    try:
        table = pyarrow.parquet.read_table(path)
        names = table.column_names
        if twice := {name for name in names if names.count(name) > 1}:
            raise UserError(f"{path} has two columns called {', '.join(map(repr, twice))}")
        for at, kind in enumerate(table.schema):
            if pyarrow.types.is_float32(kind.type):  # 0.1 is 0.10000000149 in double precision
                near = table.column(at).cast(pyarrow.string()).cast(pyarrow.float64())
                table = table.set_column(at, kind.name, near)
        yield from table.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"can't read {path}: {str(error)[:300]}") from error


READERS = {
    ".jsonl": read_rows,
    ".json": read_rows,
    ".csv": read_cells,
    ".tsv": read_cells,
    ".parquet": read_parquet,
}


def read_file(path: Path) -> Iterator[Row]:
    """The rows of a file, by its ending; of any other, those of a .jsonl file."""
    yield from READERS.get(path.suffix.lower(), read_rows)(path)


def _read_hub(source: str, split: str | None) -> Table:
    from s1_eval.evaluation.hub import Hub, read_hub

    if Path(source).is_dir():
        hub = Hub(source, None, split)
    elif found := _HUB.fullmatch(source):
        hub = Hub(found["dataset"], found["revision"], split, found["config"])
    else:
        raise UserError(
            f"{source} is neither a file of questions ({', '.join(READERS)}) nor OWNER/NAME"
        )
    read = read_hub(hub, "give the questions as a file")
    name = hub.dataset if hub.name is None else f"{hub.dataset}:{hub.name}"
    name = Path(name).name if Path(source).is_dir() else name
    return Table(source, name, list(read.rows), read.revision, read.split)
