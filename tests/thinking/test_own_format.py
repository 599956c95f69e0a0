"""A thinking format of somebody else's: one entry of the table, which engines force and readers of
recorded texts split by."""

from __future__ import annotations

import pytest

from s1_eval.records.transcripts import known_marks, split
from s1_eval.thinking import ThinkingFormat, parse_format
from s1_eval.thinking.formats import FORMATS

MUSE = ThinkingFormat("muse", "[MUSE]\n", "[/MUSE]\n[SAY]\n", ("[/MUSE]",), "[/SAY]")


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "muse", MUSE)


def test_it_is_chosen_by_its_name(listed: None) -> None:
    assert parse_format("muse") is MUSE


def test_recorded_texts_are_split_by_it(listed: None) -> None:
    [marks] = set(known_marks(FORMATS.values())) - set(known_marks([*FORMATS.values()][:-1]))
    parts = split("[MUSE]\nhm [/MUSE]\n[SAY]\n7", marks)
    assert (parts.thinking.strip(), parts.response.strip()) == ("hm", "[SAY]\n7")


def test_words_that_any_text_may_have_are_no_marks_of_one() -> None:
    shown = {marks.shown for marks in known_marks(FORMATS.values())}
    assert "Here is my response:" not in shown
    assert {"</think>", "<|im_start|>answer", "[BEGIN FINAL RESPONSE]"} < shown
