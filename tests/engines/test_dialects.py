"""Every dialect against a server on loopback that speaks it: the contract of engines, what is sent,
and what is refused. What servers do wrong is in tests/faults/test_replies.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from http_server import CompletionsServer
from pseudo_model import PIECES, PseudoEngine
from scripted import ToyTokenizer
from spoken import SPEECHES

from s1_eval.engines import Generation
from s1_eval.engines.completions import CompletionsEngine
from s1_eval.engines.dialects.table import DIALECTS
from s1_eval.engines.protocol import Sampling, Stop
from s1_eval.engines.watching import watched
from s1_eval.errors import SampleFailed, UserError

PROMPT = (2, 3, 4)
STOPS = [
    Stop(frozenset({0, 3})),
    Stop(frozenset({3})),
    Stop(strings=("ab",)),
    Stop(frozenset({0, 3}), min_tokens=5),
    Stop(frozenset({0, 1}), ("\n\n",), 7),
    Stop(),
]
"""By the end of sequence and another id, by one that is none, by text, after a minimum, and with
no end at all."""


@pytest.fixture(params=SPEECHES)
def dialect(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def serve(pseudo_folder: Path) -> Iterator[Callable[..., CompletionsServer]]:
    servers = []

    def start(speaks: str, **how: Any) -> CompletionsServer:
        servers.append(CompletionsServer(str(pseudo_folder), speaks=speaks, **how))
        servers[-1].model.vocabulary = len(PIECES)
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., CompletionsEngine]]:
    engines = []

    def start(*servers: Any, **how: Any) -> CompletionsEngine:
        urls = [getattr(server, "url", server) for server in servers]
        how = {"backoff": 0.01, "timeout": 5.0, "retries": 1} | how
        engines.append(CompletionsEngine("pseudo", urls, **how))
        return engines[-1]

    yield start
    for engine in engines:
        engine.close()


def ask(engine: Any, prompt: tuple[int, ...] = PROMPT, **how: Any) -> Generation:
    how = {"max_tokens": 30, "stop": Stop(), "sampling": Sampling()} | how
    made: Generation = asyncio.run(engine.generate(prompt, **how))
    return made


@pytest.mark.parametrize("stop", STOPS, ids=str)
def test_ids_and_stops_are_those_of_the_contract(
    serve: Any, connect: Any, dialect: str, stop: Stop
) -> None:
    engine = connect(serve(dialect))
    for first in range(7):
        assert ask(engine, (first,), stop=stop) == ask(PseudoEngine(), (first,), stop=stop)


def test_what_comes_after_a_stop_that_the_server_did_not_see_is_cut(
    serve: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A special token has no text where a server does not know `preserved_tokens`."""
    server = serve("llama_cpp")
    request = server.speech.request

    def unseen(body: dict[str, Any]) -> Any:
        return request({name: value for name, value in body.items() if name != "stop"})

    monkeypatch.setattr(server.speech, "request", unseen)
    engine, stop = connect(server), Stop(frozenset({0, 3}))
    for first in range(7):
        assert ask(engine, (first,), stop=stop) == ask(PseudoEngine(), (first,), stop=stop)


def test_what_a_padded_output_layer_samples_is_banned(
    serve: Any, connect: Any, dialect: str
) -> None:
    server = serve(dialect)
    server.model.vocabulary = len(PIECES) + 2
    made = ask(connect(server))
    assert len(made.ids) == 30
    assert max(made.ids) < len(PIECES)


def test_a_banned_id_is_not_sampled(serve: Any, connect: Any, dialect: str) -> None:
    assert not {2, 3} & set(
        ask(connect(serve(dialect)), sampling=Sampling(banned=frozenset({2, 3}))).ids
    )


def test_a_seed_makes_one_request_repeatable(serve: Any, connect: Any, dialect: str) -> None:
    engine = connect(serve(dialect))
    assert engine.info.seeding == "request"
    five, six = (ask(engine, sampling=Sampling(1.0, seed=seed)).ids for seed in (5, 6))
    assert ask(engine, sampling=Sampling(1.0, seed=5)).ids == five != six
    huge = ask(engine, sampling=Sampling(1.0, seed=2**40 + 7)).ids
    assert ask(engine, sampling=Sampling(1.0, seed=2**40 + 7)).ids == huge


