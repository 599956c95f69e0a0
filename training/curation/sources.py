"""Stage 1: reads the questions of a source, from the hub, from a copy of its data set, or from a
file of any columns."""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge

from s1_eval import typed
from s1_eval.answers.extract import extract
from s1_eval.errors import UserError
from s1_eval.names import choose_from
from s1_eval.training.curation.hub import SOURCES, Row, Source, as_text, from_columns
from s1_eval.training.curation.question import Question, question_id
from s1_eval.training.files import READERS


@dataclass(frozen=True, slots=True)
class Settings(typed.Settings):
    """What a recipe says about one source.

    revision: of the hub's data set: a commit, or a branch, whose commit the report then names.
    path: read from here instead: a folder laid out as the hub's data set, or, with `question`,
        a .json, .jsonl or .parquet file of any layout. Environment variables are filled in.
    limit: take so many at random.
    plain_text: allow a source to be written out whose authors ask that it never is.
    grader: who reads the answers of such a file; without it none does.
    question, answer, solution, domain, thinking, attempt, thinking_tokens: its columns.
    """

    revision: str | None = None
    path: str | None = None
    limit: Annotated[int, Ge(1), typed.Says("1 or more")] | None = None
    plain_text: bool = False
    grader: Literal["math", "integer", "choice"] | None = None
    question: str | None = None
    answer: str | None = None
    solution: str | None = None
    domain: str | None = None
    thinking: str | None = None
    attempt: str | None = None
    thinking_tokens: str | None = None

    def check(self) -> None:
        if (self.revision is None) == (self.path is None):
            raise UserError(
                "give exactly one of revision (a commit of the hub's data set, or main) and path"
            )
        if self.question and not self.path:
            raise UserError("question names a column of a file: give its path too")
        if not self.question and any((*self.columns().values(), self.grader)):
            raise UserError("the file's columns need `question` among them")

    def columns(self) -> dict[str, str]:
        """The columns of a file of any layout, by what they hold."""
        names = (
            *("question", "answer", "solution", "domain"),
            *("thinking", "attempt", "thinking_tokens"),
        )
        return {name: column for name in names if (column := getattr(self, name))}


def check(name: str, settings: Settings) -> None:
    """Raises UserError where `name` is no source, or one that `settings` does not fit."""
    if settings.question:
        return
    if name not in SOURCES:
        raise UserError(
            f"sources has no {name!r}: {choose_from(name, SOURCES)}, or name the columns "
            f"of a file of your own: {{path: questions.jsonl, question: problem, answer: answer}}"
        )
    if SOURCES[name].secret and not settings.plain_text:
        raise UserError(
            f"sources.{name}: its authors ask that no question is ever put on the web in plain "
            "text. Curation writes every question to the output folder: leave the source out, or "
            "keep that folder private and give plain_text: true"
        )


def version(name: str, settings: Settings) -> dict[str, str]:
    """What says which rows are read: the commit, or a hash of the local files."""
    if settings.path:
        return {"files": digest(local(settings.path))}
    dataset = SOURCES[name].dataset
    return {"dataset": dataset, "commit": _commit(dataset, str(settings.revision))}


def collect(name: str, settings: Settings, seed: int) -> Iterator[Question]:
    """The questions of one source. Raises UserError where it can't be read."""
    source = None if settings.question else SOURCES[name]
    found: Iterable[Question] = _questions(name, settings, source)
    if limit := settings.limit or (source.limit if source else None):
        every = list(found)
        chosen = random.Random(f"{seed} {name}").sample(  # noqa: S311
            range(len(every)), min(limit, len(every))
        )
        found = [every[i] for i in sorted(chosen)]
    met: Counter[str] = Counter()
    for question in found:
        text, answer = question.question, question.answer
        if not answer and question.grader:
            answer = boxed(question.solution)
        met[text] += 1
        yield replace(question, id=question_id(name, text, met[text]), source=name, answer=answer)
    if not met:
        raise UserError(f"sources.{name} has no questions: check its path or revision")


def _questions(name: str, settings: Settings, source: Source | None) -> Iterator[Question]:
    for number, row in enumerate(_rows(name, settings, source), 1):
        try:
            if source:
                found = source.question(row)
            else:
                found = from_columns(row, settings.columns(), settings.grader or "")
        except KeyError as error:
            raise UserError(
                f"sources.{name}, row {number} has no column {error}: there are "
                f"{', '.join(map(str, row))}"
            ) from None
        if found and (text := as_text(found.question)):
            yield replace(found, question=text)


def _rows(name: str, settings: Settings, source: Source | None) -> Iterator[Row]:
    try:
        yield from _hub(source, settings) if source else file_rows(local(str(settings.path)))
    except UserError:
        raise
    except Exception as error:  # the network's, the hub's and the file formats' are many
        where = settings.path or f"{SOURCES[name].dataset} at revision {settings.revision}"
        raise UserError(
            f"sources.{name}: can't read {where}: {type(error).__name__}: {str(error)[:300]}\n"
            "Without the hub: give path: FOLDER in place of revision, a copy of its data set"
        ) from error


def boxed(solution: str) -> str:
    """The final answer that a solution puts into a box; empty without one."""
    found = extract(solution)
    return found.text if found.rule == "boxed" else ""


def _hub(source: Source, settings: Settings) -> Iterator[Row]:
    import datasets

    if settings.path:
        root, options = str(local(settings.path)), {}
        prefix = root
    else:
        commit = _commit(source.dataset, str(settings.revision))
        root, options = source.dataset, {"revision": commit}
        prefix = f"hf://datasets/{source.dataset}@{commit}"
    if source.files:
        files = [f"{prefix}/{file}" for file in source.files]
        yield from datasets.load_dataset("json", data_files=files, split="train", streaming=True)
        return
    for config in source.configs:
        for split in source.splits:
            yield from datasets.load_dataset(root, config, split=split, streaming=True, **options)


def file_rows(path: Path) -> Iterable[Row]:
    """The rows of a file by its ending. Raises UserError for another one."""
    import datasets

    if path.suffix not in READERS:
        raise UserError(f"{path}: give a .json, .jsonl or .parquet file")
    rows: Iterable[Row] = datasets.load_dataset(
        READERS[path.suffix], data_files=[str(path)], split="train", streaming=True
    )
    return rows


def exists(path: str) -> bool:
    """Whether a path of a recipe leads anywhere, environment variables filled in."""
    return Path(os.path.expandvars(path)).expanduser().exists()


def local(path: str) -> Path:
    """A path of a recipe. Raises UserError where nothing is."""
    if not exists(path):
        raise UserError(f"path={path}: nothing is there")
    return Path(os.path.expandvars(path)).expanduser()


def digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents in a folder."""
    hashed = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        hashed.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as opened:
            hashed.update(hashlib.file_digest(opened, "sha256").digest())
    return hashed.hexdigest()


def _commit(dataset: str, revision: str) -> str:
    if len(revision) == 40:
        return revision
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(dataset, revision=revision).sha)
    except Exception as error:  # the network's and the hub's are many
        raise UserError(
            f"can't find revision {revision} of {dataset} on the hub: {type(error).__name__}: "
            f"{str(error)[:200]}\nWithout the hub: give path: FOLDER, a copy of its data set"
        ) from error
