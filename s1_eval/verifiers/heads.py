"""Process reward models as modules: a stock backbone of the `transformers` library and the head
that reads a step's score from a hidden state. Parameters are called as the checkpoints call them.

Imports torch and transformers; loaded with the first verifier.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, Qwen2Model, Qwen2PreTrainedModel

from s1_eval.errors import UserError
from s1_eval.verifiers.formats import Head

UNREAD = [r"lm_head"]
"""Weights of a checkpoint that no head reads. A list: transformers 5.0 adds one to it."""


class Qwen2ForProcessRewardModel(Qwen2PreTrainedModel):  # type: ignore[misc]
    """Qwen2.5-Math-PRM and nano-prm: two layers above the backbone, a class each for a wrong and
    a right step."""

    _keys_to_ignore_on_load_unexpected = UNREAD

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.model = Qwen2Model(config)
        self.score = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 2))
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Logits of the classes at every token, [rows, tokens, 2]."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits: Tensor = self.score(hidden)
        return logits

    def read(self, hidden: Tensor) -> Tensor:
        """Scores of hidden states, [states]."""
        logits: Tensor = self.score(hidden)
        return logits.float().softmax(-1)[:, 1]


class Qwen2ForPrmModel(Qwen2PreTrainedModel):  # type: ignore[misc]
    """Skywork-o1-Open-PRM: one value above the backbone."""

    _keys_to_ignore_on_load_unexpected = UNREAD

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        self.v_head = nn.ModuleDict({"summary": nn.Linear(config.hidden_size, 1)})
        self.post_init()

    def read(self, hidden: Tensor) -> Tensor:
        """Scores of hidden states, [states]."""
        values: Tensor = self.v_head["summary"](hidden)
        return values.float()[:, 0].sigmoid()


class TokenReader(nn.Module):
    """Any causal language model, read at two ids of its output layer."""

    def __init__(self, model: Any, good: int, bad: int) -> None:
        super().__init__()
        self.model = model.get_decoder()
        self.output = nn.Parameter(model.get_output_embeddings().weight[[good, bad]].clone())

    def read(self, hidden: Tensor) -> Tensor:
        """Scores of hidden states, [states]."""
        return (hidden @ self.output.T).float().softmax(-1)[:, 0]


Reader = Qwen2ForProcessRewardModel | Qwen2ForPrmModel | TokenReader


def load(source: str, head: Head, dtype: str, device: torch.device) -> Reader:
    """The model of `source`, a folder or a Hub name, to be read with `head`.

    Raises UserError where it can't be loaded or has no such head.
    """
    cls: Any = AutoModelForCausalLM
    if not isinstance(head, tuple):
        cls = Qwen2ForProcessRewardModel if head == "classes" else Qwen2ForPrmModel
    try:
        model, report = cls.from_pretrained(source, dtype=dtype, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"the verifier {source} can't be loaded: {error}") from error
    if missing := sorted(report["missing_keys"]):
        raise UserError(
            f"the verifier {source} lacks {', '.join(missing[:3])}: it is of another format, "
            "say which as FORMAT:MODEL"
        )
    reader: Reader = TokenReader(model, *head) if isinstance(head, tuple) else model
    return reader.to(device).eval()
