"""One's own questions as a benchmark: a list, a file, or a data set of the hub. Which column holds
what, and what of a cell becomes text; reading the files is `tables`' business."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s1_eval.answers import GRADERS, Grader
from s1_eval.answers.choices import ChoiceGrader
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Benchmark, Data, Row, Sample, with_options
from s1_eval.evaluation.tables import Table, is_table, read_table
from s1_eval.names import choose_from, nearest
from s1_eval.thinking.render import printable

NAME = "questions"
"""What records call the task where the questions are a list."""

USUAL: Mapping[str, tuple[str, ...]] = {
    "question": ("question", "problem", "prompt", "input", "query"),
    "answer": (
        *("answer", "target", "label", "gold", "final_answer", "short_answer", "correct_answer"),
        *("expected_answer", "ground_truth", "reference_answer", "answer_letter", "answerkey"),
    ),
    "options": ("options", "choices"),
    "id": ("id", "unique_id", "uuid", "question_id", "problem_id", "problem_idx", "sample_id"),
    "system": ("system", "system_prompt", "system_message"),
}
"""What the columns are usually called. Two for a question or an answer are refused."""

_WORKED_OUT = "solution"
"""An answer where there is no other: beside one it is how to get there."""

_LETTERED = re.compile(r"(?:(?:option|choice|opt)_?)?([a-j])")


def own_questions(
    questions: Iterable[Mapping[str, Any] | Sample],
    grader: str | Mapping[str, Any] | None = None,
    name: str = NAME,
) -> Benchmark:
    """A benchmark of these questions.

    questions: `Sample`s, or mappings with `question` and `answer`, and where there are any
        `options` (texts; `answer` is one of them or its letter), `id` (the place in the list
        without one) and `system`. What else a mapping has is kept in logs.
    grader: `math`, `integer` or `choice`, or a mapping with it as `name` beside its settings. Left
        out, questions that all have options are graded by `choice`.
    Raises UserError without a grader that is called for; what is wrong with a question is said
    when they are loaded.
    """
    rows: list[Row] = [
        {"sample": each} if isinstance(each, Sample) else {"id": number, **_mapping(each, number)}
        for number, each in enumerate(questions, 1)
    ]
    chosen = all(row["sample"].options if "sample" in row else row.get("options") for row in rows)
    given = _grader(grader, chosen)
    cells = Cells({role: role for role in USUAL})
    return Benchmark(
        name,
        lambda row: row["sample"] if "sample" in row else cells.sample(row),
        given.pop("name"),
        given,
        generate=lambda: rows,
    )


def open_questions(
    data: str,
    grader: str | Mapping[str, Any] | None = None,
    columns: Any = None,
    split: str | None = None,
) -> OwnQuestions:
    """A benchmark of the questions in a file, or in a data set of the hub.

    data: a .jsonl, .json, .csv, .tsv or .parquet file, or `OWNER/NAME`, with `:CONFIG` and
        `@REVISION` behind it where they are to be said.
    grader: see `own_questions`. columns: which one holds the `question`, the `answer`, `options`,
        `id` and `system`, as a mapping, or texts like `question=Problem`; those with usual names
        are found, see `USUAL`. Without an id, one is made of the question's words.
    split: of a data set that has several.
    Raises UserError on what can't be read, and columns that are not there or not clear.
    """
    if split is not None and is_table(data):
        raise UserError(f"split={split}: {data} is a file, and has none: leave split out")
    table = read_table(data, split)
    wanted = parse_columns(columns)
    known = grader if isinstance(grader, str) or grader is None else grader.get("name")
    found = find_columns(table, wanted, lettered=known in (None, "choice"))
    given = _grader(grader, "options" in found)
    cells = Cells(found, _base(table, found))
    return OwnQuestions(
        _name(table.name),
        cells.sample,
        given.pop("name"),
        given,
        generate=lambda: table.rows,
        source=table.where,
        id=table.name,
        revision=table.revision,
        chosen={"columns": found, **({} if table.split is None else {"split": table.split})},
        secret=_is_secret(table),
    )


@dataclass(frozen=True)
class OwnQuestions(Benchmark):
    """Questions of a file or of the hub. source: where they are, for messages; id, revision,
    chosen: see `Data`."""

    source: str = ""
    id: str = ""
    revision: str | None = None
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def loaded(self, data: str | None = None) -> Data:
        """All of them; the first is shown on stderr, unless they are secret."""
        if data is not None:
            raise UserError(f"data={data}: the questions are those of {self.source}: leave it out")
        assert self.generate
        samples = self._samples(self.generate(), self.source)
        columns = " ".join(f"{role}={_told(c)}" for role, c in self.chosen["columns"].items())
        first = samples[0]
        question = first.prompt if len(first.prompt) <= 600 else first.prompt[:599] + "…"
        shown = "\n".join(f"  {line}" for line in question.split("\n"))
        said = f"{self.source}: {len(samples)} questions, {columns}, graded by {self.grader}"
        if not self.secret:
            said += f"; the first, {first.id}:\n{shown}\n  target: {first.target}"
        print(printable(said), file=sys.stderr)  # noqa: T201
        return Data(samples, self.id, self.revision, self.chosen)

    def check_target(self, reader: Grader, sample: Sample) -> None:
        options = self.chosen["columns"].get("options")
        if options and not sample.options and reader.name == ChoiceGrader.name:
            raise UserError(f"column {_told(options)!r}: there are no options to choose from")
        try:
            super().check_target(reader, sample)
        except UserError as error:
            column = self.chosen["columns"]["answer"]
            raise UserError(f"column {column!r}: {error}") from error


def parse_columns(given: Any) -> dict[str, str]:
    """Columns by role, from a mapping, texts `ROLE=COLUMN`, or one text with several of them.
    Raises UserError on anything else."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        pairs = [(str(role), str(column)) for role, column in given.items()]
    else:
        text = given if isinstance(given, str) else "\n".join(map(str, given))
        starts = list(re.finditer(r"(?:^|(?<=[\s,]))\w+=", text))
        if not starts or text[: starts[0].start()].strip():
            raise UserError(f"columns={text!r:.100}: give ROLE=COLUMN, e.g. question=Problem")
        ends = [*(start.start() for start in starts[1:]), len(text)]
        pairs = [
            (start.group()[:-1], text[start.end() : end].strip(" ,\n"))
            for start, end in zip(starts, ends, strict=True)
        ]
    for role, _ in pairs:
        if role not in USUAL:
            raise UserError(
                f"columns: {role!r:.60} is no part of a question: {choose_from(role, USUAL)}"
            )
    return dict(pairs)


