"""`s1-eval sweep`: many runs of one model on one task, each recorded in a folder of its own, then
scored. Started again with the same command, it goes on where it stopped."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from s1_eval.cli.options import add_model, cap, comma_list, key_values
from s1_eval.engines.protocol import Engine, Sampling
from s1_eval.engines.table import open_engine, parse_model
from s1_eval.errors import UserError
from s1_eval.evaluation.plan import Axes, PlannedRun, plan
from s1_eval.methods import METHODS
from s1_eval.verifiers import Verifier
from s1_eval.verifiers.table import check_verifier, open_verifier, parse_verifier


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "sweep", help="run methods over budgets on one task, record every sample, score them"
    )
    add_model(parser)
    parser.add_argument("--task", required=True, help="nano, aime24, …")
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
        type=comma_list(cap),
        default=[],
        metavar="N[,N]",
        help="caps (numbers, auto or none): a run each",
    )
    parser.add_argument(
        "--num-ignores", type=comma_list(int), default=[], metavar="N[,N]", help="a run each"
    )
    parser.add_argument(
        "--steps", type=comma_list(int), default=[], metavar="N[,N]", help="step_conditional"
    )
    parser.add_argument(
        "--samples", type=comma_list(int), default=[], metavar="N[,N]", help="majority_vote, …"
    )
    parser.add_argument(
        "--verifier",
        metavar="[ENGINE/][FORMAT:]NAME",
        help="process reward model for best_of_n and the searches, e.g. nano-prm; on vLLM "
        "s1_vllm/NAME",
    )
    parser.add_argument(
        "-V",
        dest="verifier_args",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="argument of the verifier, e.g. -V device=cuda:1 (repeatable)",
    )
    parser.add_argument(
        "--grid", action="store_true", help="every cap with every number of ignores"
    )
    parser.add_argument(
        "-S",
        dest="params",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="parameter of every method, e.g. -S max_answer_tokens=64 (repeatable)",
    )
    parser.add_argument("--data", help="file or folder to read the task from")
    parser.add_argument("--limit", type=int, help="only the first N questions")
    parser.add_argument("--epochs", type=int, default=1, help="how often each question is asked")
    parser.add_argument(
        "--temperature",
        type=float,
        help="default: 0, and 1 for the methods that need different samples",
    )
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-cache", action="store_true", help="decode every run from scratch")
    parser.add_argument("--out", required=True, type=Path, help="folder for records and report")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.cli.score import report
    from s1_eval.evaluation.benchmark import benchmark
    from s1_eval.evaluation.run import FirstQuestion, check_first

    engine_name, model = parse_model(args.model)
    for name in ("limit", "epochs"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise UserError(f"--{name} {value}: give 1 or more")
    planned = plan(
        args.methods,
        Axes(
            max_thinking_tokens=args.max_thinking_tokens,
            num_ignores=args.num_ignores,
            steps=args.steps,
            samples=args.samples,
            grid=args.grid,
            params=key_values(args.params, "-S"),
        ),
    )
    samplings = [
        Sampling(_temperature(each, args.temperature), args.top_p, args.top_k, args.seed)
        for each in planned
    ]
    searching = [each.method for each in planned if each.needs_verifier]
    if searching:
        if not args.verifier:
            raise UserError(
                f"{searching[0]} needs --verifier, a process reward model: e.g. --verifier nano-prm"
            )
        parse_verifier(args.verifier)
    about = benchmark(args.task)
    data = about.load(args.data)
    samples = data.samples[: args.limit]
    engine_args = key_values(args.model_args, "-M")
    first = [
        FirstQuestion(each.method, each.settings, sampling, samples[0].prompt)
        for each, sampling in zip(planned, samplings, strict=True)
    ]
    check_first(engine_name, model, engine_args, first)
    if searching:
        check_verifier(args.verifier)
    engine = open_engine(engine_name, model, **engine_args)
    verifier: Verifier | None = None
    try:
        if searching:
            verifier = open_verifier(args.verifier, **key_values(args.verifier_args, "-V"))
        if not args.no_cache:
            from s1_eval.engines.cache import CachedEngine

            engine = CachedEngine(engine, args.out / "cache")
        _record(engine, verifier, planned, samplings, about.about(data), samples, args)
    except ExceptionGroup as failures:
        error = failures.exceptions[0]
        if not isinstance(error, RuntimeError):
            raise error from None
        print(  # noqa: T201
            f"s1-eval: the engine failed: {error}\n"
            f"What was finished is kept in {args.out}; the same command goes on from there.",
            file=sys.stderr,
        )
        return 1
    finally:
        engine.close()
        if verifier:
            verifier.close()
    return report([args.out / each.slug for each in planned], args.out)


def _temperature(planned: PlannedRun, given: float | None) -> float:
    if given is not None:
        return given
    return 1.0 if planned.needs_sampling else 0.0


def _record(
    engine: Engine,
    verifier: Verifier | None,
    planned: Sequence[PlannedRun],
    samplings: Sequence[Sampling],
    about: dict[str, Any],
    samples: Sequence[Any],
    args: argparse.Namespace,
) -> None:
    """Every (run, question, epoch) that is not recorded yet, all in flight together."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from s1_eval.evaluation.run import open_run, run_samples
    from s1_eval.records import SampleRow
    from s1_eval.records.store import RUN, RunWriter, recorded

    asked = [(sample, epoch + 1) for sample in samples for epoch in range(args.epochs)]
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    with ExitStack() as stack:
        jobs = []
        for each, sampling in zip(planned, samplings, strict=True):
            folder = args.out / each.slug
            there = recorded(folder) or recorded(args.out / each.old_slug)
            before = (there.get("prompting") or {}) if there else {}
            opened = open_run(
                engine,
                harness="s1-eval",
                about=about,
                method=each.method,
                settings=each.settings,
                sampling=sampling,
                verifier=verifier,
                command=["s1-eval", *sys.argv[1:]],
                planned_samples=len(asked),
                template_date=before.get("template_date"),
            )
            if there and not (folder / RUN).exists():
                folder = args.out / each.old_slug
            writer = stack.enter_context(RunWriter(folder, opened.record))
            if writer.recovered:
                console.print(f"{each.slug}: {writer.recovered}", markup=False)
            todo = [(s, epoch) for s, epoch in asked if (s.id, epoch) not in writer.done]
            jobs.append((opened, todo, writer))
        stack.enter_context(progress)
        bar = progress.add_task(
            f"{len(planned)} runs, {len(samples)} questions",
            total=len(asked) * len(jobs),
            completed=sum(len(asked) - len(todo) for _, todo, _ in jobs),
        )

        async def everything() -> None:
            async with asyncio.TaskGroup() as group:
                for opened, todo, writer in jobs:

                    def on_row(row: SampleRow, writer: RunWriter = writer) -> None:
                        writer.append(row)
                        progress.advance(bar)

                    group.create_task(run_samples(opened, todo, on_row))

        asyncio.run(everything())
