"""How a command ends whose output nobody reads to the end (`| head`): quietly."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

NOBODY_READS = 141
"""What a shell reports of a program that wrote to a closed pipe (128 + SIGPIPE)."""


def quietly(run: Callable[[], int]) -> int:
    """The exit code of `run`, or `NOBODY_READS`."""
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()  # here, where a closed pipe can still be caught
    except BrokenPipeError:
        with suppress(OSError, ValueError):  # a stdout without a descriptor needs no repair
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
