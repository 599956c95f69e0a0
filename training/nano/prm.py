"""The embedded verifier nano-prm: nano with a classifier on top, trained on nano's own traces,
whose lines can be checked exactly. Here: its recipe, its examples and their labels, training and
measuring it. What it reads is laid out by `s1_eval.verifiers.formats.NanoPRM`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from s1_eval.answers import grader
from s1_eval.engines import Sampling
from s1_eval.engines.checkpoints import fingerprint, load_tokenizer
from s1_eval.engines.models import resolve_model
from s1_eval.engines.table import open_engine
from s1_eval.errors import UserError
from s1_eval.methods import Policy, Question
from s1_eval.methods.chain import BudgetForcing, answer_text
from s1_eval.methods.scoring import steps_of
from s1_eval.methods.voting import sample
from s1_eval.thinking import Trace
from s1_eval.training.batches import plan_batches
from s1_eval.training.examples import IGNORED
from s1_eval.training.files import new_folder
from s1_eval.training.nano.problems import Problem, held_out, judge, training
from s1_eval.training.recipe import Training
from s1_eval.training.recipe_files import based, find, read
from s1_eval.training.sft import LIBRARIES, arguments
from s1_eval.typed import Positive, Says, Settings
from s1_eval.verifiers.formats import NanoPRM

GRADER = grader("integer", minimum=0, maximum=99)
CAPS = (16, 128)
"""The caps of cut traces are drawn from this range."""
LONGEST = 512
"""The cap of the others: at temperature 1 a few would go on for ever."""
HELD_OUT = 300
"""Problems that the card's numbers come from."""


@dataclass(frozen=True, slots=True)
class Traces(Settings):
    """What to train on: `samples` traces by `policy`, at temperature 1, of each of `problems`
    training problems. cut_share: the share of problems whose thinking is cut at a random cap, so
    that an answer that is a guess is seen too."""

    policy: str
    problems: Positive
    samples: Positive = 2
    cut_share: Annotated[float, Ge(0), Le(1), Says("a share from 0 to 1")] = 0.25
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Recipe(Settings):
    """traces: the examples. training: how. output: where the checkpoint goes."""

    traces: Traces
    training: Training
    output: str = "runs/prm"


@dataclass(frozen=True, slots=True)
class Example:
    """A problem, the steps of one trace and whether each is right."""

    problem: Problem
    steps: tuple[str, ...]
    labels: tuple[bool, ...]


def load(recipe: str | Path) -> Recipe:
    """The recipe in a YAML file, or one of ours by its name. Raises UserError on anything that is
    not one."""
    return read(Recipe, based(find(recipe)))


def run(recipe: Recipe, output: Path) -> None:
    """Sample, label, train, measure, and leave a checkpoint folder with its card at `output`,
    whole or not at all; beside it `training.json`."""
    import torch
    from transformers import set_seed

    from s1_eval.verifiers.heads import Qwen2ForProcessRewardModel

    if output.exists() and not (output / "config.json").is_file():
        raise UserError(f"{output} exists and is no checkpoint: give another --output")
    source = resolve_model(recipe.traces.policy)
    tokenizer = load_tokenizer(source)
    layout = NanoPRM(tokenizer)
    rng = random.Random(recipe.traces.seed)  # noqa: S311
    problems = [training(rng) for _ in range(recipe.traces.problems)]
    examples = sampled(recipe.traces, problems)
    set_seed(recipe.training.seed)
    model = Qwen2ForProcessRewardModel.from_pretrained(source, dtype=torch.float32)
    rows = [row(example, layout) for example in examples]
    with new_folder(output, replace=True) as made:
        history = train(recipe.training, model, tokenizer, rows, made / "trainer")
        shutil.rmtree(made / "trainer", ignore_errors=True)
        model.save_pretrained(made)
        tokenizer.save_pretrained(made)
        log = {
            "recipe": dataclasses.asdict(recipe),
            "versions": {name: version(name) for name in LIBRARIES},
            "parameters": sum(p.numel() for p in model.parameters()),
            "policy": fingerprint(source),
            "traces": len(examples),
            "steps": sum(len(example.labels) for example in examples),
            "held_out": evaluate(str(made), recipe.traces.policy, HELD_OUT),
            "losses": [entry for entry in history if "loss" in entry],
        }
        (made / "training.json").write_text(json.dumps(log, indent=1) + "\n")
        (made / "README.md").write_text(card(log))


def card(log: Mapping[str, Any]) -> str:
    """The model card, from `training.json`."""
    found = log["held_out"]
    rows = "\n".join(
        f"| {name} | {found[f'{name}_right']:.3f} | {found[f'{name}_accuracy']:.3f} "
        f"| {found[f'{name}_auc']:.3f} |"
        for name in ("steps", "answers")
    )
    return f"""---
license: apache-2.0
library_name: transformers
base_model: nano
---
# nano-prm

A process reward model for [nano](../nano/README.md): nano's weights with a classifier on top,
{log["parameters"]:,} parameters, in the layout of Qwen2.5-Math-PRM. It reads nano's transcript line
by line and says at each line's end how likely the line is right. Labels are exact: nano's lines are
arithmetic, and every one of them is checked.

Made by `s1-train prm training/recipes/nano_prm.yaml` from {log["traces"]:,} of nano's own traces,
{log["steps"]:,} steps. On two traces of each of {HELD_OUT} held-out problems:

| | share that is right | accuracy at 0.5 | area under the ROC curve |
|---|---|---|---|
{rows}

Use it with `--verifier nano-prm`. It knows nano's format and nothing else.
"""


