"""What our start-up costs: `import s1_eval`, `s1-eval --help`, and the lm-eval hook that runs at
every interpreter start. Goals: under 100 ms, 400 ms and 8 ms.

    python benchmarks/startup.py

Each figure is the median of alternating pairs of runs, ours minus a bare interpreter's. The import
and the hook are measured in new virtual environments, of which one has the hook.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
ON = {k: v for k, v in os.environ.items() if k != "S1_EVAL_NO_LM_EVAL_HOOK"}
PAIRS = 40


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, env=ON, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def interpreter(folder: Path, *, hook: bool) -> str:
    """The Python of a new virtual environment that finds this checkout, with or without hook."""
    venv.create(folder, with_pip=False, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "s1_eval.pth").write_text(f"{ROOT}\n")
    if hook:
        shutil.copy(ROOT / "s1_eval_lm_eval_hook.pth", packages)
    return str(folder / "bin" / "python")


def main() -> None:
    program = shutil.which("s1-eval")
    if program is None:
        sys.exit("s1-eval is not installed here: pip install -e . first")
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs")
    print(f"{'':28}{'bare ms':>10}{'ours ms':>10}{'cost ms':>10}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        without, with_hook = (
            interpreter(Path(folder) / str(hook), hook=hook) for hook in (False, True)
        )
        nothing = [without, "-c", "pass"]
        for name, one, other in (
            ("import s1_eval", nothing, [without, "-c", "import s1_eval"]),
            ("s1-eval --help", [sys.executable, "-c", "pass"], [program, "--help"]),
            ("hook at interpreter start", nothing, [with_hook, "-c", "pass"]),
        ):
            pairs = [(seconds(one), seconds(other)) for _ in range(PAIRS)]
            medians = [1000 * statistics.median(column) for column in zip(*pairs, strict=True)]
            cost = 1000 * statistics.median(b - a for a, b in pairs)
            print(
                f"{name:28}{medians[0]:10.1f}{medians[1]:10.1f}{cost:10.1f}"
                f"{medians[1] / medians[0]:8.2f}"
            )


if __name__ == "__main__":
    main()
