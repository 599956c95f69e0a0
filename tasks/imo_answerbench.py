"""IMO-AnswerBench: 400 olympiad problems with short answers, reworded by their authors (Luong et
al., arXiv 2511.01846).

A row of the data, its words invented:

    {"Problem ID": "imo-bench-algebra-001", "Problem": "Find all $n$ …", "Short Answer": "$n = 2$",
     "Category": "Algebra", "Subcategory": "Inequality", "Source": "IMO Shortlist 2031"}

The problem alone is the prompt. Answers are numbers, formulas, sets, functions and conditions
(`$k \\geq 3$`, `all even $n$`), compared as mathematics; sets in any order, as the authors' own
grader does. CC-BY-4.0.
"""

from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample
from s1_eval.evaluation.questions import text_in
from s1_eval.harness.inspect_decorator import Task, inspect_task, task


def sample(row: Row) -> Sample:
    return Sample(
        id=row["Problem ID"],
        prompt=row["Problem"],
        target=text_in(row, "Short Answer"),
        metadata={
            "subject": row.get("Category"),
            "subcategory": row.get("Subcategory"),
            "source": row.get("Source"),
        },
    )


IMO_ANSWERBENCH = Benchmark(
    name="imo_answerbench",
    sample=sample,
    grader="math",
    file="imo_answerbench.parquet",
    hub=Hub(
        "Hwilner/imo-answerbench",
        revision="5c5108dd2d869c6f7f427fb4d8447c13ffb96ab5",
        split="train",
    ),
    published="2025-11-03",
    licence="CC-BY-4.0",
    keep_unreadable=True,
)


@task
def imo_answerbench(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(IMO_ANSWERBENCH, **arguments)
