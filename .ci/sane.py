"""Exits with an error unless some run of a sweep of the embedded model is right on at least half of
the questions, as it is wherever the model decodes right; a model that loses its cache scores 0.

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
