"""Lists of whole numbers as users write them: `64`, the powers of two `2^5..2^12`, the even grid
`256..4096:256`."""

from __future__ import annotations

import re

SPELLINGS = "whole numbers, powers of two as 2^5..2^12, or an even grid as 256..4096:256"
_MOST = 1024
"""Members of one range: each is a run."""
_LARGEST = 62
"""Exponent."""


def spelled(text: str) -> list[int]:
    """The numbers that one member of a list spells. Raises ValueError, saying what to write, on
    everything else."""
    if found := re.fullmatch(r"2\^(\d{1,9})(?:\.\.2\^(\d{1,9}))?", text):
        low, high = int(found[1]), int(found[2] or found[1])
        _in_order(low, high, f"2^{high}..2^{low}")
        if high > _LARGEST:
            raise ValueError(f"2^{high} is too large: give exponents up to {_LARGEST}")
        return [2**exponent for exponent in range(low, high + 1)]
    if found := re.fullmatch(r"(\d{1,18})\.\.(\d{1,18}):(\d{1,18})", text):
        low, high, step = map(int, found.groups())
        _in_order(low, high, f"{high}..{low}:{step}")
        if not step:
            raise ValueError("a step of 0 gets nowhere: give 1 or more")
        if (high - low) // step >= _MOST:
            raise ValueError(f"{text} is {(high - low) // step + 1} numbers: give up to {_MOST}")
        if last := (high - low) % step:
            raise ValueError(f"{text} ends at {high - last}: write {low}..{high - last}:{step}")
        return list(range(low, high + 1, step))
    if found := re.fullmatch(r"(\d+)\.\.(\d+)", text):
        raise ValueError(f"{text} has no step: write {text}:STEP, or powers of two as 2^5..2^12")
    try:
        return [int(text)]
    except ValueError:
        raise ValueError(f"{text!r:.100} is no whole number: give {SPELLINGS}") from None


def _in_order(low: int, high: int, other: str) -> None:
    if low > high:
        raise ValueError(f"the first number is the larger one: write {other}")
