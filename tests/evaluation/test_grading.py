"""Verdicts from threads: together where they come together, each its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s1_eval.answers import Verdict
from s1_eval.evaluation.grading import Graders
from s1_eval.records.sample import as_row


class Watched:
    """Right is what is said, and it can't read `?`."""

    name = "watched"

    def check_target(self, target: str) -> None:
        pass

    def grade(self, answer: str, target: str, options: Any = ()) -> Verdict:
        if answer == "?":
            raise ValueError("unreadable")
        return Verdict(answer == target, True, answer, "watched")


def judge(graders: Graders, said: str, target: str = "7") -> Any:
    return graders.judge(as_row({"response": said}), target, Watched(), ())


async def test_each_gets_its_own_verdict_or_error() -> None:
    graders, said = Graders(), [*map(str, range(20)), "?", *map(str, range(20))]
    found = await asyncio.gather(*(judge(graders, each) for each in said), return_exceptions=True)
    assert [
        f if isinstance(f, Exception) else f["answer"] for f in found if f is not found[20]
    ] == [each for each in said if each != "?"]
    assert [f["correct"] for f in found[:20]] == [each == "7" for each in said[:20]]
    with pytest.raises(ValueError, match="unreadable"):
        raise found[20]


async def test_one_that_is_cancelled_harms_no_other() -> None:
    graders = Graders()
    tasks = [asyncio.ensure_future(judge(graders, "7")) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found.pop(2), asyncio.CancelledError)
    assert all(verdict["correct"] for verdict in found)


async def test_verdicts_asked_for_together_share_trips(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, trips = asyncio.get_running_loop(), []
    executed = loop.run_in_executor

    def counted(*args: Any) -> Any:
        trips.append(len(args[2]))
        return executed(*args)

    monkeypatch.setattr(loop, "run_in_executor", counted)
    graders = Graders()
    await asyncio.gather(*(judge(graders, "7") for _ in range(20)))
    assert trips == [8, 8, 4]
    await judge(graders, "7")
    assert trips[3:] == [1]
