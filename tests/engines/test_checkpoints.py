"""Checkpoints of every kind that the library loads, a few hundred kB each, with random weights:
what is tested is that they are all there, and decoded as the model's own forward says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from s1_eval.engines.protocol import Sampling, Stop
from s1_eval.engines.table import open_engine, preview
from s1_eval.errors import UserError

TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": 512,
}
ROPE = {"rope_scaling": {"rope_type": "default", "mrope_section": [1, 1, 2]}}
SEEN = {"hidden_size": 32, "intermediate_size": 32, "patch_size": 8}
CLIP = {**SEEN, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 16}
QWEN = {**SEEN, "depth": 1, "num_heads": 2, "out_hidden_size": 32}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "qwen2_vl": (ROPE, {"depth": 1, "num_heads": 2, "embed_dim": 32, "hidden_size": 32}),
    "qwen2_5_vl": (ROPE, QWEN),
    "qwen3_vl": (ROPE, {**QWEN, "deepstack_visual_indexes": [0], "num_position_embeddings": 16}),
    "llava": ({"model_type": "llama"}, {**CLIP, "model_type": "clip_vision_model"}),
    "gemma3": ({}, {**CLIP, "model_type": "siglip_vision_model"}),
    "mistral3": ({"model_type": "mistral"}, {**CLIP, "model_type": "pixtral"}),
    "mllama": (
        {"num_hidden_layers": 3, "cross_attention_layers": [1], "pad_token_id": 0},
        {
            **CLIP,
            "attention_heads": 2,
            "num_global_layers": 1,
            "vision_output_dim": 64,
            "intermediate_layers_indices": [0],
            "supported_aspect_ratios": [[1, 1]],
        },
    ),
}
"""Model types of images and text, with what is not as in `TEXT` or has no small default."""


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from s1_eval.engines.models import resolve_model

    return transformers.AutoTokenizer.from_pretrained(resolve_model("nano"))


@pytest.fixture
def checkpoint(tmp_path: Path, tokenizer: Any) -> Callable[[Any], Path]:
    """Saves a model, with nano's tokenizer."""

    def save(model: Any) -> Path:
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return tmp_path

    return save


def of_images_and_text(kind: str, words: int) -> Any:
    text, vision = KINDS[kind]
    config = transformers.AutoConfig.for_model(
        kind, text_config={**TEXT, "vocab_size": words, **text}, vision_config=vision
    )
    torch.manual_seed(0)
    return transformers.AutoModelForImageTextToText.from_config(config)


def language_model(words: int) -> Any:
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=words, **TEXT))


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_images_and_text_goes_on_with_text_as_its_forward_says(
    kind: str, checkpoint: Callable[[Any], Path], tokenizer: Any
) -> None:
    model = of_images_and_text(kind, len(tokenizer)).eval()
    prompts = [(7, 9, 11, 30, 40), (5, 6)]
    expected = []
    for prompt in prompts:
        ids = list(prompt)
        with torch.no_grad():
            for _ in range(8):
                logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
                ids.append(int(logits[0, -1, : len(tokenizer)].argmax()))
        expected.append(tuple(ids[len(prompt) :]))
    engine = open_engine("s1_hf", str(checkpoint(model)), device="cpu")

    async def all_at_once() -> list[Any]:
        calls = (
            engine.generate(p, max_tokens=8, stop=Stop(), sampling=Sampling()) for p in prompts
        )
        return await asyncio.gather(*calls)

    assert [found.ids for found in asyncio.run(all_at_once())] == expected
    assert engine.info.context_length == 512
    engine.close()


def test_a_checkpoint_that_lacks_weights_is_refused(
    checkpoint: Callable[[Any], Path], tokenizer: Any
) -> None:
    from safetensors.torch import load_file, save_file

    folder = checkpoint(language_model(len(tokenizer)))
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks 1 weights .*layers\.1\.mlp\.up_proj.* random"):
        open_engine("s1_hf", str(folder), device="cpu")


def test_without_a_generation_config_the_end_is_the_configurations(
    checkpoint: Callable[[Any], Path], tokenizer: Any
) -> None:
    folder = checkpoint(language_model(len(tokenizer)))
    (folder / "generation_config.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": [3, 4]}))
    seen = preview("s1_hf", str(folder))
    assert seen.info.eos_ids == {3, 4, tokenizer.eos_token_id}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"adapter_config.json": "{}"}, "holds an adapter; merge it"),
        ({"model.gguf": ""}, "holds GGUF weights: give the file itself"),
        ({"config.json": json.dumps({"model_type": "t5"})}, "does not go on with a text"),
        ({"config.json": json.dumps({"model_type": "vit"})}, "does not go on with a text"),
        ({"config.json": "{"}, "can't be loaded"),
        ({"config.json": json.dumps({"model_type": "bloom"})}, "the tokenizer of"),
    ],
)
def test_what_is_no_language_model_is_refused_with_what_to_give(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said):
        preview("s1_hf", str(tmp_path), context_length=512)


def test_format_and_template_are_refused_where_the_weights_are_missing_too(
    checkpoint: Callable[[Any], Path], tokenizer: Any
) -> None:
    from s1_eval.evaluation.binding import FirstQuestion, check_first
    from s1_eval.methods import METHODS, settings

    folder = checkpoint(language_model(len(tokenizer)))
    (folder / "model.safetensors").unlink()
    (folder / "chat_template.jinja").write_text(
        "{{ raise_exception('no system') if messages[0].role == 'system' }}"
        "{{ messages[-1].content }}"
    )
    plain = FirstQuestion(METHODS["plain"], settings("plain", {}), Sampling(), "Q")
    forced = settings("budget_forcing", {"max_thinking_tokens": 9})
    forced_first = FirstQuestion(METHODS["budget_forcing"], forced, Sampling(), "Q")
    for engine in ("s1_hf", "s1_vllm"):
        check_first(engine, str(folder), {}, [plain])
        with pytest.raises(UserError, match="forces thinking"):
            check_first(engine, str(folder), {}, [forced_first])
        with pytest.raises(UserError, match=r"refuses the conversation \(system, user\): no sys"):
            check_first(engine, str(folder), {"system": "Be brief."}, [plain])
