"""Budget-aware data against s1's recipe, at as many tokens: nano from scratch on whole thinking
alone; on thinking of which a share is cut at any token and answered all the same; and on the same
where of what is cut the answer alone carries loss, as in `s1_32b_cut.yaml`.

    python benchmarks/cut_data.py --out OUT [--examples 30000] [--share 0.5] [--problems 500]

All are trained by `nano.yaml` but for that, then asked held-out problems under caps. Printed:
accuracy after a forced end, answers that leak thinking, and by `s1-eval compare` the paired
difference to whole thinking at every cap. OUT keeps models and records; what is there is not made
again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from s1_eval.records import read_runs
from s1_eval.training import sft
from s1_eval.training.checkpoints import newest
from s1_eval.training.log import read
from s1_eval.training.nano.source import Nano
from s1_eval.training.recipe import Recipe, load

OURS = [sys.executable, "-m", "s1_eval.cli.main"]
CAPS = "4,8,16,24,32,48,64,96"
SAMPLE = 3000
"""Examples by which the tokens of one are estimated."""


def recipes(examples: int, share: float) -> dict[str, Recipe]:
    """Of each, with about as many tokens."""
    nano = load("nano")
    assert isinstance(nano.source, Nano)
    drawn = nano.source
    training = replace(nano.training, save_steps=200)

    def of(share: float, examples: int, learn: bool = True) -> Recipe:
        source = replace(drawn, examples=examples, cut_share=share, learn_cut=learn)
        return replace(nano, source=source, training=training)

    def tokens(share: float) -> float:
        recipe = of(share, SAMPLE)
        tokenizer = sft.load_tokenizer(recipe.model)
        rows, _ = sft.rows_of(recipe.examples(tokenizer), recipe.training, tokenizer)
        return sum(len(row["input_ids"]) for row in rows) / SAMPLE

    as_many = round(examples * tokens(0.0) / tokens(share))
    return {
        "whole": of(0.0, examples),
        "cut": of(share, as_many),
        "answers": of(share, as_many, learn=False),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--examples", type=int, default=30_000)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--problems", type=int, default=500)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    questions = args.out / "questions.jsonl"
    train = [sys.executable, "-m", "s1_eval.cli.train"]
    subprocess.run(
        [*train, "problems", str(questions), "--problems", str(args.problems)], check=True
    )
    trained = recipes(args.examples, args.share)
    for name, recipe in trained.items():
        model, runs = args.out / name, args.out / f"runs-{name}"
        if not model.exists():
            begun = newest(model.with_name(f"{name}.partial") / "trainer")
            sft.run(recipe, model, resume=begun is not None)
        command = [*OURS, "sweep", "--model", f"s1_hf/{model}", "--task", "nano"]
        command += ["--data", str(questions), "--method", "budget_forcing"]
        command += ["--max-thinking-tokens", CAPS, "--out", str(runs)]
        subprocess.run(command, check=True)
    for name in trained:
        log = read(args.out / name)
        print(f"\n{name}: {log['data']['examples']} examples, {log['tokens']} tokens")
        for run in sorted(read_runs([args.out / f"runs-{name}"]), key=lambda run: run.budget or 0):
            rows = run.rows
            forced = [row for row in rows if row["exit_reason"] == "budget"]
            correct = sum(bool(row["correct"]) for row in rows)
            right = sum(bool(row["correct"]) for row in forced)
            leaked = sum(bool(row.get("leaked")) for row in rows)
            silent = sum(not row["answered"] for row in rows)
            print(
                f"cap {run.budget:3}: {correct / len(rows):6.1%} right; after a forced end {right} "
                f"of {len(forced)}; leaked {leaked}; no answer {silent}"
            )
    whole, *others = (str(args.out / f"runs-{name}") for name in trained)
    for other in others:
        subprocess.run([*OURS, "compare", other, whole], check=True)


if __name__ == "__main__":
    main()