def sampled(traces: Traces, problems: Sequence[Problem]) -> list[Example]:
    """The policy's own traces of `problems`, labelled."""
    rng = random.Random(f"cut {traces.seed}")  # noqa: S311
    caps = [rng.randint(*CAPS) if rng.random() < traces.cut_share else LONGEST for _ in problems]
    engine = open_engine("s1_hf", traces.policy)
    policy = Policy.bind(engine, sampling=Sampling(temperature=1.0, seed=traces.seed))

    async def all_of_them() -> list[tuple[Trace, ...]]:
        return await asyncio.gather(
            *(
                sample(
                    policy.fork(problem.id, i),
                    Question(problem.id, problem.question, GRADER),
                    BudgetForcing(max_thinking_tokens=cap),
                    traces.samples,
                )
                for i, (problem, cap) in enumerate(zip(problems, caps, strict=True))
            )
        )

    def labelled(problem: Problem, trace: Trace) -> Example:
        steps = steps_of(policy, trace, NanoPRM.step_separator)
        answered = bool(answer_text(policy, trace))
        return Example(problem, steps, tuple(labels(problem, steps, answered)))

    try:
        found = zip(problems, asyncio.run(all_of_them()), strict=True)
        return [labelled(problem, trace) for problem, each in found for trace in each]
    finally:
        engine.close()


def labels(problem: Problem, steps: Sequence[str], answered: bool) -> Iterator[bool]:
    """Whether each step is right; the last one is the answer where there is one. A line that
    states no value is as right as the line before it."""
    thinking, answer = (steps[:-1], steps[-1:]) if answered else (steps, ())
    right = True
    for _, verdict in judge(problem, "\n".join(thinking)):
        right = right if verdict is None else verdict
        yield right
    for text in answer:
        yield GRADER.grade(text, problem.target).correct


def row(example: Example, layout: NanoPRM) -> dict[str, list[int]]:
    """`input_ids` and `labels`: 0 or 1 where a step's score is read, nothing elsewhere."""
    found = layout.lay_out(example.problem.question, example.steps)
    targets = [IGNORED] * len(found.ids)
    for end, right in zip(found.ends, example.labels, strict=True):
        targets[end - 1] = int(right)
    return {"input_ids": list(found.ids), "labels": targets}


def train(
    training: Training,
    model: Any,
    tokenizer: Any,
    rows: Sequence[dict[str, list[int]]],
    work: Path,
) -> list[dict[str, Any]]:
    """Cross-entropy at the ends of steps, with transformers' Trainer; its log."""
    from torch.nn.functional import cross_entropy
    from torch.utils.data import DataLoader
    from transformers import DataCollatorForTokenClassification, Trainer, TrainingArguments

    plan = plan_batches(training, [len(row["input_ids"]) for row in rows])
    collate = DataCollatorForTokenClassification(tokenizer, label_pad_token_id=IGNORED)

    class Steps(Trainer):  # type: ignore[misc]
        """Batches as planned, counted in tokens; loss at the ends of steps alone."""

        def get_train_dataloader(self) -> Any:
            return self.accelerator.prepare(
                DataLoader(self.train_dataset, batch_sampler=plan, collate_fn=collate)
            )

        def compute_loss(self, model: Any, inputs: dict[str, Any], *_: Any, **__: Any) -> Any:
            targets = inputs.pop("labels")
            return cross_entropy(model(**inputs).flatten(0, 1), targets.flatten())

    trainer = Steps(
        model=model,
        args=TrainingArguments(**arguments(training, len(plan), work)),
        train_dataset=list(rows),
    )
    trainer.train()
    return list(trainer.state.log_history)


def measure(examples: Sequence[Example], scores: Sequence[Sequence[float]]) -> dict[str, float]:
    """Accuracy at one half and area under the ROC curve, over all steps and over answers alone."""
    every = [
        (right, score)
        for example, found in zip(examples, scores, strict=True)
        for right, score in zip(example.labels, found, strict=True)
    ]
    last = [
        (e.labels[-1], found[-1]) for e, found in zip(examples, scores, strict=True) if e.labels
    ]
    return {
        f"{name}_{what}": value
        for name, pairs in (("steps", every), ("answers", last))
        for what, value in (
            ("right", sum(right for right, _ in pairs) / len(pairs)),
            ("accuracy", sum((score > 0.5) == right for right, score in pairs) / len(pairs)),
            ("auc", auc(pairs)),
        )
    }


def auc(pairs: Sequence[tuple[bool, float]]) -> float:
    """The chance that a right one scores above a wrong one, ties counting half; NaN where one
    kind is missing."""
    from scipy.stats import mannwhitneyu

    ups = [score for right, score in pairs if right]
    downs = [score for right, score in pairs if not right]
    if not (ups and downs):
        return float("nan")
    return float(mannwhitneyu(ups, downs).statistic) / (len(ups) * len(downs))


def evaluate(model: str, policy: str, problems: int) -> dict[str, float]:
    """`measure` of a verifier on the policy's traces of the first held-out problems."""
    from s1_eval.verifiers.table import open_verifier

    examples = sampled(Traces(policy, problems, cut_share=0.0), held_out(problems))
    verifier = open_verifier(f"{NanoPRM.name}:{model}")

    async def scores() -> list[Sequence[float]]:
        asked = (verifier.score(e.problem.question, [e.steps]) for e in examples)
        return [found[0].scores for found in await asyncio.gather(*asked)]

    try:
        return measure(examples, asyncio.run(scores()))
    finally:
        verifier.close()
