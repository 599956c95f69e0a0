"""Which server a request goes to: where its question is, where there is less to do, where one
lives."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

from s1_eval.engines import routing
from s1_eval.engines.routing import Replicas

URLS = ("http://a", "http://b", "http://c")


def question(number: int) -> tuple[int, ...]:
    return (number, 1, 2)


async def homes(replicas: Replicas, prompts, tries: int = 0) -> list[str]:
    found = []
    for prompt in prompts:
        async with replicas.one(prompt, tries) as url:
            found.append(url)
    return found


async def test_what_begins_with_a_question_goes_where_it_went():
    replicas = Replicas(dict.fromkeys(URLS, 8))
    first = await homes(replicas, map(question, range(60)))
    then = await homes(replicas, [(*question(n), 7, n) for n in range(60)])
    assert first == then
    assert {*first} == {*URLS}


async def test_questions_in_flight_are_shared_evenly():
    replicas = Replicas(dict.fromkeys(URLS, 100))
    async with AsyncExitStack() as held:
        asked = [await held.enter_async_context(replicas.one(question(n), 0)) for n in range(90)]
    assert min(Counter(asked).values()) >= 25


async def test_a_question_whose_home_is_full_goes_to_one_that_idles_and_stays_there():
    replicas = Replicas(dict.fromkeys(URLS, 4))
    [home] = await homes(replicas, [question(0)])
    async with AsyncExitStack() as held:
        for _ in range(4):
            assert await held.enter_async_context(replicas.one(question(0), 0)) == home
        [other] = await homes(replicas, [(*question(0), 3)])
        assert other != home
    assert await homes(replicas, [question(0)]) == [other]


async def test_one_that_fails_is_passed_over_and_its_questions_alone_move(monkeypatch):
    replicas = Replicas(dict.fromkeys(URLS, 8))
    before = await homes(replicas, map(question, range(60)))
    replicas.failed("http://a", "it is gone")
    after = await homes(replicas, map(question, range(60)))
    assert [url for url in before if url != "http://a"] == [
        url for was, url in zip(before, after, strict=True) if was != "http://a"
    ]
    assert {*after} == {"http://b", "http://c"}
    assert not replicas.none_is_well
    [said] = replicas.lost()
    assert "http://a failed 1 requests" in said
    replicas.answered("http://a")
    assert replicas.lost() == []


async def test_who_waits_for_a_server_that_fails_meanwhile_goes_elsewhere():
    replicas = Replicas(dict.fromkeys(URLS, 1))
    async with AsyncExitStack() as held:
        for url in URLS:  # all are full, so that the question has to wait at its home
            await held.enter_async_context(replicas._slots[url])
        waiting = asyncio.create_task(homes(replicas, [question(0)]))
        await asyncio.sleep(0)
        [home] = [url for url, load in replicas._load.items() if load]
        replicas.failed(home, "it is gone")
    assert await waiting != [home]


async def test_each_further_try_is_another_ones():
    replicas = Replicas(dict.fromkeys(URLS, 8))
    asked = [(await homes(replicas, [question(0)], tries))[0] for tries in range(3)]
    assert sorted(asked) == [*URLS]


async def test_no_more_questions_are_remembered_than_fit(monkeypatch):
    monkeypatch.setattr(routing, "_QUESTIONS", 10)
    replicas = Replicas(dict.fromkeys(URLS, 8))
    await homes(replicas, [(*question(n),) * (1 + n % 3) for n in range(100)])
    assert len(replicas._homes) == len(replicas._roots._roots) == 10
    assert sum(replicas._roots._lengths.values()) == 10
