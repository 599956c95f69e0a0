"""How often the regression gate raises a false alarm, how often it finds the smallest regression
that it says it could detect, and whether it sees what is plain, in simulation.

    python benchmarks/gate.py [--repetitions 1000]

False alarms: ten runs against ten of the baseline, so 20 comparisons, of the same truth; the
tolerances are 0, the strictest gate. Power: a first check of equals says what it could detect; then
a new pair is worse by just that much, in accuracy or in thinking tokens, at the level that 20
comparisons leave to each. Plain: every run thinks three times as long, which is always to be found,
or falls from 90% to 30% (9 of 10 times at the least: 30 answers have luck of their own), also among
120 comparisons. Ends with exit code 1 if a row leaves its bounds by more than three Monte Carlo
errors.
"""

from __future__ import annotations

import argparse
import gc
import math
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s1_eval.metrics.gate import Comparison, Tolerance, check
from s1_eval.records import Run

PAIRS = 10
STRICT = Tolerance(max_drop=0, max_rise=0)
ONE_OF_TEN = Tolerance(alpha=0.05 / PAIRS)
"""The level of one pair among ten."""
POWER, ALARMS = (77.0, 83.0), (0.0, 5.0)
PLAIN = {"thinking_tokens": 100.0, "accuracy": 90.0}
SHAPES = ((30, 1), (30, 4), (100, 1), (100, 4), (500, 1), (500, 4))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Questions:
    """What is true of the questions: the chance of a right answer, and log2 thinking tokens."""

    chance: Floats
    length: Floats
    epochs: int


def questions(random: np.random.Generator, number: int, epochs: int) -> Questions:
    """Some are hard, some easy, and hard ones are thought about for longer."""
    chance = random.beta(2, 1.2, number)
    return Questions(chance, 10 - chance + random.normal(0, 0.5, number), epochs)


@dataclass(frozen=True)
class Answers:
    """What a run answered. correct, tokens: (epochs, questions)."""

    correct: NDArray[np.bool_]
    tokens: Floats

    def as_run(self, name: str) -> Run:
        rows: list[Any] = [
            {"sample_id": str(q), "epoch": epoch, "correct": c, "thinking_tokens": t}
            for epoch, (rights, lengths) in enumerate(zip(self.correct, self.tokens, strict=True))
            for q, (c, t) in enumerate(
                zip(rights.tolist(), lengths.astype(int).tolist(), strict=True)
            )
        ]
        record: Any = {
            "run_id": name,
            "model": "simulated",
            "task": "simulated",
            "method": "budget_forcing",
            "method_params": {"max_thinking_tokens": name.lstrip("newbas")},
            "dataset": "simulated",
            "checker": "simulated",
        }
        return Run(record, tuple(rows), None)


def answers(random: np.random.Generator, truth: Questions) -> Answers:
    shape = truth.epochs, len(truth.chance)
    tokens = 2 ** (truth.length + random.normal(0, 0.4, shape))
    return Answers(random.random(shape) < truth.chance, tokens)


def worse(
    random: np.random.Generator, new: Answers, base: Answers, metric: str, by: float
) -> Answers:
    """`new`, worse by that many points of accuracy, lost among what both had right, or by that
    many percent of thinking tokens."""
    if metric == "thinking_tokens":
        return replace(new, tokens=(1 + by / 100) * new.tokens)
    both = new.correct & base.correct
    lost = both & (random.random(both.shape) < by / 100 / both.mean())
    return replace(new, correct=new.correct & ~lost)


def false_alarms(number: int, epochs: int, repetitions: int) -> float:
    """Share of the repetitions in which any of the 20 comparisons is a false alarm, in percent."""
    gc.freeze()  # statsmodels collects garbage at every correction: half of the time otherwise
    alarms = 0
    for repetition in range(repetitions):
        random = np.random.default_rng([1, number, epochs, repetition])
        truth = questions(random, number, epochs)
        new, base = (
            [answers(random, truth).as_run(f"{name}{i}") for i in range(PAIRS)]
            for name in ("new", "base")
        )
        found = check(new, base, STRICT, resamples=1)
        alarms += any(comparison.regression for comparison in found)
    return 100 * alarms / repetitions


