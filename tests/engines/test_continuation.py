"""The contract over a server that keeps only half of it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pseudo_model import PIECES, PseudoEngine, PseudoServer, next_id

from s1_eval.engines.continuation import Served, continue_exactly, first_stop
from s1_eval.engines.protocol import Generation, Sampling, Stop

GREEDY = Sampling()


def through(server: PseudoServer, serve=None, *, prompt=(2,), max_tokens=40, stop=Stop()):
    return asyncio.run(
        continue_exactly(
            serve or server.serve,
            prompt,
            max_tokens=max_tokens,
            stop=stop,
            sampling=GREEDY,
            tokenizer=server.tokenizer,
            vocabulary=frozenset(range(len(PIECES))),
        )
    )


@settings(max_examples=300, deadline=None)
@given(
    prompt=st.lists(st.integers(0, 6), min_size=1, max_size=4).map(tuple),
    max_tokens=st.integers(1, 40),
    stop=st.builds(
        Stop,
        ids=st.frozensets(st.integers(0, 3), max_size=2),
        strings=st.lists(st.sampled_from(["ab", "ba\n", "c\nc"]), max_size=2).map(tuple),
        min_tokens=st.integers(0, 12),
    ),
)
def test_greedy_generations_are_those_of_the_contract(prompt, max_tokens, stop):
    engine = PseudoEngine()
    want = asyncio.run(engine.generate(prompt, max_tokens=max_tokens, stop=stop, sampling=GREEDY))
    assert through(PseudoServer(), prompt=prompt, max_tokens=max_tokens, stop=stop) == want


def test_one_request_is_enough_unless_strings_have_a_minimum():
    server = PseudoServer()
    through(server, stop=Stop(frozenset({0}), min_tokens=5))
    through(server, stop=Stop(strings=("zz",)))
    assert len(server.requests) == 2
    through(server, stop=Stop(strings=("zz",), min_tokens=5))
    assert len(server.requests) == 4


def test_ids_outside_the_tokenizer_are_replaced_and_never_fed_back():
    server = PseudoServer(padding=5)
    ids = through(server, max_tokens=60).ids
    assert len(ids) == 60
    assert max(ids) < len(PIECES)
    assert len(server.requests) > 1
    padded = frozenset(range(len(PIECES), server.vocabulary))
    for at in range(60):
        assert ids[at] == next_id((2, *ids[:at]), padded, None, server.vocabulary)


@pytest.mark.parametrize(
    ("returned", "stop", "message"),
    [
        ((2,) * 41, Stop(), "41 tokens where 1 to 40"),
        ((), Stop(), "0 tokens where 1 to 40"),
        ((2, 0, 3), Stop(frozenset({0})), r"ignores stop_token_ids=\[0\]"),
        ((2, 0), Stop(frozenset({0}), min_tokens=2), "ignores min_tokens=2"),
    ],
)
def test_a_server_that_ignores_limits_or_stops_is_reported(returned, stop, message):
    async def serve(request):
        return Served(returned)

    with pytest.raises(RuntimeError, match=message):
        through(PseudoServer(), serve, stop=stop)


def test_the_first_stop_is_the_one_that_would_have_ended_the_generation():
    tokenizer = PseudoServer().tokenizer
    ids = [tokenizer.id(p) for p in ("a", "b", "c\n", "a", "b", "<|im_end|>")]
    assert first_stop(ids, Stop(frozenset({0}), ("ab",)), tokenizer) == Generation(
        (), (tokenizer.id("a"), tokenizer.id("b")), "stop"
    )
    assert first_stop(ids, Stop(strings=("ba",)), tokenizer) is None
