"""ArXivMath: final-answer questions that MathArena makes each month from that month's papers.

A month is a data set of its own, `-T month=0926` for September 2026 (CC BY-SA 4.0). A question is
as old as its paper, whose number on arXiv is its `source`.
"""

import re
from typing import Any

from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Benchmark, Row, Sample
from s1_eval.evaluation.matharena import contest
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

INSTRUCTION = (
    "You are given a difficult question. Your task is to solve the problem.\n"
    "Put the final answer you find within \\boxed{}."
)

COMMITS = {
    "0126": "f1c5f78",
    "0226": "def2456",
    "0326": "81331f7",
    "0426": "f6ef32b",
    "0526": "c2e7ec6",
    "0626": "dca0d77",
    "0826": "a4a15d7",
}
"""Of the months whose commit is known here. Of any other the one that is read is recorded."""


def of_month(month: object) -> Benchmark:
    """month: `MMYY`."""
    known = _month(month)
    published = f"20{known[2:]}-{known[:2]}"
    return contest(
        f"arxivmath_{known}",
        dataset=f"arxivmath-{known}",
        published=published,
        revision=COMMITS.get(known),
        instruction=INSTRUCTION,
        licence="CC BY-SA 4.0",
        date_of=_date,
    )


def _month(given: object) -> str:
    """Raises UserError on what is no month. YAML reads 0126 as an octal number."""
    spelled = [f"{given:04d}", f"{given:04o}"] if type(given) is int else [str(given)]
    for text in spelled:
        if re.fullmatch("(0[1-9]|1[0-2])(2[5-9]|3[0-9])", text):
            return text
    raise UserError(f"month={given!r:.40}: give month and year as MMYY, e.g. 0926")


def _date(row: Row) -> str | None:
    """The month of the paper, `2609.01234`, also where the number has become a float."""
    number = str(row.get("source") or "").partition(".")[0]
    if len(number) == 4 and number.isdecimal() and 1 <= int(number[2:]) <= 12:
        return f"20{number[:2]}-{number[2:]}"
    return None


def sample(row: Row) -> Sample:
    raise UserError("arxivmath is published month by month: give -T month=MMYY, e.g. 0926")


ARXIVMATH = Benchmark("arxivmath", sample, "math", takes=of_month)


@task
def arxivmath(**arguments: Any) -> Task:
    """month: as `MMYY`. data: a file or a folder to read instead of the hub."""
    return inspect_task(ARXIVMATH, **arguments)
