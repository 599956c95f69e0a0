"""What n samples a question say about every k up to n: pass@k (the reference's `cov@k`), majority@k
(`maj@k`) and best-of-k. The samples are those of `majority_vote` or `best_of_n`, or the epochs of
any other method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict

from s1_eval.errors import UserError
from s1_eval.metrics import caveats, intervals
from s1_eval.metrics.entries import Noted
from s1_eval.metrics.pass_at_k import pass_at_k
from s1_eval.metrics.selection import Samples, Selection, accuracy_at, samples_of
from s1_eval.records import OwnRow, Run
from s1_eval.records.method_info import method_info
from s1_eval.thinking.logprobs import MEASURES

if TYPE_CHECKING:
    from s1_eval.metrics.intervals import Floats, Interval


class AtK(TypedDict):
    """The figures at one k. generated_tokens, verifier_tokens: means per question. metrics,
    differences: by name, in percent and points."""

    k: int
    generated_tokens: float
    verifier_tokens: float
    metrics: Mapping[str, Noted]
    differences: Mapping[str, Noted]


class Curves(TypedDict):
    """Of one run. questions, samples (of each question), missing (rows): how many."""

    run_id: str
    model: str
    task: str
    method: str
    questions: int
    samples: int
    missing: int
    at: list[AtK]


Grouper = Callable[[Sequence[str]], Sequence[int]]
"""Equal answers get the same number, unreadable ones -1."""

_SELECTIONS: Mapping[str, Selection] = {
    "maj@k": "majority",
    "best-of-k, weighted": "weighted",
    "best-of-k, vanilla": "vanilla",
}
CONFIDENT = "conf@k, "
"""What a vote by the model's confidence is called, and behind it by which measure."""

_PAIRS = (
    ("maj@k", "pass@1"),
    ("best-of-k, weighted", "maj@k"),
    ("best-of-k, weighted", "best-of-k, vanilla"),
)


def at_k(
    run: Run,
    group: Grouper,
    ks: Sequence[int] = (),
    seed: int = 0,
    keep: Sequence[float] = (1.0,),
) -> Curves:
    """The curves of one run. maj@k of epochs whose answers the file does not tell is None, with a
    note.

    ks: default 1, 2, 4, … and n. group: for epochs, whose records say nothing of equality. seed: of
    the choices of k that are drawn where there are too many.
    Raises UserError where there is one sample a question, or a k is out of range.
    """
    import numpy as np

    questions = _questions(run, group)
    n = min(len(samples) for each in questions.values() for samples in each)
    if n < 2:
        raise UserError(
            f"run {run.id} ({run.method}) has one sample a question: take a run of majority_vote "
            "or best_of_n, or several epochs"
        )
    for share in keep:
        if not 0 < share <= 1:
            raise UserError(f"keep={share:g}: give shares above 0 and up to 1, e.g. 0.1,1")
    for k in ks:
        if not 1 <= k <= n:
            raise UserError(f"k={k} of {n} samples a question: choose k from 1 to {n}")
    every = [samples for each in questions.values() for samples in each]
    scored = all(samples.scores for samples in every)
    measures = [
        (name, share)
        for name in every[0].confidence
        if name in MEASURES and all(name in samples.confidence for samples in every)
        for share in keep
    ]
    unsaid = _answers_not_recorded(run)
    ids = sorted(questions)
    sets = min(map(len, questions.values()))
    found: list[AtK] = []
    for k in ks or _powers(n):
        columns = {
            name: np.array([_mean(questions[id], f) for id in ids])
            for name, f in _metrics(k, scored, measures, seed).items()
            if not (unsaid and name == "maj@k")
        }
        generated, verified = _tokens(run, k)
        metrics, differences = _summary(columns, sets * n, k, unsaid)
        found.append(
            {
                "k": k,
                "generated_tokens": generated,
                "verifier_tokens": verified,
                "metrics": metrics,
                "differences": differences,
            }
        )
    return {
        "run_id": run.id,
        "model": run.model,
        "task": run.task,
        "method": run.method,
        "questions": len(ids),
        "samples": n,
        "missing": caveats.lacking(run),
        "at": found,
    }


