"""`s1-train`: the command line of training. Each command's work is done in its own module."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from s1_eval.errors import UserError
from s1_eval.training.curation.reference import Evaluation


def parser() -> argparse.ArgumentParser:
    """The whole command line. Importing it loads no training library."""
    top = argparse.ArgumentParser(prog="s1-train", description="Train models that think.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    curate = commands.add_parser("curate", help="from a pool of questions to 1,000 examples")
    curate.add_argument("recipe", type=Path, help="a YAML file, e.g. training/recipes/s1k.yaml")
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
    sft = commands.add_parser("sft", help="fine-tune a model as a recipe says")
    sft.add_argument("recipe", type=Path, help="a YAML file, e.g. training/recipes/nano.yaml")
    sft.add_argument("--output", type=Path, help="checkpoint folder, in place of the recipe's")
    sft.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    sft.add_argument(
        "--dry-run", action="store_true", help="say what would happen; nothing is downloaded"
    )
    sft.set_defaults(run=_sft)
    prm = commands.add_parser("prm", help="train a process reward model on nano's own traces")
    prm.add_argument("recipe", type=Path, help="a YAML file, training/recipes/nano_prm.yaml")
    prm.add_argument("--output", type=Path, help="checkpoint folder, in place of the recipe's")
    prm.set_defaults(run=_prm)
    card = commands.add_parser("card", help="measure a nano model and write its model card")
    card.add_argument("model", help="nano, or the folder that `sft` made of its recipe")
    card.add_argument("--problems", type=int, default=500, help="how many held-out problems")
    card.set_defaults(run=_card)
    return top


def main(argv: Sequence[str] | None = None, evaluation: Evaluation | None = None) -> int:
    """Run a command; a user's mistake is its message alone and exit code 2.

    evaluation: the questions of an evaluation task, by its name; `s1_eval.cli.train` gives it.
    """
    args = parser().parse_args(argv)
    args.evaluation = evaluation
    try:
        args.run(args)
    except UserError as error:
        print(f"s1-train: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def _curate(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from s1_eval.training.curation import recipe, report
    from s1_eval.training.curation.pipeline import Pipeline

    loaded = recipe.load(args.recipe)
    if args.seed is not None:
        loaded = replace(loaded, choice=replace(loaded.choice, seed=args.seed))
    output = args.output or Path(loaded.choice.output)
    pipeline = Pipeline(loaded, output, _evaluation(args), _say)
    steps = pipeline.run(args.variant, args.sampler)
    folder, written = report.write(pipeline, steps, args.variant, args.sampler)
    written.show()
    print(folder)  # noqa: T201


def _evaluation(args: argparse.Namespace) -> Evaluation:
    if args.evaluation is None:
        raise UserError("the evaluation's questions are needed: start this as `s1-train`")
    given: Evaluation = args.evaluation
    return given


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201


def _sft(args: argparse.Namespace) -> None:
    from s1_eval.training import recipe, sft

    loaded = recipe.load(args.recipe)
    output = args.output or Path(loaded.output)
    if args.dry_run:
        from s1_eval.training import dry_run

        dry_run.show(loaded, output)
    else:
        sft.run(loaded, output, args.resume)


def _prm(args: argparse.Namespace) -> None:
    from s1_eval.training.nano import prm

    loaded = prm.load(args.recipe)
    prm.run(loaded, args.output or Path(loaded.output))


def _card(args: argparse.Namespace) -> None:
    from s1_eval.training.nano import card

    if args.problems < 2:
        raise UserError(f"--problems={args.problems}: give 2 or more")
    print(card.write(args.model, args.problems))  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
