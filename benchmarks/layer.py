"""The layer above the engine: rows per second and memory of a sweep whose engine answers at once.

    python benchmarks/layer.py [--questions 1000,10000,100000] [--caps 4] [--profile]

Nano's tokenizer and prompts, budget forcing at several caps, without the continuation cache and
with it, a process each: making prompts, forcing, grading and recording is all that there is to do.
Goals: 3,000 rows per second, and memory that does not grow with the number of questions. A line for
each gives MB resident: with the questions loaded, recording at most and in the mean, and once the
report is written.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from s1_eval.engines import Generation

ENOUGH = 80
"""Tokens after which the engine ends its thinking: over the smaller caps, under the larger ones."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", default="1000,10000,100000")
    parser.add_argument("--caps", type=int, default=4)
    parser.add_argument("--profile", action="store_true", help="where the first one's time goes")
    parser.add_argument("--report", action="store_true", help="write the report of each, too")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(int(args.one[0]), args.caps, args.one[1] == "cache", args)))
        return
    own = [f"--caps={args.caps}"] + [f"--{n}" for n in ("profile", "report") if getattr(args, n)]
    for questions in args.questions.split(","):
        for cached in ("plain", "cache"):
            command = [sys.executable, __file__, *own, "--one", questions, cached]
            subprocess.run(command, check=True)


class Instant:
    """Thinks in the same words about everything, and answers 7; awaits nothing."""

    def __init__(self) -> None:
        from s1_eval.engines.table import preview

        seen = preview("s1_hf", "nano")
        assert seen is not None
        self.info, self.tokenizer = replace(seen.info, batch=256), seen.tokenizer
        text = "S=47\nA*8=76\nB+5=81\n" * ENOUGH
        self._thinking = tuple(self.tokenizer.encode(text, add_special_tokens=False)[:ENOUGH])
        self._answer = tuple(self.tokenizer.encode("7", add_special_tokens=False))
        self._end = min(self.info.eos_ids)

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Any, sampling: Any
    ) -> Generation:
        thinks = stop.ids - self.info.eos_ids or stop.strings
        ids = self._thinking if thinks else self._answer
        if len(ids) >= max_tokens:
            return Generation(ids[:max_tokens])
        end = next(iter(stop.ids - self.info.eos_ids), self._end)
        return Generation(ids, (end,), "stop")

    def close(self) -> None:
        pass


def measure(questions: int, caps: int, cache: bool, args: argparse.Namespace) -> dict[str, Any]:
    from s1_eval.evaluation.plan import plan_settings
    from s1_eval.evaluation.progress import shown
    from s1_eval.evaluation.questions import open_questions
    from s1_eval.evaluation.sweep import Sweep

    engine = Instant()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "questions.jsonl"
        with data.open("w") as file:
            rng = random.Random(0)  # noqa: S311
            for number in range(questions):
                steps = "\n".join(f"{c}+{rng.randrange(100)}" for c in "ABCDEF")
                row = {"id": str(number), "question": f"S={number}\n{steps}", "answer": "7"}
                file.write(json.dumps(row) + "\n")
        sweep = Sweep(
            model=engine,
            benchmark=open_questions(str(data), grader="integer"),
            planned=plan_settings(
                ["budget_forcing"], {"max_thinking_tokens": [16 << i for i in range(caps)]}
            ),
            out=Path(folder) / "out",
            command=[],
            cache=cache,
        )
        sweep.check()
        loaded = peak()
        profiler = cProfile.Profile() if args.profile else None
        with sweep.opened() as held, shown(quiet=True) as progress:
            watched = Resident()
            began = time.perf_counter()
            with profiler or nullcontext():
                recorded = asyncio.run(sweep.record(*held, progress))
            seconds = time.perf_counter() - began
            watched.stop()
        recording = peak()
        size = sum(path.stat().st_size for path in sweep.out.glob("*/samples.jsonl*"))
        if profiler:
            told = pstats.Stats(profiler).sort_stats("tottime").print_stats(40)
            told.sort_stats("cumtime").print_stats("s1_eval", 45)
        if args.report:
            from s1_eval.records import read_runs
            from s1_eval.report import write

            write(read_runs(recorded.readable), sweep.out)
    rows = questions * caps
    return {
        "questions": questions,
        "rows": rows,
        "cache": cache,
        "rows_per_second": round(rows / seconds),
        "seconds": round(seconds, 1),
        "loaded_mb": loaded,
        "recording_mb": recording,
        "mean_recording_mb": watched.mean,
        **({"reported_mb": peak()} if args.report else {}),
        "bytes_per_row": size // rows,
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
