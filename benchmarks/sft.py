"""Tokens per second of fine-tuning nano by its recipe, against a bare PyTorch loop over the same
batches: same model, attention, autocast, AdamW, clipping and schedule, and nothing else.

    python benchmarks/sft.py [--steps 40] [--rounds 3]

Rounds alternate, each round's first steps are left out, and the median round counts. Goal: at least
0.8 of the loop's tokens per second, for the recipe's padded batches and for packed ones.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from s1_eval.training import recipe, sft
from s1_eval.training.recipe import Recipe

RECIPE = Path(__file__).parent.parent / "training" / "recipes" / "nano.yaml"
WARM = 5
"""Steps of each round that are left out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs")
    loaded = recipe.load(RECIPE)
    source = replace(loaded.source, examples=40 * args.steps)  # type: ignore[type-var]
    padded = replace(loaded.training, max_steps=args.steps, warmup_steps=5)
    packed = replace(padded, padding_free=True, attention="sdpa", tokens_per_batch=1024)
    for name, training in (("padded", padded), ("packed", packed)):
        rates = measured(replace(loaded, source=source, training=training), args.rounds)
        ours, bare = (statistics.median(column) for column in zip(*rates, strict=True))
        print(f"{name:8}{ours:8.0f} tokens/s, bare loop {bare:8.0f}, ratio {ours / bare:.3f}")
    print("goal: at least 0.8")


def measured(recipe: Recipe, rounds: int) -> list[tuple[float, float]]:
    """(ours, bare) tokens per second of each round."""
    tokenizer = sft.load_tokenizer(recipe.model)
    rows, _ = sft.rows_of(recipe.examples(tokenizer), recipe.training, tokenizer)
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as work:
            trainer = sft.build_trainer(
                recipe.training, built(recipe, tokenizer), tokenizer, rows, Path(work)
            )
            batches = list(trainer.get_train_dataloader())[: recipe.training.max_steps]
            ours = trained(trainer)
        found.append((rate(batches, ours), rate(batches, looped(recipe, tokenizer, batches))))
    return found


def built(recipe: Recipe, tokenizer: Any) -> Any:
    model = sft.build_model(recipe.model, tokenizer, recipe.training.seed)
    model.set_attn_implementation(recipe.training.attention)
    return model.train()


def trained(trainer: Any) -> list[float]:
    """When each step of the recipe's trainer ended."""
    from transformers import TrainerCallback

    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    trainer.add_callback(Clock())
    trainer.train()
    return ends


def looped(recipe: Recipe, tokenizer: Any, batches: Sequence[dict[str, Any]]) -> list[float]:
    """When each step of the bare loop ended."""
    import torch
    from transformers import get_scheduler

    training = recipe.training
    model = built(recipe, tokenizer)
    betas = (training.adam_beta1, training.adam_beta2)
    optimizer = torch.optim.AdamW(
        model.parameters(), training.learning_rate, betas, weight_decay=training.weight_decay
    )
    scheduler = get_scheduler(training.schedule, optimizer, training.warmup_steps, len(batches))
    ends: list[float] = []
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=training.bf16):
            loss = model(**batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        ends.append(time.perf_counter())
    return ends


def rate(batches: Sequence[dict[str, Any]], ends: Sequence[float]) -> float:
    """Tokens per second after the first steps."""
    tokens: int = sum(batch["input_ids"].numel() for batch in batches[WARM:])
    return tokens / (ends[-1] - ends[WARM - 1])


if __name__ == "__main__":
    main()
