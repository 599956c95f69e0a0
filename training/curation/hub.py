"""The data sets of s1's pool on the Hugging Face Hub, and what a row of each becomes.

They are those of s1 (arXiv 2501.19393, table 7 and `data/collect_data.py`), with its choice of
configurations, splits and rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from s1_eval.training.curation.question import Question

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A data set on the Hugging Face Hub.

    paper: how many questions s1's pool of 59,029 has from it.
    columns: by what they hold; grader: who reads the answers. read: a row as a question without id
        and source, where that takes more. KeyError is reported with the columns that are there.
    only: the rows that are taken.
    configs, splits: what is read of it, all pairs; no config is the only one.
    files: read instead, where the hub has a loading script that `datasets` no longer runs.
    limit: how many are taken at random.
    secret: its authors ask that no question stands anywhere in plain text.
    """

    paper: int
    dataset: str
    columns: Mapping[str, str] = field(default_factory=dict)
    grader: str = "math"
    read: Callable[[Row], Question] | None = None
    only: Callable[[Row], bool] = lambda _: True
    configs: tuple[str | None, ...] = (None,)
    splits: tuple[str, ...] = ("train",)
    files: tuple[str, ...] = ()
    limit: int | None = None
    secret: bool = False

    def question(self, row: Row) -> Question | None:
        """None for a row that is not taken."""
        if not self.only(row):
            return None
        return self.read(row) if self.read else from_columns(row, self.columns, self.grader)


def from_columns(row: Row, columns: Mapping[str, str], grader: str) -> Question:
    """columns: by the fields of a question that they hold."""
    found: dict[str, Any] = {name: row[column] for name, column in columns.items()}
    texts = {name: as_text(v) for name, v in found.items() if name != "thinking_tokens"}
    return Question(**{**found, **texts}, grader=grader)


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


def _olympic_arena(row: Row) -> Question:
    """The test split's answers are withheld."""
    found = _problem(row)
    return replace(found, grader=_graded_as(found.answer))


def _agieval(row: Row) -> Question:
    """The options belong to the question. No checker of ours reads a fifth one."""
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


def _jeebench(row: Row) -> Question:
    """Several letters are for no checker of ours."""
    answer = as_text(row["gold"])
    grader = _graded_as(answer)
    if grader == "math" and str(row["type"]) not in ("Integer", "Numeric"):
        grader = ""
    return Question(question=row["question"], answer=answer, grader=grader)


def _scieval(row: Row) -> Question:
    """The prompt's own cue for the answer is made a question."""
    text = as_text(row["question"]).partition("\n\nAnswer:")[0]
    for what in ("solvent", "ligand", "reactant"):
        text = text.replace(f"\nOptimal {what}:", f"\nWhat is the optimal {what}?")
    answer = as_text(list(row["answer"])[:1])
    return Question(question=text, answer=answer, grader=_graded_as(answer))


SOURCES: Mapping[str, Source] = {
    "numina_math": Source(  # the rest is numina_math_500; answers stand in the solution
        30_660,
        "AI-MO/NuminaMath-CoT",
        {"question": "problem", "solution": "solution"},
        only=lambda row: row["source"] == "aops_forum",
    ),
    "numina_math_500": Source(0, "simplescaling/numinamath_500", read=_problem),
    "math": Source(11_999, "simplescaling/openaimath", read=_problem),
    "olympic_arena": Source(
        4_250,
        "GAIR/OlympicArena",
        read=_olympic_arena,
        only=lambda row: row["language"] == "EN" and row["modality"] == "text-only",
        configs=("Math", "Physics", "Chemistry", "Biology", "Geography", "Astronomy", "CS"),
        splits=("test", "val"),
    ),
    "omni_math": Source(4_238, "KbsdJames/Omni-MATH", read=_problem, splits=("test",)),
    "agieval": Source(
        2_385,
        "baber/agieval",
        read=_agieval,
        only=lambda row: row.get("level") is None or int(row["level"]) == 5,  # of MATH the hardest
        configs=(
            *("sat_en", "sat_math", "lsat_ar", "lsat_lr", "lsat_rc", "logiqa", "aqua_rat"),
            "math_agieval",
        ),
        splits=("test", "few_shot"),
    ),
    "xword": Source(999, "0xharib/xword1", read=_xword, limit=1000),
    "olympiad_bench": Source(
        896,
        "Hothan/OlympiadBench",
        read=_olympiad_bench,
        configs=(
            *("OE_TO_maths_en_COMP", "OE_TO_physics_en_COMP"),
            *("TP_TO_maths_en_COMP", "TP_TO_physics_en_COMP"),
        ),
    ),
    "aime": Source(  # later ones are for evaluation
        890,
        "qq8933/AIME_1983_2024",
        {"question": "Question", "answer": "Answer"},
        "integer",
        only=lambda row: int(str(row["ID"])[:4]) <= 2023,
    ),
    "theoremqa": Source(
        747,
        "TIGER-Lab/TheoremQA",
        {"question": "Question", "answer": "Answer"},
        only=lambda row: row["Picture"] is None,
        splits=("test",),
    ),
    "usaco": Source(
        519, "codegenning/usacobench_formatted", {"question": "question"}, "", splits=("test",)
    ),
    "jeebench": Source(515, "daman1209arora/jeebench", read=_jeebench, splits=("test",)),
    "gpqa": Source(  # without the options, so that it can't be guessed
        348,
        "Idavidrein/gpqa",
        {"question": "Question", "answer": "Correct Answer", "solution": "Explanation"},
        configs=("gpqa_extended",),
        secret=True,
    ),
    "scieval": Source(
        227,
        "OpenDFM/SciEval",
        read=_scieval,
        only=lambda row: bool(row["answer"]),
        splits=("test", "validation"),
        limit=250,
    ),
    "s1_prob": Source(  # qualifying examinations in probability; most ask for a proof
        182, "simplescaling/s1-prob", {"question": "question", "solution": "solution"}, ""
    ),
    "livecodebench": Source(
        151,
        "livecodebench/code_generation_lite",
        {"question": "question_content"},
        "",
        only=lambda row: row["difficulty"] == "hard",
        files=("test.jsonl", "test2.jsonl", "test3.jsonl"),
    ),
    "s1_teasers": Source(
        23, "simplescaling/s1-teasers", {"question": "Question", "answer": "Answer"}
    ),
}
"""In the paper's order, which says what counts as an earlier source. NuminaMATH's 30,660 are two
data sets: the AoPS forum, and 500 chosen problems of the rest."""
