"""A pool of worker processes that answer questions one at a time and can be killed.

Only JSON crosses the pipes, so nothing that a model wrote is ever unpickled. Workers are started
on demand by `subprocess` (never forked from a threaded parent), limited in memory and processor
time by the kernel, killed at a wall-clock limit, and they end when the parent does: their input
then closes. This process sets no signal handlers, so any thread may ask.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from s1_eval.errors import UserError
from s1_eval.json_lines import JsonObject

PROCESSOR_SECONDS = 5
"""Processor time per question, whole seconds. Honest pairs take milliseconds, and this much on a
busy machine too: a verdict must not depend on what else runs."""

SECONDS = 30.0
"""Wall clock per question, for what waits instead of computing."""

MEGABYTES = 1_024
"""Address space per worker, of which Python and sympy take about a quarter."""

_START_SECONDS = 600.0
_SIZE = struct.Struct(">I")


class Failed(Exception):
    """No answer: too slow, too much memory, or the worker died; the message says which."""


class Pool:
    """Up to `size` workers running `python -m module`, which serves with `worker.serve`.

    processor_seconds, seconds: limits per question on the processor time and on the wall clock,
        from when a worker takes it up. megabytes: limit on a worker's address space.
    Safe to call from any thread.
    """

    def __init__(
        self,
        size: int | None = None,
        processor_seconds: int = PROCESSOR_SECONDS,
        seconds: float = SECONDS,
        megabytes: int = MEGABYTES,
        module: str = "s1_eval.answers.worker",
    ) -> None:
        self.size = size or min(os.cpu_count() or 1, 8)
        self.processor_seconds, self.seconds = processor_seconds, seconds
        self.megabytes, self.module = megabytes, module
        self._parent = os.getpid()
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(self.size)

    def ask(self, question: JsonObject) -> JsonObject:
        """The worker's reply. Raises Failed, and the pool stays usable; UserError where no worker
        can be started."""
        with self._slots:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            worker = worker or _Worker(self.module, self.megabytes)
            try:
                reply = worker.ask(question, self.processor_seconds, self.seconds)
            except BaseException:  # KeyboardInterrupt included: its reply is still to come
                worker.kill()
                raise
            if reply.pop("retire", False):
                worker.kill()
            else:
                with self._lock:
                    self._idle.append(worker)
        if "failed" in reply:
            raise Failed(reply["failed"])
        return reply

    def workers(self) -> Sequence[int]:
        """Process ids of the idle workers."""
        with self._lock:
            return [worker.process.pid for worker in self._idle]

    def close(self) -> None:
        """Ends the idle workers; the next question starts new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        if os.getpid() == self._parent:  # a forked child must not kill its parent's workers
            for worker in idle:
                worker.kill()


class _Worker:
    def __init__(self, module: str, megabytes: int) -> None:
        package_root = str(Path(__file__).parents[2])
        paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
            # -P: a file of the working directory must not shadow a module.
            [sys.executable, "-P", "-m", module, str(megabytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        try:
            self._receive(_START_SECONDS)
        except (EOFError, Failed) as error:  # no verdict may depend on it
            self.kill()
            raise UserError(
                f"the checker's worker does not start; see why with: "
                f"{sys.executable} -m {module} {megabytes} < /dev/null"
            ) from error
        except BaseException:
            self.kill()
            raise

    def ask(self, question: JsonObject, processor_seconds: int, seconds: float) -> JsonObject:
        data = json.dumps({**question, "processor_seconds": processor_seconds}).encode()
        assert self.process.stdin
        try:
            self.process.stdin.write(_SIZE.pack(len(data)) + data)
            return self._receive(seconds)
        except (OSError, EOFError) as error:
            if self.process.wait() == -signal.SIGXCPU:
                spent = f"took more than {processor_seconds} s of processor time"
                raise Failed(spent) from error
            raise Failed("the worker died, most likely for want of memory") from error

    def _receive(self, seconds: float) -> JsonObject:
        deadline = time.monotonic() + seconds
        (size,) = _SIZE.unpack(self._read(_SIZE.size, deadline, seconds))
        reply: JsonObject = json.loads(self._read(size, deadline, seconds))
        return reply

    def _read(self, size: int, deadline: float, seconds: float) -> bytes:
        assert self.process.stdout
        descriptor = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        data = b""
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(1000 * left):
                raise Failed(f"took longer than {seconds:g} s")
            chunk = os.read(descriptor, size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def kill(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process.wait()


_shared: Pool | None = None
_shared_lock = threading.Lock()


def shared_pool() -> Pool:
    """The pool of this process, made on first use and closed at its end."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Pool()
            atexit.register(_shared.close)
        return _shared


def _after_fork() -> None:
    """A forked child must not talk over its parent's pipes: it starts a pool of its own."""
    global _shared, _shared_lock
    _shared, _shared_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
