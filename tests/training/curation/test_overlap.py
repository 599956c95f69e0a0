"""The fast search for shared runs of eight words finds what a naive one finds, word for word."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from s1_eval.training.curation.overlap import WORDS, Index, Reference

texts = st.lists(st.lists(st.sampled_from(["aB", "cde"]), max_size=14).map(" ".join), max_size=6)


def naive(references: list[str], text: str) -> tuple[int, str] | None:
    """(reference, words) of the first run of `text` that a reference has."""
    words = text.lower().split()
    if len(words) < WORDS:
        same = [n for n, r in enumerate(references) if r.lower().split() == words]
        return (same[0], " ".join(words)) if same else None
    for at in range(len(words) - WORDS + 1):
        run = words[at : at + WORDS]
        for number, reference in enumerate(references):
            other = reference.lower().split()
            if any(other[i : i + WORDS] == run for i in range(len(other) - WORDS + 1)):
                return number, " ".join(run)
    return None


def found(batches: list[list[str]], queries: list[str]) -> list[tuple[int, str] | None]:
    index, number = Index(), 0
    for batch in batches:
        index.add([Reference(str(number + i), text) for i, text in enumerate(batch)])
        number += len(batch)
    hits = index.overlaps(queries)
    return [hit and (int(hit.name), hit.words) for hit in hits]


@given(st.lists(texts, max_size=3), texts)
@settings(deadline=None)
def test_it_finds_what_a_naive_search_finds(batches, queries):
    references = [text for batch in batches for text in batch]
    assert found(batches, queries) == [naive(references, q) for q in queries]


def test_case_and_white_space_do_not_count():
    index = Index()
    index.add([Reference("r", "One two\tthree  four five six seven eight")])
    [hit] = index.overlaps(["so one TWO three four\nfive six seven eight nine"])
    assert hit.words == "one two three four five six seven eight"


def test_a_run_never_reaches_from_one_text_into_the_next():
    assert found([["1 2 3 4", "5 6 7 8"]], ["1 2 3 4 5 6 7 8"]) == [None]


def test_a_secret_text_is_only_named():
    index = Index()
    index.add([Reference("gpqa_diamond rec1", "1 2 3 4 5 6 7 8", secret=True)])
    [hit] = index.overlaps(["0 1 2 3 4 5 6 7 8 9"])
    assert (hit.name, hit.words) == ("gpqa_diamond rec1", None)


def test_many_texts_are_searched_in_order():
    queries = ["x", "1 2 3 4 5 6 7 8", "y", "z", "0 1 2 3 4 5 6 7 8"]
    hit = (0, "1 2 3 4 5 6 7 8")
    assert found([["1 2 3 4 5 6 7 8"]], queries) == [None, hit, None, None, hit]
