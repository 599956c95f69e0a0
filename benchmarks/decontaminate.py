"""Decontamination at the size of s1's pool: seconds and peak memory on two cores.

    python benchmarks/decontaminate.py [--data FOLDER] [--seed 0]

59,029 questions in sources of the paper's sizes are made up of the words of the real questions in
FOLDER, as often as they occur there. Lengths are log-normal around a median of 60 words (the real
questions have 50), 20 for a crossword clue, 150 to 250 for passages and programs. Of each
source 2% carry eight words in a row of an evaluation question, and 2% are earlier questions once
more. They are held against aime24, aime25, gpqa_diamond and math500 as the evaluation loads them,
and against the sources before them; then exact duplicates are dropped. All that was planted has
to be found. FOLDER: see the data's README; by default S1_EVAL_DATA or ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from s1_eval.training.curation.decontaminate import decontaminate, evaluation_questions
from s1_eval.training.curation.hub import SOURCES
from s1_eval.training.curation.overlap import Reference
from s1_eval.training.curation.question import Question

ROOT = Path(__file__).parent.parent
CORES = 2
TASKS = ("aime24", "aime25", "gpqa_diamond", "math500")
WORDS = {"numina_math": 60, "agieval": 150, "xword": 20, "usaco": 250, "livecodebench": 250}
"""Words of the median question; others have 60."""
PLANTED = 0.02
"""Share of the questions that carry eight words of an evaluation question."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = os.environ.get("S1_EVAL_DATA") or ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ["S1_EVAL_DATA"] = str(args.data)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    print(
        f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} CPUs, "
        f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
    )
    references = [r for task in TASKS for r in evaluation_questions(task)]
    pool, planted, repeated = generated(args.data, references, args.seed)
    words = sum(len(q.question.split()) for q in pool)
    print(f"{len(pool):,} questions of {words / len(pool):.0f} words on average")
    before = peak_megabytes()
    began = time.perf_counter()
    decisions = list(decontaminate(pool, references))
    seconds = time.perf_counter() - began
    print(f"{seconds:.1f} s, peak memory {peak_megabytes():.0f} MB ({before:.0f} MB before)")
    found = {d.id for d in decisions if d.reason and any(d.detail.startswith(t) for t in TASKS)}
    print(f"planted {len(planted):,}, of them found {len(found & planted):,}")
    dropped = {d.id for d in decisions if d.reason}
    print(f"repeated {len(repeated):,}, of them found {len(dropped & repeated):,}")
    print(f"dropped beside them {len(dropped - planted - repeated):,}")


def generated(
    data: Path, references: Sequence[Reference], seed: int
) -> tuple[list[Question], set[str], set[str]]:
    """(the pool, ids of the questions that carry words of an evaluation question, ids of those
    that are an earlier one)."""
    chance = random.Random(seed)  # noqa: S311
    known = [r.text.split() for r in references if len(r.text.split()) >= 8]
    path = data / "sft" / "s1K_questions_solutions.json"
    words = [w for row in json.loads(path.read_text("utf-8")) for w in row["problem"].split()]
    pool: list[Question] = []
    planted: set[str] = set()
    repeated: set[str] = set()
    for name, source in SOURCES.items():
        for number in range(source.paper):
            length = max(5, int(chance.lognormvariate(0, 0.5) * WORDS.get(name, 60)))
            text = chance.choices(words, k=length)
            draw = chance.random()
            if draw < PLANTED:
                whole = chance.choice(known)
                at = chance.randrange(len(whole) - 7)
                text[length // 2 : length // 2] = whole[at : at + 8]
                planted.add(f"{name}/{number}")
            asked = Question(f"{name}/{number}", name, " ".join(text))
            if draw > 1 - PLANTED and pool:
                asked = Question(asked.id, name, chance.choice(pool).question)
                repeated.add(asked.id)
            pool.append(asked)
    return pool, planted, repeated


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