NEUTRAL: dict[str, dict[str, Any]] = {
    "vllm": {"min_p": 0.0, "repetition_penalty": 1.0, "top_k": -1, "ignore_eos": True},
    "llama_cpp": {
        "samplers": ["temperature"],
        "mirostat": 0,
        "seed": -1,
        "ignore_eos": False,
        "n_cache_reuse": 0,
        "dynatemp_range": 0.0,
    },
    "sglang": {
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "frequency_penalty": 0.0,
        "top_k": -1,
        "ignore_eos": False,
        "skip_special_tokens": False,
    },
}


def test_the_servers_own_sampling_is_overruled(serve: Any, connect: Any, dialect: str) -> None:
    server = serve(dialect)
    engine = connect(server)
    for temperature in (0.0, 1.0):
        ask(engine, sampling=Sampling(temperature), max_tokens=1)
        sent = server.bodies[-1]
        assert NEUTRAL[dialect].items() <= (sent | sent.get("sampling_params", {})).items()


def test_top_k_and_top_p_are_passed_on_after_temperature(
    serve: Any, connect: Any, dialect: str
) -> None:
    server = serve(dialect)
    ask(connect(server), sampling=Sampling(0.7, top_p=0.9, top_k=20), max_tokens=1)
    sent = server.bodies[-1]
    sent |= sent.get("sampling_params", {})
    assert (sent["temperature"], sent["top_p"], sent["top_k"]) == (0.7, 0.9, 20)
    if dialect == "llama_cpp":
        assert sent["samplers"] == ["temperature", "top_k", "top_p"]


@pytest.mark.parametrize("likely", [0, 3])
def test_log_probabilities_are_read_place_by_place(
    serve: Any, connect: Any, dialect: str, likely: int
) -> None:
    server = serve(dialect)
    server.streams = True
    engine = connect(server)
    stop = Stop(frozenset({0}), ("ab", "c"))
    plain = ask(engine, stop=stop)
    made = ask(engine, stop=stop, sampling=Sampling(logprobs=likely))
    assert (made.ids, made.stop_ids) == (plain.ids, plain.stop_ids)
    assert made.logprobs is not None
    assert list(made.logprobs.sampled) == [-(id + 1) / 8 for id in made.ids + made.stop_ids]
    assert list(made.logprobs.top_ids) == list(range(likely)) * len(made.logprobs)


def test_a_server_without_log_probabilities_is_refused(
    serve: Any, connect: Any, dialect: str
) -> None:
    engine = connect(serve(dialect, tells=False))
    with pytest.raises(UserError, match=r"3 likely ids.*s1_vllm or s1_hf"):
        ask(engine, sampling=Sampling(logprobs=3))


@pytest.mark.parametrize(
    "how",
    [
        {"sampling": Sampling(0.7, logprobs=1)},
        {"sampling": Sampling(logprobs=1), "stop": Stop(frozenset({0}), min_tokens=2)},
        {"sampling": Sampling(logprobs=1, banned=frozenset({2}))},
    ],
)
def test_log_probabilities_after_temperature_and_bans_are_refused(
    serve: Any, connect: Any, how: Any
) -> None:
    engine = connect(serve("sglang"))
    with pytest.raises(UserError, match="temperature 0 or 1"):
        ask(engine, **how)


def test_a_watch_is_told_of_ids_as_they_come(serve: Any, connect: Any, dialect: str) -> None:
    server = serve(dialect)
    server.streams = True
    engine, seen, calls = connect(server), list[int](), list[int]()

    def watch(at: int, ids: Any) -> None:
        calls.append(at)
        seen[at:] = ids

    with watched(watch):
        made = ask(engine, max_tokens=20)
    assert server.bodies[-1]["stream"]
    assert made == ask(PseudoEngine(), max_tokens=20)
    assert tuple(seen) == made.ids
    assert len(calls) > 3


