"""Nano's tokenizer: bytes and the whole words of its format, under 300 entries.

`PIECES` splits a text exactly as the tokenizer does, so that the trace generator can count
tokens without loading it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer

from s1_eval.methods.class_conditional import PROMPTS
from s1_eval.training.nano.problems import HEADER

IM_START, IM_END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
SPECIAL = (PAD, IM_START, IM_END)

THINK_TOKENS = ("Think for up to ", " tokens.")
THINK_STEPS = ("Think for up to ", " steps.")
IGNORE_STRINGS = ("Wait", "Hmm", "Alternatively")
CHECK = ", let me check."

WORDS = (
    *("user", "assistant", "system", "think", "answer", " steps left", "Final Answer:"),
    *(HEADER, *IGNORE_STRINGS, CHECK, " was ", " ok", " fix"),
    *dict.fromkeys((*THINK_TOKENS, *THINK_STEPS)),
    *filter(None, PROMPTS.values()),
)

PIECES = re.compile(
    "|".join(re.escape(word) for word in sorted((*SPECIAL, *WORDS), key=len, reverse=True))
    + r"|[\s\S]"
)

CHAT_TEMPLATE = (
    "{#- thinking opens with <|im_start|>think and closes with <|im_start|>answer -#}"
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


def build() -> Qwen2Tokenizer:
    """The tokenizer with its chat template. It is a Qwen2 tokenizer without merges, whose words
    are added tokens: `AutoTokenizer` gives a Qwen2 model that class whatever its folder says."""
    import tokenizers
    from transformers import Qwen2Tokenizer

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Qwen2Tokenizer(
        vocab={character: id for id, character in enumerate(alphabet)},
        merges=[],
        pad_token=PAD,
        unk_token=PAD,
        eos_token=IM_END,
        additional_special_tokens=[IM_START],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )
    tokenizer.add_tokens([tokenizers.AddedToken(word, normalized=False) for word in WORDS])
    return tokenizer
