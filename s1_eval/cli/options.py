"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from s1_eval.key_values import key_values
from s1_eval.number_lists import SPELLINGS, spelled

if TYPE_CHECKING:
    from s1_eval.metrics.prices import Prices

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
    if text in _NO_NUMBERS:
        return _NO_NUMBERS[text]
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is no cap: give a whole number, `auto` or `none`") from None


def whole_numbers(text: str) -> list[int]:
    """An argparse type: a comma list whose members are what `spelled` reads, without repeats."""
    return _flat(comma_list(lambda member: tuple(spelled(member)))(text))


def caps(text: str) -> list[int | str | None]:
    """An argparse type: caps on thinking tokens, `whole_numbers` or `auto` or `none`."""

    def read(member: str) -> tuple[int | str | None, ...]:
        if member in _NO_NUMBERS:
            return (_NO_NUMBERS[member],)
        try:
            return tuple(spelled(member))
        except ValueError as error:
            told = str(error).replace(SPELLINGS, f"{SPELLINGS}, `auto` or `none`")
            raise ValueError(told) from None

    return _flat(comma_list(read)(text))


_NO_NUMBERS: Mapping[str, str | None] = {"auto": "auto", "none": None}


def _flat(members: Iterable[tuple[T, ...]]) -> list[T]:
    return list(dict.fromkeys(each for member in members for each in member))


def add_resampling(parser: argparse.ArgumentParser, seed_of: str = "the bootstrap") -> None:
    """--seed and --resamples."""
    parser.add_argument("--seed", type=from_zero, default=0, help=f"of {seed_of}")
    parser.add_argument(
        "--resamples", type=at_least_one, default=10_000, metavar="N", help="default: 10000"
    )


def at_least_one(text: str) -> int:
    """An argparse type: a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: give a whole number of 1 or more")
    return int(text)


def from_zero(text: str) -> int:
    """An argparse type: a whole number of 0 or more, as random generators take for a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: give a whole number of 0 or more")
    return int(text)


def add_model(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """--model and what belongs to it."""
    parser.add_argument(
        "--model", required=required, metavar="ENGINE/NAME", help="e.g. s1_hf/nano, s1_vllm/PATH"
    )
    add_pairs(parser, "-M", "model_args", "argument of the engine, e.g. -M dtype=bfloat16")


def add_verifier(parser: argparse.ArgumentParser) -> None:
    """--verifier and what belongs to it."""
    parser.add_argument(
        "--verifier",
        metavar="[ENGINE/][FORMAT:]NAME",
        help="process reward model for best_of_n and the searches, e.g. nano-prm; on vLLM "
        "s1_vllm/NAME",
    )
    add_pairs(parser, "-V", "verifier_args", "argument of the verifier, e.g. -V device=cuda:1")


def add_packed(parser: argparse.ArgumentParser) -> None:
    """--packed."""
    parser.add_argument(
        "--packed",
        action="store_true",
        help="write samples.jsonl.zst in place of samples.jsonl; everything reads both",
    )


def add_pairs(parser: argparse.ArgumentParser, option: str, dest: str, said: str) -> None:
    """An option of `key=value`, see `key_values`, that may be given several times."""
    parser.add_argument(
        option,
        dest=dest,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"{said} (repeatable)",
    )


COSTS = ("thinking_tokens", "generated_tokens", "flops", "seconds", "usd")
"""What cost can be counted in, see `s1_eval.metrics.costs`."""


def add_prices(parser: argparse.ArgumentParser) -> None:
    """--prices."""
    parser.add_argument(
        "--prices",
        metavar="FILE",
        help="YAML with what models and verifiers cost, in dollars per million tokens or GPU-hour",
    )


def prices(args: argparse.Namespace) -> Prices | None:
    """The prices that were given. Raises UserError on a file that has none."""
    from s1_eval.metrics.prices import read_prices

    return None if args.prices is None else read_prices(args.prices)


def add_task(parser: argparse.ArgumentParser) -> None:
    """--task and what belongs to it."""
    parser.add_argument(
        "--task",
        required=True,
        help="nano, aime24, …; a .jsonl, .json, .csv, .tsv or .parquet file of questions; "
        "OWNER/NAME[:CONFIG] of the hub; an Inspect task (inspect_evals/NAME, file.py@NAME); an "
        "lm-eval task (lm_eval/NAME)",
    )
    add_task_arguments(parser)
    parser.add_argument(
        "--since", metavar="DATE", help="only questions that became public then or later"
    )
    parser.add_argument(
        "--shuffle", type=int, metavar="SEED", help="ask the questions in another order"
    )
    parser.add_argument("--limit", type=int, help="only the first N questions")


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """What a task takes to be opened, see `task_arguments`, its grader and its data."""
    parser.add_argument(
        "--grader",
        help="of one's own questions: math, integer or choice; of a harness's task also which of "
        "its scorers counts",
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        metavar="ROLE=COLUMN",
        help="of one's own questions, where they are not called as usual: question=, answer=, "
        "options=, id=, system=",
    )
    parser.add_argument("--split", help="of a data set of the hub that has several")
    add_pairs(parser, "-T", "task_args", "argument of the task, e.g. -T month=0926 or -T fewshot=0")
    parser.add_argument("--data", help="file or folder to read the task from")


def task_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of the task itself."""
    own = {name: getattr(args, name) for name in ("columns", "split")}
    given = key_values(args.task_args, "-T")
    return {**given, **{name: value for name, value in own.items() if value is not None}}
