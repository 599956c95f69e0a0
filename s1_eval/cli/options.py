"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def comma_list(read: Callable[[str], T]) -> Callable[[str], list[T]]:
    """An argparse type: `a,b,c` as a list without repeats, each member read by `read`."""

    def parse(text: str) -> list[T]:
        try:
            return list(dict.fromkeys(read(member.strip()) for member in text.split(",")))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error

    return parse


def allowance(*names: str) -> Callable[[str], str]:
    """What `--allow-different` may name."""

    def read(name: str) -> str:
        if name not in names:
            raise ValueError(f"{name!r} is none of {', '.join(names)}")
        return name

    return read


def cap(text: str) -> int | str | None:
    """A cap on thinking tokens: a whole number, `auto`, or `none`."""
    if text in ("auto", "none"):
        return "auto" if text == "auto" else None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no cap: give a whole number, `auto` or `none`") from None


def add_resampling(parser: argparse.ArgumentParser, seed_of: str = "the bootstrap") -> None:
    """--seed and --resamples."""
    parser.add_argument("--seed", type=int, default=0, help=f"of {seed_of}")
    parser.add_argument(
        "--resamples", type=at_least_one, default=10_000, metavar="N", help="default: 10000"
    )


def at_least_one(text: str) -> int:
    """An argparse type: a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number of 1 or more")
    return int(text)


def add_model(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """--model and what belongs to it."""
    parser.add_argument(
        "--model", required=required, metavar="ENGINE/NAME", help="e.g. s1_hf/nano, s1_vllm/PATH"
    )
    parser.add_argument(
        "-M",
        dest="model_args",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="argument of the engine, e.g. -M dtype=bfloat16 (repeatable)",
    )
