"""What a question's requests cost, counted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedEngine

from s1_eval.engines.architecture import Architecture
from s1_eval.engines.protocol import Generation, Timing
from s1_eval.methods.meter import Meter
from s1_eval.verifiers.protocol import VerifierInfo

INFO = ScriptedEngine("").info
KEEPS = replace(INFO, prefix_cache=True)
SERVER = replace(INFO, prefix_cache=None)


def metered(info, *requests):
    meter = Meter(info)
    for prompt, generation in requests:
        meter.count(prompt, generation)
    return meter


def test_a_continuation_has_what_was_read_before_and_not_the_id_sampled_last():
    first = ((1, 2, 3), Generation((4, 5)))
    meter = metered(KEEPS, first, ((1, 2, 3, 4, 5, 9), Generation((6,))))
    assert (meter.prompt_tokens, meter.cached_tokens) == (9, 4)
    stopped = ((1, 2, 3), Generation((4, 5), (7,), "stop"))
    meter = metered(KEEPS, stopped, ((1, 2, 3, 4, 5, 9), Generation((6,))))
    assert (meter.prompt_tokens, meter.cached_tokens) == (9, 5)


def test_samples_of_one_prompt_bring_it_before_the_model_once():
    meter = metered(KEEPS, *[((1, 2, 3), Generation((n, 5))) for n in range(4)])
    assert (meter.prompt_tokens, meter.cached_tokens) == (12, 9)


def common(one, other):
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=200), min_size=1, max_size=8))
def test_what_was_read_is_known_id_for_id(prompts):
    """As many ids as the longest beginning that any earlier request had."""
    meter, cached = Meter(KEEPS), 0
    for n, prompt in enumerate(prompts):
        meter.count(prompt, Generation((7,)))
        cached += max((common(prompt, earlier) for earlier in prompts[:n]), default=0)
        assert meter.cached_tokens == cached


def test_without_a_prefix_cache_all_is_read_again():
    requests = [((1, 2, 3), Generation((4,)))] * 2
    assert metered(replace(INFO, prefix_cache=False), *requests).cached_tokens == 0


@pytest.mark.parametrize(
    ("says", "cached"), [((0, 2), 2), ((3, 3), 3), ((0, None), None), ((None, 0), None)]
)
def test_a_server_has_cached_what_it_says_but_nothing_that_others_brought(says, cached):
    requests = [((1, 2, 3), Generation((4,), cached_tokens=said)) for said in says]
    assert metered(SERVER, *requests).cached_tokens == cached


def test_seconds_are_known_where_all_requests_tell_them():
    timed = Generation((4,), timing=Timing(1.0, 2.0, 3.0))
    fields = metered(KEEPS, ((1,), timed), ((2,), timed)).fields()
    assert [fields[f"{part}_seconds"] for part in ("waiting", "prefill", "decode")] == [2, 4, 6]
    assert (
        metered(KEEPS, ((1,), timed), ((2,), Generation((4,)))).fields()["waiting_seconds"] is None
    )


def test_flops_are_of_what_is_read_once_and_of_what_is_sampled():
    model = Architecture(per_token=100, per_sampled=10, attention=((None, 1),))
    first = ((1, 2, 3), Generation((4, 5)))
    requests = [first, ((1, 2, 3, 4, 5, 9), Generation((6,)))]
    meter = metered(replace(KEEPS, architecture=model), *requests)
    assert meter.flops == model.flops(0, 4, 2) + model.flops(4, 6, 1)
    forgetful = replace(INFO, prefix_cache=False, architecture=model)
    assert metered(forgetful, *requests).flops == model.flops(0, 4, 2) + model.flops(0, 6, 1)
    assert metered(KEEPS, *requests).flops is None


def test_a_verifiers_reading_is_counted_too():
    model = Architecture(per_token=100, per_sampled=10, attention=((None, 1),))
    verifier = VerifierInfo("x", "x", "x", "\n", 99, "x", "x", architecture=model)
    meter = metered(replace(KEEPS, architecture=model), ((1,), Generation((4,))))
    meter.count_verifier(verifier, 3, 8)
    assert meter.flops == model.flops(0, 1, 1) + model.flops(3, 8)
    meter.count_verifier(replace(verifier, architecture=None), 8, 9)
    assert meter.flops is None
