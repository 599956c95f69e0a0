"""Pieces of text that are shown while ids still come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s1_eval.engines.protocol import Stop, split_at_stop
from s1_eval.serve.text import Held, Text


class Bytes:
    """A tokenizer of single bytes: the worst case of a byte-level one."""

    def decode(self, token_ids: Any, *, skip_special_tokens: bool = False) -> str:
        return bytes(token_ids).decode(errors="replace")


BYTES: Any = Bytes()
TEXTS = st.text(st.sampled_from("aWait \n</think>◁▷😀é\u200d"), max_size=30)


@given(TEXTS, st.lists(st.integers(1, 5)))
@example("<<<<<<<<<éé😀<😀", [1, 1, 1, 2, 5, 2, 2, 5])  # whole characters wait behind parts
def test_pieces_are_whole_characters_and_add_up(text: str, sizes: list[int]) -> None:
    shown, ids = Text(BYTES.decode), list(text.encode())
    pieces = []
    for size in [*sizes, *[1] * len(ids)]:
        pieces.append(shown.add(ids[:size]))
        ids = ids[size:]
    pieces.append(shown.end())
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)


def test_what_never_becomes_a_character_is_shown_in_the_end() -> None:
    shown = Text(BYTES.decode)
    pieces = [shown.add([0xFF]) for _ in range(50)]
    assert len("".join([*pieces, shown.end()])) == 50


@pytest.mark.parametrize("strings", [("</think>",), ("◁/think▷", "Wait"), ("\n\n", "\n</think>")])
@given(text=TEXTS)
def test_nothing_is_shown_that_a_stop_takes_back(strings: tuple[str, ...], text: str) -> None:
    stop, held = Stop(strings=strings), Held(Stop(strings=strings), BYTES)
    ids = list(text.encode())
    for upto in range(1, len(ids) + 1):
        held.put(upto - 1, ids[upto - 1 : upto])
        if made := split_at_stop(ids[:upto], stop, BYTES):
            assert held.settled <= len(made.ids)
            return
    assert all(not text.encode().endswith(s.encode()) for s in strings)


def test_a_stop_id_is_held_back_and_so_is_a_beginning() -> None:
    held = Held(Stop(frozenset({10}), ("stop",)), BYTES)
    held.put(0, b"a s")
    assert held.settled == 2
    held.put(3, b"ta")
    assert held.settled == 5
    held.put(5, b"\n")
    assert held.settled == 5


def test_ids_told_anew_replace_what_was_there() -> None:
    held = Held(Stop(), BYTES)
    held.put(0, b"abc")
    held.put(1, b"x")
    assert bytes(held.ids[: held.settled]) == b"ax"
