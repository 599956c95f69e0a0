"""Thinking and answer in one request: the ids are those of two, whatever the model writes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pseudo_model import PIECES, PseudoEngine, PseudoServer

from s1_eval.engines.ahead import Ahead
from s1_eval.engines.continuation import continue_exactly
from s1_eval.engines.following import Next, followed_by
from s1_eval.engines.protocol import Sampling, Stop
from s1_eval.engines.watching import watched

GREEDY = Sampling()
END = Stop(frozenset({0, 1}))
ANSWERED = Stop(frozenset({0}))


def through(server, ahead, prompt, *, max_tokens=60, stop=END, sampling=GREEDY):
    return continue_exactly(
        server.serve,
        prompt,
        max_tokens=max_tokens,
        stop=stop,
        sampling=sampling,
        tokenizer=server.tokenizer,
        vocabulary=frozenset(range(len(PIECES))),
        ahead=ahead,
    )


def contract(prompt, max_tokens=60, stop=END):
    call = PseudoEngine().generate(prompt, max_tokens=max_tokens, stop=stop, sampling=GREEDY)
    return asyncio.run(call)


def written(prompt, number):
    """What the model writes there by itself."""
    return contract(prompt, number, Stop()).ids


def both(server, prompt, forced, *, cap=60, limit=60, ahead=None, sampling=GREEDY, least=0):
    """(thinking, answer) with `forced` in place of the stop."""
    ahead, stop = ahead or Ahead(), replace(END, min_tokens=least)

    async def ask():
        with followed_by(Next(forced, ANSWERED)):
            thinking = await through(
                server, ahead, prompt, max_tokens=cap, stop=stop, sampling=sampling
            )
        told = (*prompt, *thinking.ids, *forced)
        return thinking, await through(
            server, ahead, told, max_tokens=limit, stop=ANSWERED, sampling=sampling
        )

    return asyncio.run(ask())


@settings(max_examples=150, deadline=None)
@given(
    prompt=st.lists(st.integers(0, 6), min_size=1, max_size=4).map(tuple),
    cap=st.integers(1, 40),
    limit=st.integers(1, 20),
    own=st.integers(0, 3),
    other=st.lists(st.integers(0, 6), max_size=1).map(tuple),
    padding=st.sampled_from([0, 3]),
    least=st.integers(0, 2),
)
def test_thinking_and_answer_are_those_of_two_requests(
    prompt, cap, limit, own, other, padding, least
):
    thinking = contract(prompt, cap, replace(END, min_tokens=least))
    forced = (*written((*prompt, *thinking.ids), own), *other) if own else other
    answer = contract((*prompt, *thinking.ids, *forced), limit, ANSWERED)
    how = {"cap": cap, "limit": limit, "least": least}
    if not padding:
        assert both(PseudoServer(), prompt, forced, **how) == (thinking, answer)
        return
    never = Ahead()
    never.lose(1 << 20)
    told, untold = (
        both(PseudoServer(padding), prompt, forced, ahead=a, **how) for a in (None, never)
    )
    assert told == untold


def prompts(number):
    """Some whose thinking ends by itself, with what the model writes then, its stop first."""
    found = []
    for n in range(200):
        prompt = (2, n % 7, n // 7 % 7, n // 49)
        thinking = contract(prompt, 30)
        if thinking.stop_ids == (1,) and len(found) < number:
            found.append((prompt, written((*prompt, *thinking.ids), 2)))
    return found


def test_a_model_that_goes_on_as_expected_is_asked_once():
    [(prompt, forced)] = prompts(1)
    server = PseudoServer()
    both(server, prompt, forced)
    assert len(server.requests) == 1


def test_after_an_ignored_end_it_is_asked_once_unless_it_ends_again_at_once():
    [(prompt, forced)] = prompts(1)
    once, twice = PseudoServer(), PseudoServer()
    both(once, prompt, forced, least=1)
    both(twice, (*prompt, *contract(prompt, 30).ids), forced, least=1)
    assert len(once.requests) == 1
    assert [r.stop.min_tokens for r in twice.requests[:2]] == [0, 1]


def test_what_an_answer_has_no_room_for_yet_is_asked_for():
    [(prompt, forced)] = prompts(1)
    cap = len(contract(prompt, 30).ids) + 4
    server = PseudoServer()
    thinking, answer = both(server, prompt, forced, cap=cap)
    assert [r.max_tokens for r in server.requests] == [cap, 60 - 2]
    assert answer == contract((*prompt, *thinking.ids, *forced), 60, ANSWERED)


def test_a_model_that_goes_on_otherwise_is_soon_left_alone():
    ahead, server = Ahead(), PseudoServer()
    for prompt, forced in prompts(20) * 8:
        both(server, prompt, (forced[0], (forced[1] + 1) % 7), ahead=ahead)
    assert server.requests[0].stop == ANSWERED
    assert server.requests[-2].stop == END


@pytest.mark.parametrize(
    "sampling", [Sampling(1.0, seed=1), Sampling(banned=frozenset({3})), Sampling(logprobs=0)]
)
def test_where_more_than_the_ids_before_matters_nothing_is_sampled_beyond(sampling):
    [(prompt, forced)] = prompts(1)
    server = PseudoServer()
    both(server, prompt, forced, sampling=sampling)
    assert server.requests[0].stop == END


def test_who_watches_sees_no_id_beyond_the_stop():
    [(prompt, forced)] = prompts(1)
    server = PseudoServer()
    with watched(lambda at, ids: None):
        both(server, prompt, forced)
    assert [r.stop for r in server.requests] == [END, ANSWERED]
