"""The data sets of s1's pool on the Hugging Face Hub, and what a row of each becomes.

They are those of s1 (arXiv 2501.19393, table 7 and `data/collect_data.py`), with its choice of
configurations, splits and rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from s1_eval.training.curation.question import Question

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A data set on the Hugging Face Hub.

    paper: how many questions s1's pool of 59,029 has from it.
    read: a row as a question without id and source, None for one that is left out; KeyError is
        reported with the columns that are there.
    configs, splits: what is read of it, all pairs; no config is the only one.
    files: read instead, where the hub has a loading script that `datasets` no longer runs.
    limit: how many are taken at random.
    secret: its authors ask that no question stands anywhere in plain text.
    """

    paper: int
    dataset: str
    read: Callable[[Row], Question | None]
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


def _graded_as(answer: str) -> str:
    """Who reads the answer of a question that may be multiple choice."""
    return "choice" if len(answer) == 1 and answer in "ABCD" else "math"


def _problem(row: Row) -> Question:
    answer, solution = as_text(row.get("answer")), as_text(row["solution"])
    return Question(question=row["problem"], answer=answer, solution=solution)


def _numina_math(row: Row) -> Question | None:
    """All of the AoPS forum; for the rest see `numina_math_500`. Answers stand in the solution."""
    if row["source"] != "aops_forum":
        return None
    return Question(question=row["problem"], solution=as_text(row["solution"]))


def _olympic_arena(row: Row) -> Question | None:
    """English and without figures. The test split's answers are withheld."""
    if row["language"] != "EN" or row["modality"] != "text-only":
        return None
    found = _problem(row)
    return replace(found, grader=_graded_as(found.answer))


def _agieval(row: Row) -> Question | None:
    """Of MATH the hardest level alone: the options belong to the question elsewhere. No checker
    of ours reads a fifth option."""
    if "level" in row and row["level"] is not None and int(row["level"]) != 5:
        return None
    options = row.get("options") or []
    passage = as_text(row.get("passage"))
    lines = [*([passage, ""] if passage else []), as_text(row["question"]), *map(str, options)]
    answer = as_text(row.get("label") or row.get("answer"))
    grader = "" if answer == "E" else _graded_as(answer)
    return Question("", "", "\n".join(lines), answer, as_text(row["solution"]), grader)


def _xword(row: Row) -> Question:
    """`input` ends with the clue; `output` has the answer, then how it comes about."""
    clue = as_text(row["input"]).partition("### Clue: ")[2]
    solution = as_text(row["output"])
    answer = solution.partition("### Answer:")[2].partition("### Explanation:")[0].strip()
    task = "Solve the crossword clue. The number of letters stands in brackets."
    text = clue and f"{task}\n\n{clue}"
    return Question(question=text, answer=answer, solution=solution)


def _olympiad_bench(row: Row) -> Question:
    answers = row.get("final_answer") or []
    answer = as_text(answers) if len(answers) == 1 else ""
    return Question(question=row["question"], answer=answer, solution=as_text(row["solution"]))


def _aime(row: Row) -> Question | None:
    """Up to 2023: later ones are for evaluation."""
    if int(str(row["ID"])[:4]) > 2023:
        return None
    return Question(question=row["Question"], answer=as_text(row["Answer"]), grader="integer")


def _theoremqa(row: Row) -> Question | None:
    """Without a picture."""
    if row["Picture"] is not None:
        return None
    return Question(question=row["Question"], answer=as_text(row["Answer"]))


def _usaco(row: Row) -> Question:
    return Question(question=row["question"], grader="")


def _jeebench(row: Row) -> Question:
    """Several letters are for no checker of ours."""
    answer = as_text(row["gold"])
    grader = _graded_as(answer)
    if grader == "math" and str(row["type"]) not in ("Integer", "Numeric"):
        grader = ""
    return Question(question=row["question"], answer=answer, grader=grader)


def _gpqa(row: Row) -> Question:
    """Without the options, so that it can't be guessed."""
    answer, solution = as_text(row["Correct Answer"]), as_text(row["Explanation"])
    return Question(question=row["Question"], answer=answer, solution=solution)


def _scieval(row: Row) -> Question | None:
    """With an answer; the prompt's own cue for it is made a question."""
    if not row["answer"]:
        return None
    text = as_text(row["question"]).partition("\n\nAnswer:")[0]
    for what in ("solvent", "ligand", "reactant"):
        text = text.replace(f"\nOptimal {what}:", f"\nWhat is the optimal {what}?")
    answer = as_text(list(row["answer"])[:1])
    return Question(question=text, answer=answer, grader=_graded_as(answer))


def _livecodebench(row: Row) -> Question | None:
    """The hard ones."""
    if row["difficulty"] != "hard":
        return None
    return Question(question=row["question_content"], grader="")


def _s1_prob(row: Row) -> Question:
    """Qualifying examinations in probability; most ask for a proof."""
    return Question(question=row["question"], solution=as_text(row["solution"]), grader="")


def _s1_teasers(row: Row) -> Question:
    return Question(question=row["Question"], answer=as_text(row["Answer"]))


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
