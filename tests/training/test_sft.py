# ruff: noqa: S106, S311
"""Fine-tuning: what reaches the loss, how batches are made, and that nothing half-done is left."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import forked
import pytest
import yaml

from s1_eval.errors import UserError
from s1_eval.thinking import bind
from s1_eval.training import batches, sft
from s1_eval.training.examples import IGNORED, Example, Span, tokenize
from s1_eval.training.nano.tokenizer import build
from s1_eval.training.nano.traces import example
from s1_eval.training.recipe import Lora, Model, Recipe, Shape, Training, load

RECIPE = Path(__file__).parents[2] / "training" / "recipes" / "nano.yaml"
MODEL = Model(Shape(32, 32, 1, 1, 512))
TRAINING = Training(learning_rate=1e-3, tokens_per_batch=512, max_steps=3, bf16=False)


def test_batches_hold_every_row_once_and_keep_within_the_tokens():
    rng = random.Random(0)
    lengths = [rng.randint(5, 300) for _ in range(5000)]
    planned = batches.batches(lengths, 1024, seed=1)
    assert sorted(i for batch in planned for i in batch) == list(range(5000))
    assert max(max(lengths[i] for i in batch) * len(batch) for batch in planned) <= 1024
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in planned)
    assert padded < 1.1 * sum(lengths)


def test_batches_keep_the_sources_order_from_window_to_window():
    planned = batches.batches([10] * 20_000, 100, seed=1)
    firsts = [min(batch) for batch in planned]
    assert max(firsts[: batches.WINDOW]) < min(firsts[2 * batches.WINDOW :])


def test_a_row_longer_than_a_batch_is_a_batch_of_its_own():
    assert sorted(batches.batches([50, 5, 5], 20, seed=0)) == [[0], [1, 2]]


@pytest.mark.slow
def test_the_batch_that_the_trainer_sees_has_our_labels_and_no_loss_on_padding(tmp_path):
    tokenizer = build()
    rng = random.Random(2)
    rows = [tokenize(example(rng, (3, 2, 1)), tokenizer) for _ in range(12)]
    model = sft.build_model(MODEL, tokenizer, seed=0)
    training = replace(TRAINING, max_steps=None)
    trainer = sft.build_trainer(training, model, tokenizer, rows, tmp_path)
    left = [(row["input_ids"], row["labels"]) for row in rows]
    for batch in trainer.get_train_dataloader():
        for ids, labels, mask in zip(
            batch["input_ids"].tolist(),
            batch["labels"].tolist(),
            batch["attention_mask"].tolist(),
            strict=True,
        ):
            length = sum(mask)
            left.remove((ids[:length], labels[:length]))
            assert set(ids[length:]) <= {tokenizer.pad_token_id}
            assert set(labels[length:]) <= {IGNORED}
    assert not left


def test_an_example_longer_than_the_limit_is_refused_not_cut(tmp_path):
    recipe = Recipe([Example("x" * 50, (Span("y"),))], MODEL, Training(1e-3, 512, max_length=40))
    with pytest.raises(UserError, match="1 of 1 examples are longer than max_length=40"):
        sft.run(recipe, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_example_without_any_loss_is_refused(tmp_path):
    recipe = Recipe([Example("x", (Span("y", learn=False),))], MODEL, TRAINING)
    with pytest.raises(UserError, match="example 0 carries no loss"):
        sft.run(recipe, tmp_path / "out")


def test_a_folder_that_is_not_a_checkpoint_of_ours_is_never_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("{}")
    recipe = Recipe([Example("x", (Span("y"),))], MODEL, TRAINING)
    with pytest.raises(UserError, match="is no checkpoint"):
        sft.run(recipe, tmp_path / "out")
    assert (tmp_path / "out" / "config.json").exists()


@pytest.mark.slow
def test_twenty_steps_through_the_command_line_learn_and_leave_a_whole_checkpoint(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    data = yaml.safe_load(RECIPE.read_text())
    data["source"]["nano"]["examples"] = 400
    data["training"] |= {"max_steps": 20, "tokens_per_batch": 1024, "logging_steps": 5}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(data))
    for name in ("one", "two"):
        words = ("sft", str(path), "--output", str(tmp_path / name))
        done = forked.run("s1_eval.training.main", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1], "the same recipe has to give the same weights"
    losses = [
        r["loss"] for r in json.loads((tmp_path / "one" / "training.json").read_text())["losses"]
    ]
    assert len(losses) == 4
    assert losses[-1] < losses[0] - 0.2
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "one")
    assert (
        model.generation_config.eos_token_id
        == AutoTokenizer.from_pretrained(tmp_path / "one").eos_token_id
    )
    assert {p.name for p in tmp_path.iterdir()} == {"recipe.yaml", "one", "two"}


def recipe_of(**model: object) -> Recipe:
    return Recipe([Example("x", (Span("y"),))], Model(pretrained="nano", **model), TRAINING)


@pytest.mark.parametrize(
    ("recipe", "package"),
    [
        (recipe_of(lora=Lora(8, 16)), "peft"),
        (replace(recipe_of(), training=replace(TRAINING, liger=True)), "liger-kernel"),
        (
            replace(recipe_of(), training=replace(TRAINING, attention="flash_attention_2")),
            "flash-attn",
        ),
        (replace(recipe_of(), training=replace(TRAINING, report_to="trackio")), "trackio"),
        (replace(recipe_of(), training=replace(TRAINING, report_to="wandb")), "wandb"),
    ],
)
def test_a_library_that_the_recipe_needs_is_named(tmp_path, monkeypatch, recipe, package):
    monkeypatch.setattr(sft, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"pip install {package}"):
        sft.run(recipe, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_adapters_are_not_trained_sharded(monkeypatch):
    monkeypatch.setattr(sft, "find_spec", lambda name: object())
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(UserError, match=r"model\.lora can't be sharded"):
        sft.refuse_missing(recipe_of(lora=Lora(8, 16)))


@pytest.mark.slow
def test_adapters_are_merged_into_the_checkpoint(tmp_path):
    from safetensors.torch import load_file

    sft.run(recipe_of(lora=Lora(8, 16)), tmp_path / "out")
    before = load_file(Path(Model(pretrained="nano").source) / "model.safetensors")
    after = load_file(tmp_path / "out" / "model.safetensors")
    changed = {name for name in before if not before[name].bfloat16().equal(after[name].bfloat16())}
    assert before.keys() == after.keys()
    assert changed
    assert all("proj" in name for name in changed), "norms and embeddings are as they were"


def test_a_pad_token_that_the_tokenizer_lacks_is_named(tmp_path):
    with pytest.raises(UserError, match=r"pad_token='<\|fim_pad\|>' is no token of nano"):
        sft.run(recipe_of(pad_token="<|fim_pad|>"), tmp_path / "out")


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path, qwen, qwen_folder):
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "part"
    shutil.copytree(qwen_folder, folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 weights .* they would be random"):
        sft.build_model(Model(pretrained=str(folder)), qwen, 0)


def test_a_disk_that_will_be_too_full_is_refused_before_training(tmp_path, monkeypatch):
    recipe = replace(recipe_of(), training=replace(TRAINING, save_steps=1))
    monkeypatch.setattr(sft.shutil, "disk_usage", lambda path: SimpleNamespace(free=20_000_000))
    with pytest.raises(UserError, match=r"final weights need 0\.02 GB, 0\.02 GB are free .*room"):
        sft.run(recipe, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_there_has_to_be_something_to_resume(tmp_path):
    with pytest.raises(UserError, match=r"nothing to resume in .*out\.partial: start without"):
        sft.run(recipe_of(), tmp_path / "out", resume=True)


def test_another_recipe_does_not_go_on_from_a_checkpoint(tmp_path):
    begun = recipe_of()
    partial = tmp_path / "out.partial"
    (partial / "trainer" / "checkpoint-1").mkdir(parents=True)
    (partial / "recipe.json").write_text(json.dumps(sft.described(begun)))
    other = replace(begun, training=replace(TRAINING, learning_rate=5e-4))
    with pytest.raises(UserError, match=r"another recipe \(training.learning_rate differ"):
        sft.run(other, tmp_path / "out", resume=True)


@pytest.mark.slow
def test_the_weights_are_saved_in_the_recipes_dtype(tmp_path):
    from transformers import AutoModelForCausalLM

    recipe = recipe_of()
    sft.run(replace(recipe, training=replace(TRAINING, save_dtype="bfloat16")), tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert str(model.dtype) == "torch.bfloat16"
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.slow
def test_reasoning_data_trains_a_model_that_evaluation_can_open(tmp_path, qwen_folder):
    from transformers import AutoTokenizer

    row = {"question": "What is 1 + 1?", "thinking": "It is 2.", "attempt": "2"}
    (tmp_path / "data.jsonl").write_text(f"{json.dumps(row)}\n" * 5)
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump(
            {
                "based_on": str(RECIPE.with_name("s1_32b_token_conditional.yaml")),
                "source": {
                    "reasoning": {
                        **{"dataset": str(tmp_path / "data.jsonl"), "examples": 5},
                        **{"thinking": "thinking", "answer": "attempt"},
                    }
                },
                "model": {"pretrained": str(qwen_folder)},
                "training": {"max_length": 256, "attention": "sdpa", "batch_size": 4},
            }
        )
    )
    model = tmp_path / "s1-tiny"
    sft.run(load(tmp_path / "recipe.yaml"), model)
    log = json.loads((model / "training.json").read_text())
    assert log["steps"] == 10
    assert [row["step"] for row in log["losses"]] == list(range(1, 11))
    assert log["losses"][-1]["loss"] < log["losses"][0]["loss"]
    tokenizer = AutoTokenizer.from_pretrained(model)
    assert tokenizer.pad_token == "<|fim_pad|>"
    assert bind("auto", tokenizer, str(model)).format.name == "s1"
