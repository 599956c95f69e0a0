"""`s1-train curate` and `s1-train traces`: their options, and what is called with them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError
from s1_eval.key_values import key_values


def add_parsers(commands: Any) -> None:
    """Importing this loads no data library."""
    curate = commands.add_parser("curate", help="from a pool of questions to 1,000 examples")
    curate.add_argument("recipe", help="a recipe's name, e.g. s1k, or a YAML file")
    curate.add_argument("--output", type=Path, help="folder, in place of the recipe's")
    curate.add_argument(
        "--variant",
        choices=["s1", "random", "diverse", "longest", "full"],
        default="s1",
        help="s1's own choice, or one of its ablations",
    )
    curate.add_argument(
        "--sampler",
        choices=["paper", "notebook"],
        default="paper",
        help="how s1's last draw goes: as the paper says, or as its notebook does",
    )
    curate.add_argument("--seed", type=int, help="of every draw, in place of the recipe's")
    curate.set_defaults(run=_curate)

    traces = commands.add_parser("traces", help="a teacher's thinking for every question")
    traces.add_argument(
        "questions", help="a recipe of `curate`, or a file with a column `question`"
    )
    traces.add_argument("--model", required=True, metavar="ENGINE/NAME", help="e.g. s1_api/NAME")
    pair: dict[str, Any] = {"action": "append", "default": [], "metavar": "KEY=VALUE"}
    traces.add_argument(
        "-M", dest="model_args", help="argument of the engine, e.g. -M base_url=URL", **pair
    )
    traces.add_argument("--method", choices=["plain", "budget_forcing"], default="plain")
    traces.add_argument(
        "-S", dest="params", help="parameter of the method, e.g. -S max_tokens=16384", **pair
    )
    traces.add_argument("--temperature", type=float, default=0.0)
    traces.add_argument("--seed", type=int, default=0)
    traces.add_argument("--limit", type=int, help="only the first N questions")
    traces.add_argument("--concurrency", type=int, default=128, help="questions in flight")
    traces.add_argument("--price-per-million", type=float, help="of generated tokens")
    traces.add_argument("--prompt-price-per-million", type=float, default=0.0)
    traces.add_argument("--budget", type=float, help="begin nothing that could cost more")
    traces.add_argument("--yes", action="store_true", help="do not ask before it starts")
    traces.add_argument("--output", type=Path, help="the recipe's folder, in place of its own")
    traces.add_argument("--out", type=Path, help="JSONL file; default: the recipe's `traces`")
    traces.set_defaults(run=_traces)


def _curate(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    from s1_eval.training.curation import recipe, report, variants
    from s1_eval.training.curation.pipeline import Pipeline

    loaded = recipe.load(args.recipe)
    if args.seed is not None:
        loaded = replace(loaded, seed=args.seed)
    pipeline = Pipeline(loaded, args.output or Path(loaded.output), _say)
    steps = variants.run(pipeline, args.variant, args.sampler)
    folder, text = report.write(pipeline, steps, args.variant, args.sampler)
    Console().print(Markdown(text))
    print(folder)  # noqa: T201


def _traces(args: argparse.Namespace) -> int:
    from s1_eval.training.curation import recipe, traces
    from s1_eval.training.curation.asking import Asking, Price
    from s1_eval.training.curation.pipeline import Pipeline

    if args.limit is not None and args.limit < 1:
        raise UserError(f"--limit {args.limit}: give 1 or more")
    price = Price(args.price_per_million, args.prompt_price_per_million, args.budget)
    params, model_args = key_values(args.params, "-S"), key_values(args.model_args, "-M")
    asking = Asking(args.model, args.method, params, args.temperature, args.seed, model_args)
    out, file = args.out, Path(args.questions)
    asked: Iterable[tuple[str, str]]
    if file.suffix in ("", ".yaml", ".yml"):
        loaded = recipe.load(args.questions)
        pipeline = Pipeline(loaded, args.output or Path(loaded.output), _say)
        asked = ((q.id, q.question) for q in pipeline.decontaminated.kept)
        out = out or (loaded.traces and Path(loaded.traces))
    else:
        asked = traces.questions(file)
    if not out:
        raise UserError("--out: name the file for the traces, e.g. --out traces.jsonl")
    return traces.write(
        asking,
        dict(islice(asked, args.limit)),
        out,
        price=price,
        concurrency=args.concurrency,
        confirm=not args.yes,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
