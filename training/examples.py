"""A training example as text, and its one way to token ids and loss mask. Where examples come
from is their source's business; training on them is `sft`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

IGNORED = -100
"""The label that carries no loss (transformers, TRL)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of what the assistant writes; `learn` says whether it carries loss."""

    text: str
    learn: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    """question: the user message. completion: all that follows the generation prompt."""

    question: str
    completion: tuple[Span, ...]


def tokenize(example: Example, tokenizer: Any) -> dict[str, list[int]]:
    """`input_ids` and `labels`. The prompt is built as `Policy.prompt_ids` builds it for
    evaluation and carries no loss; nor does a token that reaches into a span without loss."""
    messages = [{"role": "user", "content": example.question}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    text = prompt + "".join(span.text for span in example.completion)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    at = len(prompt)
    unlearned = [(0, at)]
    for span in example.completion:
        if not span.learn:
            unlearned.append((at, at + len(span.text)))
        at += len(span.text)
    labels = list(encoded["input_ids"])
    spans = iter([*unlearned, (at, at)])
    start, stop = next(spans)
    for i, (first, last) in enumerate(encoded["offset_mapping"]):
        while stop <= first and stop < at:
            start, stop = next(spans)
        if first < stop and last > start:
            labels[i] = IGNORED
    return {"input_ids": encoded["input_ids"], "labels": labels}


def learned_text(row: dict[str, list[int]], tokenizer: Any) -> Iterable[tuple[str, bool]]:
    """(token text, carries loss) per token, for human eyes."""
    for id, label in zip(row["input_ids"], row["labels"], strict=True):
        yield tokenizer.decode([id]), label != IGNORED
