"""Whole records of what was answered through lm-eval: in a folder, and among the arguments of a
request, which is where lm-eval's sample file of somebody else's task has room for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance

from s1_eval.errors import SampleFailed
from s1_eval.evaluation.benchmark import grader_of, open_grader
from s1_eval.evaluation.grading import judged
from s1_eval.harness.lm_eval_tasks import Generated
from s1_eval.names import slug
from s1_eval.records.failures import Failure
from s1_eval.records.located import KEY
from s1_eval.records.run import UNKNOWN, as_record, run_record
from s1_eval.records.sample import SampleRow, as_row, sample_row
from s1_eval.records.store import RunWriter


def recorded(answer: Generated, task: str) -> SampleRow:
    """The whole row of an answer to somebody else's task, with its run record under `run`. The
    target and the verdict are the task's to know, and it does not tell a model."""
    fields = {n: value for n, value in answer.row.items() if n not in ("run", "asks")}
    record = run_record(answer.row["run"], {"task": task, "dataset": UNKNOWN, "secret": None})
    row = sample_row(
        record,
        as_row({**fields, "response": str(answer)}),
        target="",
        answer="",
        correct=None,
        answered=bool(str(answer).strip()),
    )
    row["run"] = record
    return row


def attach(requests: Sequence[Instance], rows: Sequence[SampleRow]) -> None:
    """Put the rows of each request, one for each repeat, behind its arguments."""
    found: dict[int, tuple[Instance, list[SampleRow]]] = {}
    for request, row in zip(requests, rows, strict=True):
        found.setdefault(id(request), (request, []))[1].append(row)
    for request, own in found.values():
        request.arguments = (*request.args, {KEY: own})


class Folder:
    """A folder of records, a run in a folder of its own, open for appending."""

    def __init__(self, path: str | Path, packed: bool = False) -> None:
        """packed: pack the rows of runs that begin."""
        self._path, self._packed = Path(path).expanduser(), packed
        self._stack = ExitStack()
        self._writers: dict[str, RunWriter] = {}

    async def add(self, answer: Generated, task: str, doc: Any, planned: int) -> None:
        """Write an answer down unless it is there, or that there is none. A question of ours is
        graded.

        doc: of a task of ours, else None. planned: how many answers its run is going to have.
        """
        row = recorded(answer, task)
        record = as_record(row.pop("run"))
        about = None if doc is None else json.loads(doc["about"])
        if about is not None:
            record = run_record(answer.row["run"], about)
        failed = answer.row.get("error")
        if about is not None and failed is None:
            grader = open_grader(grader_of(about))
            verdict = await asyncio.to_thread(judged, row, doc["target"], grader, doc["options"])
            known = {**verdict, **about.get("sample", {})}
            row = sample_row(record, row, target=doc["target"], **known)
        writer = self._writers.get(record["run_id"])
        if writer is None:
            name = slug(f"{task}_{record['method']}", 80).rstrip("-_")
            where = self._path / f"{name}-{record['run_id']}"
            planning = as_record({**record, "planned_samples": planned})
            opened = RunWriter(where, planning, packed=self._packed)
            writer = self._writers[record["run_id"]] = self._stack.enter_context(opened)
        if failed is not None:
            writer.fail(Failure.now(row["sample_id"], row["epoch"], SampleFailed(failed)))
        elif (row["sample_id"], row["epoch"]) not in writer.done:
            writer.append(row)

    def close(self) -> None:
        self._stack.close()
        self._writers.clear()
