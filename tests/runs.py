"""Runs made up for tests of records, metrics and reports: written through `s1_eval.records`
itself, from outcomes of a wanted length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from s1_eval.records import (
    ASKED,
    Located,
    Run,
    collect,
    held_fields,
    run_record,
    sample_row,
    solved_fields,
)
from s1_eval.thinking import Delimiters, ExitReason, Outcome, Segment, Trace
from s1_eval.thinking.formats import S1

DELIMITERS = Delimiters(S1, (1, 2), (1, 3), frozenset({1}), (), (4,))


def record(method: str = "budget_forcing", **changes: Any) -> dict[str, Any]:
    """A run record; `changes` are arguments of `held_fields` or what a benchmark says."""
    given = {
        "harness": "s1-eval",
        "engine": "transformers",
        "model": "nano",
        "task": "toy",
        "method": method,
        "method_params": {},
        "sampling": {"temperature": 0.0, "top_p": 1.0, "top_k": 0},
        "seed": 0,
        "dtype": "float32",
        "weights_fingerprint": "0" * 64,
        "context_length": 32768,
        "seeding": "request",
        "dataset": {"id": "toy", "revision": None, "fingerprint": "f"},
        "grader": {"name": "integer"},
        "secret": False,
        "delimiters": DELIMITERS,
        "versions": {"transformers": "5.19.0"},
        "command": ["s1-eval", "sweep"],
        **changes,
    }
    about = {name: given.pop(name) for name in ASKED}
    return run_record(held_fields(**given), about)


def outcome(
    thinking: int,
    *,
    answer: str = "7",
    waits: int = 0,
    exit_reason: ExitReason = "natural",
    budget: int | None = None,
) -> Outcome:
    """One trace with that many thinking tokens, `waits` of them forced ignore strings."""
    pieces = [Segment("thinking", "sampled", (9,) * (thinking - waits))] if thinking > waits else []
    trace = Trace(
        prompt=(5, 6),
        segments=(
            Segment("delimiter", "forced", (1, 2)),
            *pieces,
            *(Segment("thinking", "forced", (8,)) for _ in range(waits)),
            Segment("delimiter", "forced", (1, 3)),
            *([Segment("answer", "sampled", (7,) * len(answer))] if answer else []),
        ),
        exit_reason=exit_reason,
        stripped=1,
    )
    return Outcome(answer=answer, traces=(trace,), budget=budget)


def row(
    run: Mapping[str, Any],
    sample_id: str = "q0",
    *,
    epoch: int = 1,
    correct: bool = True,
    answered: bool = True,
    thinking: int = 5,
    with_traces: bool = False,
    **of_outcome: Any,
) -> dict[str, Any]:
    """A sample record of `run`; `of_outcome` are arguments of `outcome`."""
    answer = ("7" if correct else "8") if answered else ""
    solved = solved_fields(
        outcome(thinking, answer=answer, **of_outcome),
        sample_id=sample_id,
        epoch=epoch,
        seconds=0.25,
        seed=0,
        with_traces=with_traces,
    )
    return sample_row(run, solved, target="7", answer=answer, correct=correct, answered=answered)


def run(
    correct: Sequence[bool | Sequence[bool]],
    thinking: int | Sequence[int | Sequence[int]],
    *,
    method: str = "budget_forcing",
    params: Mapping[str, Any] | None = None,
    budget: int | None = None,
    **changes: Any,
) -> Run:
    """A run of questions q000, q001, … `correct` and `thinking` are given per question, or per
    question and epoch; a single number is every question's."""
    made = record(method, method_params=dict(params or {}), **changes)
    lengths = [thinking] * len(correct) if isinstance(thinking, int) else thinking
    [built] = collect(_located(made, _cells(correct, lengths), budget))
    return built


def graded(right: int, of: int) -> list[bool]:
    """`right` correct answers among `of`, the correct ones first."""
    return [i < right for i in range(of)]


def _cells(correct: Sequence[Any], thinking: Sequence[Any]) -> Iterator[tuple[int, int, bool, int]]:
    for question, (right, length) in enumerate(zip(correct, thinking, strict=True)):
        rights = [right] if isinstance(right, bool | int) else right
        lengths = [length] * len(rights) if isinstance(length, int) else length
        for epoch, (r, t) in enumerate(zip(rights, lengths, strict=True), 1):
            yield question, epoch, bool(r), int(t)


def _located(
    made: Mapping[str, Any], cells: Iterable[tuple[int, int, bool, int]], budget: int | None
) -> Iterator[Located]:
    for question, epoch, correct, thinking in cells:
        yield Located(
            row(
                made,
                f"q{question:03}",
                epoch=epoch,
                correct=correct,
                thinking=thinking,
                budget=budget,
            ),
            "memory",
            f"memory q{question:03}",
            made,
        )
