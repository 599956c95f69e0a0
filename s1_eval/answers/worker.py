"""The process behind a pool: takes questions from standard input, one JSON object at a time, each
after its length, and answers on standard output.

`python -m s1_eval.answers.worker MEGABYTES` serves formulas; another module can serve its own
questions with `serve`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import struct
import sys
from collections.abc import Callable
from typing import Any

from s1_eval.json_lines import JsonObject

Answer = Callable[[JsonObject], JsonObject]

_SIZE = struct.Struct(">I")
_RETIRE_MEGABYTES = 400
"""A worker whose memory once grew beyond this ends after its reply, so that it is given back."""


def serve(answer: Answer) -> None:
    """Answers questions until the input ends. An answer that raises is a reply with `failed`."""
    limit_memory(int(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print must not end up among the replies
    logging.disable(logging.CRITICAL)
    _send(replies, {"ready": True})
    while (question := _receive()) is not None:
        limit_processor_time(question.pop("processor_seconds"))
        try:
            reply = answer(question)
        except MemoryError:
            reply = {"failed": "took too much memory", "retire": True}
        except RecursionError:
            reply = {"failed": "nested too deeply"}
        except Exception as error:
            reply = {"failed": f"{type(error).__name__} while deciding"}
        if peak_megabytes() > _RETIRE_MEGABYTES:
            reply["retire"] = True
        _send(replies, reply)


def limit_memory(megabytes: int) -> None:
    """Lets the kernel refuse memory beyond the limit; where it can't (macOS), the wall-clock limit
    is the only one."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        limit = megabytes << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_processor_time(seconds: int) -> None:
    """Lets the kernel end this process after so many more seconds of computing, whether or not
    its parent is still there to do it."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        soft = math.ceil(used.ru_utime + used.ru_stime) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def peak_megabytes() -> float:
    """The most memory this process has held."""
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        return next(float(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    with contextlib.suppress(ImportError):  # on Linux it begins at the parent's, however large
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return 0.0


def _receive() -> JsonObject | None:
    head = _read(_SIZE.size)
    if head is None:
        return None
    data = _read(_SIZE.unpack(head)[0])
    return None if data is None else json.loads(data)


def _read(size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        chunk = os.read(0, size - len(data))
        if not chunk:
            return None
        data += chunk
    return data


def _send(replies: Any, reply: JsonObject) -> None:
    data = json.dumps(reply).encode()
    replies.write(_SIZE.pack(len(data)) + data)


if __name__ == "__main__":
    from s1_eval.answers.symbolic import answer

    serve(answer)
