"""Supervised fine-tuning with TRL: examples from the recipe's source, loss where they say so.

What a recipe may say stands in `recipe`; how an example becomes ids and labels in `examples`.
"""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from s1_eval.errors import UserError
from s1_eval.training.examples import IGNORED, tokenize
from s1_eval.training.recipe import Model, Recipe, Shape, Training

WINDOW = 64
"""Batches whose rows are grouped by length together: the source's order, and a curriculum in
it, survives from one window to the next."""

LIBRARIES = ("torch", "transformers", "trl", "tokenizers", "datasets")


def run(recipe: Recipe, output: Path) -> None:
    """Train as `recipe` says and leave a checkpoint folder at `output`, whole or not at all.

    Beside weights and tokenizer stands `training.json`: the recipe, versions and losses.
    """
    if output.exists() and not (output / "training.json").is_file():
        raise UserError(f"{output} exists and is no checkpoint of ours: give another --output")
    tokenizer = load_tokenizer(recipe.model)
    rows = [tokenize(example, tokenizer) for example in recipe.source]
    _refuse_unfit(rows, recipe.training.max_length)
    partial = output.with_name(f"{output.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    try:
        model = build_model(recipe.model, tokenizer, recipe.training.seed)
        model.set_attn_implementation(recipe.training.attention)
        trainer = build_trainer(recipe.training, model, tokenizer, rows, partial / "trainer")
        trainer.train()
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        log = {
            "recipe": dataclasses.asdict(recipe),
            "versions": {name: version(name) for name in LIBRARIES},
            "parameters": sum(p.numel() for p in model.parameters()),
            "tokens": trainer.state.num_input_tokens_seen,
            "losses": [
                {key: row[key] for key in ("step", "loss", "learning_rate")}
                for row in trainer.state.log_history
                if "loss" in row
            ],
            "before": _log_of(recipe.model),
        }
        (partial / "training.json").write_text(json.dumps(log, indent=1) + "\n")
        shutil.rmtree(partial / "trainer", ignore_errors=True)
        if output.exists():
            shutil.rmtree(output)
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _log_of(model: Model) -> Any:
    """`training.json` of the checkpoint that training goes on from, if it is one of ours."""
    path = Path(model.pretrained or "") / "training.json"
    return json.loads(path.read_text()) if model.pretrained and path.is_file() else None


def load_tokenizer(model: Model) -> Any:
    """The checkpoint's tokenizer, or nano's for new weights."""
    if model.pretrained is None:
        from s1_eval.training.nano.tokenizer import build

        return build()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model.pretrained)


def build_model(model: Model, tokenizer: Any, seed: int) -> Any:
    """The model in float32; new weights follow from `seed`."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, Qwen2Config, set_seed

    if model.pretrained is not None:
        return AutoModelForCausalLM.from_pretrained(model.pretrained, dtype=torch.float32)
    shape: Shape | None = model.shape
    assert shape is not None
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    settings = dataclasses.asdict(shape)
    rope = {"rope_type": "default", "rope_theta": settings.pop("rope_theta")}
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        num_key_value_heads=shape.num_attention_heads,
        rope_parameters=rope,
        tie_word_embeddings=True,
        **ids,
        **settings,
    )
    set_seed(seed)
    built = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    built.generation_config = GenerationConfig(**ids)
    return built


def build_trainer(
    training: Training, model: Any, tokenizer: Any, rows: Sequence[dict[str, list[int]]], work: Path
) -> Any:
    """TRL's SFTTrainer over `rows` (`input_ids`, `labels`) in the batches of `batches`."""
    import datasets
    from torch.utils.data import DataLoader
    from trl import SFTConfig, SFTTrainer

    plan = plan_batches(training, rows)

    class Trainer(SFTTrainer):  # type: ignore[misc]
        """TRL counts a batch in rows; here it is counted in tokens."""

        def get_train_dataloader(self) -> Any:
            loader = DataLoader(
                self.train_dataset, batch_sampler=plan, collate_fn=self.data_collator
            )
            return self.accelerator.prepare(loader)

    config = SFTConfig(
        **arguments(training, len(plan), model, work),
        gradient_checkpointing=False,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    return Trainer(
        model=model,
        args=config,
        processing_class=tokenizer,
        train_dataset=datasets.Dataset.from_list(list(rows)),
    )


def plan_batches(
    training: Training, rows: Sequence[Mapping[str, Sequence[int]]]
) -> list[list[int]]:
    """Row numbers of every batch of every epoch."""
    lengths = [len(row["input_ids"]) for row in rows]
    return [
        batch
        for epoch in range(training.epochs)
        for batch in batches(lengths, training.tokens_per_batch, training.seed + epoch)
    ]


def arguments(training: Training, steps: int, model: Any, work: Path) -> dict[str, Any]:
    """The recipe in the words of transformers' TrainingArguments; `steps` batches are planned."""
    return {
        "output_dir": str(work),
        "max_steps": min(training.max_steps or steps, steps),
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.schedule,
        "warmup_steps": training.warmup_steps,
        "weight_decay": training.weight_decay,
        "adam_beta1": training.adam_beta1,
        "adam_beta2": training.adam_beta2,
        "bf16": training.bf16,
        "use_cpu": model.device.type == "cpu",
        "seed": training.seed,
        "logging_steps": training.logging_steps,
        "include_num_input_tokens_seen": "all",
        "save_strategy": "no",
        "report_to": "none",
        "remove_unused_columns": False,
    }


def batches(lengths: Sequence[int], tokens: int, seed: int) -> list[list[int]]:
    """Row numbers in batches of up to `tokens` tokens, padding included; a longer row is a
    batch of its own. Rows of like length meet, but only within a window."""
    rng = random.Random(seed)  # noqa: S311
    planned: list[list[int]] = []
    for window in _windows(lengths, WINDOW * tokens):
        found: list[list[int]] = [[]]
        for i in sorted(window, key=lambda i: lengths[i]):
            if found[-1] and lengths[i] * (len(found[-1]) + 1) > tokens:
                found.append([])
            found[-1].append(i)
        rng.shuffle(found)
        planned += found
    return planned


def _windows(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    window: list[int] = []
    held = 0
    for i, length in enumerate(lengths):
        window.append(i)
        held += length
        if held >= tokens:
            yield window
            window, held = [], 0
    if window:
        yield window


def _refuse_unfit(rows: Sequence[dict[str, list[int]]], max_length: int) -> None:
    longer = sum(len(row["input_ids"]) > max_length for row in rows)
    if longer:
        raise UserError(
            f"{longer} of {len(rows)} examples are longer than max_length={max_length}: raise "
            "training.max_length, or leave them out of the source; nothing is cut silently"
        )
    for i, row in enumerate(rows):
        if all(label == IGNORED for label in row["labels"]):
            raise UserError(f"example {i} carries no loss at all: check the source's spans")
