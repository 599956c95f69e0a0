"""`s1-eval sweep`: many runs of one model on one task, each recorded in a folder of its own, then
scored. Started again with the same command, it goes on where it stopped."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_eval.cli.options import (
    add_model,
    add_packed,
    add_pairs,
    add_task,
    add_verifier,
    at_least_one,
    caps,
    comma_list,
    task_arguments,
    whole_numbers,
)
from s1_eval.key_values import key_values
from s1_eval.methods import METHODS
from s1_eval.thinking.render import printable

if TYPE_CHECKING:
    from s1_eval.evaluation.sweep import Sweep


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "sweep", help="run methods over budgets on one task, record every sample, score them"
    )
    add_arguments(parser)
    parser.add_argument("--out", required=True, type=Path, help="folder for records and report")
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is asked of which model, and how."""
    add_model(parser)
    add_task(parser)
    parser.add_argument(
        "--methods",
        "--method",
        required=True,
        type=comma_list(str),
        metavar="NAME[,NAME]",
        help=", ".join(METHODS),
    )
    parser.add_argument(
        "--max-thinking-tokens",
        type=caps,
        default=[],
        metavar="N[,N]",
        help="caps, a run each: numbers, powers of two as 2^5..2^12, an even grid as "
        "256..4096:256, auto or none; a question's longest run serves them all",
    )
    parser.add_argument(
        "--num-ignores", type=whole_numbers, default=[], metavar="N[,N]", help="a run each"
    )
    parser.add_argument(
        "--steps", type=whole_numbers, default=[], metavar="N[,N]", help="step_conditional"
    )
    parser.add_argument(
        "--samples", type=whole_numbers, default=[], metavar="N[,N]", help="majority_vote, …"
    )
    add_verifier(parser)
    parser.add_argument(
        "--grid", action="store_true", help="every cap with every number of ignores"
    )
    add_pairs(parser, "-S", "params", "parameter of every method, e.g. -S max_answer_tokens=64")
    parser.add_argument("--epochs", type=int, default=1, help="how often each question is asked")
    parser.add_argument(
        "--temperature",
        type=float,
        help="default: 0, and 1 for the methods that need different samples",
    )
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--logprobs",
        type=int,
        metavar="N",
        help="record the log-probability of every sampled id, and of the N likeliest in its place",
    )
    parser.add_argument(
        "--fail-on-error",
        nargs="?",
        const=True,
        default=False,
        metavar="N|SHARE",
        help="stop at the first sample that fails, at so many, or at a share (below 1) of all; "
        "default: ask all others, list the failed at the end, exit 1",
    )
    add_packed(parser)
    parser.add_argument("--no-cache", action="store_true", help="decode every run from scratch")
    parser.add_argument(
        "--in-flight",
        type=at_least_one,
        metavar="N",
        help="questions asked at once; 1 is one stream, as times of a single user are taken",
    )


def sweep_of(args: argparse.Namespace) -> Sweep:
    """The sweep that the arguments ask for. Raises UserError on runs that can't be."""
    from s1_eval.evaluation.failures import check_fail_on_error
    from s1_eval.evaluation.named import find_task
    from s1_eval.evaluation.plan import Axes, plan
    from s1_eval.evaluation.sweep import Sweep

    axes = Axes(
        max_thinking_tokens=args.max_thinking_tokens,
        num_ignores=args.num_ignores,
        steps=args.steps,
        samples=args.samples,
        grid=args.grid,
        params=key_values(args.params, "-S"),
    )
    return Sweep(
        model=args.model,
        benchmark=find_task(args.task, args.grader, task_arguments(args)),
        planned=plan(args.methods, axes),
        out=args.out,
        command=["s1-eval", *sys.argv[1:]],
        engine_args=key_values(args.model_args, "-M"),
        data=args.data,
        since=args.since,
        shuffle=args.shuffle,
        limit=args.limit,
        epochs=args.epochs,
        temperature=args.temperature,
        top_p=args.top_p,
        top_k=args.top_k,
        seed=args.seed,
        logprobs=args.logprobs,
        verifier=args.verifier,
        verifier_args=key_values(args.verifier_args, "-V"),
        cache=not args.no_cache,
        in_flight=args.in_flight,
        fail_on_error=check_fail_on_error(args.fail_on_error),
        packed=args.packed,
    )


def run(args: argparse.Namespace) -> int:
    from s1_eval.cli.score import report
    from s1_eval.evaluation.progress import shown
    from s1_eval.evaluation.sweep import SweepStopped

    sweep = sweep_of(args)
    sweep.check()
    try:
        with sweep.opened() as (engine, verifier), shown() as progress:
            recorded = asyncio.run(sweep.record(engine, verifier, progress))
    except SweepStopped as error:
        print(f"s1-eval: {printable(str(error))}", file=sys.stderr)  # noqa: T201
        return 1
    try:
        if recorded.readable:
            report(recorded.readable, args.out)
    finally:
        if recorded.failed:
            print(f"s1-eval: {recorded.told()}", file=sys.stderr)  # noqa: T201
    return int(bool(recorded.failed))
