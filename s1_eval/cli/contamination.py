"""`s1-eval contamination`: which questions of a benchmark stand in training data."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from s1_eval.cli.options import add_task_arguments, comma_list, task_arguments


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "contamination", help="name the questions of a benchmark that stand in training data"
    )
    parser.add_argument(
        "training",
        nargs="+",
        metavar="TRAINING",
        help="a .jsonl, .json, .csv, .tsv or .parquet file, a folder of such files, or OWNER/NAME "
        "of the hub",
    )
    parser.add_argument(
        "--task",
        required=True,
        type=comma_list(str),
        metavar="NAME[,NAME]",
        help="aime24, math500, …, or a file of questions",
    )
    add_task_arguments(parser)
    parser.add_argument("--json", action="store_true", help="a JSON list instead of lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from s1_eval.evaluation.named import find_task
    from s1_eval.thinking.render import printable
    from s1_eval.training.curation.contamination import contamination

    given = task_arguments(args)
    tasks = [(find_task(name, args.grader, given), args.data) for name in args.task]
    found = contamination(tasks, args.training)
    if args.json:
        print(json.dumps([asdict(each) for each in found], indent=2))  # noqa: T201
        return 0
    for each in found:
        print(  # noqa: T201
            f"{each.task}: {len(each.found)} of {each.questions} questions share eight words in a "
            "row with the training data"
        )
        for id, overlap in each.found.items():
            words = "" if overlap.words is None else f": {overlap.words}"
            print(printable(f"  {id}: {overlap.name}{words}"))  # noqa: T201
    return 0
