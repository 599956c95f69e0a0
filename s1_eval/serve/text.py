"""Ids that come one after the other, and what may be shown of them: nothing that would have to be
taken back when the next id comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from s1_eval.engines.protocol import Stop, Tokenizer, ids_within

BROKEN = "\ufffd"
"""What bytes decode to that are no whole character yet."""

_CONTEXT = 4
"""Ids before the new ones that are decoded with them: some tokenizers take a blank off it."""

_LONGEST_CHARACTER = 16
"""Ids without a whole character after which they are shown as they are: they never become one."""


def open_suffix(text: str, strings: Sequence[str]) -> int:
    """How many characters at the end of `text` may be the beginning of one of the strings."""
    return max(
        (
            n
            for string in strings
            for n in range(1, min(len(string), len(text) + 1))
            if text.endswith(string[:n])
        ),
        default=0,
    )


class Text:
    """The text of ids that are added, in whole characters: what `decode` makes of all of them,
    piece by piece."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = self._read = 0  # of the ids decoded together: all, and those shown already

    def add(self, ids: Sequence[int]) -> str:
        """What these ids add; a character in parts is shown with its last one."""
        self._ids += ids
        there = len(self._ids)
        for upto in range(there, max(self._read, there - _LONGEST_CHARACTER), -1):
            if not (text := self._new(upto)).endswith(BROKEN):
                return self._shown(text, upto)
        return "" if there - self._read < _LONGEST_CHARACTER else self.end()

    def end(self) -> str:
        """What is left: a character that will never be whole."""
        return self._shown(self._new(len(self._ids)), len(self._ids))

    def _shown(self, text: str, upto: int) -> str:
        self._start, self._read = self._read, upto
        return text

    def _new(self, upto: int) -> str:
        shown = self._decode(self._ids[self._start : self._read])
        return self._decode(self._ids[self._start : upto])[len(shown) :]


class Held:
    """The sampled ids of one generation, those held back that may turn out to be a stop, which is
    taken off.

    ids: all so far. settled: how many of them will stay.
    """

    def __init__(self, stop: Stop, tokenizer: Tokenizer) -> None:
        self._stop, self._tokenizer = stop, tokenizer
        self.ids: list[int] = []
        self.settled = 0
        self._stopped = False

    def put(self, at: int, ids: Sequence[int]) -> None:
        """Ids from `at` on, which what was there before gives way to."""
        if at < self.settled:
            self.settled, self._stopped = at, False
        self.ids[at:] = ids
        if not self._stopped:
            self.settled = self._settle()

    def _settle(self) -> int:
        new = self.ids[self.settled :]
        for at, id in enumerate(new, self.settled):
            if id in self._stop.ids and at >= self._stop.min_tokens:
                self._stopped = True
                new = self.ids[self.settled : at]
                break
        if not self._stop.strings:
            return self.settled + len(new)
        start = max(self.settled - _CONTEXT, 0)
        window = self.ids[start : self.settled + len(new)]
        text = self._text(window)
        told = len(self._text(window[: self.settled - start]))
        whole = text.rstrip(BROKEN)
        keep = len(whole) - open_suffix(whole, self._stop.strings)
        if len(self.ids) > self._stop.min_tokens:
            places = [text.find(string, told) for string in self._stop.strings]
            if found := [place for place in places if place >= 0]:
                self._stopped = True
                keep = min(found)
        return max(self.settled, start + ids_within(window, text[:keep], self._tokenizer))

    def _text(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids), skip_special_tokens=False)
