"""The embedded model as llama.cpp's own converter would lay it out, in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write(path: Path) -> None:
    """A GGUF file of nano at `path`."""
    import gguf
    import transformers

    from s1_eval.engines.models import resolve_model

    model: Any = transformers.AutoModelForCausalLM.from_pretrained(resolve_model("nano"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(resolve_model("nano"))
    config, arch = model.config, gguf.MODEL_ARCH.QWEN2
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    kinds = dict.fromkeys(range(config.vocab_size), gguf.TokenType.NORMAL)
    for id, token in tokenizer.added_tokens_decoder.items():
        kinds[id] = gguf.TokenType.CONTROL if token.special else gguf.TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([tokenizer.convert_ids_to_tokens(id) for id in kinds])
    writer.add_token_types(list(kinds.values()))
    writer.add_token_merges(["\u0100 \u0100"])  # nano has none, and llama.cpp wants some: two zeros
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        if name != "lm_head.weight":  # it is the embeddings
            writer.add_tensor(names.get_name(name, (".weight", ".bias")), tensor.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
