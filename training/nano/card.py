"""Nano's model card: the runs of `measure` as tables, its targets, and the command that made it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from s1_eval.engines.models import resolve_model
from s1_eval.training.nano.measure import Run, measure

NORMAL_95 = 1.959964


def is_nano(model: str) -> bool:
    """Whether `model` is the embedded model or was trained on its kind of examples alone."""
    path = Path(resolve_model(model)) / "training.json"
    if not path.is_file():
        return False
    return "waits" in json.loads(path.read_text())["recipe"]["source"]


def write(model: str, n: int) -> Path:
    """Measure `model` on `n` held-out problems and write the card into its folder."""
    path = Path(resolve_model(model)) / "README.md"
    training = json.loads((path.parent / "training.json").read_text())
    path.write_text(render(measure(model, n), training, model))
    return path


def difference(a: Run, b: Run) -> tuple[float, float, float]:
    """(b - a, low, high) in points: accuracy on the same problems, with a normal 95% interval
    of the paired differences."""
    paired = [100.0 * (y - x) for x, y in zip(a.correct, b.correct, strict=True)]
    half = NORMAL_95 * stdev(paired) / sqrt(len(paired))
    return mean(paired), mean(paired) - half, mean(paired) + half


def majority(runs: Sequence[Run]) -> float:
    """Accuracy of the most frequent answer in percent; a tie is worth the share of its right
    answers."""
    score = 0.0
    for answers, correct in zip(
        zip(*(r.answers for r in runs), strict=True),
        zip(*(r.correct for r in runs), strict=True),
        strict=True,
    ):
        votes = {a: answers.count(a) for a in answers if a}
        top = {a for a in votes if votes[a] == max(votes.values())}
        score += sum(a in {x for x, c in zip(answers, correct, strict=True) if c} for a in top) / (
            len(top) or 1
        )
    return 100 * score / len(runs[0].correct)


def targets(runs: Mapping[str, Sequence[Run]]) -> Iterable[tuple[str, bool]]:
    """Each target of the shipped model, and whether these runs meet it."""
    caps = [run.accuracy for run in runs["caps"]]
    rise = max(_longest_rise(caps))
    yield (
        f"P1: strictly rising over {rise} caps in a row, "
        f"{caps[-1] - caps[0]:.1f} points from the smallest to the largest (4 caps, 55 points)",
        rise >= 4 and caps[-1] - caps[0] >= 55,
    )
    none, one, two, *_ = runs["waits"]
    for name, (a, b, least) in {
        "1 over 0": (none, one, 8.0),
        "2 over 1": (one, two, 0.0),
    }.items():
        found, low, high = difference(a, b)
        yield (
            f'P2: {name} "Wait"s {found:+.1f} points, 95% interval {low:+.1f} to {high:+.1f} '
            f"(at least {least:.0f}, interval above zero)",
            found >= least and low > 0,
        )
    samples = runs["samples"]
    once, ever = mean(r.accuracy for r in samples), _ever(samples)
    yield f"P3: pass@8 {ever - once:+.1f} points over pass@1 (10)", ever >= once + 10
    yield (
        f"P3: majority@8 {majority(samples) - once:+.1f} points over pass@1",
        (majority(samples) > once),
    )
    for series in ("tokens", "steps"):
        thinking = [run.mean_thinking for run in runs[series]]
        yield (
            f"P4: {series}: {thinking[0]:.0f} to {thinking[-1]:.0f} thinking tokens",
            thinking[0] < thinking[-1],
        )
    short, long = (run.mean_thinking for run in runs["length"])
    default = runs["plain"][0].mean_thinking
    yield (
        f"P4: short {short:.0f}, uninstructed {default:.0f}, long {long:.0f} thinking tokens",
        short < default < long,
    )
    yield f"Mean thinking {default:.0f} tokens (40 to 300)", 40 <= default <= 300


def _ever(samples: Sequence[Run]) -> float:
    return 100 * mean(any(right) for right in zip(*(r.correct for r in samples), strict=True))


def _longest_rise(values: Sequence[float]) -> Iterable[int]:
    length = 1
    yield length
    for a, b in pairwise(values):
        length = length + 1 if b > a else 1
        yield length


def render(runs: Mapping[str, Sequence[Run]], training: Mapping[str, Any], model: str) -> str:
    """The card's Markdown."""
    n = len(runs["plain"][0].correct)
    samples = runs["samples"]
    met = "\n".join(f"- {'met' if ok else '**not met**'}: {text}" for text, ok in targets(runs))
    versions = ", ".join(f"{name} {version}" for name, version in training["versions"].items())
    last = training["losses"][-1]["loss"]
    tokens = training["tokens"] + (training["before"] or {"tokens": 0})["tokens"]
    return f"""\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---
# nano

A reasoning model of {training["parameters"] / 1e6:.2f}M parameters that thinks about chains of
arithmetic modulo 100, in the s1 format. It drafts in its head and errs on steps of two
operations; told "Wait" it checks line by line and mends the first error it finds. It is for
seeing and testing the effects of thinking time on a laptop, and knows nothing else.

Made by `s1-train sft training/recipes/nano.yaml` and `s1-train sft
training/recipes/nano_ends.yaml` with TRL's SFTTrainer from {tokens / 1e6:.1f}M tokens; last logged
loss {last:.3f}; {versions}. `training.json` has the recipes and the loss curves.

## Measured
{n} held-out problems, kept apart from training by a hash of the question; made by
`s1-train card {model} --problems {n}`. Greedy unless said otherwise.

### Thinking cut at a cap
{_table("cap", runs["caps"], lambda run: run.params["max_thinking_tokens"])}

### "Wait" in place of the end
{_table("waits", runs["waits"], lambda run: run.params["num_ignores"])}

### Sampling at temperature 1, {len(samples)} samples a problem
pass@1 {mean(r.accuracy for r in samples):.1f}, pass@{len(samples)} {_ever(samples):.1f}, \
majority@{len(samples)} {majority(samples):.1f}; \
{mean(r.mean_thinking for r in samples):.0f} thinking tokens.

### Instructions
Uninstructed: {runs["plain"][0].accuracy:.1f}% with {runs["plain"][0].mean_thinking:.0f} tokens.

{_table("up to N tokens", runs["tokens"], lambda run: run.params["tokens"])}

{_table("up to N steps", runs["steps"], lambda run: run.params["steps"])}

{_table("amount", runs["length"], lambda run: run.params["length"])}

## Targets
{met}
"""


def _table(head: str, runs: Sequence[Run], label: Callable[[Run], Any]) -> str:
    rows = [f"| {label(r)} | {r.accuracy:.1f} | {r.mean_thinking:.1f} |" for r in runs]
    return "\n".join([f"| {head} | accuracy, % | thinking tokens |", "|---|---|---|", *rows])
