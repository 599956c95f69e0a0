"""How often the regression gate raises a false alarm, and how often it finds the smallest
regression that it says it could detect, in simulation.

    python benchmarks/gate.py [--repetitions 1000] [--resamples 4000]

A repetition is a check of ten runs against ten of the baseline, so 20 comparisons. For false
alarms both sides have the same truth, and the tolerances are 0: the strictest gate. For power, a
first check of equals says what it could detect; then one run of ten is worse by just that much,
in accuracy or in thinking tokens (the other nine are small and equal, to be quick). The noise of
1,000 repetitions is 1.4 points for false alarms and 2.5 for power (two standard errors).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s1_eval.metrics.gate import Comparison, Tolerance, check
from s1_eval.records import Run

PAIRS = 10
STRICT = Tolerance(max_drop=0, max_rise=0)

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
        rows = [
            {"sample_id": str(q), "epoch": epoch, "correct": c, "thinking_tokens": t}
            for epoch, (rights, lengths) in enumerate(zip(self.correct, self.tokens, strict=True))
            for q, (c, t) in enumerate(
                zip(rights.tolist(), lengths.astype(int).tolist(), strict=True)
            )
        ]
        record = {
            "run_id": name,
            "model": "simulated",
            "task": "simulated",
            "method": "budget_forcing",
            "method_params": {"max_thinking_tokens": name[-1]},
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


def among_equals(run: Answers, name: str) -> list[Run]:
    """The run, and nine small ones that are the same on every side."""
    few = questions(np.random.default_rng(0), 5, 1)
    small = [answers(np.random.default_rng(i), few) for i in range(1, PAIRS)]
    return [each.as_run(f"{name}{i}") for i, each in enumerate([run, *small])]


def false_alarms(number: int, epochs: int, repetitions: int, resamples: int) -> float:
    """Share of the repetitions in which any of the 20 comparisons is a false alarm, in percent."""
    alarms = 0
    for repetition in range(repetitions):
        random = np.random.default_rng([1, number, epochs, repetition])
        truth = questions(random, number, epochs)
        sides = [
            [answers(random, truth).as_run(f"{name}{i}") for i in range(PAIRS)]
            for name in ("new", "base")
        ]
        found = check(*sides, STRICT, seed=repetition, resamples=resamples)
        alarms += any(comparison.regression for comparison in found)
    return 100 * alarms / repetitions


def power(
    number: int, epochs: int, repetitions: int, resamples: int
) -> dict[str, tuple[float, float]]:
    """By metric: how often the stated regression is found, in percent of the repetitions that
    stated one; and the mean of what was stated."""
    found: dict[str, list[bool]] = {"accuracy": [], "thinking_tokens": []}
    stated: dict[str, list[float]] = {"accuracy": [], "thinking_tokens": []}
    for repetition in range(repetitions):
        random = np.random.default_rng([2, number, epochs, repetition])
        truth = questions(random, number, epochs)
        new, base = answers(random, truth), answers(random, truth)
        equal = _check(new, base, repetition, resamples)
        for metric in found:
            detectable = _first(equal, metric).detectable
            if detectable is None:
                continue
            new, base = answers(random, truth), answers(random, truth)
            compared = _check(
                worse(random, new, base, metric, detectable), base, repetition, resamples
            )
            found[metric].append(_first(compared, metric).regression)
            stated[metric].append(detectable)
    return {
        metric: (100 * float(np.mean(found[metric])), float(np.mean(stated[metric])))
        for metric in found
        if found[metric]
    }


def _check(new: Answers, base: Answers, seed: int, resamples: int) -> list[Comparison]:
    sides = (among_equals(run, name) for run, name in ((new, "new"), (base, "base")))
    return check(*sides, seed=seed, resamples=resamples)


def _first(comparisons: Sequence[Comparison], metric: str) -> Comparison:
    """Of the run that may be worse."""
    return next(c for c in comparisons if c.metric == metric and c.run == "new0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=4000)
    args = parser.parse_args()
    for number, epochs in ((30, 8), (500, 1)):
        name = f"{number:>4} questions x {epochs} epochs"
        alarms = false_alarms(number, epochs, args.repetitions, args.resamples)
        print(f"{name}  any false alarm of 20 comparisons   {alarms:5.1f}%", flush=True)
        for metric, (share, stated) in power(
            number, epochs, args.repetitions, args.resamples
        ).items():
            what = f"{metric} worse by {stated:.1f}{'%' if 'tok' in metric else ' points'}: found"
            print(f"{name}  {what:<42} {share:5.1f}%", flush=True)


if __name__ == "__main__":
    main()
