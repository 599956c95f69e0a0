"""Stage 1: where questions come from. Each source turns its own rows into one schema.

The hub's data sets are those of s1 (arXiv 2501.19393, table 7 and `data/collect_data.py`), with
its choice of configurations, splits and rows.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from s1_eval.answers.extract import extract
from s1_eval.errors import UserError
from s1_eval.training.curation.question import Question, question_id

Row = Mapping[str, Any]
Fields = Mapping[str, Any]
"""A question without its id and source; nothing for a row that is left out."""


@dataclass(frozen=True, slots=True)
class Source:
    """A data set on the Hugging Face Hub.

    paper: how many questions s1's pool of 59,029 has from it.
    fields: a row as a question; KeyError is reported with the columns that are there.
    configs, splits: what is read of it, all pairs; no config is the only one.
    files: read instead, where the hub has a loading script that `datasets` no longer runs.
    limit: how many are taken at random.
    secret: its authors ask that no question stands anywhere in plain text.
    """

    paper: int
    dataset: str
    fields: Callable[[Row], Fields]
    configs: tuple[str | None, ...] = (None,)
    splits: tuple[str, ...] = ("train",)
    files: tuple[str, ...] = ()
    limit: int | None = None
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
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
    limit: int | None = None
    plain_text: bool = False
    grader: Literal["math", "integer", "choice"] | None = None
    question: str | None = None
    answer: str | None = None
    solution: str | None = None
    domain: str | None = None
    thinking: str | None = None
    attempt: str | None = None
    thinking_tokens: str | None = None

    def __post_init__(self) -> None:
        if (self.revision is None) == (self.path is None):
            raise UserError(
                "give exactly one of revision (a commit of the hub's data set, or main) and path"
            )
        if self.limit is not None and self.limit < 1:
            raise UserError(f"limit={self.limit}: give 1 or more")
        if self.question and not self.path:
            raise UserError("question names a column of a file: give its path too")
        if not self.question and any((*self.columns().values(), self.grader)):
            raise UserError("the file's columns need `question` among them")

    def columns(self) -> dict[str, str]:
        """The columns of a file of any layout, by what they hold."""
        names = (
            "question", "answer", "solution", "domain", "thinking", "attempt", "thinking_tokens",
        )  # fmt: skip
        return {name: column for name in names if (column := getattr(self, name))}


def check(name: str, settings: Settings) -> None:
    """Raises UserError where `name` is no source, or one that `settings` does not fit."""
    if settings.question:
        return
    if name not in SOURCES:
        close = difflib.get_close_matches(name, SOURCES, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise UserError(
            f"sources has no {name!r}: {hint}choose from {', '.join(SOURCES)}, or name the columns "
            f"of a file of your own: {{path: questions.jsonl, question: problem, answer: answer}}"
        )
    if SOURCES[name].secret and not settings.plain_text:
        raise UserError(
            f"sources.{name}: its authors ask that no question is ever put on the web in plain "
            "text. Curation writes every question to the output folder: leave the source out, or "
            "keep that folder private and give plain_text: true"
        )


def version(name: str, settings: Settings) -> dict[str, Any]:
    """What says which rows are read: the commit, or a hash of the local files."""
    if settings.path:
        return {"files": digest(local(settings.path))}
    dataset = SOURCES[name].dataset
    return {"dataset": dataset, "commit": _commit(dataset, str(settings.revision))}


def collect(name: str, settings: Settings, seed: int) -> Iterator[Question]:
    """The questions of one source. Raises UserError where it can't be read."""
    source = None if settings.question else SOURCES[name]
    drafts = _drafts(name, settings, source)
    limit = settings.limit or (source.limit if source else None)
    if limit:
        drafts = iter(_sample(list(drafts), limit, f"{seed} {name}"))
    met: Counter[str] = Counter()
    for draft in drafts:
        text = draft["question"]
        if not draft.get("answer") and draft.get("grader", "math"):
            draft["answer"] = boxed(draft.get("solution", ""))
        met[text] += 1
        yield Question(question_id(name, text, met[text]), name, **draft)
    if not met:
        raise UserError(f"sources.{name} has no questions: check its path or revision")


