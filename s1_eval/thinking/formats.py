"""Thinking formats: what surrounds the thinking and the answer, as text and in a tokenizer's ids.
Which format a model has is found out in `s1_eval.thinking.detection`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from s1_eval.errors import UserError
from s1_eval.thinking.chat import Tokenizer, builds_prompts


@dataclass(frozen=True, slots=True)
class ThinkingFormat:
    """Delimiters as text. Whitespace at their ends is part of them.

    start: opens the thinking, right after the generation prompt.
    end: put there when the thinking ends, the answer's opener included. Whitespace that it begins
        with is left out where the thinking ends with it already or the model ended by itself.
    stops: the shortest texts by which the model ends its thinking. For s1 that is already
        `<|im_start|>`, the first token of the end.
    answer_close: closes the answer and is no part of it; empty for end-of-sequence alone.
    newline: stands before an end that was forced, unless the thinking ends with one.
    """

    name: str
    start: str
    end: str
    stops: tuple[str, ...]
    answer_close: str = ""
    newline: str = "\n"

    def to_dict(self) -> dict[str, Any]:
        """As `parse_format` reads it back."""
        return {
            "start": self.start,
            "stop": list(self.stops),
            "end": self.newline + self.end,
            "answer_close": self.answer_close,
        }

    @property
    def lead(self) -> str:
        """The whitespace before a forced end."""
        return self.newline + self.end[: len(self.end) - len(self.end.lstrip())]

    @property
    def body(self) -> str:
        """The end without it."""
        return self.end.lstrip()


def _exact(name: str, start: str, end: str, stop: str, answer_close: str = "") -> ThinkingFormat:
    return ThinkingFormat(name, start, end, (stop,), answer_close, newline="")


S1 = ThinkingFormat("s1", "<|im_start|>think", "<|im_start|>answer", ("<|im_start|>",))
THINK_TAGS = ThinkingFormat("think_tags", "<think>\n", "</think>", ("</think>",))
NO_THINKING = ThinkingFormat("none", "", "", (), newline="")
"""For models that answer at once: all that they write is their answer."""
_HARMONY_END = "<|end|><|start|>assistant<|channel|>final<|message|>"
FORMATS: Mapping[str, ThinkingFormat] = {
    f.name: f
    for f in (
        S1,
        THINK_TAGS,
        _exact("harmony", "<|channel|>analysis<|message|>", _HARMONY_END, "<|end|>"),
        _exact("seed", "<seed:think>", "</seed:think>\n", "</seed:think>"),
        _exact("mistral", "[THINK]", "[/THINK]", "[/THINK]"),
        _exact(
            "cohere",
            "<|START_THINKING|>",
            "<|END_THINKING|><|START_RESPONSE|>",
            "<|END_THINKING|>",
            "<|END_RESPONSE|>",
        ),
        _exact("gemma", "<|channel>thought\n", "\n<channel|>", "<channel|>"),
        _exact("kimi", "◁think▷", "◁/think▷", "◁/think▷"),
        _exact("apertus", "<|inner_prefix|>", "<|inner_suffix|>", "<|inner_suffix|>"),
        _exact("hunyuan", "<think>\n", "\n</think>\n<answer>\n", "</think>", "</answer>"),
        _exact("granite", "<think>", "</think><response>", "</think>", "</response>"),
        _exact("thought_tags", "<thought>\n", "\n</thought>\n\n", "</thought>"),
        _exact("thinking_tags", "<thinking>\n", "\n</thinking>\n\n", "</thinking>"),
        _exact("reasoning_tags", "<reasoning>\n", "\n</reasoning>\n\n", "</reasoning>"),
        _exact(
            "thought_process",
            "Here is my thought process:\n\n",
            "\n\nHere is my response:\n\n",
            "Here is my response:",
        ),
        _exact(
            "final_response",
            "",
            "\n[BEGIN FINAL RESPONSE]\n",
            "[BEGIN FINAL RESPONSE]",
            "[END FINAL RESPONSE]",
        ),
        NO_THINKING,
    )
}

HOW = (
    "give thinking_format=s1 (`<|im_start|>think` … `<|im_start|>answer`), "
    "thinking_format=think_tags (`<think>` … `</think>`) or another of "
    f"{', '.join(FORMATS)}, explicit delimiters as START...END, "
    "e.g. thinking_format='<reason>...</reason>', or thinking_format=none for a model that "
    "answers without thinking"
)
_PARTS = ("start", "stop", "end", "answer_close")


def parse_format(spec: str | Mapping[str, Any]) -> ThinkingFormat | None:
    """The format that `spec` names; None for `auto`.

    spec: `auto`, a name in `FORMATS`, `START...END`, or a mapping, also as JSON, with `start` and
        `end` and, where they say more than these, `stop` (a text or several) and `answer_close`.
        `\\n` means a newline.
    Raises UserError on anything else. Needs no tokenizer, so it can run before a model loads.
    """
    stops: tuple[str, ...] = ()
    close = ""
    if isinstance(spec, str) and spec.lstrip().startswith("{"):
        try:
            spec = json.loads(spec)
        except ValueError:
            raise UserError(f"thinking_format={spec} is no JSON: {HOW}") from None
    if isinstance(spec, Mapping):
        if not {"start", "end"} <= set(spec) <= set(_PARTS):
            raise UserError(
                f"thinking_format has the keys {sorted(map(str, spec))}: give exactly start, end "
                "and, where needed, stop and answer_close"
            )
        given = spec.get("stop") or ()
        stops = tuple(_text(stop) for stop in ([given] if isinstance(given, str) else given))
        start, end, close = (_text(spec.get(name, "")) for name in ("start", "end", "answer_close"))
    elif spec == "auto":
        return None
    elif isinstance(spec, str) and spec in FORMATS:
        return FORMATS[spec]
    else:
        start, dots, end = _text(spec).partition("...")
        if not dots or "..." in end:
            raise UserError(f"thinking_format={spec!r} is unknown: {HOW}")
    if not end.strip():
        raise UserError("thinking_format has an empty end delimiter: thinking could never end")
    if not all(stop.strip() for stop in stops):
        raise UserError("thinking_format has an empty stop: thinking could never begin")
    newline = "" if end[0].isspace() else "\n"
    return ThinkingFormat("explicit", start, end, stops or (end.strip(),), close, newline)


def _text(value: Any) -> str:
    return str(value).replace("\\n", "\n")


@dataclass(frozen=True, slots=True)
class Delimiters:
    """A format in one tokenizer's ids.

    start: empty where the prompt has already opened the thinking.
    end: written after the model's own end, and empty where there is no thinking.
    stop_ids, stop_strings: single-token stops by id, the others by their text.
    newline: written before a forced end, unless the thinking ends with it already.
    close_ids, close_strings: what closes the answer besides end-of-sequence.
    """

    format: ThinkingFormat
    start: tuple[int, ...]
    end: tuple[int, ...]
    stop_ids: frozenset[int]
    stop_strings: tuple[str, ...]
    newline: tuple[int, ...]
    close_ids: frozenset[int] = frozenset()
    close_strings: tuple[str, ...] = ()

    @property
    def without_thinking(self) -> Delimiters:
        """For a prompt after which the model answers at once."""
        return replace(
            self,
            format=replace(NO_THINKING, answer_close=self.format.answer_close),
            start=(),
            end=(),
            stop_ids=frozenset(),
            stop_strings=(),
            newline=(),
        )

    def to_dict(self) -> dict[str, Any]:
        """What a run record says about the delimiters, text and ids."""
        return {
            "format": self.format.name,
            "start": self.format.start,
            "start_ids": list(self.start),
            "end": self.format.end,
            "end_ids": list(self.end),
            "stops": list(self.format.stops),
            "stop_ids": sorted(self.stop_ids),
            "stop_strings": list(self.stop_strings),
            "answer_close": self.format.answer_close,
        }


def in_ids(
    format: ThinkingFormat, tokenizer: Tokenizer, model: str, extra_stops: Sequence[str] = ()
) -> Delimiters:
    """The format in this tokenizer's ids.

    extra_stops: further texts that end the thinking (the reference's `until_thinking`).
    Raises UserError where a delimiter does not survive encoding.
    """
    stop_ids, stop_strings = _stops(tokenizer, (*format.stops, *extra_stops), model)
    closes = (format.answer_close.strip(),) if format.answer_close.strip() else ()
    close_ids, close_strings = _stops(tokenizer, closes, model)
    return Delimiters(
        format=format,
        start=encode_exactly(tokenizer, format.start, model),
        end=encode_exactly(tokenizer, format.body, model),
        stop_ids=stop_ids,
        stop_strings=stop_strings,
        newline=encode_exactly(tokenizer, format.lead, model),
        close_ids=close_ids,
        close_strings=close_strings,
    )


def _stops(
    tokenizer: Tokenizer, texts: Sequence[str], model: str
) -> tuple[frozenset[int], tuple[str, ...]]:
    """(ids, texts): those of one token by id, the others by their text."""
    ids: set[int] = set()
    strings: list[str] = []
    for text in texts:
        encoded = encode_exactly(tokenizer, text, model)
        if len(encoded) == 1:
            ids.add(encoded[0])
        else:
            strings.append(text)
    return frozenset(ids), tuple(strings)


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of a text; Mistral's tokenizers never read a special token in one, so those are set in
    by their names."""
    if not builds_prompts(tokenizer):
        return tokenizer.encode(text, add_special_tokens=False)
    special = set(getattr(tokenizer, "all_special_tokens", ()))
    ids: list[int] = []
    for piece in re.split(r"(\[/?[A-Z_]+\]|</?s>)", text):
        if piece in special:
            ids.append(int(tokenizer.convert_tokens_to_ids(piece)))  # type: ignore[attr-defined]
        elif piece:
            ids += tokenizer.encode(piece, add_special_tokens=False)
    return ids


_ANCHORS = ("a", ".", "\n", "1", ":")


@lru_cache(maxsize=64)  # every continuation asks for the same few
def encode_exactly(tokenizer: Tokenizer, text: str, model: str) -> tuple[int, ...]:
    """Ids that decode to `text` where they stand: behind other ids, where some tokenizers would
    add a blank. Raises UserError where the tokenizer has none."""
    if not text:
        return ()
    back = ""
    for anchor in _ANCHORS:
        before = _encode(tokenizer, anchor)
        shown = tokenizer.decode(list(before), skip_special_tokens=False)
        joint = _encode(tokenizer, anchor + text)
        candidates = [_encode(tokenizer, text)]
        if joint[: len(before)] == before:
            candidates.append(joint[len(before) :])
        for ids in candidates:
            whole = tokenizer.decode([*before, *ids], skip_special_tokens=False)
            if ids and whole == shown + text:
                return tuple(ids)
            back = back or whole[len(shown) :]
    raise UserError(
        f"the tokenizer of {model} can't encode {text!r} as itself (it comes back as "
        f"{back!r}): choose a delimiter or string that it has, e.g. thinking_format=think_tags"
    )
