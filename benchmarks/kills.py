"""Kills at random moments: of a sweep, of `lm_eval --use_cache`, of Inspect with `eval-retry`, of
`s1-train sft` with `--resume`. Each is started again until it ends by itself; its records, or its
weights, have to be those of a run that nobody killed.
`python benchmarks/kills.py [--kills 20] [--only sweep,lm_eval,inspect,sft] [--recipe NAME]`. With
--recipe, `sft` is six short steps of that recipe's model in place of nano."""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from s1_eval.records import read_rows, read_runs

TIMES = {f"{what}_seconds" for what in ("verifier", "machine", "waiting", "prefill", "decode")}
NOT_COMPARED = frozenset({"seconds", "reused_tokens", "run", *TIMES})
QUESTIONS = "60"

Start = Callable[[Path], Sequence[str]]


def sweep(out: Path) -> list[str]:
    options = ["--max-thinking-tokens", "32,64,128,256", "--num-ignores", "0,1,2", "--no-cache"]
    return [
        *(sys.executable, "-m", "s1_eval.cli.main", "sweep", "--model", "s1_hf/nano"),
        *("--task", "nano", "--method", "budget_forcing", *options, "--epochs", "2"),
        *("--limit", QUESTIONS, "--out", str(out)),
    ]


def lm_eval(out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "lm_eval", "--model", "s1_hf", "--model_args", "pretrained=nano"),
        *("--tasks", "s1_nano", "--gen_kwargs", "max_tokens_thinking=256,thinking_n_ignore=8"),
        *("--limit", QUESTIONS, "--use_cache", str(out / "cache"), "--log_samples"),
        *("--output_path", str(out / "samples")),
    ]


def inspect(out: Path) -> list[str]:
    logs = sorted(out.glob("*.eval"), key=lambda path: path.stat().st_mtime)
    shown = ["--log-dir", str(out), "--display", "none"]
    if logs:
        return [sys.executable, "-m", "inspect_ai", "eval-retry", str(logs[-1]), *shown]
    return [
        *(sys.executable, "-m", "inspect_ai", "eval", "s1_eval/nano"),
        *("--solver", "s1_eval/budget_forcing", "-S", "max_thinking_tokens=256"),
        *("-S", "num_ignores=8", "--model", "s1_hf/nano", "--limit", QUESTIONS),
        *("--log-buffer", "1", *shown),
    ]


NANO = """
source: {nano: {examples: 42, waits: [3, 2, 1]}}
model: {pretrained: nano}
training:
  {batch_size: 8, micro_batch_size: 2, learning_rate: 1.0e-3, bf16: false, logging_steps: 1,
   save_steps: 1, warmup_ratio: 0.2, attention: eager}
"""
SHORT = """
based_on: {}
training: {{max_steps: 6, tokens_per_batch: 1024, logging_steps: 1, save_steps: 1}}
"""


def sft(out: Path, text: str = NANO) -> list[str]:
    recipe, begun = out / "recipe.yaml", out / "model.partial"
    recipe.write_text(text, "utf-8")
    kept = any(begun.glob("trainer/checkpoint-*"))
    if begun.exists() and not kept:
        shutil.rmtree(begun)  # nothing was saved yet that a resume could go on from
    train = [sys.executable, "-m", "s1_eval.cli.train", "sft", str(recipe)]
    return [*train, "--output", str(out / "model"), *(["--resume"] if kept else [])]


STARTS: dict[str, Start] = {"sweep": sweep, "lm_eval": lm_eval, "inspect": inspect, "sft": sft}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="of each; default: 20")
    parser.add_argument("--only", default=",".join(STARTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipe", help="of sft, as `s1-train recipes` lists it")
    args = parser.parse_args()
    starts = dict(STARTS)
    if args.recipe:
        starts["sft"] = partial(sft, text=SHORT.format(f"{args.recipe}.yaml"))
    for name in args.only.split(","):
        print(json.dumps(tried(name, starts[name], args.kills, random.Random(args.seed))))  # noqa: S311


def tried(name: str, start: Start, kills: int, chance: random.Random) -> dict[str, Any]:
    """Kill so often, each time a fresh or a half-done run, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        began = time.monotonic()
        finish(start, whole)
        lasts = time.monotonic() - began
        expected = records(whole)
        done = wrong = runs = 0
        while done < kills:
            out = Path(folder, str(runs))
            for _ in range(min(2, kills - done)):
                done += killed(start, out, chance.uniform(0.3, 1.0) * lasts)
            finish(start, out)
            wrong += records(out) != expected
            runs += 1
        return {"of": name, "kills": done, "runs": runs, "rows": len(expected), "other": wrong}


def killed(start: Start, out: Path, after: float) -> bool:
    """Whether it was still going on when it was killed."""
    with begun(start, out) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        return False


def finish(start: Start, out: Path) -> None:
    """Raises RuntimeError where the command fails."""
    with begun(start, out) as process:
        _, said = process.communicate()
        if process.returncode:
            raise RuntimeError(f"{process.args!r}: {said[-2000:]}")


def begun(start: Start, out: Path) -> subprocess.Popen[str]:
    out.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        start(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def records(out: Path) -> dict[str, str]:
    """Every row by its run, question and epoch; of a training, its weights. Raises UserError where
    one is there twice."""
    if (model := out / "model" / "model.safetensors").exists():
        return {model.name: hashlib.sha256(model.read_bytes()).hexdigest()}
    return dict(_rows(out))


def _rows(out: Path) -> Iterator[tuple[str, str]]:
    runs = read_runs([out], tell=lambda _: None)
    for located in read_rows(runs):
        row = {name: value for name, value in located.row.items() if name not in NOT_COMPARED}
        key = f"{row['run_id']} {row['sample_id']} {row['epoch']}"
        yield key, json.dumps(row, sort_keys=True)


if __name__ == "__main__":
    main()