def _drafts(name: str, settings: Settings, source: Source | None) -> Iterator[dict[str, Any]]:
    rows = _hub(source, settings) if source else file_rows(local(str(settings.path)))
    number = 0
    iterator = iter(rows)
    while True:
        try:
            row = next(iterator, None)
        except UserError:
            raise
        except Exception as error:  # the network's, the hub's and the file formats' are many
            raise UserError(_unreadable(name, settings, error)) from error
        if row is None:
            return
        number += 1
        try:
            fields = source.fields(row) if source else _own(row, settings)
        except KeyError as error:
            raise UserError(
                f"sources.{name}, row {number} has no column {error}: there are "
                f"{', '.join(map(str, row))}"
            ) from None
        if fields and (text := _text(fields["question"])):
            yield {**fields, "question": text}


def boxed(solution: str) -> str:
    """The final answer that a solution puts into a box; empty without one."""
    found = extract(solution)
    return found.text if found.rule == "boxed" else ""


def _unreadable(name: str, settings: Settings, error: Exception) -> str:
    where = settings.path or f"{SOURCES[name].dataset} at revision {settings.revision}"
    return (
        f"sources.{name}: can't read {where}: {type(error).__name__}: {str(error)[:300]}\n"
        "Without the hub: give path: FOLDER in place of revision, a copy of its data set"
    )


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

    kind = {".json": "json", ".jsonl": "json", ".parquet": "parquet"}.get(path.suffix)
    if kind is None:
        raise UserError(f"{path}: give a .json, .jsonl or .parquet file")
    rows: Iterable[Row] = datasets.load_dataset(
        kind, data_files=[str(path)], split="train", streaming=True
    )
    return rows


def _own(row: Row, settings: Settings) -> Fields:
    found: dict[str, Any] = {
        name: row[column] if name == "thinking_tokens" else _text(row[column])
        for name, column in settings.columns().items()
    }
    return {**found, "grader": settings.grader or ""}


def _sample(drafts: list[dict[str, Any]], limit: int, seed: str) -> list[dict[str, Any]]:
    if len(drafts) <= limit:
        return drafts
    chosen = random.Random(seed).sample(range(len(drafts)), limit)  # noqa: S311
    return [drafts[i] for i in sorted(chosen)]


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
            while block := opened.read(1 << 20):
                hashed.update(block)
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


def _text(value: Any) -> str:
    """A column's value as text; of a list its members, joined."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "\n".join(str(v) for v in value)
    return str(value).strip()


def _problem(row: Row) -> Fields:
    return {
        "question": row["problem"],
        "answer": _text(row.get("answer")),
        "solution": _text(row["solution"]),
    }


def _numina_math(row: Row) -> Fields:
    """All of the AoPS forum; for the rest see `numina_math_500`. Answers stand in the solution."""
    if row["source"] != "aops_forum":
        return {}
    return {"question": row["problem"], "solution": _text(row["solution"])}


def _olympic_arena(row: Row) -> Fields:
    """English and without figures. The test split's answers are withheld."""
    if row["language"] != "EN" or row["modality"] != "text-only":
        return {}
    answer = _text(row.get("answer"))
    letter = len(answer) == 1 and answer in "ABCD"
    return {**_problem(row), "grader": "choice" if letter else "math"}


def _agieval(row: Row) -> Fields:
    """Of MATH the hardest level alone: the options belong to the question elsewhere."""
    if "level" in row and row["level"] is not None and int(row["level"]) != 5:
        return {}
    options = row.get("options") or []
    passage = _text(row.get("passage"))
    lines = [*([passage, ""] if passage else []), _text(row["question"]), *map(str, options)]
    answer = _text(row.get("label") or row.get("answer"))
    choice = len(answer) == 1 and answer in "ABCDE"
    return {
        "question": "\n".join(lines),
        "answer": answer,
        "solution": _text(row["solution"]),
        "grader": ("choice" if answer in "ABCD" else "") if choice else "math",
    }


def _xword(row: Row) -> Fields:
    """`input` ends with the clue; `output` has the answer, then how it comes about."""
    clue = _text(row["input"]).partition("### Clue: ")[2]
    answer = _text(row["output"]).partition("### Answer:")[2].partition("### Explanation:")[0]
    task = "Solve the crossword clue. The number of letters stands in brackets."
    return {
        "question": clue and f"{task}\n\n{clue}",
        "answer": answer.strip(),
        "solution": _text(row["output"]),
    }


def _olympiad_bench(row: Row) -> Fields:
    answer = row.get("final_answer") or []
    return {
        "question": row["question"],
        "answer": _text(answer) if len(answer) == 1 else "",
        "solution": _text(row["solution"]),
    }


def _aime(row: Row) -> Fields:
    """Up to 2023: later ones are for evaluation."""
    if int(str(row["ID"])[:4]) > 2023:
        return {}
    return {"question": row["Question"], "answer": _text(row["Answer"]), "grader": "integer"}


