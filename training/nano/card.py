"""Nano's model card: its runs on held-out problems by the one path of a question, measured by the
project's own metrics, its targets, and the commands that made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from s1_eval.engines import Sampling
from s1_eval.engines.models import resolve_model
from s1_eval.engines.table import open_engine
from s1_eval.evaluation.benchmark import Data, Sample, benchmark
from s1_eval.evaluation.run import open_run, run_samples
from s1_eval.methods import METHODS, settings
from s1_eval.metrics import intervals
from s1_eval.metrics.at_k import at_k
from s1_eval.metrics.entries import Estimate
from s1_eval.metrics.points import tally
from s1_eval.records import Run, SampleRow, run_record
from s1_eval.records.readers import Located, collect
from s1_eval.report.table import fixed, line, span
from s1_eval.training.log import LOG, Log, read
from s1_eval.training.nano.problems import held_out

CAPS = (16, 32, 48, 64, 96)
WAITS = (0, 1, 2, 4)
SAMPLES = 8
TOKENS = (32, 64, 128, 256)
STEPS = (2, 4, 8, 16)
LENGTHS = ("short", "long")


def is_nano(model: str) -> bool:
    """Whether `model` is the embedded model or was trained on its kind of examples alone."""
    folder = Path(resolve_model(model))
    return (folder / LOG).is_file() and "waits" in read(folder)["recipe"]["source"]


def write(model: str, n: int) -> Path:
    """Measure `model` on `n` held-out problems and write the card into its folder."""
    path = Path(resolve_model(model)) / "README.md"
    path.write_text(render(measure(model, n), read(path.parent), model))
    return path


def measure(model: str, n: int) -> dict[str, list[Run]]:
    """All runs of the card on the first `n` held-out problems, by what they show."""
    asked = tuple(Sample(p.id, p.question, p.target) for p in held_out(n))
    about = benchmark("nano").about(Data(asked, "nano"))
    engine = open_engine("s1_hf", model)

    def run(method: str, temperature: float = 0.0, epochs: int = 1, **params: Any) -> Run:
        opened = open_run(
            engine,
            harness="s1-eval",
            grader=about["grader"],
            method=METHODS[method],
            settings=settings(method, params),
            sampling=Sampling(temperature, seed=0),
        )
        rows: list[SampleRow] = []
        todo = [(sample, epoch + 1) for sample in asked for epoch in range(epochs)]
        record = run_record(opened.held, about)
        asyncio.run(run_samples(opened, record, todo, rows.append))
        [found] = collect(Located(row, model, method, record) for row in rows)
        return found

    try:
        return {
            "plain": [run("plain")],
            "caps": [run("budget_forcing", max_thinking_tokens=cap) for cap in CAPS],
            "waits": [run("budget_forcing", num_ignores=waits) for waits in WAITS],
            "samples": [run("plain", temperature=1.0, epochs=SAMPLES)],
            "tokens": [run("token_conditional", tokens=n) for n in TOKENS],
            "steps": [run("step_conditional", steps=n) for n in STEPS],
            "length": [run("class_conditional", length=length) for length in LENGTHS],
        }
    finally:
        engine.close()


def accuracy(run: Run) -> Estimate:
    """In percent."""
    found = tally(run)
    return _metric(100 * float(found.accuracy), intervals.accuracy(found), 100)


def thinking(run: Run) -> Estimate:
    """Mean thinking tokens."""
    found = tally(run)
    return _metric(float(found.mean_thinking), intervals.mean(found.tokens, lowest=0), 1)


def change(run: Run, other: Run) -> Estimate:
    """Accuracy of `run` minus that of `other` on the same problems, in points."""
    one, two = tally(run), tally(other)
    return _metric(100 * float(one.accuracy - two.accuracy), intervals.change(one, two), 100)


def _metric(value: float, found: intervals.Interval | None, scale: float) -> Estimate:
    limits = (scale * found.low, scale * found.high) if found else (None, None)
    return {"value": value, "low": limits[0], "high": limits[1]}


def _same_text(answers: Sequence[str]) -> list[int]:
    """Which answers are equal, see `metrics.at_k`: nano's are two digits."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(a, len(numbers)) if a else -1 for a in answers]


def sampled(run: Run) -> dict[str, Estimate]:
    """pass@1, pass@k and maj@k of all of a problem's samples, and `maj@k minus pass@1`, in percent
    and points; see `metrics.at_k`."""
    [*_, at] = at_k(run, _same_text)["at"]
    found: dict[str, Estimate] = {}
    for name, metric in {**at["metrics"], **at["differences"]}.items():
        assert metric["value"] is not None, "our own rows say every answer"
        found[name] = {"value": metric["value"], "low": metric["low"], "high": metric["high"]}
    return found


