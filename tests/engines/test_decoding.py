"""Rows, the choice of ids and the store of finished rows, apart from any model."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scripted import ToyTokenizer

from s1_eval.engines import Generation, Sampling, Stop
from s1_eval.engines.continuation import first_stop
from s1_eval.engines.decoding import Chooser, Kept, Row, Store

TOKENIZER = ToyTokenizer()
CPU = torch.device("cpu")


def row(sampling: Sampling | None = None, **changes) -> Row:
    settings = {"max_tokens": 10, "stop": Stop(), "banned": frozenset(), "tokenizer": TOKENIZER}
    return Row([1, 2], sampling=sampling or Sampling(), **(settings | changes))


PIECES = st.sampled_from([*TOKENIZER.encode("ab\n<"), 1, 2, 3, 4])


@given(
    st.lists(PIECES, max_size=200),
    st.sampled_from(["aab\n", "think", "kW", "<ab", "abababababab", "<|im_end|>a"]),
    st.lists(PIECES, max_size=20),
    st.sampled_from([frozenset(), frozenset({1})]),
    st.integers(0, 9),
)
def test_a_row_ends_where_its_first_stop_is(before, string, after, stop_ids, min_tokens):
    sampled = [*before, *TOKENIZER.encode(string), *after]
    assume(not stop_ids.intersection(sampled[:min_tokens]))  # the chooser sees to that
    stop = Stop(stop_ids, (string,), min_tokens)
    expected = first_stop(sampled, stop, TOKENIZER)
    one = row(max_tokens=len(sampled), stop=stop)
    ends = [found for id in sampled if (found := one.push(id))]
    assert ends[0] == expected or (expected is None and ends == [Generation(tuple(sampled))])


class Fixed(Row):
    """A row whose random number is given."""

    def __init__(self, number: float, sampling: Sampling) -> None:
        super().__init__([1], 5, Stop(), sampling, frozenset(), TOKENIZER)
        self.number = number

    def draw(self) -> float:
        return self.number


def frequencies(logits: list[float], sampling: Sampling, vocabulary=None, n=1000) -> list[float]:
    """How often each id is drawn over `n` numbers spread evenly over [0, 1)."""
    chooser = Chooser(frozenset(vocabulary or range(len(logits))), CPU)
    rows = [Fixed((i + 0.5) / n, sampling) for i in range(n)]
    ids = chooser.choose(torch.tensor([logits]).repeat(n, 1), rows)
    return [ids.count(id) / n for id in range(len(logits))]


def log(*probabilities: float) -> list[float]:
    return torch.tensor(probabilities).log().tolist()


def test_ids_are_drawn_as_often_as_they_are_probable():
    drawn = frequencies(log(0.1, 0.2, 0.3, 0.4), Sampling(temperature=1))
    assert drawn == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.001)


def test_temperature_sharpens_before_anything_is_cut():
    drawn = frequencies(log(0.1, 0.2, 0.3, 0.4), Sampling(temperature=0.5, top_p=0.85))
    assert drawn == pytest.approx([0, 4 / 29, 9 / 29, 16 / 29], abs=0.001)


def test_a_temperature_next_to_zero_is_next_to_greedy():
    assert frequencies(log(0.1, 0.2, 0.4, 0.3), Sampling(temperature=1e-310)) == [0, 0, 1, 0]


def test_top_k_keeps_the_most_probable():
    drawn = frequencies(log(0.1, 0.4, 0.2, 0.3), Sampling(temperature=1, top_k=2))
    assert drawn == pytest.approx([0, 4 / 7, 0, 3 / 7], abs=0.001)


def test_top_p_keeps_the_fewest_that_reach_it():
    drawn = frequencies(log(0.1, 0.4, 0.2, 0.3), Sampling(temperature=1, top_p=0.69))
    assert drawn == pytest.approx([0, 4 / 7, 0, 3 / 7], abs=0.001)


def test_top_p_counts_what_top_k_has_left():
    drawn = frequencies(log(0.1, 0.4, 0.2, 0.3), Sampling(temperature=1, top_k=3, top_p=0.75))
    assert drawn == pytest.approx([0, 4 / 7, 0, 3 / 7], abs=0.001)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0, top_k=3)])
def test_ids_outside_the_vocabulary_are_never_chosen(sampling):
    drawn = frequencies([9.0, 1.0, 9.0, 1.0, 9.0], sampling, vocabulary=[1, 3])
    assert drawn[0] == drawn[2] == drawn[4] == 0


def test_ids_are_banned_up_to_min_tokens_and_no_longer():
    chooser = Chooser(frozenset(range(4)), CPU)
    one = row(stop=Stop(frozenset({3}), min_tokens=2), banned=frozenset({3, 2}))
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    chosen = []
    for _ in range(3):
        chosen += chooser.choose(logits.clone(), [one])
        one.push(chosen[-1])
    assert chosen == [1, 1, 3]


def test_what_is_drawn_depends_on_the_row_alone():
    chooser = Chooser(frozenset(range(50)), CPU)
    logits = torch.randn(8, 50, generator=torch.Generator().manual_seed(0))

    def rows() -> list[Row]:
        settings = [{}, {"top_k": 3}, {"top_p": 0.5}, {"temperature": 0.0}] * 2
        return [
            row(Sampling(**({"temperature": 2.0, "seed": seed} | more)))
            for seed, more in enumerate(settings)
        ]

    together = chooser.choose(logits.clone(), rows())
    alone = [chooser.choose(logits[[at]], [one])[0] for at, one in enumerate(rows())]
    assert together == alone


def test_logits_that_are_no_numbers_are_an_error():
    with pytest.raises(FloatingPointError, match="float32"):
        Chooser(frozenset(range(3)), CPU).choose(torch.tensor([[0.0, torch.nan, 0.0]]), [row()])


def kept(ids) -> Kept:
    return Kept(tuple(ids), [])


def test_the_store_finds_what_shares_the_most():
    store = Store()
    store.add(kept([*range(40), 7, 8]))
    store.add(kept([*range(20), *range(90, 120)]))
    assert store.longest([*range(40), 7, 9])[0] == 41
    assert store.longest([*range(20), *range(90, 130)])[0] == 50
    assert store.longest([*range(17)])[0] == 17
    assert store.longest([5, *range(40)]) == (0, None)


def test_the_store_forgets_what_was_used_longest_ago():
    store = Store()
    first, second, third = ([n] * 20 for n in range(3))
    store.add(kept(first))
    store.add(kept(second))
    store.longest(first)
    store.add(kept(third))
    store.shrink(40)
    assert [store.longest(ids)[0] for ids in (first, second, third)] == [20, 0, 20]


def test_a_row_that_goes_on_from_a_kept_one_takes_its_place():
    store = Store()
    other = [7] * 20
    for ids in (other, range(20), range(30)):
        store.add(kept(ids))
    store.shrink(50)
    assert store.longest(other)[0] == 20
    assert store.longest([*range(20), 0])[0] == 20