def find_columns(
    table: Table, wanted: Mapping[str, str], lettered: bool = True
) -> dict[str, str | list[str]]:
    """Which column holds what; several columns where each option has its own.

    lettered: whether options are looked for. Raises UserError on a column that is not there, and
    where there is none, or more than one, for the question or the answer.
    """
    names = table.columns
    found: dict[str, str | list[str]] = {}
    for role, column in wanted.items():
        parts = [part.strip() for part in column.split(",")]
        if column in names:
            found[role] = column
        elif role == "options" and len(parts) > 1 and set(parts) <= set(names):
            found[role] = parts
        else:
            close = nearest(column, names, 0.5)
            hint = f"did you mean {close!r}? " if close else ""
            raise UserError(
                f"{table.where} has no column {column!r:.100} for the {role}: {hint}it has "
                f"{', '.join(names)}"
            )
    taken = {c for given in found.values() for c in ([given] if isinstance(given, str) else given)}
    usual = {name: name.strip().lower().replace(" ", "_").replace("-", "_") for name in names}
    for role, spelled in USUAL.items():
        if role in found or (role == "options" and not lettered):
            continue
        fits = [n for n in names if usual[n] in spelled and n not in taken]
        if role == "answer" and not fits:
            fits = [n for n in names if usual[n] == _WORKED_OUT and n not in taken]
        if role == "id":
            fits = sorted(fits, key=lambda name: spelled.index(usual[name]))[:1]
        if len(fits) > 1:
            raise UserError(
                f"{table.where}: the {role} may be in {', '.join(fits)}: say which, "
                f"e.g. --columns {role}={fits[0]}"
            )
        if fits:
            found[role] = fits[0]
            taken.add(fits[0])
        elif role == "options" and (each := _lettered(names, taken)):
            found[role] = each
            taken |= set(each)
        elif role in ("question", "answer"):
            raise UserError(
                f"{table.where}: no column is called like the {role} ({', '.join(spelled[:5])}, …):"
                f" say which it is, --columns {role}=COLUMN; there are {', '.join(names)}"
            )
    return {role: found[role] for role in USUAL if role in found}


