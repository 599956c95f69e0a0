"""`s1-eval leaderboard export`: results for the hub's model pages, or for Every Eval Ever."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_eval.cli.inputs import Inputs, add_paths
from s1_eval.cli.options import add_resampling
from s1_eval.errors import UserError
from s1_eval.key_values import split_pair

if TYPE_CHECKING:
    from s1_eval.report.exports import Benchmark, Evaluator


def add_parser(actions: Any) -> None:
    from s1_eval.report.exports import RELATIONSHIPS
    from s1_eval.report.publishing import PUBLISH

    parser = actions.add_parser(
        "export", help="write results for the hub's model pages, or for Every Eval Ever"
    )
    add_paths(parser)
    parser.add_argument(
        "--format",
        choices=("hub", "every-eval-ever"),
        required=True,
        help="hub: .eval_results/*.yaml of model repositories; every-eval-ever: its datastore's "
        "records of series and, where their questions may be shown, of samples",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--model-id",
        action="append",
        default=[],
        metavar="MODEL=ORGANISATION/NAME",
        help="the hub name of a model whose recorded name is none (repeatable)",
    )
    hub = parser.add_argument_group("hub")
    hub.add_argument(
        "--benchmark",
        action="append",
        default=[],
        metavar="TASK=DATASET:TASK_ID",
        help="the hub's data set with the task's leaderboard, and the task's id in its eval.yaml "
        "(repeatable)",
    )
    hub.add_argument("--source-url", help="a page that shows the traces, e.g. your leaderboard")
    ever = parser.add_argument_group("every-eval-ever")
    ever.add_argument(
        "--traces",
        choices=PUBLISH,
        default="open",
        help="whose samples to write, with their questions and traces; as in `leaderboard build`",
    )
    ever.add_argument("--organization", metavar="NAME", help="who ran the evaluation")
    ever.add_argument(
        "--relationship", choices=RELATIONSHIPS, help="the evaluator's to who made the model"
    )
    parser.add_argument("--common-questions", action="store_true", help="as in `s1-eval score`")
    add_resampling(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.metrics import score, scored
    from s1_eval.report.exports import every_eval_ever, hub, model_ids

    told = _pairs(args.model_id, "--model-id MODEL=ORGANISATION/NAME")
    benchmarks = _benchmarks(args.benchmark)
    evaluator = _evaluator(args) if args.format == "every-eval-ever" else None
    inputs = Inputs(args)
    found = inputs.runs(args.paths)
    entries = score(found, args.seed, args.resamples, args.common_questions, inputs.leave_out)
    runs = scored(entries, found)
    names = model_ids(runs, told)
    try:
        if evaluator:
            rows = inputs.rows(runs)
            written = every_eval_ever(entries, runs, args.out, names, evaluator, rows, args.traces)
        else:
            written = hub(entries, runs, args.out, names, benchmarks, args.source_url)
    except OSError as error:
        raise UserError(f"can't write to {args.out} ({error}): choose another --out") from error
    for path in written:
        print(path)  # noqa: T201
    return 0


def _pairs(options: Sequence[str], form: str) -> dict[str, str]:
    option = form.split()[0]
    return dict(split_pair(pair, option, form, last=True, filled=True) for pair in options)


def _benchmarks(options: Sequence[str]) -> dict[str, Benchmark]:
    from s1_eval.report.exports import Benchmark

    form = "--benchmark TASK=DATASET:TASK_ID"
    found = {}
    for task, value in _pairs(options, form).items():
        dataset, colon, task_id = value.partition(":")
        if not (colon and dataset and task_id):
            raise UserError(f"--benchmark {task}={value}: give {form}")
        found[task] = Benchmark(dataset, task_id)
    return found


def _evaluator(args: argparse.Namespace) -> Evaluator:
    from s1_eval.report.exports import Evaluator

    missing = [f"--{name}" for name in ("organization", "relationship") if not getattr(args, name)]
    if missing:
        raise UserError(
            f"Every Eval Ever asks who ran the evaluation: add {' and '.join(missing)}, e.g. "
            "--organization 'My lab' --relationship third_party"
        )
    return Evaluator(args.organization, args.relationship)
