"""`s1-train`: the command line of training. Each command's work is done in its own module."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from s1_eval.errors import UserError
from s1_eval.libraries import needs
from s1_eval.training import recipe_files
from s1_eval.training.curation import command as curation


def parser() -> argparse.ArgumentParser:
    """The whole command line. Importing it loads no training library."""
    top = argparse.ArgumentParser(prog="s1-train", description="Train models that think.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    recipes = commands.add_parser("recipes", help="list the recipes that come with the package")
    recipes.set_defaults(run=_recipes)
    curation.add_parsers(commands)
    sft = commands.add_parser("sft", help="fine-tune a model as a recipe says")
    sft.add_argument("recipe", help="a recipe's name, e.g. s1_32b, or a YAML file")
    sft.add_argument("--output", type=Path, help="checkpoint folder, in place of the recipe's")
    sft.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    sft.add_argument(
        "--dry-run", action="store_true", help="say what would happen; nothing is downloaded"
    )
    sft.set_defaults(run=_sft)
    prm = commands.add_parser("prm", help="train a process reward model on nano's own traces")
    prm.add_argument("recipe", help="a recipe's name, nano_prm, or a YAML file")
    prm.add_argument("--output", type=Path, help="checkpoint folder, in place of the recipe's")
    prm.set_defaults(run=_prm)
    problems = commands.add_parser(
        "problems", help="write held-out questions for `s1-eval sweep --task nano --data FILE`"
    )
    problems.add_argument("file", type=Path, help="the .jsonl file to write")
    problems.add_argument("--problems", type=int, default=500, help="how many")
    problems.add_argument("--max-steps", type=int, help="of a question, as the recipe says")
    problems.add_argument("--seed", type=int, default=0)
    problems.set_defaults(run=_problems)
    unpack = commands.add_parser("unpack", help="make a checkpoint folder of a GGUF file")
    unpack.add_argument("file", type=Path, help="a model's .gguf file")
    unpack.add_argument("folder", type=Path, help="the folder to make")
    unpack.set_defaults(run=_unpack)
    card = commands.add_parser("card", help="write a model's card")
    card.add_argument("model", help="nano, or a folder that `sft` made")
    card.add_argument(
        "--results",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="records of its evaluation; without, a nano model is measured",
    )
    card.add_argument("--problems", type=int, default=500, help="how many, to measure nano on")
    card.set_defaults(run=_card)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; a user's mistake is its message alone and exit code 2."""
    args = parser().parse_args(argv)
    try:
        with needs("train"):
            code: int | None = args.run(args)
    except UserError as error:
        if _speaks():
            print(f"s1-train: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return code or 0


def _speaks() -> bool:
    """Of many processes the first one says what all of them found, until they have joined: then
    an error may be one process's own."""
    if os.environ.get("RANK", "0") == "0":
        return True
    distributed = getattr(sys.modules.get("torch"), "distributed", None)
    return distributed is not None and distributed.is_initialized()


def _recipes(_: argparse.Namespace) -> None:
    for name, path in recipe_files.recipes().items():
        print(f"{name:28}{recipe_files.command(path):8}{recipe_files.about(path)}")  # noqa: T201
    folder, launch = recipe_files.FOLDER, recipe_files.LAUNCH
    print(f"\nThey lie in {folder}; for `accelerate launch --config_file`: {launch}")  # noqa: T201


def _sft(args: argparse.Namespace) -> None:
    from s1_eval.training import recipe, sft

    loaded = recipe.load(args.recipe)
    output = args.output or Path(loaded.output)
    if args.dry_run:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's libraries are first imported
        from s1_eval.training import dry_run

        dry_run.show(loaded, output)
    else:
        sft.run(loaded, output, args.resume)


def _prm(args: argparse.Namespace) -> None:
    from s1_eval.training.nano import prm

    loaded = prm.load(args.recipe)
    prm.run(loaded, args.output or Path(loaded.output))


def _problems(args: argparse.Namespace) -> None:
    from s1_eval.training.nano.problems import STEPS, held_out

    steps = STEPS.stop - 1 if args.max_steps is None else args.max_steps
    if args.problems < 1:
        raise UserError(f"--problems={args.problems}: give 1 or more")
    if steps not in STEPS:
        raise UserError(f"--max-steps={steps}: give {STEPS.start} to {STEPS.stop - 1}")
    rows = [problem.row for problem in held_out(args.problems, args.seed, steps)]
    try:
        args.file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    except OSError as error:
        raise UserError(f"can't write {args.file} ({error.strerror}): name another") from None


def _unpack(args: argparse.Namespace) -> None:
    from s1_eval.engines.checkpoints import unpack

    unpack(args.file, args.folder)


def _card(args: argparse.Namespace) -> None:
    from s1_eval.training import card
    from s1_eval.training.nano import card as nano

    if args.problems < 2:
        raise UserError(f"--problems={args.problems}: give 2 or more")
    if not args.results and nano.is_nano(args.model):
        written = nano.write(args.model, args.problems)
    else:
        written = card.write(Path(args.model), args.results or ())
    print(written)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
