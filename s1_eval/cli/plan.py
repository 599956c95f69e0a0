"""`s1-eval plan`: what a sweep would cost, and whether it could show the difference looked for.
Nothing is run and no model is loaded."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from s1_eval.cli import foreign
from s1_eval.cli.inputs import Inputs
from s1_eval.cli.options import add_prices, at_least_one, prices
from s1_eval.cli.sweep import add_arguments, sweep_of
from s1_eval.errors import UserError
from s1_eval.key_values import key_values

if TYPE_CHECKING:
    from s1_eval.records import Run


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "plan", help="what a sweep would cost, and what it could show, before it is run"
    )
    add_arguments(parser)
    parser.add_argument(
        "--points", type=float, default=5.0, help="the difference of accuracy worth finding"
    )
    parser.add_argument(
        "--alpha", type=float, default=0.05, help="chance of any false finding (default 0.05)"
    )
    parser.add_argument(
        "--pilot", nargs="+", metavar="PATH", help="records of a few questions of the same model"
    )
    parser.add_argument(
        "--assume",
        nargs="+",
        metavar="KEY=VALUE",
        help="in place of a pilot: accuracy (percent), thinking_tokens, answer_tokens, "
        "prompt_tokens, tokens_per_second, correlation (of two tries at a question, default 1/3)",
    )
    parser.add_argument(
        "--questions", type=at_least_one, metavar="N", help="in place of the task's own number"
    )
    add_prices(parser)
    parser.add_argument("--out", help="taken as in sweep; nothing is written")
    parser.add_argument("--json", action="store_true", help="a JSON object instead of the text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.engines.table import parse_model
    from s1_eval.metrics.planning import Asked, Assumed, plan
    from s1_eval.metrics.series import describe
    from s1_eval.report.planning import markdown
    from s1_eval.typed import flat

    sweep = sweep_of(args)
    model = parse_model(args.model)[1]
    assumed = key_values(args.assume or [], "--assume")
    rate = None
    basis: Any
    if args.pilot:
        rate = assumed.pop("tokens_per_second", None)
        if assumed:
            raise UserError(
                f"--assume {next(iter(assumed))}: the pilot tells that; with one, only "
                "tokens_per_second is assumed"
            )
        if rate is not None:
            rate = Assumed.of({"tokens_per_second": rate}).tokens_per_second
        basis = _pilot(args, model)
    elif assumed:
        basis = Assumed.of(assumed)
    else:
        raise UserError(
            "a plan rests on something: give --pilot RUNS, the records of a few questions, or "
            "--assume accuracy=50 thinking_tokens=4000 tokens_per_second=500"
        )
    asked = []
    for each in sweep.planned:
        info = json.loads(json.dumps(each.method.describe(each.settings)))
        dials = {dial["name"]: dial["value"] for dial in info["dials"]}
        asked.append(
            Asked(
                label=describe(each.method.name, {n: v for n, v in dials.items() if v}),
                method=each.method.name,
                settings=json.loads(json.dumps(flat(each.settings))),
                dials=dials,
                greedy=sweep.sampling(each).temperature == 0,
                single=each.method.single,
                independent=info["chooses"] and not info["verifier"],
            )
        )
    found = plan(
        asked,
        args.questions or len(sweep.samples),
        args.epochs,
        basis,
        points=args.points,
        alpha=args.alpha,
        prices=prices(args),
        model=model,
        rate=rate,
    )
    if args.json:
        told = {"model": model, "task": args.task, **found}
        print(json.dumps(told, indent=2, allow_nan=False))  # noqa: T201
    else:
        print(markdown(found, f"{model} on {args.task}"))  # noqa: T201
    return 0


def _pilot(args: argparse.Namespace, model: str) -> list[Run]:
    """The pilot's runs, read without the options for other people's logs, whose names the sweep
    has for its own. Raises UserError where they are of another model."""
    options = argparse.ArgumentParser()
    foreign.add_options(options)
    reading = options.parse_args([])
    inputs = Inputs(reading)
    vars(args)["remarks"] = vars(reading)["remarks"]
    runs = inputs.runs(args.pilot)
    if others := sorted({run.model for run in runs} - {model}):
        raise UserError(
            f"the pilot is of {', '.join(others)} and the plan of {model}: lengths and noise "
            "differ from model to model; give a pilot of the same one"
        )
    if tasks := sorted({run.task for run in runs} - {args.task}):
        inputs.tell(f"the pilot is of {', '.join(tasks)}, and the plan of {args.task}")
    return runs
