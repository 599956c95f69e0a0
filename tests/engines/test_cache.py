"""The continuation cache: the same generations as without it, and nothing decoded twice."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from cache_filling import NEVER, PROMPT, ask, fill, open_new
from hypothesis import given, settings
from hypothesis import strategies as st
from pseudo_model import INFO, PseudoEngine

from s1_eval.engines.cache import CachedEngine
from s1_eval.engines.protocol import Generation, Sampling, Stop
from s1_eval.errors import UserError

GREEDY = Sampling()

stops = st.builds(
    Stop,
    ids=st.frozensets(st.integers(0, 3), max_size=2),
    strings=st.lists(st.sampled_from(["ab", "ba\n", "c\nc", "\n\n"]), max_size=2).map(tuple),
    min_tokens=st.sampled_from([0, 0, 1, 3, 9]),
)
requests = st.fixed_dictionaries(
    {
        "prompt": st.sampled_from([(2,), (2, 3)]),
        "max_tokens": st.integers(1, 40),
        "stop": stops,
        "sampling": st.sampled_from([GREEDY, Sampling(1.0, seed=1), Sampling(1.0, seed=2)]),
    }
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(requests, min_size=2, max_size=8))
def test_any_order_of_requests_gives_what_the_engine_alone_gives(tmp_path_factory, asked):
    folder = tmp_path_factory.mktemp("cache")
    bare, inner = PseudoEngine(), PseudoEngine()
    cached = CachedEngine(inner, folder)
    for request in asked:
        before = inner.decoded
        got, want = ask(cached, **request), ask(bare, **request)
        assert replace(got, reused=0) == want
        length = len(got.ids) + len(got.stop_ids)
        assert 0 <= got.reused <= length
        assert inner.decoded - before >= length - got.reused
        if got.reused == length:
            assert inner.decoded == before
    cached.close()


def test_a_sweep_over_caps_decodes_its_longest_run(tmp_path):
    for order in ([8, 64, 16, 32], [64, 32, 16, 8], [16, 8, 64, 32]):
        inner = PseudoEngine()
        cached = CachedEngine(inner, tmp_path / str(order))
        for cap in order:
            ask(cached, max_tokens=cap)
        assert inner.decoded == 64


def test_a_longer_cap_continues_where_the_length_had_cut(tmp_path):
    cached = CachedEngine(PseudoEngine(), tmp_path)
    assert ask(cached, max_tokens=10).reused == 0
    longer = ask(cached, max_tokens=25)
    assert (longer.reused, len(longer.ids)) == (10, 25)


def test_another_stop_ends_the_same_chain_elsewhere(tmp_path):
    inner = PseudoEngine()
    cached = CachedEngine(inner, tmp_path)
    ids = ask(cached, max_tokens=60).ids
    stopped = ask(cached, max_tokens=60, stop=Stop(frozenset({ids[20]})))
    assert stopped.stop_ids == (ids[20],)
    assert stopped.ids == ids[: ids.index(ids[20])]
    assert inner.decoded == 60
    beyond = ask(cached, max_tokens=80, stop=NEVER)
    assert (beyond.reused, inner.decoded) == (60, 80)


def test_a_seeded_chain_serves_what_it_holds_and_is_sampled_anew_for_more(tmp_path):
    inner, seeded = PseudoEngine(), Sampling(1.0, seed=7)
    cached = CachedEngine(inner, tmp_path)
    first = ask(cached, max_tokens=20, sampling=seeded)
    assert ask(cached, max_tokens=12, sampling=seeded).ids == first.ids[:12]
    assert inner.decoded == 20
    longer = ask(cached, max_tokens=30, sampling=seeded)
    assert (longer.reused, inner.decoded, longer.ids[:20]) == (0, 50, first.ids)
    assert ask(cached, max_tokens=30, sampling=replace(seeded, seed=8)).ids != longer.ids


@pytest.mark.parametrize(
    ("info", "sampling"),
    [
        (INFO, Sampling(1.0)),
        (replace(INFO, seeding="engine"), Sampling(1.0, seed=3)),
        (replace(INFO, seeding="none"), Sampling(0.5, seed=3)),
    ],
)
def test_sampling_that_no_seed_repeats_is_never_remembered(tmp_path, info, sampling):
    inner = PseudoEngine(info)
    cached = CachedEngine(inner, tmp_path)
    for _ in range(2):
        assert ask(cached, sampling=sampling).reused == 0
    assert inner.decoded == 80


@pytest.mark.parametrize("seeding", ["engine", "none"])
def test_a_kept_sample_stands_for_its_seed_and_is_gone_on_with(tmp_path, seeding):
    inner = PseudoEngine(replace(INFO, seeding=seeding))
    cached = CachedEngine(inner, tmp_path, keep_samples=True)
    first = ask(cached, max_tokens=20, sampling=Sampling(1.0, seed=3))
    longer = ask(cached, max_tokens=30, sampling=Sampling(1.0, seed=3))
    assert (longer.reused, longer.ids[:20], inner.decoded) == (20, first.ids, 30)
    assert ask(cached, max_tokens=20, sampling=Sampling(1.0, seed=4)).reused == 0
    for _ in range(2):  # without a seed, every request is another sample
        assert ask(cached, max_tokens=20, sampling=Sampling(1.0)).reused == 0


@pytest.mark.parametrize(
    "other",
    [
        replace(INFO, fingerprint="other weights"),
        replace(INFO, engine="other"),
        replace(INFO, dtype="bfloat16"),
        replace(INFO, versions={"torch": "9"}),
    ],
)
def test_another_model_engine_version_or_dtype_knows_nothing(tmp_path, other):
    ask(CachedEngine(PseudoEngine(), tmp_path))
    assert ask(CachedEngine(PseudoEngine(), tmp_path)).reused == 40
    assert ask(CachedEngine(PseudoEngine(other), tmp_path)).reused == 0


@pytest.mark.parametrize(
    "changed",
    [
        Sampling(0.9, seed=1),
        Sampling(1.0, top_p=0.9, seed=1),
        Sampling(1.0, top_k=5, seed=1),
        Sampling(1.0, seed=2),
        Sampling(1.0, seed=1, banned=frozenset({3})),
    ],
)
def test_every_sampling_setting_has_chains_of_its_own(tmp_path, changed):
    cached = CachedEngine(PseudoEngine(), tmp_path)
    ask(cached, sampling=Sampling(1.0, seed=1))
    assert ask(cached, sampling=changed).reused == 0


def test_greedy_ignores_seed_and_nucleus(tmp_path):
    cached = CachedEngine(PseudoEngine(), tmp_path)
    ask(cached, sampling=Sampling(0.0, seed=1))
    assert ask(cached, sampling=Sampling(0.0, top_p=0.5, seed=2)).reused == 40


def test_concurrent_requests_for_one_chain_decode_it_once(tmp_path):
    inner = PseudoEngine()
    cached = CachedEngine(inner, tmp_path)

    async def all_at_once():
        caps = [30, 50, 50, 10, 50]
        return await asyncio.gather(
            *(cached.generate(PROMPT, max_tokens=n, stop=NEVER, sampling=GREEDY) for n in caps)
        )

    generations = asyncio.run(all_at_once())
    assert inner.decoded == 50
    assert [len(g.ids) for g in generations] == [30, 50, 50, 10, 50]


def test_a_minimum_suppresses_stops_so_its_chains_are_its_own(tmp_path):
    cached, bare = CachedEngine(PseudoEngine(), tmp_path), PseudoEngine()
    for minimum in (0, 1, 5, 20, 40):
        stop = Stop(frozenset({0, 1, 2}), min_tokens=minimum)
        assert replace(ask(cached, stop=stop), reused=0) == ask(bare, stop=stop)


def test_a_shorter_chain_never_replaces_a_longer_one(tmp_path):
    class Overtaken(PseudoEngine):
        async def generate(self, prompt, **request):
            other = CachedEngine(PseudoEngine(), tmp_path)
            await other.generate(prompt, **{**request, "max_tokens": 50})
            return await super().generate(prompt, **request)

    ask(CachedEngine(Overtaken(), tmp_path), max_tokens=10)
    assert ask(CachedEngine(PseudoEngine(), tmp_path), max_tokens=50).reused == 50


def test_a_failed_request_leaves_the_chain_to_the_next(tmp_path):
    class Failing(PseudoEngine):
        async def generate(self, *args, **kwargs):
            self.decoded += 1
            await asyncio.sleep(0)
            if self.decoded == 1:
                raise RuntimeError("the engine died")
            return Generation((5, 6), reason="length")

    cached = CachedEngine(Failing(), tmp_path)

    async def both():
        one = cached.generate(PROMPT, max_tokens=2, stop=NEVER, sampling=GREEDY)
        two = cached.generate(PROMPT, max_tokens=2, stop=NEVER, sampling=GREEDY)
        return await asyncio.gather(one, two, return_exceptions=True)

    failed, served = asyncio.run(both())
    assert isinstance(failed, RuntimeError)
    assert served.ids == (5, 6)


def test_what_does_not_fit_the_context_is_refused_even_if_known(tmp_path):
    cached = CachedEngine(PseudoEngine(), tmp_path)
    ask(cached, max_tokens=509)
    with pytest.raises(UserError, match="ask for at most 509"):
        ask(cached, max_tokens=510)


def chains_in(folder: Path) -> Path:
    return max(folder.glob("chains-*.sqlite3"))


def test_a_chain_survives_the_process(tmp_path):
    ask(CachedEngine(PseudoEngine(), tmp_path))  # never closed, as after a crash
    assert ask(CachedEngine(PseudoEngine(), tmp_path)).reused == 40


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "another schema"])
def test_a_damaged_file_is_rebuilt_not_trusted(tmp_path, damage):
    cached = CachedEngine(PseudoEngine(), tmp_path)
    for last in range(2, 7):
        ask(cached, (*PROMPT, last), max_tokens=500)
    want = ask(cached)
    cached.close()
    file = chains_in(tmp_path)
    if damage == "garbage":
        file.write_bytes(b"not a database" * 1000)
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:5000])
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()
        with sqlite3.connect(file) as other:
            other.execute("CREATE TABLE chains (something)")
        other.close()
    for expected_reuse in (0, 40):
        again = CachedEngine(PseudoEngine(), tmp_path)
        assert ask(again) == replace(want, reused=expected_reuse)
        again.close()


def test_a_damaged_page_is_noticed_by_a_process_that_is_using_the_file(tmp_path):
    cached = CachedEngine(PseudoEngine(), tmp_path)
    want = ask(cached)
    with sqlite3.connect(chains_in(tmp_path)) as other:
        other.execute("UPDATE chains SET ids = zeroblob(length(ids))")
    other.close()
    assert ask(cached) == replace(want, reused=0)
    assert ask(cached) == replace(want, reused=40)


def test_a_folder_that_is_a_file_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="give a folder"):
        CachedEngine(PseudoEngine(), tmp_path / "file")


def test_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    orders = [[5, 20, 10], [20, 5, 15], [10, 15, 20]]
    workers = [context.Process(target=fill, args=(tmp_path, caps)) for caps in orders]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert [p.name for p in tmp_path.glob("chains-*.sqlite3")] == ["chains-0.sqlite3"]
    again = CachedEngine(PseudoEngine(), tmp_path)
    assert all(ask(again, (*PROMPT, n), max_tokens=20).reused == 20 for n in range(2, 7))


@pytest.mark.slow
def test_processes_that_begin_together_do_not_lock_each_other_out(tmp_path):
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(4)
    workers = [context.Process(target=open_new, args=(tmp_path, 100, together)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4


def test_closing_closes_the_engine(tmp_path):
    inner = PseudoEngine()
    CachedEngine(inner, tmp_path).close()
    assert inner.closed
