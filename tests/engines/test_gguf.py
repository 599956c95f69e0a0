"""A model that is one GGUF file: read as the checkpoint that it was made from."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from s1_eval.engines.protocol import Sampling, Stop
from s1_eval.engines.table import open_engine, preview
from s1_eval.errors import UserError
from s1_eval.training.main import main
from s1_eval.verifiers.table import check_verifier

gguf = pytest.importorskip("gguf")

SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
"""Of Qwen: transformers 5.0 adds the first where a file lacks it."""
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    letters = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "ab", "cd"]
    merges = [("a", "b"), ("c", "d")]  # transformers 5.0 reads a list of one as what is in it
    made = Tokenizer(BPE({letter: id for id, letter in enumerate(letters)}, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(SPECIAL)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, **{"eos_token": "<|im_end|>"}, chat_template=TEMPLATE
    )


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.Qwen2Config(
        vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id, bos_token_id=None, **SHAPE
    )
    return transformers.Qwen2ForCausalLM(config)


@pytest.fixture(scope="module")
def file(model: Any, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as llama.cpp's own converter lays it out."""
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    arch = gguf.MODEL_ARCH.QWEN2
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_context_length(SHAPE["max_position_embeddings"])
    writer.add_embedding_length(SHAPE["hidden_size"])
    writer.add_block_count(SHAPE["num_hidden_layers"])
    writer.add_feed_forward_length(SHAPE["intermediate_size"])
    writer.add_head_count(SHAPE["num_attention_heads"])
    writer.add_head_count_kv(SHAPE["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    special = {*tokenizer.all_special_tokens, *SPECIAL}
    kinds = [gguf.TokenType.CONTROL if w in special else gguf.TokenType.NORMAL for w in words]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(words)
    writer.add_token_types(kinds)
    writer.add_token_merges(["a b", "c d"])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_chat_template(TEMPLATE)
    names = gguf.get_tensor_name_map(arch, SHAPE["num_hidden_layers"])
    for name, tensor in model.state_dict().items():
        writer.add_tensor(names.get_name(name, (".weight", ".bias")), tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def greedy(source: str, prompt: list[int]) -> tuple[Any, tuple[int, ...]]:
    """(what is known of the model, 12 ids)"""
    engine = open_engine("s1_hf", source, device="cpu")
    call = engine.generate(prompt, max_tokens=12, stop=Stop(), sampling=Sampling())
    try:
        return engine.info, asyncio.run(call).ids
    finally:
        engine.close()


def test_it_goes_on_with_the_ids_of_the_model_it_was_made_from(
    file: Path, model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    prompt = tokenizer.encode("<|im_start|>ab c\nab")
    info, ids = greedy(str(file), prompt)
    known, expected = greedy(str(tmp_path), prompt)
    assert ids == expected
    first = transformers.__version__.startswith("5.0.")  # which takes this for an end too
    more = {tokenizer.convert_tokens_to_ids("<|endoftext|>")} if first else set()
    assert info.eos_ids - known.eos_ids <= more
    assert info.eos_ids >= known.eos_ids
    assert info.context_length == known.context_length
    assert info.fingerprint != known.fingerprint
    seen = preview("s1_hf", str(file))
    assert seen is not None
    assert seen.tokenizer.encode("<|im_start|>ab c\nab") == prompt
    assert seen.tokenizer.chat_template == TEMPLATE


def test_unpacked_it_is_a_folder_that_any_engine_reads(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    assert main(["unpack", str(file), str(folder)]) == 0
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    for engine in ("s1_hf", "s1_vllm"):
        found, here = preview(engine, str(folder)), preview("s1_hf", str(file))
        assert found
        assert here
        assert (found.info.eos_ids, found.info.context_length) == (here.info.eos_ids, 256)
    assert main(["unpack", str(file), str(folder)]) == 2  # it is there


def test_a_recipe_goes_on_from_one(file: Path, tmp_path: Path) -> None:
    """One step, so that what is saved has been a model that trains."""
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"question": "ab?", "thinking": "c", "attempt": "d"}) + "\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"source: {{reasoning: {{dataset: {data}}}}}\n"
        f"model: {{pretrained: {file}, pad_token: z}}\n"
        "training: {learning_rate: 1.0e-3, batch_size: 1, bf16: false, max_length: 256}\n"
    )
    assert main(["sft", str(recipe), "--output", str(tmp_path / "trained"), "--dry-run"]) == 0
    assert main(["sft", str(recipe), "--output", str(tmp_path / "trained")]) == 0
    trained = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "trained")
    assert not getattr(trained, "hf_quantizer", None)


@pytest.mark.parametrize(
    ("engine", "name", "content", "said"),
    [
        ("s1_hf", "x.gguf", b"GGML....", "no GGUF file"),
        ("s1_hf", "x-00001-of-00003.gguf", b"GGUF....", "llama-gguf-split --merge"),
        ("s1_hf", "x.gguf", b"GGUF....", "can't be loaded"),
        ("s1_hf", "x.gguf", None, "there is no model"),
        ("s1_vllm", "x.gguf", b"GGUF....", "give .*x.gguf to s1_hf, or unpack it once"),
    ],
)
def test_what_can_not_be_read_is_refused_with_what_to_give(
    tmp_path: Path, engine: str, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        preview(engine, str(tmp_path / name))


def test_a_folder_that_holds_one_is_answered_with_the_file(file: Path) -> None:
    with pytest.raises(UserError, match=r"give the file itself, e\.g\. .*small\.gguf"):
        preview("s1_hf", str(file.parent))


def test_a_verifier_is_none(file: Path) -> None:
    with pytest.raises(UserError, match="no head that scores steps"):
        check_verifier(str(file))