def _lettered(names: Sequence[str], taken: set[str]) -> list[str]:
    """Columns that hold an option each, A first."""
    by_letter: dict[str, str] = {}
    for name in names:
        match = _LETTERED.fullmatch(name.strip().lower().replace(" ", "_").replace("-", "_"))
        if match and name not in taken:
            by_letter.setdefault(match.group(1), name)
    letters = "".join(sorted(by_letter))
    if len(letters) < 2 or not "abcdefghij".startswith(letters):
        return []
    return [by_letter[letter] for letter in letters]


@dataclass(frozen=True)
class Cells:
    """Rows as samples. columns: which holds what. base: what the first option's number is, where
    answers are numbers of options."""

    columns: Mapping[str, str | list[str]]
    base: int | None = None

    def sample(self, row: Row) -> Sample:
        """Raises ValueError, naming the column, on a cell that is not what its column is for."""
        if not isinstance(row, Mapping):
            raise ValueError("it is no object with named fields")
        question = self._text(row, "question")
        texts, labels = self._options(row)
        if texts:
            answer = _letter(self._cell(row, "answer"), texts, labels, self.base, self.columns)
            question = with_options(question, texts)
        else:
            answer = self._text(row, "answer")
        system = self._text(row, "system") if _filled(self._cell(row, "system")) else None
        used = {c for given in self.columns.values() for c in _listed(given)}
        return Sample(
            id=self._text(row, "id") if "id" in self.columns else _hash(question, system),
            prompt=question,
            target=answer,
            options=texts,
            metadata={n: _plain(value) for n, value in row.items() if n not in used},
            system=system,
        )

    def _cell(self, row: Row, role: str) -> Any:
        column = self.columns.get(role)
        return row.get(column) if isinstance(column, str) else None

    def _text(self, row: Row, role: str) -> str:
        column = self.columns[role]
        assert isinstance(column, str)
        if column not in row:
            raise KeyError(column)
        try:
            return text_of(row[column])
        except ValueError as error:
            raise ValueError(f"the {role}, column {column!r}, {error}") from None

    def _options(self, row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(texts, labels) of the options. Those of columns of their own end at the first empty."""
        column = self.columns.get("options")
        labels: Any = ()
        if isinstance(column, list):
            texts = [row.get(each) for each in column]
            while texts and not _filled(texts[-1]):
                texts.pop()
        else:
            texts, labels = _option_list(self._cell(row, "options"))
        told = _told(column)
        try:
            each = tuple(text_of(text) for text in texts)
            named = tuple(text_of(label) for label in labels)
        except ValueError as error:
            raise ValueError(f"an option, column {told}, {error}") from None
        return each, named or tuple(ChoiceGrader().letters[: len(each)])


def _option_list(cell: Any) -> tuple[list[Any], list[Any]]:
    """(texts, labels) of a cell: a list, `{"text": [...], "label": [...]}`, a list of such pairs,
    or a mapping of letters; as it is or as JSON."""
    if isinstance(cell, str) and cell.strip():
        try:
            cell = json.loads(cell)
        except ValueError:
            raise ValueError(
                f'the options {cell!r:.80} are no list: give JSON, e.g. ["red", "blue"]'
            ) from None
    if not _filled(cell):
        return [], []
    if isinstance(cell, Mapping) and "text" in cell:
        return _listed(cell["text"]), _listed(cell.get("label") or [])
    if isinstance(cell, Mapping):
        return list(cell.values()), list(cell)
    if not isinstance(cell, list | tuple):
        raise ValueError(f"the options {cell!r:.80} are no list")
    if cell and all(isinstance(each, Mapping) and "text" in each for each in cell):
        return [each["text"] for each in cell], [each["label"] for each in cell if "label" in each]
    return list(cell), []


def text_of(value: Any) -> str:
    """A cell as text, exactly. Raises ValueError on what is none: empty, a list, an object."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if not _filled(value):
        raise ValueError("is empty")
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, list | tuple | Mapping | bytes):
        raise ValueError(f"holds {value!r:.80}, which is no text: name another column")
    return str(value)


