"""One thread that owns a machine, whatever decodes or reads there: jobs go in from any event loop
as they come, and each result comes back to who asked. What is done with a job, and which of them
are done together, is the machine's business.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Generic, Protocol, TypeVar

from s1_eval.errors import SampleFailed, UserError

Job = TypeVar("Job")
Result = TypeVar("Result")
Given = TypeVar("Given", covariant=True)


class Machine(Protocol[Job, Given]):
    """Works on jobs, each told from all others by its identity. Called from one thread alone; what
    it raises, but for the refusals of `add`, is the end of it."""

    def add(self, job: Job) -> None:
        """Take a job in. Raises UserError or SampleFailed where it refuses that one."""
        ...

    def cancel(self, job: Job) -> None:
        """Forget a job that was taken in and has no result yet."""
        ...

    def step(self) -> Iterable[tuple[Job, Given | Exception]]:
        """Get on with what was taken in; the jobs that this finishes, with an exception where that
        job alone has failed."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class Worker(Generic[Job, Result]):
    """The thread, until `close`."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Machine[Job, Result]],
        *,
        failed: str = "{name} has failed: {error!r}",
        inside: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """name: what errors call it. make: the machine, on the thread that uses it, since OpenMP's
            threads belong to the one that made them. failed: the error of every call once the
        machine has raised. inside: in what context the machine works, e.g. torch's inference mode.

        Raises whatever `make` does.
        """
        self._name, self._failed, self._inside = name, failed, inside
        # Guards `_arrived` against `_ended`: a job is either seen by the thread or refused.
        self._lock = threading.Lock()
        self._arrived: deque[tuple[Job, asyncio.Future[Result] | None]] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._ended: str | None = None
        self._failure: Exception | None = None
        made: Future[Machine[Job, Result]] = Future()
        self._thread = threading.Thread(
            target=self._work, args=(make, made), name=f"s1 {name}", daemon=True
        )
        self._thread.start()
        made.result()
        atexit.register(self.close)

    async def run(self, job: Job) -> Result:
        """The result of a job; cancelled with the call. Raises what `Machine.add` refuses it with,
        and RuntimeError where the machine has failed or is closed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        with self._lock:
            if self._ended:
                raise self._error()
            self._arrived.append((job, future))
        # Not at once: whatever else is ready to run on this loop now joins the same batch.
        loop.call_soon(self._wake.set)
        try:
            return await future
        except asyncio.CancelledError:
            self._arrived.append((job, None))
            self._wake.set()
            raise

    def close(self) -> None:
        """Stop the thread and free the machine. Calls in flight fail with RuntimeError."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        atexit.unregister(self.close)

    def _work(
        self, make: Callable[[], Machine[Job, Result]], made: Future[Machine[Job, Result]]
    ) -> None:
        try:
            machine = make()
        except BaseException as error:
            made.set_exception(error)
            return
        made.set_result(machine)
        futures: dict[Job, asyncio.Future[Result]] = {}
        try:
            with self._inside():
                while not self._closing:
                    if not futures:
                        self._wake.wait()
                    self._wake.clear()
                    _settle(self._take(machine, futures))
                    if futures:
                        self._step(machine, futures)
        except Exception as error:
            self._failure = error
        with self._lock:
            self._ended = f"{self._name} is closed"
            if self._failure:
                self._ended = self._failed.format(name=self._name, error=self._failure)
            left = [future for _, future in self._arrived if future]
            self._arrived.clear()
        _settle([(future, self._error()) for future in (*futures.values(), *left)])
        machine.close()

    def _step(
        self, machine: Machine[Job, Result], futures: dict[Job, asyncio.Future[Result]]
    ) -> None:
        finished: list[tuple[asyncio.Future[Result], Result | Exception]] = []
        try:
            for job, result in machine.step():
                if job in futures:
                    finished.append((futures.pop(job), result))
        finally:
            _settle(finished)

    def _take(
        self, machine: Machine[Job, Result], futures: dict[Job, asyncio.Future[Result]]
    ) -> list[tuple[asyncio.Future[Result], Exception]]:
        """Hand over what has arrived, and what was given up; what the machine refuses."""
        refused: list[tuple[asyncio.Future[Result], Exception]] = []
        while self._arrived:
            job, future = self._arrived.popleft()
            if future is None:
                if futures.pop(job, None):
                    machine.cancel(job)
                continue
            futures[job] = future  # before the machine has it: it may be gone, and raise that
            try:
                machine.add(job)
            except (UserError, SampleFailed) as error:
                refused.append((futures.pop(job), error))
        return refused

    def _error(self) -> RuntimeError:
        error = RuntimeError(self._ended)
        error.__cause__ = self._failure
        return error


def _settle(results: Iterable[tuple[asyncio.Future[Result], Result | Exception]]) -> None:
    """Hand each result to the loop that waits for it; all of a loop's at once, since whatever runs
    there runs in turns with this thread."""
    by_loop = defaultdict(list)
    for future, result in results:
        by_loop[future.get_loop()].append((future, result))
    for loop, own in by_loop.items():
        with suppress(RuntimeError):  # closed: nobody waits any more
            loop.call_soon_threadsafe(_tell, own)


def _tell(results: Iterable[tuple[asyncio.Future[Result], Result | Exception]]) -> None:
    for future, result in results:
        if future.cancelled():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
