"""GSM8K: the 1,319 test questions of grade-school mathematics (Cobbe et al., arXiv 2110.14168).

A row of the data, its words invented:

    {"question": "Ann has 3 bags of …", "answer": "She has 3*4=<<3*4=12>>12 …\\n#### 1,200"}

The question alone is the prompt, as its authors give it; the target stands behind `####`.
"""

from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample, hash_id
from s1_eval.harness.inspect_decorator import Task, inspect_task, task


def sample(row: Row) -> Sample:
    _, marked, target = row["answer"].rpartition("####")
    if not marked:
        raise ValueError("the answer has no line '#### N'")
    question = row["question"]
    return Sample(hash_id(question), question, target.strip().replace(",", ""))


GSM8K = Benchmark(
    name="gsm8k",
    sample=sample,
    grader="integer",
    file="gsm8k.parquet",
    hub=Hub(
        "openai/gsm8k",
        revision="cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
        split="test",
        name="main",
    ),
    published="2021-10-27",
    licence="MIT",
)


@task
def gsm8k(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(GSM8K, **arguments)
