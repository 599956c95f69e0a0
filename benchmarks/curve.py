"""A whole budget curve from one chain a question: 32 caps through the continuation cache, over the
longest run alone, and 32 separate runs over them, on nano.

    python benchmarks/curve.py [--engine s1_hf] [--temperature 1] [--caps 64..2048:64]

Everything that `s1_eval.evaluate` does is counted: decoding, grading, records. The chains are long
("Wait" in place of their end), as those of real models are beside their answers. Rows of all three
are compared id for id, but for sampled runs on an engine without a seed per request (vLLM on a
CPU): no two runs of those are alike, and it is checked that every chain is the beginning of the
longest. Ratios are of this process's CPU seconds, which other work on the machine moves less than
it moves the clock. Goal: at most 1.3 times the longest run.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import s1_eval
from s1_eval.cli.options import whole_numbers
from s1_eval.engines.table import open_engine

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "s1_hf": {},
    "s1_vllm": {"dtype": "float32", "max_model_len": 4096, "max_num_seqs": 256},
}
Rows = dict[tuple[int, str], tuple[tuple[int, ...], tuple[int, ...]]]
"""(thinking, all) ids by cap and question."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", choices=SETTINGS, default="s1_hf")
    parser.add_argument("--questions", type=int, default=16)
    parser.add_argument("--caps", type=whole_numbers, default=list(range(64, 2049, 64)))
    parser.add_argument("--ignores", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-separate", action="store_true", help="leave out the separate runs")
    args = parser.parse_args()
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    engine = open_engine(args.engine, "nano", **SETTINGS[args.engine])
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; {args}")

    def asked(caps: list[int], cache: bool) -> s1_eval.Result:
        return s1_eval.evaluate(
            engine,
            "nano",
            "budget_forcing",
            max_thinking_tokens=caps,
            num_ignores=args.ignores,
            max_answer_tokens=16,
            temperature=args.temperature,
            limit=args.questions,
            cache=cache,
            progress=False,
        )

    longest = max(args.caps)
    contenders: dict[str, Callable[[], list[s1_eval.Result]]] = {
        "longest": lambda: [asked([longest], cache=False)],
        "curve": lambda: [asked(args.caps, cache=True)],
        "separate": lambda: [asked([cap], cache=False) for cap in args.caps],
    }
    if args.no_separate:
        del contenders["separate"]
    contenders["longest"]()  # warm-up
    clock: dict[str, list[float]] = {name: [] for name in contenders}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    rows: dict[str, Rows] = {}
    for turn in range(args.repeats):
        for name, contender in contenders.items():
            if turn and name == "separate":
                continue
            began = time.process_time(), time.perf_counter()
            results = contender()
            seconds[name].append(time.process_time() - began[0])
            clock[name].append(time.perf_counter() - began[1])
            rows[name] = {k: v for result in results for k, v in recorded(result).items()}
    took = {name: statistics.median(times) for name, times in seconds.items()}
    for name, value in took.items():
        passed = statistics.median(clock[name])
        print(f"{name:<9}{value:8.2f} CPU s {passed:8.2f} s  {len(rows[name])} rows")
    mean = statistics.fmean(len(rows["longest"][key][0]) for key in rows["longest"])
    print(f"mean thinking of the longest run {mean:.0f} tokens")
    print(f"curve / longest   {took['curve'] / took['longest']:.2f}   (goal: at most 1.3)")
    if "separate" in took:
        print(f"separate / curve  {took['separate'] / took['curve']:.2f}")
    sys.exit(faults(rows, args.temperature == 0 or engine.info.seeding == "request", longest))


def recorded(result: s1_eval.Result) -> Rows:
    frame = result.samples(traces=True)
    return {
        (params["max_thinking_tokens"], id): (ids(trace, "thinking"), ids(trace))
        for params, id, [trace] in zip(
            frame.method_params, frame.sample_id, frame.traces, strict=True
        )
    }


def ids(trace: Mapping[str, Any], role: str | None = None) -> tuple[int, ...]:
    return tuple(i for s in trace["segments"] if role in (None, s["role"]) for i in s["ids"])


def faults(rows: Mapping[str, Rows], repeats: bool, longest: int) -> str | None:
    """What differs that should not."""
    curve = rows["curve"]
    differ = []
    if repeats:
        differ = [
            key for name, own in rows.items() for key in own if own[key] != curve[key] and name
        ]
    cut = [
        (cap, id)
        for (cap, id), (thinking, _) in curve.items()
        if curve[longest, id][0][: len(thinking)] != thinking
    ]
    print(f"{len(differ)} rows differ, {len(cut)} chains are no beginning of the longest")
    return "differences" if differ or cut else None


if __name__ == "__main__":
    main()
