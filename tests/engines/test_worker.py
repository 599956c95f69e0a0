"""The worker's thread, on a machine that counts: jobs come from any loop, each fails alone."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

import pytest

from s1_eval.engines.worker import Worker
from s1_eval.errors import SampleFailed, UserError


@dataclass(eq=False)
class Count:
    """To be done after so many steps; 0 and 13 are refused, below 0 it fails."""

    steps: int


@dataclass
class Counter:
    left: dict[Count, int] = field(default_factory=dict)
    threads: set[int] = field(default_factory=set)
    cancelled: list[Count] = field(default_factory=list)
    closed: bool = False
    broken: bool = False
    breaks: bool = False

    def add(self, job):
        if not job.steps:
            raise UserError("give 1 or more")
        if job.steps == 13:
            raise SampleFailed("not that one")
        self.left[job] = job.steps

    def cancel(self, job):
        self.cancelled.append(job)
        del self.left[job]

    def step(self):
        self.threads.add(threading.get_ident())
        if self.broken:
            raise MemoryError("no more")
        self.left = {job: left - 1 for job, left in self.left.items()}
        done = [job for job, left in self.left.items() if left <= 0]
        for job in done:
            del self.left[job]
            yield job, job.steps if job.steps > 0 else ArithmeticError("below 0")
            if self.breaks:
                raise MemoryError("no more")

    def close(self):
        self.closed = True


@pytest.fixture
def counter():
    return Counter()


@pytest.fixture
def worker(counter):
    worker = Worker("the counter", lambda: counter)
    yield worker
    worker.close()
    assert counter.closed


async def test_a_short_job_comes_back_before_a_long_one(worker, counter):
    finished = []

    async def one(steps):
        finished.append(await worker.run(Count(steps)))

    await asyncio.gather(one(50_000), one(2))
    assert finished == [2, 50_000]
    assert threading.get_ident() not in counter.threads


async def test_a_job_that_is_refused_or_fails_takes_no_other_down(worker):
    results = await asyncio.gather(
        *(worker.run(Count(steps)) for steps in (0, -1, 13, 3)), return_exceptions=True
    )
    assert list(map(type, results)) == [UserError, ArithmeticError, SampleFailed, int]


async def test_a_cancelled_job_is_taken_out_of_the_machine(worker, counter):
    job = Count(10**12)
    running = asyncio.create_task(worker.run(job))
    while job not in counter.left:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await worker.run(Count(1)) == 1
    assert counter.cancelled == [job]


async def test_what_breaks_the_machine_fails_every_call_from_then_on(worker, counter):
    waiting = asyncio.create_task(worker.run(Count(10**12)))
    await asyncio.sleep(0.05)
    counter.broken = True
    for call in (waiting, worker.run(Count(1))):
        with pytest.raises(RuntimeError, match=r"the counter has failed.*no more") as failure:
            await call
        assert isinstance(failure.value.__cause__, MemoryError)


async def test_what_was_finished_before_the_machine_broke_is_not_lost(worker, counter):
    counter.breaks = True
    results = await asyncio.wait_for(
        asyncio.gather(*(worker.run(Count(1)) for _ in range(2)), return_exceptions=True), 10
    )
    assert results[0] == 1
    assert isinstance(results[1], RuntimeError)


def test_a_loop_that_is_gone_costs_its_own_results_alone(worker, counter):
    gone = asyncio.new_event_loop()
    waiting = gone.create_task(worker.run(Count(20_000)))
    gone.run_until_complete(asyncio.sleep(0.01))
    gone.close()
    assert asyncio.run(worker.run(Count(25_000))) == 25_000
    assert not waiting.done()


async def test_a_closed_worker_says_so(worker):
    waiting = asyncio.create_task(worker.run(Count(10**12)))
    await asyncio.sleep(0.05)
    worker.close()
    for call in (waiting, worker.run(Count(1))):
        with pytest.raises(RuntimeError, match="the counter is closed"):
            await call


def test_a_machine_that_cannot_be_made_is_its_makers_error():
    with pytest.raises(ZeroDivisionError):
        Worker("the counter", lambda: 1 / 0)