def _answers_not_recorded(run: Run) -> str | None:
    """Why epochs have no majority: a vote on answers that the file does not tell is none."""
    if method_info(run).chooses:
        return None
    empty = sum(row["answered"] and not row["answer"].strip() for row in run.rows)
    if not empty:
        return None
    return (
        f"no majority: {empty} of {len(run.rows)} answers are not in the file; name their column "
        "with --columns answer=COLUMN, or grade anew with --regrade GRADER"
    )


def _questions(run: Run, group: Grouper) -> dict[str, list[Samples]]:
    """By question: the sample sets of its epochs, or its epochs as one set."""
    found: dict[str, list[Samples]] = {}
    if method_info(run).chooses:
        for row in run.rows:
            found.setdefault(row["sample_id"], []).append(samples_of(row))
        return found
    epochs: dict[str, list[OwnRow]] = {}
    for row in run.rows:
        epochs.setdefault(row["sample_id"], []).append(row)
    for id, rows in epochs.items():
        answers = tuple(row["answer"] for row in rows)
        found[id] = [
            Samples(
                answers,
                tuple(group(answers)),
                tuple(bool(row["correct"]) for row in rows),
                tuple(row["thinking_tokens"] for row in rows),
            )
        ]
    return found


def _metrics(
    k: int, scored: bool, measures: Sequence[tuple[str, float]], seed: int
) -> dict[str, Callable[[Samples], float]]:
    def selected(selection: Selection) -> Callable[[Samples], float]:
        return lambda samples: accuracy_at(samples, k, selection, seed)

    def confident(measure: str, share: float) -> Callable[[Samples], float]:
        def accuracy(samples: Samples) -> float:
            scores = tuple(samples.confidence[measure])
            return accuracy_at(replace(samples, scores=scores, keep=share), k, "weighted", seed)

        return accuracy

    names = [*_SELECTIONS] if scored else ["maj@k"]
    return {
        "pass@1": lambda samples: sum(samples.correct) / len(samples),
        "pass@k": lambda samples: float(pass_at_k(len(samples), sum(samples.correct), k)),
        **{name: selected(_SELECTIONS[name]) for name in names},
        **{_confident(*each): confident(*each) for each in measures},
    }


def _confident(measure: str, share: float) -> str:
    kept = "" if share == 1 else f", best {100 * share:g}%"
    return f"{CONFIDENT}{measure.replace('_', ' ')}{kept}"


def _mean(each: Sequence[Samples], metric: Callable[[Samples], float]) -> float:
    return sum(metric(samples) for samples in each) / len(each)


def _powers(n: int) -> list[int]:
    return sorted({*(1 << i for i in range(n.bit_length())), n})


def _tokens(run: Run, k: int) -> tuple[float, float]:
    """Generated and verifier tokens of k samples, means per question."""
    if not method_info(run).chooses:
        mean = sum(row["generated_tokens"] for row in run.rows) / len(run.rows)
        return k * mean, 0.0
    shares = [k / len(row["sample_answers"]) for row in run.rows]
    shared = list(zip(shares, run.rows, strict=True))
    generated = sum(share * row["generated_tokens"] for share, row in shared)
    verified = sum(share * row["verifier_tokens"] for share, row in shared)
    return generated / len(run.rows), verified / len(run.rows)


def _summary(
    columns: Mapping[str, Floats], samples: int, k: int, unsaid: str | None
) -> tuple[Mapping[str, Noted], Mapping[str, Noted]]:
    """Metrics and differences. columns: values per question, between 0 and 1. samples: of each
    question."""

    def entry(values: Floats, span: Interval | None) -> Noted:
        low, high = (100 * span.low, 100 * span.high) if span else (None, None)
        note = None if span else intervals.reason(values)
        return {"value": float(100 * values.mean()), "low": low, "high": high, "note": note}

    def looks(name: str) -> float:
        return samples / (1 if name == "pass@1" else k)

    metrics = {
        name: entry(values, intervals.proportion(values, looks(name)))
        for name, values in columns.items()
    }
    if unsaid:
        metrics["maj@k"] = {"value": None, "low": None, "high": None, "note": unsaid}
    differences = {}
    confident = ((name, "maj@k") for name in columns if name.startswith(CONFIDENT))
    for one, other in (*_PAIRS, *confident):
        if one in columns and other in columns:
            changes = columns[one] - columns[other]
            differences[f"{one} minus {other}"] = entry(
                changes, intervals.difference(changes, looks(one))
            )
    return metrics, differences
