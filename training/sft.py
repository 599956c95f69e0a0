"""Supervised fine-tuning with TRL: examples from the recipe's source, loss where they say so, on
one process or many.

What a recipe may say stands in `recipe`; how an example becomes ids and labels in `examples`;
which of them meet in a step in `batches`. The same code runs under `accelerate launch`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from s1_eval import libraries
from s1_eval.engines import checkpoints
from s1_eval.errors import UserError
from s1_eval.training import plan
from s1_eval.training.batches import filler, micro_batches, parts, plan_batches
from s1_eval.training.checkpoints import UNFINISHED, finish, newest, step_of, writing
from s1_eval.training.examples import IGNORED, Example, Row, fitted, refuse_pad, tokenize
from s1_eval.training.log import LOG, Log, Loss, read
from s1_eval.training.recipe import Lora, Model, Recipe, Training

LIBRARIES = ("torch", "transformers", "trl", "accelerate", "tokenizers", "datasets")
RECIPE = "recipe.json"


def run(recipe: Recipe, output: Path, resume: bool = False) -> None:
    """Train as `recipe` says and leave a checkpoint folder at `output`, whole or not at all.

    Beside weights and tokenizer stands `training.json`: the recipe, versions and losses. While
    training goes on, `output`.partial holds the checkpoints to resume from.
    """
    if output.exists() and not (output / LOG).is_file():
        raise UserError(f"{output} exists and is no checkpoint of ours: give another --output")
    refuse_missing(recipe)
    count = parts(recipe.training, processes())
    partial = output.with_name(f"{output.name}.partial")
    last = _last(partial, recipe, resume)
    tokenizer = load_tokenizer(recipe.model)
    rows, cut = rows_of(recipe.examples(tokenizer), recipe.training, tokenizer)
    if is_main():
        _prepare(partial, recipe, last)
    whole = False
    try:
        _join()
        model = build_model(recipe.model, tokenizer, recipe.training.seed)
        _refuse_full(model, recipe, partial)
        parameters = sum(p.numel() for p in model.parameters())  # before adapters, shards
        model.set_attn_implementation(recipe.training.attention)
        trainer = build_trainer(
            recipe.training, model, tokenizer, rows, partial / "trainer", count, recipe.model.lora
        )
        _refuse_unsharded(trainer)
        began = time.time()
        trainer.train(resume_from_checkpoint=last and str(last))
        log: Log = {
            "recipe": described(recipe),
            "versions": {name: version(name) for name in LIBRARIES},
            "parameters": parameters,
            "data": {
                "examples": len(rows),
                "cut": cut,
                "tokens": sum(len(row["input_ids"]) for row in rows),
                "learned": sum(label != IGNORED for row in rows for label in row["labels"]),
                "sha256": fingerprint(rows),
            },
            "steps": trainer.state.global_step,
            "tokens": trainer.state.num_input_tokens_seen,
            "processes": processes(),
            "device": _device(),
            "seconds": round(time.time() - began, 1),
            "resumed_at": step_of(last) if last else None,
            "losses": [
                Loss(step=row["step"], loss=row["loss"], learning_rate=row["learning_rate"])
                for row in trainer.state.log_history
                if "loss" in row
            ],
            "before": _log_of(recipe.model),
        }
        export(trainer, tokenizer, recipe, partial, log)
        whole = True
        if is_main():
            if output.exists():
                shutil.rmtree(output)
            partial.rename(output)
    finally:
        if is_main() and not whole and newest(partial / "trainer") is None:
            shutil.rmtree(partial, ignore_errors=True)


def processes() -> int:
    """How many processes train together, as `accelerate launch` and `torchrun` say."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Whether this is the process that prints and that owns the folders."""
    return os.environ.get("RANK", "0") == "0"


def _join() -> None:
    """Wait for the other processes. Only then does transformers let the first one alone read the
    weights, where the accelerate configuration says so."""
    import torch
    from accelerate import PartialState

    PartialState(cpu=not torch.accelerator.is_available())


def described(recipe: Recipe) -> Any:
    """The recipe as JSON says it."""
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def rows_of(
    examples: Iterable[Example], training: Training, tokenizer: Any
) -> tuple[list[Row], int]:
    """The examples' ids and labels, and how many of them were cut; see `fitted`, `refuse_pad`."""
    rows, cut = fitted(
        [tokenize(example, tokenizer) for example in examples],
        training.max_length,
        training.truncate,
    )
    refuse_pad(rows, tokenizer.pad_token_id, tokenizer.pad_token)
    return rows, cut


