"""Time and memory of scoring a million samples and of building a leaderboard of 100,000.

    python benchmarks/score.py [--samples 1000000] [--leaderboard-samples 100000]

The records are generated: 40 runs of one model (ten tasks, four caps), without traces for `score`
and with traces of about two kilobytes for `leaderboard build`. Goals on two cores: each under 60 s,
`score` under 2 GB with 10,000 bootstrap resamples, and the leaderboard's first page under 2 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

CAPS = (512, 1024, 2048, 4096)
TASKS = 10
WORDS = ("so", "we", "have", "that", "the", "sum", "Wait", "then", "check", "again", "n", "holds")


def generate(folder: Path, samples: int, with_traces: bool) -> None:
    """40 runs under `folder`, together with that many samples."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import runs

    rng = random.Random(0)  # noqa: S311
    questions = samples // (TASKS * len(CAPS))
    for task in range(TASKS):
        for cap in CAPS:
            record = runs.record(method_params={"max_thinking_tokens": cap}, task=f"task{task}")
            to = folder / f"{task}-{cap}"
            to.mkdir(parents=True)
            (to / "run.json").write_text(json.dumps(record))
            row = runs.row(record, thinking=5, budget=cap)
            with (to / "samples.jsonl").open("w") as file:
                for i in range(questions):
                    used = min(cap, int(rng.lognormvariate(7, 0.8)))
                    row |= {
                        "sample_id": f"question-{i}",
                        "correct": rng.random() < 0.2 + used / 10_000,
                        "thinking_tokens": used,
                        "generated_tokens": used + 20,
                        "exit_reason": "budget" if used == cap else "natural",
                        "seconds": rng.random(),
                    }
                    if with_traces:
                        row |= {
                            "traces": [trace(rng, row["exit_reason"])],
                            "response": "\\boxed{7}",
                        }
                    file.write(json.dumps(row) + "\n")


def trace(rng: random.Random, exit_reason: str) -> dict[str, object]:
    ids = [rng.randrange(150_000) for _ in range(150)]
    text = " ".join(rng.choices(WORDS, k=150))
    segments = [
        {"role": "delimiter", "origin": "forced", "ids": [1, 2], "text": "<|im_start|>think"},
        {"role": "thinking", "origin": "sampled", "ids": ids, "text": text},
        {"role": "delimiter", "origin": "forced", "ids": [1, 3], "text": "<|im_start|>answer"},
        {"role": "answer", "origin": "sampled", "ids": [7], "text": "\\boxed{7}"},
    ]
    return {"prompt": ids[:60], "segments": segments, "exit_reason": exit_reason}


def measure(*command: str) -> tuple[float, float]:
    """(seconds, peak memory in GB) of `s1-eval` with these arguments."""
    out = os.open(os.devnull, os.O_WRONLY)
    arguments = [sys.executable, "-m", "s1_eval.cli.main", *command]
    start = time.perf_counter()
    child = os.posix_spawn(
        sys.executable, arguments, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)]
    )
    _, status, usage = os.wait4(child, 0)
    os.close(out)
    if status:
        raise SystemExit(f"{command} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--leaderboard-samples", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        generate(folder / "score", args.samples, with_traces=False)
        seconds, memory = measure("score", str(folder / "score"), "--resamples", "10000")
        print(f"score: {args.samples} samples, 40 runs: {seconds:.1f} s, {memory:.2f} GB")
        generate(folder / "build", args.leaderboard_samples, with_traces=True)
        site = folder / "site"
        seconds, memory = measure("leaderboard", "build", str(folder / "build"), "--out", str(site))
        page = (site / "index.html").stat().st_size / 1e6
        print(
            f"leaderboard build: {args.leaderboard_samples} samples, 40 runs: {seconds:.1f} s, "
            f"{memory:.2f} GB, first page {page:.2f} MB"
        )


if __name__ == "__main__":
    main()
