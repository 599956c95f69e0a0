"""A sample record says what its outcome counted, field by field, in the published order."""

import json

import pytest
import runs

from s1_eval.records import SAMPLE_FIELDS, sample_row, solved_fields, validate_sample
from s1_eval.thinking import Outcome, Segment, Trace


def test_fields_are_those_of_the_design_in_that_order():
    assert tuple(runs.row(runs.record()))[: len(SAMPLE_FIELDS)] == (
        *("run_id", "harness", "engine", "model", "task", "method", "method_params", "budget"),
        *("sample_id", "epoch", "target", "answer", "correct", "answered", "thinking_tokens"),
        *("forced_tokens", "answer_tokens", "generated_tokens", "verifier_tokens"),
        *("exit_reason", "num_ignores_used", "seconds", "seed"),
    )


def test_counts_are_those_of_the_trace():
    row = runs.row(runs.record(), thinking=10, waits=2, budget=16, exit_reason="budget")
    assert row["thinking_tokens"] == 10
    assert row["forced_thinking_tokens"] == 2
    assert row["forced_tokens"] == 2 + 4  # the ignore strings and both delimiters
    assert row["generated_tokens"] == 8 + 1 + 1  # thinking, answer, the stripped stop token
    assert row["num_ignores_used"] == 2
    assert row["budget"] == 16
    assert row["exit_reason"] == "budget"


def test_discarded_traces_are_paid_for_but_not_thought_with():
    def chain(length):
        return Trace((5,), (Segment("thinking", "sampled", (9,) * length),), "natural", reused=1)

    outcome = Outcome("7", (chain(30), chain(4)), chosen=(1,), extra={"tries": 2})
    solved = solved_fields(outcome, sample_id="q", epoch=1, seconds=None, seed=None)
    verdict = {"target": "7", "answer": "7", "correct": True, "answered": True}
    row = sample_row(runs.record(), solved, **verdict)
    assert (row["thinking_tokens"], row["generated_tokens"], row["reused_tokens"]) == (4, 34, 2)
    assert row["tries"] == 2
    validate_sample(row)


def test_a_method_cannot_overwrite_a_field():
    outcome = Outcome("7", runs.outcome(3).traces, extra={"correct": True})
    with pytest.raises(ValueError, match="correct"):
        solved_fields(outcome, sample_id="q", epoch=1, seconds=1.0, seed=0)


def test_traces_come_along_when_asked_for_and_read_back():
    row = runs.row(runs.record(), thinking=6, waits=1, with_traces=True)
    [trace] = json.loads(json.dumps(row))["traces"]
    assert Trace.from_dict(trace) == runs.outcome(6, waits=1).traces[0]
    assert "traces" not in runs.row(runs.record())
