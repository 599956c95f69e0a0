"""The data sets of s1's pool on the Hugging Face Hub, and what a row of each becomes.

They are those of s1 (arXiv 2501.19393, table 7 and `data/collect_data.py`), with its choice of
configurations, splits and rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


def as_text(value: Any) -> str:
    """A column's value as text; of a list its members, joined."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "\n".join(str(v) for v in value)
    return str(value).strip()


def _problem(row: Row) -> Fields:
    return {
        "question": row["problem"],
        "answer": as_text(row.get("answer")),
        "solution": as_text(row["solution"]),
    }


def _numina_math(row: Row) -> Fields:
    """All of the AoPS forum; for the rest see `numina_math_500`. Answers stand in the solution."""
    if row["source"] != "aops_forum":
        return {}
    return {"question": row["problem"], "solution": as_text(row["solution"])}


def _olympic_arena(row: Row) -> Fields:
    """English and without figures. The test split's answers are withheld."""
    if row["language"] != "EN" or row["modality"] != "text-only":
        return {}
    answer = as_text(row.get("answer"))
    letter = len(answer) == 1 and answer in "ABCD"
    return {**_problem(row), "grader": "choice" if letter else "math"}


def _agieval(row: Row) -> Fields:
    """Of MATH the hardest level alone: the options belong to the question elsewhere."""
    if "level" in row and row["level"] is not None and int(row["level"]) != 5:
        return {}
    options = row.get("options") or []
    passage = as_text(row.get("passage"))
    lines = [*([passage, ""] if passage else []), as_text(row["question"]), *map(str, options)]
    answer = as_text(row.get("label") or row.get("answer"))
    choice = len(answer) == 1 and answer in "ABCDE"
    return {
        "question": "\n".join(lines),
        "answer": answer,
        "solution": as_text(row["solution"]),
        "grader": ("choice" if answer in "ABCD" else "") if choice else "math",
    }


def _xword(row: Row) -> Fields:
    """`input` ends with the clue; `output` has the answer, then how it comes about."""
    clue = as_text(row["input"]).partition("### Clue: ")[2]
    answer = as_text(row["output"]).partition("### Answer:")[2].partition("### Explanation:")[0]
    task = "Solve the crossword clue. The number of letters stands in brackets."
    return {
        "question": clue and f"{task}\n\n{clue}",
        "answer": answer.strip(),
        "solution": as_text(row["output"]),
    }


def _olympiad_bench(row: Row) -> Fields:
    answer = row.get("final_answer") or []
    return {
        "question": row["question"],
        "answer": as_text(answer) if len(answer) == 1 else "",
        "solution": as_text(row["solution"]),
    }


def _aime(row: Row) -> Fields:
    """Up to 2023: later ones are for evaluation."""
    if int(str(row["ID"])[:4]) > 2023:
        return {}
    return {"question": row["Question"], "answer": as_text(row["Answer"]), "grader": "integer"}


def _theoremqa(row: Row) -> Fields:
    """Without a picture."""
    if row["Picture"] is not None:
        return {}
    return {"question": row["Question"], "answer": as_text(row["Answer"])}


def _usaco(row: Row) -> Fields:
    return {"question": row["question"], "grader": ""}


def _jeebench(row: Row) -> Fields:
    answer = as_text(row["gold"])
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
        "answer": as_text(row["Correct Answer"]),
        "solution": as_text(row["Explanation"]),
    }


def _scieval(row: Row) -> Fields:
    """With an answer; the prompt's own cue for it is made a question."""
    if not row["answer"]:
        return {}
    text = as_text(row["question"]).partition("\n\nAnswer:")[0]
    for what in ("solvent", "ligand", "reactant"):
        text = text.replace(f"\nOptimal {what}:", f"\nWhat is the optimal {what}?")
    answer = as_text(list(row["answer"])[:1])
    letter = len(answer) == 1 and answer in "ABCD"
    return {"question": text, "answer": answer, "grader": "choice" if letter else "math"}


def _livecodebench(row: Row) -> Fields:
    if row["difficulty"] != "hard":
        return {}
    return {"question": row["question_content"], "grader": ""}


def _s1_prob(row: Row) -> Fields:
    """Qualifying examinations in probability; most ask for a proof."""
    return {"question": row["question"], "solution": as_text(row["solution"]), "grader": ""}


def _s1_teasers(row: Row) -> Fields:
    return {"question": row["Question"], "answer": as_text(row["Answer"])}


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