@pytest.mark.parametrize("fault", ["malformed event", 400, 500, "truncate"])
def test_a_stream_that_breaks_is_asked_again(
    serve: Any, connect: Any, dialect: str, fault: Any
) -> None:
    server = serve(dialect)
    server.streams = True
    engine = connect(server)
    server.faults.append(fault)
    with watched(lambda at, ids: None):
        assert ask(engine, (6, 1), max_tokens=9) == ask(PseudoEngine(), (6, 1), max_tokens=9)


def test_ids_that_a_stream_leaves_out_are_asked_for_without(serve: Any, connect: Any) -> None:
    server = serve("llama_cpp")
    server.streams, server.lost = True, frozenset({2, 5})
    engine = connect(server)
    with watched(lambda at, ids: None):
        assert ask(engine) == ask(PseudoEngine())
    assert not server.bodies[-1].get("stream")
    with pytest.raises(SampleFailed, match="end within a character"):
        ask(engine, sampling=Sampling(logprobs=0))


def test_a_stream_that_says_all_anew_is_not_asked_for(serve: Any, connect: Any) -> None:
    server = serve("sglang")
    server.card = {"incremental_streaming_output": False}
    engine = connect(server)
    with watched(lambda at, ids: None):
        ask(engine)
    assert not server.bodies[-1].get("stream")


USAGE: dict[str, Callable[[Any], Any]] = {
    "vllm": lambda count: {"prompt_tokens_details": {"cached_tokens": count}},
    "llama_cpp": lambda count: {"cache_n": count},
    "sglang": lambda count: {"cached_tokens": count},
}


@pytest.mark.parametrize(
    ("count", "known"), [(2, 2), (0, 0), (None, None), ("2", None), (-1, None), (4, None)]
)
def test_cached_tokens_are_what_the_server_says(
    serve: Any, connect: Any, dialect: str, count: Any, known: Any
) -> None:
    server = serve(dialect)
    server.usage = USAGE[dialect](count)
    assert ask(connect(server), max_tokens=2).cached_tokens == known


def test_the_dialect_is_found_or_told(serve: Any, connect: Any, dialect: str) -> None:
    server = serve(dialect)
    told, found = connect(server, dialect=dialect), connect(server)
    own = None if dialect == "vllm" else dialect
    assert told.info.settings.get("dialect") == found.info.settings.get("dialect") == own
    assert found.info.eos_ids == {0}
    versions = {"vllm": "0.32.0", "llama_cpp": "b11669-Debian", "sglang": "0.5.23"}
    assert found.info.versions["server"] == versions[dialect]
    assert found.info.context_length == {"vllm": 512, "llama_cpp": 511, "sglang": 506}[dialect]


@pytest.mark.parametrize("speaks", SPEECHES)
@pytest.mark.parametrize("told", DIALECTS)
def test_a_dialect_that_a_server_does_not_speak_is_refused_with_the_reason(
    serve: Any, connect: Any, speaks: str, told: str
) -> None:
    server = serve(speaks, dialects=("token_ids",))
    if speaks == told:
        return
    with pytest.raises(UserError, match=rf"can't be used.*vLLM, llama.cpp, SGLang.*\({told}: "):
        connect(server, dialect=told)


def test_a_dialect_that_nobody_speaks_is_refused() -> None:
    with pytest.raises(UserError, match="dialect='ollama': choose from vllm, vllm_logprobs, llama"):
        CompletionsEngine("pseudo", dialect="ollama")


def test_servers_of_two_dialects_are_no_replicas(serve: Any, connect: Any) -> None:
    with pytest.raises(UserError, match="differ: start them all alike"):
        connect(serve("vllm"), serve("sglang"))


