"""The memory that a sweep needs, by its rows: the embedded model at 25 settings and more and more
questions, a process each. `python benchmarks/memory.py [QUESTIONS …]` prints a line for each."""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

SETTINGS = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", nargs="*", type=int, default=[10, 40, 160])
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.questions[0])))
        return
    for questions in args.questions:
        command = [sys.executable, __file__, "--one", str(questions)]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        print(told.stdout, end="", flush=True)


def measure(questions: int) -> dict[str, Any]:
    """Peaks of resident memory in MB: with the weights loaded, recording, reported."""
    from s1_eval.evaluation.benchmark import benchmark
    from s1_eval.evaluation.plan import plan_settings
    from s1_eval.evaluation.progress import shown
    from s1_eval.evaluation.sweep import Sweep
    from s1_eval.records import read_runs
    from s1_eval.report import write

    caps = [16 + 8 * i for i in range(SETTINGS)]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        sweep = Sweep(
            model="s1_hf/nano",
            benchmark=benchmark("nano"),
            planned=plan_settings(["budget_forcing"], {"max_thinking_tokens": caps}),
            out=Path(out),
            command=[],
            limit=questions,
        )
        sweep.check()
        with sweep.opened() as held, shown(quiet=True) as progress:
            loaded = peak()
            watched = Resident()
            recorded = asyncio.run(sweep.record(*held, progress))
            watched.stop()
        recording = peak()
        write(read_runs(recorded.readable), sweep.out)
    return {
        "questions": questions,
        "rows": questions * SETTINGS,
        "loaded_mb": loaded,
        "recording_mb": recording,
        "mean_recording_mb": watched.mean,
        "reported_mb": peak(),
        "seconds": round(time.perf_counter() - began, 1),
    }


class Resident:
    """The mean of what is resident, looked at twenty times a second."""

    def __init__(self) -> None:
        self._seen: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def mean(self) -> int:
        return round(sum(self._seen) / max(len(self._seen), 1))

    def _watch(self) -> None:
        page = resource.getpagesize() / 2**20
        while not self._ended.wait(0.05):
            self._seen.append(int(Path("/proc/self/statm").read_text().split()[1]) * page)


def peak() -> int:
    """MB that this process has had resident at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
