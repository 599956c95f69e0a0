"""Replies that break the contract, every kind in `FAULTS` in every dialect: what is asked again,
which question fails with which message, and that no other is harmed."""

from __future__ import annotations

import asyncio
import time

import pytest
from http_server import FAULTS, CompletionsServer, faults_of
from pseudo_model import PIECES, PseudoEngine
from spoken import SPEECHES

from s1_eval.engines.completions import CompletionsEngine
from s1_eval.engines.protocol import Generation, Sampling, Stop
from s1_eval.errors import SampleFailed, UserError

STOP = Stop(frozenset({0}))
RETRIES = 1
BAD = (3, 1)
"""A question whose answer is eight tokens long."""


ALIKE = {204, 307, 403, 404, 408, 413, 422, 429, 503, "drip", "hang"}
"""What one code judges in the same way in every dialect."""

CASES = [
    (dialect, fault)
    for dialect in SPEECHES
    for fault in faults_of(dialect)
    if dialect == "vllm" or fault not in ALIKE
]


ANY = pytest.mark.parametrize("dialect", SPEECHES, scope="module")
ONE = pytest.mark.parametrize("dialect", ["vllm"], scope="module")


@pytest.fixture(scope="module")
def server(pseudo_folder, dialect):
    server = CompletionsServer(str(pseudo_folder), speaks=dialect)
    server.model.vocabulary = len(PIECES)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def engines(server):
    """By whether what never ends is waited for: a second is short for a busy machine."""
    engines = [
        CompletionsEngine("pseudo", server.url, timeout=t, retries=RETRIES, backoff=0.01)
        for t in (1, 60)
    ]
    yield {"drip": engines[0], "hang": engines[0]}, engines[1]
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(engines, fault):
    hasty, patient = engines
    return hasty.get(fault, patient)


@pytest.fixture(autouse=True)
def forgotten(server, engines):
    """Nothing of one test in another."""
    server.asked.clear()
    yield
    server.faulty = lambda prompt, before: None


QUESTIONS = [BAD, *((first, second) for first in range(7) for second in (2, 4))]


def answers(engine) -> list[Generation | BaseException]:
    """Of all questions, asked at once."""

    async def all_of_them():
        return await asyncio.gather(
            *(
                engine.generate(question, max_tokens=8, stop=STOP, sampling=Sampling())
                for question in QUESTIONS
            ),
            return_exceptions=True,
        )

    return asyncio.run(all_of_them())


RIGHT = answers(PseudoEngine())


@ONE
def test_the_bad_question_has_a_full_answer():
    assert len(RIGHT[0].ids) == 8


@pytest.mark.parametrize(("dialect", "fault"), CASES, scope="module", ids=str)
def test_a_fault_that_passes_costs_a_try_where_another_helps(server, engine, fault):
    long = [q for q, right in zip(QUESTIONS, RIGHT, strict=True) if len(right.ids) > 1]
    hit = set(long[::2])
    server.faulty = lambda prompt, before: fault if prompt in hit and not before else None
    again = FAULTS[fault].fails == "again"
    for question, answer, right in zip(QUESTIONS, answers(engine), RIGHT, strict=True):
        if again or question not in hit:
            assert answer == right
        else:
            assert isinstance(
                answer, SampleFailed if FAULTS[fault].fails == "question" else UserError
            )
        assert server.asked[question] == 1 + (again and question in hit)


@pytest.mark.parametrize(("dialect", "fault"), CASES, scope="module", ids=str)
def test_a_fault_that_stays_fails_its_question_alone(server, engine, fault):
    server.faulty = lambda prompt, before: fault if prompt == BAD else None
    failure, *others = answers(engine)
    expected = FAULTS[fault]
    kind = UserError if expected.fails == "run" else SampleFailed
    with pytest.raises(kind, match=f"(?s){expected.said}"):
        raise failure
    assert str(failure).isprintable()
    assert len(str(failure)) < 600
    assert server.url in str(failure)
    assert server.asked[BAD] == (1 + RETRIES if expected.fails == "again" else 1)
    assert others == RIGHT[1:]


@pytest.fixture
def connect():
    """Opens engines and closes them after the test."""
    engines = []

    def start(server, **options) -> CompletionsEngine:
        engines.append(CompletionsEngine("pseudo", server.url, backoff=0.01, **options))
        return engines[-1]

    yield start
    for engine in engines:
        engine.close()


@ONE
@pytest.mark.parametrize("fault", ["drip", 500])
def test_all_tries_of_a_question_together_have_an_end(server, connect, fault):
    engine = connect(server, timeout=2, total_timeout=4, retries=10**6)
    server.faulty = lambda prompt, before: fault if prompt == BAD else None
    began = time.monotonic()
    failure, *others = answers(engine)
    assert time.monotonic() - began < 60  # a million tries have no end of their own
    assert server.asked[BAD] > 1
    with pytest.raises(SampleFailed, match=r"\d tries failed, total_timeout=4 s"):
        raise failure
    assert others == RIGHT[1:]


@ONE
def test_waiting_for_a_turn_is_no_part_of_the_tries(server, connect):
    engine = connect(server, timeout=3, total_timeout=3, max_connections=1)
    server.faulty = lambda prompt, before: None if before else 500
    server.delay = 0.15
    try:
        assert answers(engine) == RIGHT
    finally:
        server.delay = 0.0


@ONE
def test_one_answer_may_not_take_longer_than_all_tries(server):
    with pytest.raises(UserError, match=r"total_timeout=5 is less than timeout=6.*raise the first"):
        CompletionsEngine("pseudo", server.url, timeout=6, total_timeout=5)


@ANY
def test_a_server_that_is_gone_is_no_questions_failure(pseudo_folder, connect, dialect):
    server = CompletionsServer(str(pseudo_folder), speaks=dialect)
    engine = connect(server, retries=RETRIES)
    server.stop()
    failures = answers(engine)
    assert {type(failure) for failure in failures} == {RuntimeError}
    with pytest.raises(RuntimeError, match=r"no server listens any more.*same command again"):
        raise failures[0]
