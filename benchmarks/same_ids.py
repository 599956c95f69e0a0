"""One checkpoint in `s1_hf`, in `s1_vllm` and behind `vllm serve`: greedy budget forcing in float32
by each, one after the other, and how many chains have the same ids.

    python benchmarks/same_ids.py MODEL --out OUT [--data FILE] [--limit 40]

MODEL: `nano` or a folder. --data: questions for the task `nano`, see `s1-train problems`. The
answer is on the last line; where a chain is not the same, the first id that differs is printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from servers import up, vllm

from s1_eval import read_runs
from s1_eval.records import read_rows

CONTEXT = 2048
SETTINGS = ("--max-thinking-tokens", "16,64,256", "--num-ignores", "0,2")


def sweep(engine: str, model: str, arguments: list[str], args: argparse.Namespace) -> Path:
    """The folder of the engine's records."""
    out: Path = args.out / engine
    command = [sys.executable, "-m", "s1_eval.cli.main", "sweep", "--model", f"{engine}/{model}"]
    command += ["--task", "nano", "--method", "budget_forcing", *SETTINGS, *arguments]
    command += ["--limit", str(args.limit), "-S", "max_answer_tokens=32", "--no-cache"]
    command += ["--data", str(args.data)] if args.data else []
    subprocess.run([*command, "--out", str(out)], check=True)
    return out


def chains(folder: Path) -> dict[Any, list[int]]:
    """Every chain's ids, by its run's settings and its question."""
    return {
        (str(sorted(located.row["method_params"].items())), located.row["sample_id"]): [
            id for segment in located.row["traces"][0]["segments"] for id in segment["ids"]
        ]
        for located in read_rows(read_runs(folder))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--limit", type=int, default=40)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    float32 = ["-M", "dtype=float32"]
    found = {"s1_hf": chains(sweep("s1_hf", args.model, float32, args))}
    longest = ["-M", f"max_model_len={CONTEXT}"]
    found["s1_vllm"] = chains(sweep("s1_vllm", args.model, [*float32, *longest], args))
    name = Path(args.model).name  # which may tell the thinking format
    server = vllm(args.model, name=name, log=args.out / "server.log", VLLM_CPU_KVCACHE_SPACE="2")
    with up(server) as root:
        found["s1_api"] = chains(sweep("s1_api", name, ["-M", f"base_url={root}/v1"], args))
    ours = found["s1_hf"]
    for engine in ("s1_vllm", "s1_api"):
        for place, ids in ours.items():
            other = found[engine][place]
            if ids != other:
                pairs = enumerate(zip(ids, other, strict=False))
                at = next((i for i, (a, b) in pairs if a != b), min(len(ids), len(other)))
                print(f"{engine} {place[1]}: differs from id {at} of {len(ids)} on")
    same = {e: sum(found[e][p] == ids for p, ids in ours.items()) for e in ("s1_vllm", "s1_api")}
    print(f"{len(ours)} chains, {sum(map(len, ours.values()))} ids; as in s1_hf: {same}")


if __name__ == "__main__":
    main()
