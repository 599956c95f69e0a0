"""SuperGPQA: 26,529 multiple-choice questions of 285 graduate disciplines, with up to ten options
(Du et al., arXiv 2502.14739).

A row of the data, shortened, its words invented:

    {"uuid": "0a1b…", "question": "Which of …", "options": ["…", "…"], "answer": "…",
     "answer_letter": "B", "discipline": "Science", "field": "Physics", "subfield": "Optics",
     "difficulty": "hard", …}

The prompt is the authors' zero-shot one. MIT.
"""

from typing import Any

from s1_eval.evaluation.benchmark import Benchmark, Hub, Row, Sample
from s1_eval.evaluation.questions import text_of
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

LETTERS = "ABCDEFGHIJ"
PROMPT = (
    "Answer the following multiple choice question. There is only one correct answer. The last "
    "line of your response should be in the format 'Answer: $LETTER' (without quotes), where "
    "LETTER is one of A, B, C, D, E, F, G, H, I, or J.\n\n"
)


def sample(row: Row) -> Sample:
    if not isinstance(row["options"], list):
        raise ValueError(f"the options {row['options']!r:.80} are no list")
    options = tuple(text_of(option) for option in row["options"])
    if len(options) > len(LETTERS) or row["answer_letter"] not in LETTERS[: len(options)]:
        raise ValueError(f"{len(options)} options, and the answer is {row['answer_letter']!r}")
    shown = [f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return Sample(
        id=row["uuid"],
        prompt=PROMPT + "\n".join([row["question"], *shown]) + "\n",
        target=row["answer_letter"],
        options=options,
        question=row["question"],
        metadata={
            "subject": row.get("discipline"),
            "field": row.get("field"),
            "subfield": row.get("subfield"),
            "level": row.get("difficulty"),
        },
    )


SUPERGPQA = Benchmark(
    name="supergpqa",
    sample=sample,
    grader="choice",
    strictness={"letters": LETTERS},
    file="SuperGPQA-all.jsonl",
    hub=Hub(
        "m-a-p/SuperGPQA",
        revision="4430d4458112c7d4497fdcf94d7cc223313d6acf",
        split="train",
    ),
    published="2025-02-20",
    licence="MIT",
)


@task
def supergpqa(**arguments: Any) -> Task:
    """data: a file or a folder to read instead of the hub."""
    return inspect_task(SUPERGPQA, **arguments)
