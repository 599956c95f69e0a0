"""What somebody else's task brings along besides its questions: how it scores an answer, how it
samples, where it cuts. The doors in `s1_eval.harness` make one; a sweep follows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from s1_eval.evaluation.plan import PlannedRun
from s1_eval.methods import settings
from s1_eval.records.sample import SampleRow

if TYPE_CHECKING:
    from s1_eval.evaluation.benchmark import Sample

Judge = Callable[["Sample", SampleRow], Awaitable[Mapping[str, Any]]]
"""The verdict on a solved sample as fields of its row: `correct` (None where the task's scorer says
neither right nor wrong), `answered`, `answer`, and `scores` with all that it says where that is
more. It is awaited in the main thread, which many scorers need. Raises SampleFailed where the
scorer itself breaks."""


@dataclass(frozen=True)
class Foreign:
    """judge: None where a grader of ours is asked for instead. scorer: what judges, as a record
    names it.
    dataset: what the data is called, and its revision where known.
    sampling: the task's own temperature and so on, where the user gives none.
    answer_limit: the most tokens of an answer, None without a limit; a method's own setting wins.
    until: texts that cut an answer, never the thinking.
    """

    judge: Judge | None
    scorer: Mapping[str, Any]
    dataset: str
    revision: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    answer_limit: int | None = None
    until: tuple[str, ...] = ()

    def limited(self, planned: PlannedRun) -> PlannedRun:
        """The run with the task's limit on answers, unless it has one of its own."""
        name = planned.method.answer_limit
        if self.answer_limit is None or name is None or name in planned.params:
            return planned
        params = {**planned.params, name: self.answer_limit}
        return replace(planned, params=params, settings=settings(planned.method, params))
