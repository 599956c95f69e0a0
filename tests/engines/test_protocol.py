"""What a stop means: which ids are kept, which made the stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ToyTokenizer

from s1_eval.engines import Generation, Sampling, Stop, split_at_stop
from s1_eval.errors import UserError

TOKENIZER = ToyTokenizer()
EOS = TOKENIZER.eos_token_id


def split(text: str, stop: Stop) -> Generation | None:
    return split_at_stop(TOKENIZER.encode(text), stop, TOKENIZER)


def ids(text: str) -> tuple[int, ...]:
    return tuple(TOKENIZER.encode(text))


def test_without_a_stop_there_is_nothing_to_split():
    assert split("abc", Stop()) is None
    assert split("abc", Stop(frozenset({EOS}), ("</think>",))) is None


def test_a_stop_id_is_cut_off_with_all_that_follows():
    found = split("ab<|im_end|>c<|im_end|>", Stop(frozenset({EOS})))
    assert found == Generation(ids("ab"), (EOS,), "stop")


def test_a_stop_string_may_span_tokens():
    found = split("ab</think>", Stop(strings=("</think>",)))
    assert found == Generation(ids("ab"), ids("</think>"), "stop")
    assert len(found.stop_ids) == 4


def test_a_token_that_reaches_into_a_stop_string_is_cut_whole():
    found = split("abFinal.\n", Stop(strings=("l.",)))
    assert found == Generation(ids("ab"), ids("Final.\n"), "stop")


def test_whichever_stop_comes_first_counts():
    stop = Stop(frozenset({EOS}), ("b",))
    assert split("ab<|im_end|>", stop).stop_ids == ids("b")
    assert split("a<|im_end|>b", stop).stop_ids == (EOS,)


@pytest.mark.parametrize(("min_tokens", "kept"), [(0, ""), (1, "bx"), (2, "bx"), (3, "bxbx")])
def test_a_stop_within_min_tokens_does_not_count(min_tokens, kept):
    by_string = split("bxbxbxb", Stop(strings=("b",), min_tokens=min_tokens))
    by_id = split("bxbxbxb", Stop(frozenset(ids("b")), min_tokens=min_tokens))
    assert by_string.ids == by_id.ids == ids(kept)


def test_a_string_that_ends_after_min_tokens_counts_though_it_begins_before():
    assert split("ab</think>", Stop(strings=("</think>",), min_tokens=5)).ids == ids("ab")
    assert split("ab</think>", Stop(strings=("</think>",), min_tokens=6)) is None


@given(
    st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=30),
    st.sets(st.integers(0, len(TOKENIZER) - 1), max_size=3),
    st.lists(st.sampled_from(["\n", "Wait", "</think>", "ait", "t<"]), max_size=2),
    st.integers(0, 5),
)
def test_kept_ids_are_a_prefix_that_the_stop_does_not_reach(sampled, stop_ids, strings, least):
    stop = Stop(frozenset(stop_ids), tuple(strings), least)
    found = split_at_stop(sampled, stop, TOKENIZER)
    if found is None:
        assert not stop_ids.intersection(sampled[least:])
        return
    assert found.reason == "stop"
    together = found.ids + found.stop_ids
    assert together == tuple(sampled[: len(together)])
    assert found.stop_ids
    kept = TOKENIZER.decode(found.ids)
    early = TOKENIZER.decode(sampled[:least])
    assert all(s not in kept[max(0, len(early) - len(s) + 1) :] for s in strings)


def test_a_fork_has_a_seed_of_its_own_that_depends_on_its_name_alone():
    parent = Sampling(temperature=1.0, seed=3)
    assert parent.fork("a", 1) == parent.fork("a", 1)
    assert len({parent.seed, parent.fork("a", 1).seed, parent.fork("a", 2).seed}) == 3
    assert Sampling(temperature=1.0).fork("a").seed is None


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"temperature": float("nan")}, {"top_p": 0}, {"top_k": -1}]
)
def test_impossible_sampling_says_what_to_give(wrong):
    with pytest.raises(UserError, match="give"):
        Sampling(**wrong)
