"""The sample record: one plain dict per question, epoch and run, one line of `samples.jsonl`.
What the fields mean stands in `schema.json`; here stand their names and types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, cast, get_args

from s1_eval.thinking import AnswerExit, Outcome
from s1_eval.thinking.logprobs import summary
from s1_eval.thinking.trace import Decode


class Shared(TypedDict):
    """What every row of a run shares; it comes from the run record."""

    run_id: str
    harness: str
    engine: str
    model: str
    task: str
    method: str
    method_params: Mapping[str, Any]


class Measured(TypedDict):
    """What every row has of its own."""

    budget: int | None
    sample_id: str
    epoch: int
    target: str
    answer: str
    correct: bool
    answered: bool
    thinking_tokens: int
    forced_tokens: int
    answer_tokens: int
    generated_tokens: int
    verifier_tokens: int
    exit_reason: str
    num_ignores_used: int
    seconds: float | None
    seed: int | None


class OwnRow(Measured, total=False):
    """A row without what its run record says already, without full texts and traces. Every
    further key that a file or a method gives is kept."""

    answer_exit: AnswerExit | None
    prompt_tokens: int | None
    cached_tokens: int | None
    flops: int | None
    machine_seconds: float | None
    waiting_seconds: float | None
    prefill_seconds: float | None
    decode_seconds: float | None
    forced_thinking_tokens: int
    reused_tokens: int
    answer_special_tokens: int
    leaked: int
    thinking_answers: int
    most_tokens: int
    recounted: bool
    copy: bool
    scores: Mapping[str, Any]
    forced_end: bool
    recorded_correct: bool
    error: str
    limit: str
    left_out: int
    rule: str
    metadata: Mapping[str, Any]
    published: str
    grader: Mapping[str, Any]
    sample_answers: Sequence[str]
    sample_groups: Sequence[int]
    sample_correct: Sequence[bool]
    sample_thinking_tokens: Sequence[int]
    sample_scores: Sequence[float]
    sample_keep: float
    sample_measure: str
    sample_confidence: Mapping[str, Sequence[float]]
    confidence: Mapping[str, float]
    checkpoints: Sequence[Mapping[str, Any]]
    sample_answer_exits: Sequence[AnswerExit | None]


class SampleRow(Shared, OwnRow, total=False):
    """A whole row, one line of `samples.jsonl`. question: as it was asked, unless its authors ask
    that it be published nowhere. thinking: its text, where there are no traces. response: the text
    that is graded. step_scores: of each trace, the
    verifier's score of every step. run: the run record, where none can lie beside the rows.
    other_epochs: rows of the question's further epochs, in an lm-eval sample file."""

    question: str
    thinking: str
    response: str
    step_scores: Sequence[Sequence[float]]
    traces: Sequence[Mapping[str, Any]]
    run: Mapping[str, Any]
    other_epochs: Sequence[SampleRow]


SharedField = Literal["run_id", "harness", "engine", "model", "task", "method", "method_params"]
SHARED_FIELDS: tuple[SharedField, ...] = get_args(SharedField)
SAMPLE_FIELDS = (*SHARED_FIELDS, *Measured.__annotations__)
"""What every row has, in the order of the file."""


_NOTHING: Mapping[str, Any] = {}


def solved_fields(
    outcome: Outcome,
    *,
    sample_id: str,
    epoch: int,
    seconds: float | None,
    seed: int | None,
    with_traces: bool = False,
    decode: Decode | None = None,
    spent: Mapping[str, Any] = _NOTHING,
    logprobs: int | None = None,
) -> SampleRow:
    """What a method's outcome says of a row, which is all but the run's own fields, the target and
    the verdict.

    epoch: from 1. seconds: wall time of the method, None where it was not taken.
    with_traces: adds `traces`, every chain that was paid for; with `decode` they carry text.
    spent: further fields, of what its requests cost together.
    logprobs: of so many of the likeliest ids are told there, None tells none at all.

    Beyond `SAMPLE_FIELDS`: `answer_exit` (why the answer ended), `confidence` (of the chain whose
    answer was given, where the engine told), `forced_thinking_tokens` (the ignore strings, which
    count as thinking too), `reused_tokens` (sampled ids that a continuation cache supplied), and
    what the method itself adds. Raises ValueError if that would overwrite a field.
    """
    chosen = [outcome.traces[i] for i in outcome.chosen]
    fields: dict[str, Any] = {
        "budget": outcome.budget,
        "sample_id": sample_id,
        "epoch": epoch,
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
        **spent,
    }
    shown = outcome.shown
    if shown is not None and (told := shown.logprobs) is not None:
        fields["confidence"] = summary(told)
    if taken := {*SAMPLE_FIELDS, *fields} & outcome.extra.keys():
        raise ValueError(f"the method's own keys {sorted(taken)} are fields of the sample record")
    row = as_row({**fields, **outcome.extra})
    if with_traces:
        row["traces"] = [trace.to_dict(decode, logprobs) for trace in outcome.traces]
    return row


def sample_row(
    run: Shared,
    solved: SampleRow,
    *,
    target: str,
    answer: str,
    correct: bool | None,
    answered: bool,
    **more: Any,
) -> SampleRow:
    """One row, whole: what the run shares, what the method made of the question, the verdict.

    run: the run record. solved: see `solved_fields`. answer: as the grader extracted it, empty if
    it found none. correct: None where nobody has said what is right. more: what else the verdict
    says.
    """
    row = {
        **solved,
        **shared_of(run),
        "target": target,
        "answer": answer,
        "correct": correct,
        "answered": answered,
        **more,
    }
    return as_row({name: row[name] for name in SAMPLE_FIELDS} | row)


def shared_of(run: Shared) -> Shared:
    """What a run record, or a row, tells of all rows of its run."""
    return {
        "run_id": run["run_id"],
        "harness": run["harness"],
        "engine": run["engine"],
        "model": run["model"],
        "task": run["task"],
        "method": run["method"],
        "method_params": run["method_params"],
    }


def unjudged(row: Measured) -> bool:
    """Whether nobody has said yet if the answer is right: `correct` is None. Rows of a `Run` never
    are; files of other people's tasks may hold such."""
    correct: Any = row["correct"]
    return correct is None


def as_row(fields: Mapping[str, Any]) -> SampleRow:
    """Fields put together elsewhere, taken for a row; `validate_sample` makes sure of them."""
    return cast(SampleRow, fields)
