"""Several benchmarks as one: small contests pooled into one accuracy with one interval."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Benchmark, Data, Sample, benchmark
from s1_eval.records.dates import first_day

STRATA = "contest"
"""The label of every question: which benchmark it is of. Intervals are stratified by it."""


@dataclass(frozen=True)
class Group(Benchmark):
    """members: their names. A question is asked and graded as its own benchmark says."""

    members: tuple[str, ...] = ()

    def loaded(self, data: str | None = None) -> Data:
        """All questions of all members, in their order. data: a folder with every one's file."""
        each = [benchmark(name) for name in self.members]
        if data is not None and Path(data).expanduser().is_file():
            files = ", ".join(member.file for member in each if member.file)
            raise UserError(f"data={data}: {self.name} has several files: give a folder of {files}")
        read = [member.loaded(data) for member in each]
        samples = [
            _member(sample, member)
            for member, found in zip(each, read, strict=True)
            for sample in found.samples
        ]
        revisions = [found.revision or "" for found in read]
        return Data(
            tuple(samples),
            " + ".join(found.id for found in read),
            " + ".join(revisions) if any(revisions) else None,
        )

    def about(self, data: Data) -> dict[str, Any]:
        """As of any benchmark, with the date of the member whose questions are the oldest."""
        dates = [d for name in self.members if (d := benchmark(name).published)]
        oldest = {"published": min(dates, key=first_day)} if dates else {}
        return {**Benchmark.about(self, data), **oldest}


def group(name: str, *members: str) -> Group:
    """A group that is known by its members' names until it is read."""
    return Group(
        name,
        sample=_never,
        grader="math",
        strata=STRATA,
        members=members,
    )


def _member(sample: Sample, member: Benchmark) -> Sample:
    return replace(
        sample,
        id=f"{member.name}/{sample.id}",
        metadata={STRATA: member.name, **sample.metadata},
        grader=sample.grader or {"name": member.grader, **member.strictness},
        published=sample.published or member.published,
    )


def _never(row: object) -> Sample:
    raise ValueError(f"{row!r:.80}: a group has no rows of its own")