def fingerprint(rows: Sequence[Row]) -> str:
    """SHA-256 over the ids and labels of all rows, in order."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def refuse_missing(recipe: Recipe) -> None:
    """Raises UserError where the recipe asks for a library that is not installed."""
    training = recipe.training
    for asked, key, module, package in (
        (recipe.model.lora is not None, "model.lora", "peft", "peft"),
        (training.liger, "training.liger", "liger_kernel", "liger-kernel"),
        (
            training.attention == "flash_attention_2",
            "training.attention=flash_attention_2",
            *("flash_attn", "flash-attn"),
        ),
        (training.report_to == "trackio", "training.report_to=trackio", "trackio", "trackio"),
        (training.report_to == "wandb", "training.report_to=wandb", "wandb", "wandb"),
    ):
        if asked and find_spec(module) is None:
            raise UserError(
                f"the recipe's {key} needs {package}: pip install {package}, or take it out of "
                "the recipe"
            )
    if recipe.model.lora and _asked_to_shard():
        raise UserError(
            "adapters are merged on one process, so a recipe with model.lora can't be sharded: "
            "launch it with training/accelerate/1gpu.yaml"
        )


def _asked_to_shard() -> bool:
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def _refuse_unsharded(trainer: Any) -> None:
    if _asked_to_shard() and not trainer.is_fsdp_enabled:
        raise UserError(
            "the accelerate configuration asks for FSDP, but accelerate shards over several "
            "accelerators only: launch on 2 GPUs or more, or with training/accelerate/1gpu.yaml"
        )


def _refuse_full(model: Any, recipe: Recipe, partial: Path) -> None:
    """Raises UserError where the checkpoints would not fit: the final weights, and two to resume
    from at a time (those of adapters are small)."""
    found = plan.Sizes(total=sum(p.numel() for p in model.parameters()), layer=0, tail=0)
    resumable, final = plan.checkpoint_bytes(found, recipe.training)
    kept = recipe.training.save_steps and not recipe.model.lora
    needed = final + (2 * resumable if kept else 0)
    free = shutil.disk_usage(partial.parent).free
    if free < needed:
        raise UserError(
            f"checkpoints and final weights need {needed / 1e9:.2f} GB, {free / 1e9:.2f} GB are "
            f"free for {partial.parent}: make room, give another --output, or take "
            "training.save_steps out of the recipe"
        )


def _last(partial: Path, recipe: Recipe, resume: bool) -> Path | None:
    """The checkpoint to go on from. Raises UserError where there is none, where another recipe
    made it, or where it would be lost because nobody asked to go on."""
    last = newest(partial / "trainer")
    if not resume:
        if last:
            raise UserError(
                f"{partial} holds a training that was interrupted after step {step_of(last)}: go "
                "on with --resume, or remove the folder"
            )
        return None
    if last is None:
        raise UserError(f"there is nothing to resume in {partial}: start without --resume")
    there, now = json.loads((partial / RECIPE).read_text()), described(recipe)
    changed = [
        f"{part}.{key}"
        for part in ("source", "model", "training")
        for key in _keys(there[part], now[part])
    ]
    if changed:
        raise UserError(
            f"{partial} was begun with another recipe ({', '.join(changed)} differ): go on with "
            "the same one, or remove the folder"
        )
    return last


def _keys(one: Any, other: Any) -> list[str]:
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return [] if one == other else ["*"]
    return [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]


def _prepare(partial: Path, recipe: Recipe, last: Path | None) -> None:
    """A folder to train in: a fresh one, or the one to go on in without what was half-written."""
    if last:
        shutil.rmtree(partial / "trainer" / UNFINISHED, ignore_errors=True)
        return
    shutil.rmtree(partial, ignore_errors=True)
    with writing("the recipe", partial, partial / "trainer"):
        (partial / "trainer").mkdir(parents=True, exist_ok=True)
        (partial / RECIPE).write_text(json.dumps(described(recipe), indent=1) + "\n")


def export(trainer: Any, tokenizer: Any, recipe: Recipe, partial: Path, log: Log) -> None:
    """Weights in the recipe's dtype, tokenizer and log into `partial`, from all processes."""
    import torch
    from transformers import AutoModelForCausalLM

    model = trainer.accelerator.unwrap_model(trainer.model)
    if recipe.model.lora:
        model = model.merge_and_unload()
    dtype = getattr(torch, recipe.training.save_dtype)
    weights = trainer.accelerator.get_state_dict(
        model if recipe.model.lora else trainer.model_wrapped
    )
    if not is_main():
        return
    with writing("the model", partial, partial / "trainer"):
        # A shell of the right dtype: what was trained may be sharded, wrapped and patched.
        with torch.device("meta"):
            shell = AutoModelForCausalLM.from_config(model.config, dtype=dtype)
        shell.generation_config = model.generation_config
        weights = {name: tensor.to(dtype).contiguous() for name, tensor in weights.items()}
        if model.config.tie_word_embeddings:
            weights.pop("lm_head.weight", None)
        shell.save_pretrained(partial, state_dict=weights)
        tokenizer.save_pretrained(partial)
        (partial / LOG).write_text(json.dumps(log, indent=1) + "\n")
        (partial / RECIPE).unlink()
        shutil.rmtree(partial / "trainer")


