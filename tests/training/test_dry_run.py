"""A dry run says what a recipe would take, from what is on this machine alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from s1_eval.training.main import main

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
ROW = {
    "question": "Find the number of positive integers less than 1000 divisible by 5.",
    "thinking": "First, we count the multiples of 5.\n\nThere are 199.",
    "attempt": "The answer is \\boxed{199}.",
}


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal that breaks no line; the command's own setting of the hub, which libraries that
    an earlier test has imported do not see, holds here and is undone."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)


def shown(path: Path | str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    code = main(["sft", str(path), "--dry-run", "--output", str(tmp_path / "out")])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()
    return re.sub(r"[ │┃]+", " ", out)


def test_the_32b_recipe_is_planned_with_neither_its_tokenizer_nor_its_data(tmp_path, capsys):
    recipe = {
        "based_on": str(RECIPES / "s1_32b.yaml"),
        "source": {"reasoning": {"dataset": "nobody/s1K"}},
        "model": {"pretrained": "nobody/Qwen2.5-32B-Instruct"},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    out = shown(tmp_path / "recipe.yaml", tmp_path, capsys)
    for said in (
        "examples 1,000 (by the recipe)",
        "steps 315",
        "warm-up 16 steps to 1e-05, then cosine",
        "effective batch 16 examples = 1 processes x 16 accumulated x 1",
        "32,763,876,352 parameters",
        "16 32.8 21.5 23.0 77.3",
        "Checkpoints: 393.2 GB each 63 steps, two while one is written",
        "final weights 65.5 GB (bfloat16)",
        "Not here: the tokenizer of nobody/Qwen2.5-32B-Instruct",
        "Not here: the data set nobody/s1K",
        "Not here: tokens, the longest example and one example's mask",
    ):
        assert said in out


def test_on_16_processes_the_batch_is_shared(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "16")
    out = shown("s1_32b", tmp_path, capsys)
    assert "16 examples = 16 processes x 1 accumulated x 1" in out


def test_with_tokenizer_and_data_here_tokens_and_one_example_are_shown(
    tmp_path, capsys, qwen_folder
):
    (tmp_path / "data.jsonl").write_text(f"{json.dumps(ROW)}\n" * 20)
    recipe = {
        "based_on": str(RECIPES / "s1_32b.yaml"),
        "source": {
            "reasoning": {
                **{"dataset": str(tmp_path / "data.jsonl"), "examples": 20},
                **{"thinking": "thinking"},
            }
        },
        "model": {"pretrained": str(qwen_folder)},
        "training": {"max_length": 512, "attention": "sdpa"},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    out = shown(tmp_path / "recipe.yaml", tmp_path, capsys)
    assert "examples 20 " in out
    assert "steps 10 " in out
    assert re.search(r"tokens [\d,]+ an epoch, the longest example \d+", out)
    assert re.search(r"with loss [\d,]+ \(\d+%\)", out)
    assert "cut at the block 0 of 20" in out
    assert "<|im_start|>assistant\n⟦<|im_start|>think\nFirst, we count" in out
    assert "<|im_start|>answer\nAnswer: The answer is \\boxed{199}.<|im_end|>⟧" in out
    assert "Not here" not in out


def test_loss_has_a_colour(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    data = yaml.safe_load((RECIPES / "nano.yaml").read_text())
    data["source"]["nano"]["examples"] = 3
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(data))
    assert main(["sft", str(tmp_path / "recipe.yaml"), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"\x1b\[32m⟦", out), "what is learned is green"
    assert re.search(r"\x1b\[2m<\|im_start\|>user", out), "what is not is dim"
