"""The samplers draw as the paper and its notebook do, the same for the same seed."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from s1_eval.errors import UserError
from s1_eval.training.curation.diversity import (
    Candidate,
    diverse,
    draw_long,
    kept,
    longest,
    s1,
    uniform,
)

KEEP = {"gpqa": 0, "aime": 0, "math": 5600}


def candidates(*domains: tuple[str, int], source: str = "omni_math") -> list[Candidate]:
    """So many questions of each domain, of length 1, 2, …"""
    return [
        Candidate(f"{domain}/{length}", source, domain, length)
        for domain, count in domains
        for length in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    ("source", "length", "correct", "stays"),
    [
        ("gpqa", 1, True, True),
        ("aime", 1, True, True),
        ("aime", 9000, False, False),
        ("aime", 9000, None, False),
        ("math", 5601, True, True),
        ("math", 5600, True, False),
        ("omni_math", 9000, True, False),
    ],
)
def test_what_the_teacher_solved_is_kept_by_source_and_length(source, length, correct, stays):
    candidate = Candidate("q", source, "11", length, correct)
    assert kept([candidate], KEEP) == ([candidate] if stays else [])


def test_the_kept_ones_come_first_and_are_not_drawn_again():
    first = [Candidate(f"k{i}", "aime", "11", i, True) for i in range(1, 6)]
    pool = [*candidates(("05", 20)), *first]
    chosen = s1(pool, 25, 0, KEEP)
    assert chosen[:5] == first
    assert len({c.id for c in chosen}) == 25


def test_a_rank_is_half_as_likely_as_the_one_before():
    rng = random.Random(0)  # noqa: S311
    ranked = candidates(("05", 100))[::-1]
    drawn = Counter(100 - draw_long(list(ranked), rng).length for _ in range(20_000))
    for rank in range(5):
        assert drawn[rank] / 20_000 == pytest.approx(2 ** -(rank + 1), abs=0.015)


def test_the_papers_sampler_takes_domains_alike_whatever_their_size():
    pool = candidates(("05", 4000), ("11", 400), ("51", 400), ("92", 3))
    counts = Counter(c.domain for c in s1(pool, 603, 1, KEEP))
    assert counts["92"] == 3
    for domain in ("05", "11", "51"):
        assert counts[domain] == pytest.approx(200, abs=35)


def test_in_a_domain_long_traces_come_first():
    lengths = [c.length for c in s1(candidates(("05", 1000)), 100, 0, KEEP)]
    assert min(lengths) > 850


def test_the_notebook_turns_to_the_domains_of_gpqa_and_aime_for_the_last_third():
    pool = [
        *candidates(("05", 500), ("11", 500), ("51", 500)),
        *(Candidate(f"a{i}", "aime", "11", 1) for i in range(30)),
        *(Candidate(f"g{i}", "gpqa", "51", 1) for i in range(10)),
    ]
    chosen = s1(pool, 1000, 3, KEEP, "notebook")
    before, after = (Counter(c.domain for c in part) for part in (chosen[:700], chosen[700:]))
    for domain in ("05", "11", "51"):
        assert before[domain] == pytest.approx(233, abs=40)
    assert after["05"] == 0
    assert after["11"] / 300 == pytest.approx(0.75, abs=0.08)


def test_without_gpqa_and_aime_the_notebook_goes_on_uniformly():
    pool = candidates(("05", 50), ("11", 50))
    assert s1(pool, 90, 3, KEEP, "notebook") == s1(pool, 90, 3, KEEP, "paper")


@pytest.mark.parametrize("sampler", ["paper", "notebook"])
def test_the_seed_decides_and_the_order_of_the_pool_does_not(sampler):
    pool = candidates(("05", 60), ("11", 60))
    first = s1(pool, 50, 0, KEEP, sampler)
    assert s1(pool[::-1], 50, 0, KEEP, sampler) == first
    assert s1(pool, 50, 1, KEEP, sampler) != first


def test_random_ignores_domains_and_diverse_ignores_lengths():
    pool = candidates(("05", 900), ("11", 100))
    assert Counter(c.domain for c in uniform(pool, 200, 0))["11"] == pytest.approx(20, abs=15)
    even = diverse(pool, 180, 0)
    assert Counter(c.domain for c in even)["11"] == pytest.approx(90, abs=25)
    lengths = [c.length for c in even if c.domain == "05"]
    assert sum(lengths) / len(lengths) == pytest.approx(450, abs=100)


def test_longest_takes_the_longest():
    assert [c.length for c in longest(candidates(("05", 9), ("11", 8)), 4)] == [9, 8, 8, 7]


@pytest.mark.parametrize(
    "choose",
    [
        lambda pool: s1(pool, 4, 0, KEEP),
        lambda pool: uniform(pool, 4, 0),
        lambda pool: diverse(pool, 4, 0),
        lambda pool: longest(pool, 4),
    ],
)
def test_more_than_there_are_is_refused(choose):
    with pytest.raises(UserError, match="size=4: only 3 questions are left"):
        choose(candidates(("05", 3)))


def test_fewer_than_are_kept_is_refused():
    pool = [Candidate(f"k{i}", "aime", "11", i, True) for i in range(1, 6)]
    with pytest.raises(UserError, match="size=4: 5 questions are kept"):
        s1(pool, 4, 0, KEEP)


def test_of_equally_long_traces_no_source_comes_first():
    """A cap ends all traces at the same length; ids begin with the source's name."""
    ids = [f"{source}/{i}" for source in ("aime", "s1k") for i in range(50)]
    candidates = [Candidate(id, id.partition("/")[0], "00", 256) for id in ids]
    for chosen in (
        longest(candidates, 50),
        s1(candidates, 50, seed=0, longer_than={}),
    ):
        assert 15 < sum(c.source == "aime" for c in chosen) < 35