def _log_of(model: Model) -> Log | None:
    """Of the checkpoint that training goes on from, if it is one of ours."""
    folder = Path(model.pretrained or "")
    return read(folder) if model.pretrained and (folder / LOG).is_file() else None


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def load_tokenizer(model: Model) -> Any:
    """The checkpoint's tokenizer, or nano's for new weights, with the recipe's pad token."""
    if model.pretrained is None:
        from s1_eval.training.nano.tokenizer import build

        tokenizer: Any = build()
    else:
        try:
            tokenizer = checkpoints.load_tokenizer(model.source, model.revision)
        except UserError as error:
            raise UserError(str(error).replace(model.source, model.pretrained)) from error
        if not tokenizer.chat_template:
            raise UserError(
                f"{model.pretrained} has no chat template, so prompts can't be built as "
                "evaluation builds them: take an instruction-tuned model"
            )
    if model.pad_token is not None:
        if model.pad_token not in tokenizer.get_vocab():
            raise UserError(
                f"model.pad_token={model.pad_token!r} is no token of {model.name}: name one that "
                "its tokenizer has"
            )
        tokenizer.pad_token = model.pad_token
    return tokenizer


def build_model(model: Model, tokenizer: Any, seed: int) -> Any:
    """The model in float32, or with adapters to come in bfloat16; new weights follow from
    `seed`."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, set_seed

    if model.pretrained is not None:
        where, hub = model.source, {"revision": model.revision}
        config = checkpoints.load_config(model.pretrained, where, **hub)
        try:
            plan.on_meta(config)  # as `export` will
        except ValueError as error:
            raise UserError(f"{model.pretrained} is no plain language model: {error}") from error
        dtype = "bfloat16" if model.lora else "float32"
        return checkpoints.load_model(model.pretrained, where, config, dtype, **hub)
    assert model.shape is not None
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = model.shape.config(len(tokenizer), **ids)
    set_seed(seed)
    built = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    built.generation_config = GenerationConfig(**ids)
    return built


def build_trainer(
    training: Training,
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    work: Path,
    count: int = 1,
    lora: Lora | None = None,
) -> Any:
    """TRL's SFTTrainer over `rows` in the steps of `plan_batches`, each dealt out in `count`
    micro-batches over all processes."""
    import datasets
    from torch.utils.data import DataLoader

    libraries.check(__name__)
    from trl import SFTConfig, SFTTrainer

    steps = plan_batches(training, [len(row["input_ids"]) for row in rows])
    dealt = micro_batches(steps, count, filler=len(rows))

    class Trainer(SFTTrainer):  # type: ignore[misc]
        """Batches as planned, and checkpoints that are whole or not there."""

        def get_train_dataloader(self) -> Any:
            loader = DataLoader(
                self.train_dataset, batch_sampler=dealt, collate_fn=self.data_collator
            )
            return self.accelerator.prepare(loader)

        def _get_output_dir(self, trial: Any) -> str:
            return str(work / UNFINISHED)

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            step = self.state.global_step
            with writing(f"the checkpoint of step {step}", work / UNFINISHED, work):
                # TRL's own would write a model card beside each checkpoint.
                super(SFTTrainer, self)._save_checkpoint(model, trial)
                self.accelerator.wait_for_everyone()
                if is_main():
                    finish(work)
            self.accelerator.wait_for_everyone()

    if training.padding_free:
        from s1_eval.training.packing import refuse_leaks

        refuse_leaks(model.config, training.attention)
    config = SFTConfig(
        **arguments(training, len(steps), work, accumulate=count // processes()),
        gradient_checkpointing=training.gradient_checkpointing,
        padding_free=training.padding_free,
        use_liger_kernel=training.liger,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    return Trainer(
        model=model,
        args=config,
        processing_class=tokenizer,
        train_dataset=datasets.Dataset.from_list([*rows, filler(rows)]),
        peft_config=lora and _adapters(lora),
    )


def _adapters(lora: Lora) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def arguments(training: Training, steps: int, work: Path, accumulate: int = 1) -> dict[str, Any]:
    """The recipe in the words of transformers' TrainingArguments; `steps` steps are planned,
    each of `accumulate` micro-batches a process."""
    import torch

    return {
        "output_dir": str(work),
        "max_steps": steps,
        "gradient_accumulation_steps": accumulate,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.schedule,
        "warmup_steps": training.warmup(steps),
        "weight_decay": training.weight_decay,
        "adam_beta1": training.adam_beta1,
        "adam_beta2": training.adam_beta2,
        "bf16": training.bf16,
        "use_cpu": not torch.accelerator.is_available(),
        "seed": training.seed,
        "logging_steps": training.logging_steps,
        "include_num_input_tokens_seen": "all",
        "save_strategy": "steps" if training.save_steps else "no",
        "save_steps": training.save_steps or 500,
        "report_to": training.report_to,
        "remove_unused_columns": False,
        "accelerator_config": {
            # Batches are dealt out evenly already, and differ in size.
            "even_batches": False,
            # Else FSDP holds the whole model's gradients until the last micro-batch.
            "gradient_accumulation_kwargs": {"sync_each_batch": _asked_to_shard()},
        },
    }
