"""One thread that owns a machine, whatever decodes or reads there: jobs go in from any event loop
as they come, and each result comes back to who asked. What is done with a job, and which of them
are done together, is the machine's business.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from functools import partial
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
        self._arrived: deque[tuple[Job, Future[Result] | None]] = deque()
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
        future: Future[Result] = Future()
        with self._lock:
            if self._ended:
                raise self._error()
            self._arrived.append((job, future))
        future.add_done_callback(partial(self._give_up, job))
        # Not at once: whatever else is ready to run on this loop now joins the same batch.
        asyncio.get_running_loop().call_soon(self._wake.set)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Stop the thread and free the machine. Calls in flight fail with RuntimeError."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        atexit.unregister(self.close)

    def _give_up(self, job: Job, future: Future[Result]) -> None:
        if future.cancelled():
            self._arrived.append((job, None))
            self._wake.set()

    def _work(
        self, make: Callable[[], Machine[Job, Result]], made: Future[Machine[Job, Result]]
    ) -> None:
        try:
            machine = make()
        except BaseException as error:
            made.set_exception(error)
            return
        made.set_result(machine)
        futures: dict[Job, Future[Result]] = {}
        try:
            with self._inside():
                while not self._closing:
                    if not futures:
                        self._wake.wait()
                    self._wake.clear()
                    self._take(machine, futures)
                    for job, result in machine.step() if futures else ():
                        if job in futures:
                            _settle(futures.pop(job), result)
        except Exception as error:
            self._failure = error
        with self._lock:
            self._ended = f"{self._name} is closed"
            if self._failure:
                self._ended = self._failed.format(name=self._name, error=self._failure)
            left = [future for _, future in self._arrived if future]
            self._arrived.clear()
        for future in (*futures.values(), *left):
            _settle(future, self._error())
        machine.close()

    def _take(self, machine: Machine[Job, Result], futures: dict[Job, Future[Result]]) -> None:
        """Hand over what has arrived, and what was given up."""
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
                _settle(futures.pop(job), error)

    def _error(self) -> RuntimeError:
        error = RuntimeError(self._ended)
        error.__cause__ = self._failure
        return error


def _settle(future: Future[Result], result: Result | Exception) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
