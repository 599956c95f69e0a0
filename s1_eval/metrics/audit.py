"""The budget audit: what a run was allowed, what it used, and why its thinking ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from s1_eval.metrics import caveats
from s1_eval.records import Run
from s1_eval.thinking import CUT

EXIT_REASONS = ("natural", "budget", "context", "eos", "early", "unknown")


@dataclass(frozen=True, slots=True)
class Audit:
    """Sums over a run's samples (question x epoch).

    over_budget: samples that thought more than the run's limit; None without a limit.
    forced_thinking: ignore strings; None where the record does not tell them apart.
    answered_correct: correct samples among the answered ones.
    generated, verified: tokens sampled by the policy (discarded samples included) and read by a
        verifier.
    missing: rows that the run lacks to have every epoch of every question, and those skipped
        because they could not be read.
    exit_reasons: number of samples by the reason their thinking ended, all of `EXIT_REASONS` there.
    answers: how many there are, those that a method chose among one by one; cut: of them, by what
        cut them, `budget` or `context`. An answer whose end is not known counts as whole.
    special_tokens, leaked, thinking_answers: see the sample record. thought_to_eos: samples that
        thought, and whose thinking ended by end-of-sequence.
    """

    samples: int
    over_budget: int | None
    thinking: int
    most_thinking: int
    forced_thinking: int | None
    generated: int
    verified: int
    answered: int
    answered_correct: int
    missing: int
    exit_reasons: dict[str, int]
    answers: int
    cut: dict[str, int]
    special_tokens: int
    leaked: int
    thinking_answers: int
    thought_to_eos: int


def audit(run: Run) -> Audit:
    """One pass over the run's rows."""
    thinking = [row["thinking_tokens"] for row in run.rows]
    forced = [row.get("forced_thinking_tokens") for row in run.rows]
    reasons = Counter(row["exit_reason"] for row in run.rows)
    budget = run.budget
    ends: list[str | None] = [
        e for row in run.rows for e in row.get("sample_answer_exits", (row.get("answer_exit"),))
    ]
    return Audit(
        samples=len(run.rows),
        over_budget=None if budget is None else sum(tokens > budget for tokens in thinking),
        thinking=sum(thinking),
        most_thinking=max(thinking),
        forced_thinking=None if None in forced else sum(f for f in forced if f is not None),
        generated=sum(row["generated_tokens"] for row in run.rows),
        verified=sum(row["verifier_tokens"] for row in run.rows),
        answered=sum(row["answered"] for row in run.rows),
        answered_correct=sum(row["answered"] and row["correct"] for row in run.rows),
        missing=caveats.lacking(run),
        exit_reasons={reason: reasons[reason] for reason in EXIT_REASONS},
        answers=len(ends),
        cut={exit: ends.count(exit) for exit in sorted(CUT)},
        special_tokens=sum(row.get("answer_special_tokens", 0) for row in run.rows),
        leaked=sum(row.get("leaked", 0) for row in run.rows),
        thinking_answers=sum(row.get("thinking_answers", 0) for row in run.rows),
        thought_to_eos=sum(
            row["exit_reason"] == "eos" and row["thinking_tokens"] > 0 for row in run.rows
        ),
    )
