"""How often the 95% intervals hold the truth, in simulation: known truth, many repeated studies.

    python benchmarks/coverage.py [--repetitions 1000] [--resamples 2000]

A study is one sweep over caps: questions have a difficulty and a natural length, a run is right
where its budget reaches the difficulty, with luck of its own. Truth is the same study on a million
questions. The binomial noise of 1,000 repetitions is 1.4 points (two standard errors).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s1_eval.metrics import bootstrap
from s1_eval.metrics.bootstrap import Draws, Interval
from s1_eval.metrics.points import Tally

CAPS = (256, 512, 1024, 2048)
DIFFICULTY = 10.3
"""Mean log2 of the tokens at which half of the tries solve a question. At 9.5 the largest caps stop
binding, token counts come close, and Scaling's intervals are wider than they need be (98% at 30
questions): the unstable case that the metric's note names."""


@dataclass(frozen=True)
class Study:
    """correct, thinking: (runs, questions), sums over `epochs`."""

    correct: NDArray[np.int64]
    thinking: NDArray[np.int64]
    epochs: int

    @property
    def tallies(self) -> list[Tally]:
        n = self.correct.shape[1]
        ids = tuple(str(i) for i in range(n))
        return [
            Tally(ids, (self.epochs,) * n, tuple(c.tolist()), tuple(t.tolist()))
            for c, t in zip(self.correct, self.thinking, strict=True)
        ]


def study(random: np.random.Generator, questions: int, epochs: int) -> Study:
    """One sweep; the epochs of a question share its difficulty, so they are clustered."""
    difficulty = random.normal(DIFFICULTY, 1.5, questions)
    correct, thinking = [], []
    for cap in CAPS:
        length = 2 ** random.normal(difficulty, 0.7, (epochs, questions))
        used = np.minimum(length, cap).astype(np.int64) + 1
        chance = 0.9 / (1 + np.exp(-2 * (np.log2(cap) - difficulty)))
        correct.append((random.random((epochs, questions)) < chance).sum(axis=0))
        thinking.append(used.sum(axis=0))
    return Study(np.array(correct), np.array(thinking), epochs)


def statistics(draws: Draws) -> dict[str, NDArray[np.float64]]:
    return {
        "scaling": bootstrap.scaling(draws),
        "difference of two runs": 100 * (draws.accuracy[:, -1] - draws.accuracy[:, -2]),
        "mean thinking tokens": draws.thinking[:, -1],
    }


def plug_in(made: Study) -> Draws:
    """The study itself as its only resample."""
    n = made.correct.shape[1] * made.epochs
    means = [(each.sum(axis=1) / n)[None] for each in (made.correct, made.thinking)]
    return Draws(means[0], means[1], made.correct.shape[1])


def coverage(
    questions: int, epochs: int, repetitions: int, resamples: int, seed: int = 0
) -> dict[str, float]:
    """Share of the repetitions whose interval holds the truth, in percent."""
    truth_draws = plug_in(study(np.random.default_rng([seed, 1]), 1_000_000, epochs))
    truth = {name: float(value[0]) for name, value in statistics(truth_draws).items()}
    hits = dict.fromkeys([*truth, "accuracy, mean over the runs"], 0.0)
    for repetition in range(repetitions):
        made = study(np.random.default_rng([seed, 2, repetition]), questions, epochs)
        tallies = made.tallies
        draws = bootstrap.draw(tallies, repetition, resamples)
        spans = {
            name: bootstrap.interval(values, questions)
            for name, values in statistics(draws).items()
        }
        for name, span in spans.items():
            hits[name] += _holds(span, truth[name])
        # Over several accuracies, because at a single one the coverage of any interval of a
        # proportion jumps by several points from one value of n * p to the next.
        for i, run in enumerate(tallies):
            span = bootstrap.accuracy_interval(run, draws.accuracy[:, i])
            held = _holds(span, float(truth_draws.accuracy[0, i]))
            hits["accuracy, mean over the runs"] += held / len(tallies)
    return {name: 100 * count / repetitions for name, count in hits.items()}


def _holds(span: Interval | None, truth: float) -> bool:
    return span is not None and span.low <= truth <= span.high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=2000)
    args = parser.parse_args()
    for questions, epochs in ((30, 1), (30, 4), (500, 1)):
        found = coverage(questions, epochs, args.repetitions, args.resamples)
        for name, share in found.items():
            print(f"{questions:>4} questions x {epochs} epochs  {name:<29} {share:5.1f}%")


if __name__ == "__main__":
    main()
