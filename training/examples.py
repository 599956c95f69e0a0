"""A training example as text, and its one way to token ids and loss mask. Where examples come
from is their source's business; training on them is `sft`'s.

TRL prepares conversations by their template, which takes thinking out of them or adds to the turn,
and cuts without a word (tests/training/test_trl.py); its masks are of whole turns. From ids and
labels on, collator and loss are TRL's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from s1_eval.errors import UserError
from s1_eval.thinking import AS_IT_IS

IGNORED = -100
"""The label that carries no loss (transformers, TRL)."""

Row = dict[str, list[int]]
"""`input_ids` and `labels`, of one length."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of what the assistant writes; `learn` says whether it carries loss. One that is
    `apart` is encoded by itself, as evaluation forces it: a delimiter."""

    text: str
    learn: bool = True
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """question: the user message. completion: all that follows the generation prompt."""

    question: str
    completion: tuple[Span, ...]


def tokenize(example: Example, tokenizer: Any) -> Row:
    """The prompt is built as `Policy.prompt_ids` builds it for evaluation and carries no loss;
    nor does a token that reaches into a span without loss."""
    message = {"role": "user", "content": example.question}
    ids = list(AS_IT_IS.encode(tokenizer, [message], tokenizer.name_or_path))
    labels = [IGNORED] * len(ids)
    for spans in _pieces(example.completion):
        more, learned = _encode(spans, tokenizer)
        ids += more
        labels += [id if learn else IGNORED for id, learn in zip(more, learned, strict=True)]
    return {"input_ids": ids, "labels": labels}


def _pieces(completion: Iterable[Span]) -> Iterator[list[Span]]:
    """Spans that are encoded together: runs of those that are not apart."""
    for apart, run in groupby(completion, key=lambda span: span.apart):
        if apart:
            yield from ([span] for span in run)
        else:
            yield list(run)


def _encode(spans: Sequence[Span], tokenizer: Any) -> tuple[list[int], list[bool]]:
    """Ids of the spans' text, and which of them carry loss."""
    text = "".join(span.text for span in spans)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    silent, at = [], 0
    for span in spans:
        if not span.learn:
            silent.append((at, at + len(span.text)))
        at += len(span.text)
    learned, gone = [], 0
    for first, last in encoded["offset_mapping"]:
        while gone < len(silent) and silent[gone][1] <= first:
            gone += 1
        learned.append(not (gone < len(silent) and last > silent[gone][0]))
    return encoded["input_ids"], learned


def fitted(rows: Sequence[Row], max_length: int, truncate: bool) -> tuple[list[Row], int]:
    """Rows of at most `max_length` tokens, and how many were cut to be so.

    Raises UserError where one would have to be cut and `truncate` doesn't allow it, and where
    nothing of one carries loss.
    """
    longer = sum(len(row["input_ids"]) > max_length for row in rows)
    if longer and not truncate:
        longest = max(len(row["input_ids"]) for row in rows)
        raise UserError(
            f"{longer} of {len(rows)} examples are longer than max_length={max_length} (the "
            f"longest has {longest} tokens): raise training.max_length, leave them out of the "
            "source, or allow the cut with training.truncate: true; nothing is cut silently"
        )
    cut = [{name: ids[:max_length] for name, ids in row.items()} for row in rows]
    for i, row in enumerate(cut):
        if all(label == IGNORED for label in row["labels"]):
            raise UserError(
                f"example {i} carries no loss at all: check the source's spans, or whether its "
                f"prompt alone fills max_length={max_length}"
            )
    return cut, longer


def refuse_pad(rows: Iterable[Row], pad: int | None, token: str | None) -> None:
    """Raises UserError unless `pad` is a token that no row has: padding would pass for text."""
    if pad is None:
        raise UserError(
            "the tokenizer has no pad token: name one that no example has with model.pad_token, "
            "for Qwen2.5 <|fim_pad|>"
        )
    found = [i for i, row in enumerate(rows) if pad in row["input_ids"]]
    if found:
        raise UserError(
            f"the pad token {token!r} occurs in {len(found)} examples, the first of them example "
            f"{found[0]}: name one that occurs in none with model.pad_token"
        )


def learned_text(row: Row, tokenizer: Any) -> Iterable[tuple[str, bool]]:
    """(text, carries loss) of stretches of tokens, for human eyes."""
    pairs = zip(row["input_ids"], row["labels"], strict=True)
    for learn, run in groupby(pairs, key=lambda pair: pair[1] != IGNORED):
        yield tokenizer.decode([id for id, _ in run], skip_special_tokens=False), learn
