"""What a record tells of log-probabilities: a summary where they were computed, and all of them
where that was asked for."""

from __future__ import annotations

from math import fsum

import pytest

import s1_eval
from s1_eval.errors import UserError
from s1_eval.records.schema import validate_sample
from s1_eval.thinking import Trace

ASK = {"model": "s1_hf/nano", "task": "nano", "limit": 2}
VOTE = {"method": "confidence", "samples": 3, "window": 16, "max_thinking_tokens": 64}


def rows(result: s1_eval.evaluation.api.Result) -> list:
    frame = result.samples(traces=True)
    found = frame.to_dict("records")
    for row in found:
        validate_sample(row, "here")
    return found


def test_every_sampled_id_has_one_and_no_forced_one(tmp_path):
    result = s1_eval.evaluate(
        **ASK, method=["plain", "budget_forcing"], num_ignores=1, logprobs=3, out=tmp_path
    )
    for row in rows(result):
        [trace] = row["traces"]
        for segment in trace["segments"]:
            assert ("logprobs" in segment) == (segment["origin"] == "sampled")
            if segment["origin"] == "sampled":
                number = len(segment["ids"])
                assert len(segment["logprobs"]) == len(segment["top_ids"]) == number
                assert {len(each) for each in segment["top_logprobs"]} == {3}
                greedy = [likely[0] for likely in segment["top_ids"]]
                assert greedy == segment["ids"], "greedy decoding takes the likeliest"
        told = Trace.from_dict(trace).logprobs
        assert row["confidence"]["logprob"] == pytest.approx(
            fsum(told.sampled) / len(told), rel=1e-3
        )
        assert row["confidence"]["mean"] == pytest.approx(
            fsum(told.confidence) / len(told), rel=1e-3
        )
    assert {run.record["sampling"]["logprobs"] for run in result.runs} == {3}
    with pytest.raises(UserError, match="sampling"):
        s1_eval.evaluate(
            **ASK, method=["plain", "budget_forcing"], num_ignores=1, logprobs=2, out=tmp_path
        )


def test_a_method_that_needs_them_leaves_a_summary_alone():
    short = rows(s1_eval.evaluate(**ASK, **VOTE))
    whole = rows(s1_eval.evaluate(**ASK, **VOTE, logprobs=1))
    for row, other in zip(short, whole, strict=True):
        assert not any("logprobs" in s for trace in row["traces"] for s in trace["segments"])
        sampled = [s for t in other["traces"] for s in t["segments"] if s["origin"] == "sampled"]
        assert {len(each) for s in sampled for each in s["top_logprobs"]} == {1}
        for name, values in row["sample_confidence"].items():
            assert values == pytest.approx(other["sample_confidence"][name], abs=2e-3)
        assert [t["segments"][1]["ids"] for t in row["traces"]] == [
            t["segments"][1]["ids"] for t in other["traces"]
        ]