def test_a_router_that_signs_as_nobody_is_tried_in_every_dialect(
    serve: Any, connect: Any, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(dialect)
    get = server.speech.get

    def unsigned(path: str) -> Any:
        said = get(path)
        for card in said["data"] if path == "/v1/models" else ():
            card["owned_by"] = "me"
        return said

    monkeypatch.setattr(server.speech, "get", unsigned)
    assert ask(connect(server)) == ask(PseudoEngine())


@pytest.mark.parametrize(
    ("speaks", "card", "said"),
    [
        ("sglang", {"preferred_sampling_params": {"regex_only": "a+"}}, "regex_only"),
        ("sglang", {"preferred_sampling_params": {"custom_params": {}}}, "custom_params"),
    ],
)
def test_sampling_that_no_request_undoes_is_refused(
    serve: Any, connect: Any, speaks: str, card: Any, said: str
) -> None:
    server = serve(speaks)
    server.card = card
    with pytest.raises(UserError, match=said):
        connect(server)


def test_preferred_sampling_that_every_request_overrules_is_none(serve: Any, connect: Any) -> None:
    server = serve("sglang")
    server.card = {"preferred_sampling_params": {"temperature": 0.6, "top_k": 20}}
    assert ask(connect(server)) == ask(PseudoEngine())


def test_without_deterministic_inference_no_seed_is_sent(serve: Any, connect: Any) -> None:
    server = serve("sglang")
    server.card = {"enable_deterministic_inference": False}
    engine = connect(server)
    assert engine.info.seeding == "engine"
    ask(engine, sampling=Sampling(1.0, seed=5), max_tokens=1)
    assert "sampling_seed" not in server.bodies[-1]["sampling_params"]


@pytest.mark.parametrize("card", [{"total_slots": None}, {"default_generation_settings": 7}, []])
def test_a_server_that_says_nonsense_of_itself_is_refused_or_asked_for_no_more(
    serve: Any, connect: Any, card: Any
) -> None:
    server = serve("llama_cpp")
    server.card = card if isinstance(card, dict) else {"default_generation_settings": {"n_ctx": -1}}
    if card == {"total_slots": None}:
        assert ask(connect(server)) == ask(PseudoEngine())
    else:
        with pytest.raises(UserError, match=r"can't be used|does not say its context"):
            connect(server)


def test_a_shorter_context_may_be_given_and_no_longer_one(
    serve: Any, connect: Any, dialect: str
) -> None:
    server = serve(dialect)
    assert connect(server, context_length=99).info.context_length == 99
    with pytest.raises(UserError, match=r"context_length=513 is over the \d+ tokens"):
        connect(server, context_length=513)


def test_no_more_requests_wait_at_a_server_than_its_slots_can_take_next(
    serve: Any, connect: Any
) -> None:
    server = serve("llama_cpp")
    server.delay = 0.02
    engine = connect(server)

    async def many() -> None:
        asked = {"max_tokens": 1, "stop": Stop(), "sampling": Sampling()}
        await asyncio.gather(*(engine.generate((n % 7,), **asked) for n in range(20)))

    asyncio.run(many())
    assert engine.info.batch == 4
    assert server.peak <= 4


class Swapped(ToyTokenizer):
    """Has two pieces in each other's place."""

    def __init__(self, *pieces: int) -> None:
        order = list(PIECES)
        first, second = pieces
        order[first], order[second] = order[second], order[first]
        super().__init__(order)


@pytest.mark.parametrize("swapped", [(2, 3), (0, 1), (0, 2)])
def test_a_server_of_another_tokenizer_is_refused(
    serve: Any, connect: Any, dialect: str, swapped: tuple[int, int]
) -> None:
    server = serve(dialect)
    server.tokenizer = ToyTokenizer(PIECES)
    ask(connect(server))
    server.tokenizer = Swapped(*swapped)
    with pytest.raises(UserError, match="another tokenizer: give its own as tokenizer=FOLDER"):
        connect(server)


@pytest.mark.parametrize("ids", [None, 7, [[1]], ["a"], [10**30], [-1]])
def test_a_hostile_tokenizer_is_refused(serve: Any, connect: Any, dialect: str, ids: Any) -> None:
    class Hostile:
        def encode(self, text: str) -> Any:
            return ids

    server = serve(dialect)
    server.tokenizer = Hostile()
    with pytest.raises(UserError, match=r"can't tokenize|another tokenizer") as error:
        connect(server)
    assert str(error.value).isprintable()