def _theoremqa(row: Row) -> Fields:
    """Without a picture."""
    if row["Picture"] is not None:
        return {}
    return {"question": row["Question"], "answer": _text(row["Answer"])}


def _usaco(row: Row) -> Fields:
    return {"question": row["question"], "grader": ""}


def _jeebench(row: Row) -> Fields:
    answer = _text(row["gold"])
    letter = len(answer) == 1 and answer in "ABCD"
    number = str(row["type"]) in ("Integer", "Numeric")
    return {
        "question": row["question"],
        "answer": answer,
        "grader": "choice" if letter else "math" if number else "",
    }


def _gpqa(row: Row) -> Fields:
    """Without the options, so that it can't be guessed."""
    return {
        "question": row["Question"],
        "answer": _text(row["Correct Answer"]),
        "solution": _text(row["Explanation"]),
    }


def _scieval(row: Row) -> Fields:
    """With an answer; the prompt's own cue for it is made a question."""
    if not row["answer"]:
        return {}
    text = _text(row["question"]).partition("\n\nAnswer:")[0]
    for what in ("solvent", "ligand", "reactant"):
        text = text.replace(f"\nOptimal {what}:", f"\nWhat is the optimal {what}?")
    answer = _text(list(row["answer"])[:1])
    letter = len(answer) == 1 and answer in "ABCD"
    return {"question": text, "answer": answer, "grader": "choice" if letter else "math"}


def _livecodebench(row: Row) -> Fields:
    if row["difficulty"] != "hard":
        return {}
    return {"question": row["question_content"], "grader": ""}


def _s1_prob(row: Row) -> Fields:
    """Qualifying examinations in probability; most ask for a proof."""
    return {"question": row["question"], "solution": _text(row["solution"]), "grader": ""}


def _s1_teasers(row: Row) -> Fields:
    return {"question": row["Question"], "answer": _text(row["Answer"])}


SOURCES: Mapping[str, Source] = {
    "numina_math": Source(30_660, "AI-MO/NuminaMath-CoT", _numina_math),
    "numina_math_500": Source(0, "simplescaling/numinamath_500", _problem),
    "math": Source(11_999, "simplescaling/openaimath", _problem),
    "olympic_arena": Source(
        4_250,
        "GAIR/OlympicArena",
        _olympic_arena,
        configs=("Math", "Physics", "Chemistry", "Biology", "Geography", "Astronomy", "CS"),
        splits=("test", "val"),
    ),
    "omni_math": Source(4_238, "KbsdJames/Omni-MATH", _problem, splits=("test",)),
    "agieval": Source(
        2_385,
        "baber/agieval",
        _agieval,
        configs=(
            "sat_en", "sat_math", "lsat_ar", "lsat_lr", "lsat_rc", "logiqa", "aqua_rat",
            "math_agieval",
        ),
        splits=("test", "few_shot"),
    ),
    "xword": Source(999, "0xharib/xword1", _xword, limit=1000),
    "olympiad_bench": Source(
        896,
        "Hothan/OlympiadBench",
        _olympiad_bench,
        configs=(
            "OE_TO_maths_en_COMP", "OE_TO_physics_en_COMP", "TP_TO_maths_en_COMP",
            "TP_TO_physics_en_COMP",
        ),
    ),
    "aime": Source(890, "qq8933/AIME_1983_2024", _aime),
    "theoremqa": Source(747, "TIGER-Lab/TheoremQA", _theoremqa, splits=("test",)),
    "usaco": Source(519, "codegenning/usacobench_formatted", _usaco, splits=("test",)),
    "jeebench": Source(515, "daman1209arora/jeebench", _jeebench, splits=("test",)),
    "gpqa": Source(348, "Idavidrein/gpqa", _gpqa, configs=("gpqa_extended",), secret=True),
    "scieval": Source(227, "OpenDFM/SciEval", _scieval, splits=("test", "validation"), limit=250),
    "s1_prob": Source(182, "simplescaling/s1-prob", _s1_prob),
    "livecodebench": Source(
        151,
        "livecodebench/code_generation_lite",
        _livecodebench,
        files=("test.jsonl", "test2.jsonl", "test3.jsonl"),
    ),
    "s1_teasers": Source(23, "simplescaling/s1-teasers", _s1_teasers),
}  # fmt: skip
"""In the paper's order, which says what counts as an earlier source. NuminaMATH's 30,660 are two
data sets: the AoPS forum, and 500 chosen problems of the rest."""
