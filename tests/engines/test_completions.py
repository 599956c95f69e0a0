"""The completions engine against a server on loopback that fails in every way servers fail."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from http_server import CompletionsServer, told
from pseudo_model import PIECES, PseudoEngine, next_id

from s1_eval.engines.completions import CompletionsEngine
from s1_eval.engines.protocol import Sampling, Stop
from s1_eval.engines.watching import watched
from s1_eval.errors import SampleFailed, UserError

PROMPT = (2, 3, 4)
PADDED = frozenset({7, 8})


@pytest.fixture
def serve(pseudo_folder):
    """Starts servers and stops them after the test."""
    servers = []

    def start(**options) -> CompletionsServer:
        servers.append(CompletionsServer(str(pseudo_folder), **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect():
    """Opens engines and closes them after the test."""
    engines = []

    def start(*servers, **options) -> CompletionsEngine:
        urls = [getattr(server, "url", server) for server in servers]
        options = {"backoff": 0.01, "timeout": 5.0} | options
        engines.append(CompletionsEngine("pseudo", urls, **options))
        return engines[-1]

    yield start
    for engine in engines:
        engine.close()


def ask(engine, prompt=PROMPT, *, max_tokens=30, stop=Stop(), sampling=Sampling()):
    return asyncio.run(engine.generate(prompt, max_tokens=max_tokens, stop=stop, sampling=sampling))


def chain(prompt=PROMPT, length=30) -> tuple[int, ...]:
    """What the pseudo-model writes greedily, ids outside the tokenizer left out."""
    ids: tuple[int, ...] = ()
    while len(ids) < length:
        ids += (next_id((*prompt, *ids), PADDED, None, len(PIECES) + len(PADDED)),)
    return ids


@pytest.mark.parametrize("dialect", ["token_ids", "logprobs"])
def test_ids_go_out_and_come_back_exactly(serve, connect, dialect):
    server = serve(dialects=(dialect,))
    engine = connect(server)
    assert ask(engine).ids == chain()
    assert server.bodies[-1]["prompt"][:3] == list(PROMPT)


@pytest.mark.parametrize(
    "stop",
    [Stop(frozenset({0, 3})), Stop(strings=("ab",)), Stop(frozenset({1}), ("\n\n",), 7)],
)
def test_stops_are_those_of_the_contract(serve, connect, stop):
    server = serve()
    server.model.vocabulary = len(PIECES)
    engine = connect(server)
    for first in range(7):
        want = asyncio.run(
            PseudoEngine().generate((first,), max_tokens=40, stop=stop, sampling=Sampling())
        )
        assert ask(engine, (first,), max_tokens=40, stop=stop) == want


def test_a_seed_makes_one_request_repeatable_where_the_server_seeds(serve, connect):
    engine = connect(serve())
    assert engine.info.seeding == "request"
    seeded = Sampling(1.0, seed=5)
    assert ask(engine, sampling=seeded) == ask(engine, sampling=seeded)
    assert ask(engine, sampling=seeded) != ask(engine, sampling=Sampling(1.0, seed=6))


def test_a_server_that_cannot_seed_is_never_sent_a_seed(serve, connect):
    server = serve()
    engine = connect(server, seeding="engine")
    assert engine.info.seeding == "engine"
    ask(engine, sampling=Sampling(1.0, seed=5))
    assert "seed" not in server.bodies[-1]


def test_the_servers_own_sampling_defaults_are_overruled(serve, connect):
    server = serve()
    ask(connect(server))
    neutral = {
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "ignore_eos": True,
        "skip_special_tokens": False,
    }
    assert neutral.items() <= server.bodies[-1].items()


@pytest.mark.parametrize(
    "fault", [500, 503, 429, "drop", "truncate", "malformed", "html", "no ids", "abort"]
)
def test_passing_faults_cost_tries_not_samples(serve, connect, fault):
    server = serve()
    server.model.vocabulary = len(PIECES)
    engine = connect(server)
    server.faults.extend([fault] * 3)
    before = len(server.bodies)
    assert ask(engine).ids == ask(engine).ids
    assert len(server.bodies) - before == 5


def test_a_hang_is_given_up_and_tried_again(serve, connect):
    server = serve()
    engine = connect(server, timeout=0.3)
    server.faults.append("hang")
    assert ask(engine).ids == chain()


@pytest.mark.parametrize("fault", [500, "drop", "malformed", "hang"])
def test_a_fault_that_stays_is_a_clear_error(serve, connect, fault):
    server = serve()
    engine = connect(server, retries=2, timeout=0.3)
    server.faults.extend([fault] * 3)
    with pytest.raises(RuntimeError, match=rf"3 tries failed.*{server.url}"):
        ask(engine)
    assert ask(connect(server)).ids == chain()  # whoever is busy takes longer than that timeout


def test_retry_after_is_obeyed(serve, connect):
    server = serve()
    engine = connect(server, backoff=0.0)
    server.retry_after = "1"
    server.faults.append(429)
    began = time.monotonic()
    ask(engine)
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (400, SampleFailed, "refused the request with 400: .*told to fail"),
        (401, UserError, "api_key"),
        (404, SampleFailed, "/v1"),
    ],
)
def test_what_only_the_user_can_change_is_not_retried(serve, connect, status, error, message):
    server = serve()
    engine = connect(server)
    before = len(server.bodies)
    server.faults.extend([status] * 5)
    with pytest.raises(error, match=message):
        ask(engine)
    assert len(server.bodies) == before + 1


@pytest.mark.parametrize(
    ("answer", "stop", "message"),
    [
        ({"token_ids": [2] * 31}, Stop(), "31 tokens where 1 to 30"),
        ({"token_ids": [2, 0, 3], "finish_reason": "stop"}, Stop(frozenset({0})), "stop_token_ids"),
        ({"token_ids": [2] * 5, "finish_reason": "length"}, Stop(), "cut an answer at 5 of 30"),
    ],
)
def test_a_server_that_ignores_caps_or_stops_is_reported(serve, connect, answer, stop, message):
    server = serve()
    engine = connect(server, retries=1)
    server.answer = answer
    with pytest.raises(RuntimeError, match=message):
        ask(engine, stop=stop)


def test_a_server_that_speaks_text_only_is_refused(serve, connect):
    with pytest.raises(UserError, match="as token ids and return the ids"):
        connect(serve(dialects=()))


def test_a_server_that_changes_the_prompt_is_refused(serve, connect):
    server = serve(dialects=("token_ids",))
    server.answer = {"prompt_token_ids": [1, 2]}
    with pytest.raises(UserError, match="changed the prompt"):
        connect(server)


def test_a_server_that_is_down_is_named_with_how_to_start_one(connect):
    with pytest.raises(UserError, match=r"no server answers at http://127.0.0.1:9/v1.*python -m"):
        connect("http://127.0.0.1:9/v1")


def test_a_model_that_is_not_served_is_refused_with_those_that_are(serve):
    with pytest.raises(UserError, match="does not serve 'other': choose from 'pseudo'"):
        CompletionsEngine("other", serve().url)


def test_a_context_that_the_server_keeps_to_itself_must_be_given(serve, connect):
    server = serve(max_model_len=None)
    with pytest.raises(UserError, match="give context_length"):
        connect(server)
    assert connect(server, context_length=99).info.context_length == 99


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://x/v1"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(UserError, match="base_url"):
        CompletionsEngine("pseudo", url)


def test_what_does_not_fit_the_context_is_never_sent(serve, connect):
    server = serve()
    engine = connect(server)
    before = len(server.bodies)
    with pytest.raises(UserError, match="ask for at most 509"):
        ask(engine, max_tokens=510)
    assert len(server.bodies) == before


def test_no_more_requests_are_in_flight_than_connections(serve, connect):
    server = serve()
    server.delay = 0.02
    engine = connect(server, max_connections=3)

    async def many():
        return await asyncio.gather(
            *(
                engine.generate((n % 7, 2), max_tokens=3, stop=Stop(), sampling=Sampling())
                for n in range(20)
            )
        )

    assert len(asyncio.run(many())) == 20
    assert server.peak == 3


def test_a_questions_continuations_go_where_its_prefix_is(serve, connect):
    servers = [serve() for _ in range(3)]
    engine = connect(*servers)
    for server in servers:
        server.bodies.clear()  # by which they were compared
    # Ports are random: that 49 questions leave one of three servers out has a chance of 1e-8.
    questions = [(first, second) for first in range(7) for second in range(7)]

    async def chain(prompt):
        for _ in range(3):
            got = await engine.generate(prompt, max_tokens=2, stop=Stop(), sampling=Sampling())
            prompt += got.ids

    async def all_chains():
        await asyncio.gather(*(chain(question) for question in questions))

    asyncio.run(all_chains())
    homes = [
        {s.port for s in servers for b in s.bodies if tuple(b["prompt"][:2]) == q}
        for q in questions
    ]
    assert all(len(home) == 1 for home in homes)
    assert set.union(*homes) == {s.port for s in servers}


def test_a_replica_that_dies_costs_no_sample(serve, connect):
    servers = [serve() for _ in range(3)]
    engine = connect(*servers)

    async def run():
        async def one(n):
            prompt = (n % 7, n // 7)
            for _ in range(4):
                got = await engine.generate(prompt, max_tokens=3, stop=Stop(), sampling=Sampling())
                prompt += got.ids
            if n == 5:
                servers[0].stop()
            return prompt

        return await asyncio.gather(*(one(n) for n in range(14)))

    for n, got in enumerate(asyncio.run(run())):
        assert got[2:] == chain(got[:2], 12), n


def test_a_replica_that_is_down_at_the_start_is_left_out_and_named(serve, connect, caplog):
    engine = connect("http://127.0.0.1:9/v1", serve())
    assert ask(engine).ids == chain()
    assert "left out, since no server answers there: http://127.0.0.1:9/v1" in caplog.text


@pytest.mark.parametrize("tells", [True, False])
def test_servers_of_different_models_under_one_name_are_refused(serve, connect, tells):
    servers = [serve(tells=tells) for _ in range(3)]
    connect(*servers)
    servers[2].model.vocabulary = 4
    with pytest.raises(UserError, match=f"{servers[2].port}/v1 have different models under the na"):
        connect(*servers)


def test_a_server_that_was_lost_is_named_at_the_end(serve, connect, caplog):
    servers = [serve() for _ in range(2)]
    engine = connect(*servers)
    servers[0].stop()
    for first in range(7):
        assert ask(engine, (first, 2)).ids == chain((first, 2))
    engine.close()
    (said,) = caplog.messages
    assert re.match(rf"{servers[0].url} failed \d+ requests and was not heard of again", said)


def test_addresses_in_one_text_are_parted_by_semicolons(serve, connect):
    # lm-eval parts its model arguments by commas.
    assert ask(connect(f"http://127.0.0.1:9/v1;{serve().url}")).ids == chain()


def test_a_server_that_restarts_is_waited_for(serve, connect, pseudo_folder):
    server = serve()
    engine = connect(server, backoff=0.2, retries=20)
    server.stop()

    async def run():
        waiting = asyncio.create_task(
            engine.generate(PROMPT, max_tokens=30, stop=Stop(), sampling=Sampling())
        )
        await asyncio.sleep(0.3)
        assert not waiting.done()
        serve(port=server.port)
        return await waiting

    assert asyncio.run(run()).ids == chain()


def test_closing_ends_calls_in_flight_with_an_error(serve, connect):
    server = serve()
    slow = connect(server)
    server.delay = 5.0

    async def run():
        call = asyncio.create_task(
            slow.generate(PROMPT, max_tokens=3, stop=Stop(), sampling=Sampling())
        )
        await asyncio.sleep(0.2)
        slow.close()
        with pytest.raises(RuntimeError, match="closed"):
            await call
        with pytest.raises(RuntimeError, match="closed"):
            await slow.generate(PROMPT, max_tokens=3, stop=Stop(), sampling=Sampling())

    asyncio.run(run())


def test_a_cancelled_call_is_cancelled_and_frees_its_slot(serve, connect):
    server = serve()
    engine = connect(server, max_connections=1)
    server.delay = 30.0

    async def run():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await engine.generate(PROMPT, max_tokens=3, stop=Stop(), sampling=Sampling())
        server.delay = 0.0
        async with asyncio.timeout(20):
            return await engine.generate(PROMPT, max_tokens=30, stop=Stop(), sampling=Sampling())

    assert asyncio.run(run()).ids == chain()


def test_the_record_says_what_served(serve, connect, pseudo_folder):
    info = connect(serve()).info
    assert (info.engine, info.model, info.context_length) == ("completions", "pseudo", 512)
    assert info.eos_ids == {0}
    assert info.versions["server"] == "0.32.0"


@pytest.mark.parametrize("dialect", ["token_ids", "logprobs"])
@pytest.mark.parametrize("likely", [0, 3])
def test_log_probabilities_are_read_place_by_place(serve, connect, dialect, likely):
    dialects = ("logprobs",) if dialect == "logprobs" else ("token_ids", "logprobs")
    server = serve(dialects=dialects)
    engine = connect(server)
    plain = ask(engine, stop=Stop(strings=("ab", "c")))
    found = ask(engine, stop=Stop(strings=("ab", "c")), sampling=Sampling(logprobs=likely))
    assert (found.ids, found.stop_ids) == (plain.ids, plain.stop_ids)
    ids, told = found.ids + found.stop_ids, found.logprobs
    assert list(told.sampled) == [-(id + 1) / 8 for id in ids]
    assert list(told.top_ids) == list(range(likely)) * len(ids)
    assert list(told.top) == [-(n + 1) / 8 for n in range(likely)] * len(ids)
    assert server.bodies[-1]["logprobs"] == max(likely, dialect == "logprobs")
    server.streams = True
    with watched(lambda at, ids: None):
        streamed = ask(engine, stop=Stop(strings=("ab", "c")), sampling=Sampling(logprobs=likely))
    assert server.bodies[-1]["stream"]
    assert (streamed.ids, streamed.logprobs) == (found.ids, told)


def test_a_server_without_log_probabilities_is_refused_once_and_says_what_to_do(serve, connect):
    server = serve(tells=False)
    engine = connect(server)
    before = len(server.bodies)
    for _ in range(2):
        with pytest.raises(UserError, match=r"3 likely ids.*--max-logprobs 3.*s1_vllm or s1_hf"):
            ask(engine, sampling=Sampling(logprobs=3))
    assert len(server.bodies) == before + 1
    assert ask(engine).ids == chain()


def broken(**changes):
    ids = chain(length=2)
    names = {"tokens": [f"token_id:{id}" for id in ids]}
    return {"logprobs": {**names, **told(ids, 2), **changes}}


@pytest.mark.parametrize(
    "changes",
    [
        {"token_logprobs": None},
        {"token_logprobs": [-1.0]},
        {"token_logprobs": [None, -1.0]},
        {"token_logprobs": ["-1", "-1"]},
        {"token_logprobs": [float("nan"), -1.0]},
        {"token_logprobs": [3.0, -1.0]},
        {"top_logprobs": None},
        {"top_logprobs": [{"token_id:1": -1.0}] * 2},
        {"top_logprobs": [{"a": -1.0, "b": -2.0}] * 2},
        {"top_logprobs": [{"token_id:1": -1.0, f"token_id:{10**30}": -2.0}] * 2},
        {"top_logprobs": [{"token_id:1": -1.0, "token_id:-4": -2.0}] * 2},
        {"top_logprobs": [[-1.0, -2.0]] * 2},
    ],
)
def test_log_probabilities_that_are_none_are_asked_for_again(serve, connect, changes):
    server = serve(dialects=("token_ids", "logprobs"))
    engine = connect(server, retries=1)
    ask(engine, max_tokens=2, sampling=Sampling(logprobs=2))
    server.answer = broken(**changes)
    with pytest.raises(SampleFailed, match=r"2 tries failed.*no log-probabilities"):
        ask(engine, max_tokens=2, sampling=Sampling(logprobs=2))


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("details", "cached"),
    [
        ({"cached_tokens": 2}, 2),
        ({"cached_tokens": 0}, 0),
        (None, None),
        ({"cached_tokens": None}, None),
        ({"cached_tokens": "2"}, None),
        ({"cached_tokens": -1}, None),
        ({"cached_tokens": 4}, None),  # of a prompt of three
        ([2], None),
    ],
)
def test_cached_tokens_are_what_the_servers_usage_says(serve, connect, details, cached, streams):
    server = serve()
    server.usage = {"prompt_tokens": 3, "prompt_tokens_details": details}
    server.streams = streams
    engine = connect(server)
    seen = []
    with watched((lambda at, ids: seen.append(ids)) if streams else None):
        found = ask(engine)
    assert found.cached_tokens == cached
    assert found.timing is None
    assert engine.info.prefix_cache is None
    assert bool(seen) == streams


@pytest.mark.parametrize("usage", [None, 7, {"prompt_tokens_details": 7}, {"prompt_tokens": 3}])
def test_without_usage_nobody_knows(serve, connect, usage):
    server = serve()
    server.usage = usage
    assert ask(connect(server)).cached_tokens is None
