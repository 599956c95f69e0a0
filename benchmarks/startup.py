"""What our start-up costs: `import s1_eval`, `s1-eval --help`, and the lm-eval hook that runs at
every interpreter start. Goals: under 100 ms, 400 ms and 8 ms.

    python benchmarks/startup.py

Each figure is the median of alternating pairs of runs, ours minus a bare interpreter's.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import time

OFF = {**os.environ, "S1_EVAL_NO_LM_EVAL_HOOK": "1"}
PAIRS = 40


def seconds(command: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    bare = [sys.executable, "-c", "pass"]
    on = {key: value for key, value in os.environ.items() if key != "S1_EVAL_NO_LM_EVAL_HOOK"}
    program = shutil.which("s1-eval")
    if program is None:
        sys.exit("s1-eval is not installed here: pip install -e . first")
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs")
    print(f"{'':28}{'bare ms':>10}{'ours ms':>10}{'cost ms':>10}{'ratio':>8}")
    for name, command, env in (
        ("import s1_eval", [sys.executable, "-c", "import s1_eval"], OFF),
        ("s1-eval --help", [program, "--help"], OFF),
        ("hook at interpreter start", bare, on),
    ):
        pairs = [(seconds(bare, OFF), seconds(command, env)) for _ in range(PAIRS)]
        without, ours = (1000 * statistics.median(column) for column in zip(*pairs, strict=True))
        cost = 1000 * statistics.median(b - a for a, b in pairs)
        print(f"{name:28}{without:10.1f}{ours:10.1f}{cost:10.1f}{ours / without:8.2f}")


if __name__ == "__main__":
    main()
