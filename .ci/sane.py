"""Exits with an error unless a sweep of the embedded model has scored as it always does: thinking
helps it, so one cut at 16 tokens is mostly wrong, and the best run is mostly right.

    python .ci/sane.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean

from s1_eval.records.readers import read_runs

runs = read_runs([Path(sys.argv[1])])
accuracies = sorted(mean(row["correct"] for row in run.rows) for run in runs)
print(*(f"{accuracy:.0%}" for accuracy in accuracies))  # noqa: T201
if not accuracies or accuracies[-1] < 0.5:
    sys.exit(
        f"nano is right on fewer than half of the questions, whatever it is given: {accuracies}"
    )