def targets(runs: Mapping[str, Sequence[Run]]) -> Iterator[tuple[str, bool]]:
    """Each target of the shipped model, and whether these runs meet it."""
    caps = [accuracy(run)["value"] for run in runs["caps"]]
    rise = _longest_rise(caps)
    yield (
        f"P1: strictly rising over {rise} caps in a row, "
        f"{caps[-1] - caps[0]:.1f} points from the smallest to the largest (4 caps, 55 points)",
        rise >= 4 and caps[-1] - caps[0] >= 55,
    )
    none, one, two, *_ = runs["waits"]
    for name, more, less, least in (("1 over 0", one, none, 8.0), ("2 over 1", two, one, 0.0)):
        gain = change(more, less)
        yield (
            f'P2: {name} "Wait"s {gain["value"]:+.1f} points, 95% interval {_limits(gain)} '
            f"(at least {least:.0f}, interval above zero)",
            gain["value"] >= least and (gain["low"] or 0) > 0,
        )
    metrics = sampled(runs["samples"][0])
    ever = metrics["pass@k"]["value"] - metrics["pass@1"]["value"]
    yield f"P3: pass@{SAMPLES} {ever:+.1f} points over pass@1 (10)", ever >= 10
    vote = metrics["maj@k minus pass@1"]
    yield (
        f"P3: majority@{SAMPLES} {vote['value']:+.1f} points over pass@1, 95% interval "
        f"{_limits(vote)}",
        vote["value"] > 0,
    )
    for series in ("tokens", "steps"):
        first, last = (thinking(runs[series][i])["value"] for i in (0, -1))
        yield f"P4: {series}: {first:.0f} to {last:.0f} thinking tokens", first < last
    short, long = (thinking(run)["value"] for run in runs["length"])
    default = thinking(runs["plain"][0])["value"]
    yield (
        f"P4: short {short:.0f}, uninstructed {default:.0f}, long {long:.0f} thinking tokens",
        short < default < long,
    )
    yield f"Mean thinking {default:.0f} tokens (40 to 300)", 40 <= default <= 300


def _limits(metric: Estimate) -> str:
    return "none" if metric["low"] is None else f"{metric['low']:+.1f} to {metric['high']:+.1f}"


def _longest_rise(values: Sequence[float]) -> int:
    longest = length = 1
    for a, b in pairwise(values):
        length = length + 1 if b > a else 1
        longest = max(longest, length)
    return longest


def render(runs: Mapping[str, Sequence[Run]], training: Log, model: str) -> str:
    """The card's Markdown."""
    plain, samples = runs["plain"][0], runs["samples"][0]
    n = len(plain.rows)
    metrics = sampled(samples)
    met = "\n".join(f"- {'met' if ok else '**not met**'}: {text}" for text, ok in targets(runs))
    versions = ", ".join(f"{name} {version}" for name, version in training["versions"].items())
    last = training["losses"][-1]["loss"]
    before = training["before"]
    tokens = training["tokens"] + (before["tokens"] if before else 0)
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

Made by `s1-train sft nano` and `s1-train sft nano_ends` with TRL's SFTTrainer from
{tokens / 1e6:.1f}M tokens; last logged loss {last:.3f}; {versions}. `training.json` has the recipes
and the loss curves.

## Measured
{n} held-out problems, kept apart from training by a hash of the question; made by
`s1-train card {model} --problems {n}`. Greedy unless said otherwise. In brackets: 95% intervals
over problems.

### Thinking cut at a cap
{_table("cap", CAPS, runs["caps"])}

### "Wait" in place of the end
{_table("waits", WAITS, runs["waits"])}

### Sampling at temperature 1, {SAMPLES} samples a problem
pass@1 {_shown(metrics["pass@1"])}, pass@{SAMPLES} {_shown(metrics["pass@k"])}, \
majority@{SAMPLES} {_shown(metrics["maj@k"])}; {thinking(samples)["value"]:.0f} thinking tokens.

### Instructions
Uninstructed: {_shown(accuracy(plain))}% with {thinking(plain)["value"]:.0f} tokens.

{_table("up to N tokens", TOKENS, runs["tokens"])}

{_table("up to N steps", STEPS, runs["steps"])}

{_table("amount", LENGTHS, runs["length"])}

## Targets
{met}
"""


def _table(head: str, values: Sequence[int | str], runs: Sequence[Run]) -> str:
    rows = [
        line([str(value), _shown(accuracy(run)), _shown(thinking(run))])
        for value, run in zip(values, runs, strict=True)
    ]
    return "\n".join([line([head, "accuracy, %", "thinking tokens"]), "|---|---|---|", *rows])


def _shown(metric: Estimate) -> str:
    return f"{fixed(metric['value'])} {span(metric)}".rstrip()