def text_in(row: Row, column: str) -> str:
    """The text in a column. Raises KeyError without it, ValueError where it holds none."""
    try:
        return text_of(row[column])
    except ValueError as error:
        raise ValueError(f"{column} {error}") from None


def _filled(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, list | tuple | Mapping):
        return bool(value)
    return value is not None and value == value  # NaN is not


def _letter(
    answer: Any,
    options: tuple[str, ...],
    labels: tuple[str, ...],
    base: int | None,
    columns: Mapping[str, Any],
) -> str:
    """The letter of the right option, which `answer` is, names or numbers."""
    letters = ChoiceGrader().letters[: len(options)]
    if len(labels) != len(options):
        raise ValueError(f"{len(options)} options have {len(labels)} labels")
    try:
        said = text_of(answer)
    except ValueError as error:
        raise ValueError(f"the answer, column {columns['answer']!r}, {error}") from None
    named = {i for i, text in enumerate(options) if text == said}
    named |= {i for i, label in enumerate(labels) if label == said}
    if base is not None and _is_whole(answer):
        named |= {i for i in range(len(options)) if i + base == answer}
    if len(named) != 1:
        raise ValueError(f"the answer {said!r} is {len(named)} of the options {options}")
    return letters[named.pop()]


def _base(table: Table, columns: Mapping[str, Any]) -> int | None:
    """What the first option's number is, where all answers are numbers and show it: 0 where there
    is a 0, 1 where there is one as high as the options are many."""
    if "options" not in columns:
        return None
    cells = Cells(columns)
    rows = [row for row in table.rows if isinstance(row, Mapping)]
    answers = [row.get(columns["answer"]) for row in rows]
    if not all(map(_is_whole, answers)):
        return None
    if 0 in answers:
        return 0
    return 1 if any(a == _count(cells, row) for a, row in zip(answers, rows, strict=True)) else None


def _count(cells: Cells, row: Row) -> int | None:
    """How many options a row has. What is wrong with them is said where it becomes a sample."""
    try:
        return len(cells._options(row)[0])
    except ValueError:
        return None


def _is_whole(value: Any) -> bool:
    """Whether a cell is a whole number; true and false are none."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _grader(given: str | Mapping[str, Any] | None, chosen: bool) -> dict[str, Any]:
    """Its name and settings. chosen: all questions have options."""
    if given is None and not chosen:
        raise UserError(f"own questions need a grader: give grader= one of {', '.join(GRADERS)}")
    if given is None or isinstance(given, str):
        return {"name": given or "choice"}
    return {"name": "", **given}


def _is_secret(table: Table) -> bool:
    """Whether the authors ask that no question stands in plain text: they gave it a canary, or it
    is GPQA by its name."""
    return "gpqa" in table.name.lower() or any("canary" in name.lower() for name in table.columns)


def _mapping(question: Any, number: int) -> Mapping[str, Any]:
    if not isinstance(question, Mapping):
        raise UserError(
            f"question {number} is {question!r:.80}: give a Sample, or a mapping as "
            "{'question': 'What is 6*7?', 'answer': '42'}"
        )
    return question


def _hash(question: str, system: str | None) -> str:
    """The id of a question that has none, whatever stands around it in its file."""
    asked = json.dumps([question, system])
    return hashlib.sha256(asked.encode(errors="surrogatepass")).hexdigest()[:12]


def _name(source: str) -> str:
    """What records call the task: the file's name without its ending, or the data set's."""
    name = Path(source).stem if is_table(source) else source
    return printable(name).strip() or NAME


def _plain(value: Any) -> Any:
    """A cell as JSON data."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value != value:
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _told(column: Any) -> str:
    return ",".join(column) if isinstance(column, list) else str(column)
