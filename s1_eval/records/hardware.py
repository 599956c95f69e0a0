"""On what a run ran: names and sizes, never the machine's own name."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any


@functools.cache
def hardware() -> dict[str, Any]:
    """`cpu`, `cores`, `memory_gib`, and `gpus`: name and memory of each that this process may use.
    What can't be found out is None. Starts no GPU: an engine may yet fork."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_gib": _memory(),
        "gpus": _gpus(),
    }


def _cpu() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, None) or platform.processor() or platform.machine() or None


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _gpus() -> list[dict[str, Any]] | None:
    """By NVIDIA's own tool; None where there is none to ask."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    asked = [tool, "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [[cell.strip() for cell in line.split(",")] for line in told.splitlines() if line]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [
        {"name": row[2], "memory_mib": int(row[3]) if row[3].isdecimal() else None}
        for row in rows
        if len(row) == 4 and (visible is None or {row[0], row[1]} & set(visible.split(",")))
    ]