@dataclass(frozen=True)
class Power:
    """found: percent of the checks that stated something detectable. stated: mean of what they
    stated. checks: how many did."""

    found: float
    stated: float
    checks: int


def power(number: int, epochs: int, repetitions: int) -> dict[str, Power]:
    """By metric. Left out is a metric for which fewer than nine of ten checks state anything: the
    others are those that overlooked how much the runs differ."""
    found: dict[str, list[bool]] = {"accuracy": [], "thinking_tokens": []}
    stated: dict[str, list[float]] = {"accuracy": [], "thinking_tokens": []}
    gc.freeze()  # as above
    for repetition in range(repetitions):
        random = np.random.default_rng([2, number, epochs, repetition])
        truth = questions(random, number, epochs)
        new, base = answers(random, truth), answers(random, truth)
        equal = _check(new, base, repetition)
        for metric in found:
            detectable = equal[metric].detectable
            if detectable is None:
                continue
            new, base = answers(random, truth), answers(random, truth)
            compared = _check(worse(random, new, base, metric, detectable), base, repetition)
            found[metric].append(compared[metric].regression)
            stated[metric].append(detectable)
    return {
        metric: Power(100 * float(np.mean(each)), float(np.mean(stated[metric])), len(each))
        for metric, each in found.items()
        if len(each) >= 0.9 * repetitions
    }


def _check(new: Answers, base: Answers, seed: int) -> dict[str, Comparison]:
    sides = [new.as_run("new0")], [base.as_run("base0")]
    return {c.metric: c for c in check(*sides, ONE_OF_TEN, seed=seed)}


def plain(pairs: int, number: int, metric: str) -> float:
    """Share of the runs that are found to be worse, in percent: each thinks three times as long, or
    falls from 90% to 30%."""
    random = np.random.default_rng([3, pairs, number])
    length = questions(random, number, 1).length
    tokens = metric == "thinking_tokens"
    sides: dict[str, list[Run]] = {"new": [], "base": []}
    for i in range(pairs):
        for side, runs in sides.items():
            fallen = side == "new" and not tokens
            made = answers(random, Questions(np.full(number, 0.3 if fallen else 0.9), length, 1))
            if side == "new" and tokens:
                made = replace(made, tokens=3 * made.tokens)
            runs.append(made.as_run(f"{side}{i}"))
    found = check(sides["new"], sides["base"], resamples=1)
    return 100 * sum(c.regression for c in found if c.metric == metric) / pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    repetitions = parser.parse_args().repetitions
    left = 0

    def row(name: str, share: float, bounds: tuple[float, float], checks: int) -> int:
        error = 100 * math.sqrt(max(share * (100 - share) / 1e4, 0.01) / checks)
        kept = bounds[0] - 3 * error <= share <= bounds[1] + 3 * error
        print(
            f"{name:<70} {share:5.1f}% ± {error:.1f}  bounds {bounds[0]:g} to {bounds[1]:g}"
            f"{'' if kept else '  LEFT'}",
            flush=True,
        )
        return not kept

    for pairs, number, metric in (
        (60, 30, "thinking_tokens"),
        (10, 10, "thinking_tokens"),
        (60, 30, "accuracy"),
    ):
        share = plain(pairs, number, metric)
        name = f"{pairs} runs x {number} questions, plain {metric}"
        left += row(name, share, (PLAIN[metric], 100), pairs)
    for number, epochs in SHAPES:
        name = f"{number:>4} questions x {epochs} epochs"
        for metric, p in power(number, epochs, repetitions).items():
            unit = "%" if "tok" in metric else " points"
            what = f"{metric} worse by {p.stated:.1f}{unit}"
            left += row(f"{name}, {what}: found", p.found, POWER, p.checks)
        share = false_alarms(number, epochs, max(1, repetitions // 4))
        left += row(
            f"{name}, any false alarm of 20 comparisons", share, ALARMS, max(1, repetitions // 4)
        )
    if left:
        sys.exit(f"{left} rows leave their bounds")


if __name__ == "__main__":
    main()
