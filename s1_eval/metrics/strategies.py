"""The curves of search strategies over their width N, and the compute-optimal choice among them at
each N. The choice itself stands in `compute_optimal`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Literal, NotRequired, TypedDict

from s1_eval.errors import UserError
from s1_eval.metrics import intervals
from s1_eval.metrics.compute_optimal import BINS, Measured, compute_optimal
from s1_eval.metrics.entries import Estimate
from s1_eval.metrics.selection import mean_accuracy_at, samples_of
from s1_eval.records import LeaveOut, OwnRow, Run, refuse
from s1_eval.records.method_info import method_info


class Width(TypedDict):
    """A strategy at one width N. tokens: the policy's and the verifier's, mean per question; the
    choice's include the estimate's. accuracy: percent. chosen: of the choice, the strategies by
    fold and bin."""

    samples: int
    tokens: float
    accuracy: Estimate
    chosen: NotRequired[Sequence[Sequence[str]]]


class Strategy(TypedDict):
    """points: one per width."""

    model: str
    task: str
    strategy: str
    points: list[Width]


Difficulty = Literal["oracle", "verifier"]
OPTIMAL = "compute-optimal"


def curves(
    runs: Sequence[Run],
    estimate: Run,
    by: Difficulty = "oracle",
    number: int = BINS,
    seed: int = 0,
    leave_out: LeaveOut = refuse,
) -> list[Strategy]:
    """One entry per strategy and one for the compute-optimal choice, the last.

    A run of best_of_n or majority_vote serves every power of two up to its samples; one of a
    method without samples (self_refine) is of width 1. The choice is made at the widths that two
    strategies or more have.
    estimate: samples that no strategy is measured on, whose pass@1 (`oracle`) or mean score
    (`verifier`) is a question's easiness.
    leave_out: told of runs of other questions or of no whole width.
    Raises UserError for an estimate that is one of the runs, and where there is nothing to choose.
    """
    if estimate.id in {run.id for run in runs}:
        raise UserError(
            f"run {estimate.id} would estimate difficulty from the samples that it is measured on: "
            "give a run with another --seed"
        )
    ids = sorted({row["sample_id"] for row in estimate.rows})
    levels: dict[int, dict[str, Measured]] = {}
    for run in runs:
        try:
            widths = _measured(run, ids, estimate)
        except UserError as error:
            leave_out(error, [run])
            continue
        for name, width, measured in widths:
            if name in levels.setdefault(width, {}):
                raise UserError(f"two runs of {name} with {width} samples: give one of them")
            levels[width][name] = measured
    easiness, charged = _estimate(estimate, ids, by)
    points: dict[str, list[Width]] = {}
    for width, strategies in sorted(levels.items()):
        for name, measured in strategies.items():
            points.setdefault(name, []).append(_point(width, measured))
        if len(strategies) > 1:
            found = compute_optimal(strategies, easiness, charged, number=number, seed=seed)
            measured = Measured(found.accuracy, found.tokens)
            best = _point(width, measured)
            best["chosen"] = found.strategies
            points.setdefault(OPTIMAL, []).append(best)
    if OPTIMAL not in points:
        raise UserError(
            "no width has two strategies to choose among: give runs of several methods with the "
            "same --samples"
        )
    points[OPTIMAL] = points.pop(OPTIMAL)
    return [
        {"model": estimate.model, "task": estimate.task, "strategy": name, "points": each}
        for name, each in points.items()
    ]


def _measured(run: Run, ids: Sequence[str], estimate: Run) -> list[tuple[str, int, Measured]]:
    """(strategy, width, measured) of every width that the run serves."""
    if sorted({row["sample_id"] for row in run.rows}) != ids:
        raise UserError(
            f"run {run.id} of {run.method} and {estimate.id}, the estimate of difficulty, answered "
            "different questions: run both on the same"
        )
    tokens = _per_question(run, ids, _tokens)
    if method_info(run).chooses:
        n = min(len(samples_of(row)) for row in run.rows)
        selection = run.params.get("selection", "majority")
        name = run.method if selection == "majority" else f"{run.method}, {selection}"
        found = []
        for k in (1 << i for i in range(n.bit_length())):
            accuracy = mean_accuracy_at(run.rows, k, selection)
            share = [k / n * spent for spent in tokens]
            found.append((name, k, Measured([accuracy[id] for id in ids], share)))
        return found
    width = run.params.get("samples", 1)
    if not isinstance(width, int):
        raise UserError(f"run {run.id} of {run.method} has samples={width!r}: give a whole number")
    return [
        (run.method, width, Measured(_per_question(run, ids, lambda row: row["correct"]), tokens))
    ]


def _estimate(run: Run, ids: Sequence[str], by: Difficulty) -> tuple[list[float], list[float]]:
    """(easiness, tokens charged) per question."""
    sums: dict[str, list[float]] = {id: [] for id in ids}
    for row in run.rows:
        if by == "verifier":
            scores = samples_of(row).scores
            if scores is None:
                raise UserError(
                    f"run {run.id} of {run.method} has no verifier's scores: give one of "
                    "best_of_n, or --difficulty-by oracle"
                )
            sums[row["sample_id"]] += scores
        elif "sample_correct" in row:
            sums[row["sample_id"]] += map(float, samples_of(row).correct)
        else:
            sums[row["sample_id"]].append(float(row["correct"]))
    spent = _tokens if by == "verifier" else (lambda row: row["generated_tokens"])
    return [fmean(sums[id]) for id in ids], _per_question(run, ids, spent)


def _tokens(row: OwnRow) -> int:
    return row["generated_tokens"] + row["verifier_tokens"]


def _per_question(run: Run, ids: Sequence[str], of: Callable[[OwnRow], float]) -> list[float]:
    """`of` each row, mean over a question's epochs."""
    found: dict[str, list[float]] = {}
    for row in run.rows:
        found.setdefault(row["sample_id"], []).append(float(of(row)))
    return [fmean(found[id]) for id in ids]


def _point(width: int, measured: Measured) -> Width:
    import numpy as np

    values = np.array(measured.accuracy, dtype=float)
    span = intervals.proportion(values)
    return {
        "samples": width,
        "tokens": fmean(measured.tokens),
        "accuracy": {
            "value": float(100 * values.mean()),
            "low": 100 * span.low if span else None,
            "high": 100 * span.high if span else None,
        },
    }
