"""Thinking formats: which delimiters surround the thinking, how they are found out from a
tokenizer and its chat template, and the exact ids that are forced at each event.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from s1_eval.errors import UserError


class Tokenizer(Hashable, Protocol):
    """What a format needs of a transformers tokenizer."""

    chat_template: Any

    def encode(self, text: str, *, add_special_tokens: bool = ...) -> list[int]: ...
    def decode(self, token_ids: Any, *, skip_special_tokens: bool = ...) -> str: ...
    def apply_chat_template(self, conversation: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class ThinkingFormat:
    """Delimiters as text.

    start: opens the thinking, right after the generation prompt.
    end: closes it; the answer follows.
    stops: what the model writes when it tries to end its thinking. For s1 that is already
        `<|im_start|>`, the first token of the end delimiter.
    """

    name: str
    start: str
    end: str
    stops: tuple[str, ...]


S1 = ThinkingFormat("s1", "<|im_start|>think", "<|im_start|>answer", ("<|im_start|>",))
THINK_TAGS = ThinkingFormat("think_tags", "<think>\n", "</think>", ("</think>",))
NO_THINKING = ThinkingFormat("none", "", "", ())
"""For models that answer at once: what a method takes for thinking is their answer."""
FORMATS: Mapping[str, ThinkingFormat] = {f.name: f for f in (S1, THINK_TAGS, NO_THINKING)}

_HOW = (
    "give thinking_format=s1 (`<|im_start|>think` … `<|im_start|>answer`), "
    "thinking_format=think_tags (`<think>` … `</think>`), explicit delimiters as START...END, "
    "e.g. thinking_format='<reason>...</reason>', or thinking_format=none for a model that "
    "answers without thinking"
)


def parse_format(spec: str | Mapping[str, str]) -> ThinkingFormat | None:
    """The format that `spec` names; None for `auto`.

    spec: `auto`, `s1`, `think_tags`, `none`, `START...END`, or a mapping with `start` and `end`.
    Raises UserError on anything else. Needs no tokenizer, so it can run before a model loads.
    """
    if isinstance(spec, Mapping):
        if set(spec) != {"start", "end"}:
            raise UserError(f"thinking_format has the keys {sorted(spec)}: give exactly start, end")
        start, end = str(spec["start"]), str(spec["end"])
    elif spec == "auto":
        return None
    elif spec in FORMATS:
        return FORMATS[spec]
    else:
        start, dots, end = str(spec).partition("...")
        if not dots or "..." in end:
            raise UserError(f"thinking_format={spec!r} is unknown: {_HOW}")
    if not end.strip():
        raise UserError("thinking_format has an empty end delimiter: thinking could never end")
    return ThinkingFormat("explicit", start, end, (end,))


def detect_format(tokenizer: Tokenizer, model: str) -> ThinkingFormat:
    """The format that the chat template and the vocabulary show, `think_tags` before `s1`.

    Think tags show as `<think>` in the chat template or as tokens of their own. The s1 format
    has no mark of its own (any ChatML tokenizer can write it), so it is recognised by the
    template's or the model's name saying s1, or by `think` and `answer` being roles that the
    template knows. Raises UserError where neither is seen: a wrong guess would cost a run.
    """
    template = tokenizer.chat_template
    if not template:
        raise UserError(f"{model} has no chat template: {_HOW}")
    if "</think>" in str(template) or len(_encode(tokenizer, "</think>")) == 1:
        return THINK_TAGS
    chatml = len(_encode(tokenizer, "<|im_start|>")) == 1
    names = str(model).lower().rstrip("/").replace("\\", "/").split("/")
    is_s1 = any(n.startswith(("s1-", "s1.1-")) for n in names)
    if chatml and (is_s1 or "<|im_start|>think" in str(template)):
        return S1
    raise UserError(
        f"cannot tell how {model} marks its thinking: its chat template has no think tags and "
        f"does not mention `<|im_start|>think`; {_HOW}"
    )


@dataclass(frozen=True, slots=True)
class Delimiters:
    """A format in one tokenizer's ids.

    start: empty where the chat template itself has already opened the thinking.
    stop_ids, stop_strings: single-token stops by id, the others by their text.
    newline: written before a forced end, unless the thinking ends with one already.
    """

    format: ThinkingFormat
    start: tuple[int, ...]
    end: tuple[int, ...]
    stop_ids: frozenset[int]
    stop_strings: tuple[str, ...]
    newline: tuple[int, ...]

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
        }


def bind(
    spec: str | Mapping[str, str],
    tokenizer: Tokenizer,
    model: str,
    extra_stops: Sequence[str] = (),
) -> Delimiters:
    """The delimiters of `spec` (see `parse_format`) in this tokenizer's ids.

    extra_stops: further texts that end the thinking (the reference's `until_thinking`).
    Raises UserError when the format can't be told or a delimiter does not survive encoding.
    """
    format = parse_format(spec) or detect_format(tokenizer, model)
    stop_ids: set[int] = set()
    stop_strings: list[str] = []
    for stop in (*format.stops, *extra_stops):
        ids = encode_exactly(tokenizer, stop, model)
        if len(ids) == 1:
            stop_ids.add(ids[0])
        else:
            stop_strings.append(stop)
    start = encode_exactly(tokenizer, format.start, model)
    if start and _generation_prompt(tokenizer).rstrip().endswith(format.start.strip()):
        start = ()
    return Delimiters(
        format=format,
        start=start,
        end=encode_exactly(tokenizer, format.end, model),
        stop_ids=frozenset(stop_ids),
        stop_strings=tuple(stop_strings),
        newline=encode_exactly(tokenizer, "\n", model),
    )


@lru_cache(maxsize=64)  # every continuation asks for the same few
def encode_exactly(tokenizer: Tokenizer, text: str, model: str) -> tuple[int, ...]:
    """Ids that decode to `text` again. Raises UserError where the tokenizer has none."""
    ids = tuple(_encode(tokenizer, text))
    back = tokenizer.decode(list(ids), skip_special_tokens=False) if ids else ""
    if back != text:
        raise UserError(
            f"the tokenizer of {model} can't encode {text!r} as itself (it comes back as "
            f"{back!r}): choose a delimiter or string that it has, e.g. thinking_format=think_tags"
        )
    return ids


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False) if text else []


def _generation_prompt(tokenizer: Tokenizer) -> str:
    if not tokenizer.chat_template:
        return ""
    return str(
        tokenizer.apply_chat_template(
            [{"role": "user", "content": "x"}], tokenize=False, add_generation_prompt=True
        )
    )
