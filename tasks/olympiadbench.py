"""OlympiadBench: the 674 open-ended English mathematics problems without pictures (He et al., arXiv
2402.14008).

A row of the data, shortened, its words invented:

    {"id": 1606, "question": "Find all $x$ …", "final_answer": ["2, 5"], "is_multiple_answer": true,
     "unit": null, "answer_type": "Numerical", "error": null, "subfield": "Algebra",
     "difficulty": "Competition", …}

The prompt is the authors'. So is the grading: several answers in any order, each with its own
absolute error where `error` has one (1e-8 otherwise), 1% more of it being allowed; signs of
percent and degrees do not matter. What they accept beyond that, a hundred times the answer or a
hundredth of it, is wrong here. Apache-2.0; no commit of the data is known here, and the one that
is read is recorded.
"""

from fractions import Fraction
from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample
from s1_eval.evaluation.questions import text_in, text_of
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

KINDS = {
    "Numerical": "a numerical value",
    "Expression": "an expression",
    "Equation": "an equation",
    "Interval": "an interval",
}
STRICTNESS = {"degrees": False, "percent": False}


def sample(row: Row) -> Sample:
    if not isinstance(row["final_answer"], list):
        raise ValueError(f"final_answer is {row['final_answer']!r:.80}: give a list of texts")
    answers = [text_of(each) for each in row["final_answer"]]
    errors = [each.strip() for each in str(row.get("error") or "").split(",")]
    allowed = [str(Fraction(each or "1e-8") * Fraction("1.01")) for each in errors]
    return Sample(
        id=str(row["id"]),
        prompt=f"{instruction(row)}\n{text_in(row, 'question')}",
        target=", ".join(answers),
        metadata={"subject": row.get("subfield"), "level": row.get("difficulty")},
        question=row["question"],
        grader={"name": "math", **STRICTNESS, "tolerance": allowed},
    )


def instruction(row: Row) -> str:
    """What the authors say before a question."""
    several = row["is_multiple_answer"]
    answer = "\\boxed{multiple answers connected with commas}" if several else "\\boxed{answer}"
    unit = ""
    if row.get("unit"):
        answer += "(unit)"
        unit = ", note that the unit of the answer should not be included in \\boxed{}"
    return (
        "The following is an open-ended problem from an International Math competition. "
        f"{_kind(str(row['answer_type']), several)}Please calculate the answer according to the "
        "given requirements and the information provided. Please use LaTeX format to represent the "
        "variables and formulas used in the solution process and results. Please end your solution "
        f'with "So the final answer is {answer}." and give the result explicitly{unit}.'
    )


def _kind(answer_type: str, several: bool) -> str:
    if "Need_human_evaluate" in answer_type or "Tuple" in answer_type:
        return ""
    found = [[v for k, v in KINDS.items() if k in each] for each in answer_type.split(",")]
    if not all(found):
        raise ValueError(f"answer_type is {answer_type!r:.80}: give {', '.join(KINDS)}")
    kinds = [kind[0] for kind in found]
    if not several:
        return f"The answer of The problem should be {kinds[0]}. "
    if len(set(kinds)) == 1:
        return f"The problem has multiple answers, each of them should be {kinds[0]}. "
    return f"The problem has multiple answers, with the answers in order being {', '.join(kinds)}. "


OLYMPIADBENCH = Benchmark(
    name="olympiadbench",
    sample=sample,
    grader="math",
    strictness=STRICTNESS,
    file="olympiadbench.parquet",
    hub=Hub("Hothan/OlympiadBench", revision=None, split="train", name="OE_TO_maths_en_COMP"),
    published="2024-02-16",
    licence="Apache-2.0",
    keep_unreadable=True,
)


@task
def olympiadbench(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(OLYMPIADBENCH, **arguments)
