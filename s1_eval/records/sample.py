"""The sample record: one plain dict per question, epoch and run, one line of `samples.jsonl`.
What the fields mean stands in `schema.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from s1_eval.thinking import Outcome
from s1_eval.thinking.trace import Decode

SHARED_FIELDS = ("run_id", "harness", "engine", "model", "task", "method", "method_params")
"""Fields that are the same in every row of a run and come from its run record."""

SAMPLE_FIELDS = (
    *SHARED_FIELDS,
    "budget",
    "sample_id",
    "epoch",
    "target",
    "answer",
    "correct",
    "answered",
    "thinking_tokens",
    "forced_tokens",
    "answer_tokens",
    "generated_tokens",
    "verifier_tokens",
    "exit_reason",
    "num_ignores_used",
    "seconds",
    "seed",
)


def sample_row(
    run: Mapping[str, Any],
    outcome: Outcome,
    *,
    sample_id: str,
    epoch: int,
    target: str,
    answer: str,
    correct: bool,
    answered: bool,
    seconds: float | None,
    seed: int | None,
    with_traces: bool = False,
    decode: Decode | None = None,
) -> dict[str, Any]:
    """One row: what the run shares, what the outcome counted, what the harness knows.

    run: the run record. answer: as the grader extracted it, empty if it found none.
    epoch: from 1. seconds: wall time of the method, None where it was not taken.
    with_traces: adds `traces`, every chain that was paid for; with `decode` they carry text.

    Beyond `SAMPLE_FIELDS`: `answer_exit` (why the answer ended), `forced_thinking_tokens` (the
    ignore strings, which count as thinking too), `reused_tokens` (sampled ids that a continuation
    cache supplied), and what the method itself adds. Raises ValueError if that would overwrite a
    field.
    """
    chosen = [outcome.traces[i] for i in outcome.chosen]
    row: dict[str, Any] = {
        **{field: run[field] for field in SHARED_FIELDS},
        "budget": outcome.budget,
        "sample_id": sample_id,
        "epoch": epoch,
        "target": target,
        "answer": answer,
        "correct": correct,
        "answered": answered,
        "thinking_tokens": outcome.thinking_tokens,
        "forced_tokens": outcome.forced_tokens,
        "answer_tokens": outcome.answer_tokens,
        "generated_tokens": outcome.generated_tokens,
        "verifier_tokens": outcome.verifier_tokens,
        "exit_reason": outcome.exit_reason,
        "num_ignores_used": outcome.num_ignores_used,
        "seconds": seconds,
        "seed": seed,
        "answer_exit": outcome.answer_exit,
        "forced_thinking_tokens": sum(len(t.ids("thinking", "forced")) for t in chosen),
        "reused_tokens": sum(t.reused for t in outcome.traces),
    }
    if taken := row.keys() & outcome.extra.keys():
        raise ValueError(f"the method's own keys {sorted(taken)} are fields of the sample record")
    row.update(outcome.extra)
    if with_traces:
        row["traces"] = [trace.to_dict(decode) for trace in outcome.traces]
    return row
