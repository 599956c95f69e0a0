"""One's own questions: a file, or a data set of the hub.

    inspect eval s1_eval/questions -T data=my.csv -T grader=math -T columns=question=Problem

In a sweep the file is the task itself: `--task my.csv --grader math`.
"""

from typing import Any

from s1_eval.evaluation.benchmark import Benchmark
from s1_eval.evaluation.questions import Cells, open_questions
from s1_eval.harness.inspect_decorator import Task, inspect_task, task

QUESTIONS = Benchmark("questions", Cells({}).sample, "math", takes=open_questions)


@task
def questions(**arguments: Any) -> Task:
    """data, grader, columns, split: see `open_questions`."""
    return inspect_task(QUESTIONS, **arguments)
