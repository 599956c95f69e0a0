"""How each published process reward model wants a question and its steps laid out, at which
tokens it scores them, and what kind of head reads the score. Running a model is not done here.

| format | models | a step's score |
|---|---|---|
| `rlhflow` | RLHFlow/Llama3.1-8B-PRM-{Mistral,Deepseek}-Data | reply: P(+) against P(-) |
| `qwen_math_prm` | Qwen/Qwen2.5-Math-PRM-{7B,72B}, Qwen2.5-Math-7B-PRM800K | `<extra_0>`: class 1 |
| `skywork` | Skywork/Skywork-o1-Open-PRM-Qwen-2.5-{1.5B,7B} | newline: sigmoid of a value |
| `math_shepherd` | peiyi9979/math-shepherd-mistral-7b-prm | `ки`: P(+) against P(-) |
| `nano_prm` | the one inside this package | newline: class 1 |

Sources: the model cards; for RLHFlow also `math-rm/prm_evaluate.py` of
RLHFlow/RLHF-Reward-Modeling, for Skywork `model_utils/io_utils.py` of
SkyworkAI/skywork-o1-prm-inference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol

from s1_eval.errors import UserError
from s1_eval.thinking.formats import S1

Head = tuple[int, int] | Literal["classes", "value"]
"""What reads a score from a hidden state: the output layer at two ids, good and bad (softmax); a
classifier of two layers, `score` (softmax, class 1); a linear `v_head.summary` (sigmoid)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """ids: what the verifier reads. ends: the score of step i is read from the hidden state at
    ids[ends[i] - 1]. opening: how many ids come before the first step."""

    ids: tuple[int, ...]
    ends: tuple[int, ...]
    opening: int


class Format(Protocol):
    """A model's way of asking, bound to its tokenizer."""

    name: ClassVar[str]
    step_separator: ClassVar[str]

    @property
    def head(self) -> Head: ...

    def lay_out(self, question: str, steps: Sequence[str]) -> Layout:
        """Ids and places of a chain. What is laid out for the beginning of a chain is the
        beginning of what is laid out for the chain."""
        ...


class _Text:
    """Encoding for formats. Model output is hostile: special tokens (`<|im_end|>`) and the
    format's own marks (`<extra_0>`) are taken out of it."""

    def __init__(self, tokenizer: Any, *marks: str) -> None:
        self.tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        controls = {*marks, *(token.content for token in added if token.special)}
        longest_first = sorted(controls, key=len, reverse=True)
        self._controls = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._encoded: dict[str, tuple[int, ...]] = {}

    def plain(self, text: str) -> str:
        while (stripped := self._controls.sub("", text)) != text:
            text = stripped
        return text.strip()

    def encode(self, text: str) -> tuple[int, ...]:
        if len(self._encoded) > 100_000:
            self._encoded.clear()
        if text not in self._encoded:
            self._encoded[text] = tuple(self.tokenizer.encode(text, add_special_tokens=False))
        return self._encoded[text]

    def token(self, text: str) -> int:
        """The id of `text`, the last one where the tokenizer puts something before it."""
        ids = self.encode(text)
        if not ids:
            raise UserError(f"the verifier's tokenizer can't write {text!r}: is it a reward model?")
        return ids[-1]

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        if not self.tokenizer.chat_template:
            raise UserError("the verifier has no chat template: give the model's own folder")
        text = self.tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=True
        )
        return str(text)


def _marked(pieces: Sequence[tuple[int, ...]], mark: int, opening: tuple[int, ...]) -> Layout:
    """Each piece followed by the mark, where its score stands."""
    ids: list[int] = []
    ends = []
    for piece in pieces:
        ids += (*piece, mark)
        ends.append(len(ids))
    return _layout(ids or opening, ends, opening)


def _layout(ids: Sequence[int], ends: Sequence[int], opening: tuple[int, ...]) -> Layout:
    """`opening`: the ids of the question alone; what of it really begins `ids` counts."""
    shared = next(
        (i for i, (a, b) in enumerate(zip(ids, opening, strict=False)) if a != b),
        min(len(ids), len(opening)),
    )
    return Layout(tuple(ids), tuple(ends), min(shared, ends[0] - 1) if ends else shared)


class RLHFlow:
    """A conversation: the first user turn is the question and step 1, each later one a step; the
    assistant says `+` after each. The score is read where that `+` is about to come."""

    name: ClassVar[str] = "rlhflow"
    step_separator: ClassVar[str] = "\n\n"

    def __init__(self, tokenizer: Any) -> None:
        self._text = _Text(tokenizer)

    @property
    def head(self) -> tuple[int, int]:
        return self._text.token("+"), self._text.token("-")

    @cached_property
    def _turns(self) -> tuple[str, str, str]:
        """(before the first turn, after a turn's text, from a `+` to the next turn)."""
        first, second = "FIRST-TURN", "SECOND-TURN"
        user = [{"role": "user", "content": content} for content in (first, second)]
        text = self._text.chat([user[0], {"role": "assistant", "content": "+"}, user[1]])
        head, _, rest = text.partition(first)
        middle, _, tail = rest.partition(second)
        if not tail or not middle.startswith(f"{tail}+"):
            raise UserError(
                "the verifier's chat template does not repeat its turns: give a model of the "
                "format rlhflow, or say which format it has, e.g. --verifier skywork:PATH"
            )
        return head, tail, middle[len(tail) + 1 :]

    def lay_out(self, question: str, steps: Sequence[str]) -> Layout:
        text, good = self._text, self.head[0]
        head, tail, between = self._turns
        asked = head + text.plain(question)
        ids: list[int] = []
        ends = []
        for i, step in enumerate(steps):
            ids += (good,) * bool(i)
            ids += text.encode(f"{between if i else f'{asked} '}{text.plain(step)}{tail}")
            ends.append(len(ids))
        opening = text.encode(asked)
        return _layout(ids or opening, ends, opening)


class QwenMathPRM:
    """A chat whose assistant turn is the steps, `<extra_0>` after each."""

    name: ClassVar[str] = "qwen_math_prm"
    step_separator: ClassVar[str] = "\n\n"
    system: ClassVar[str] = (
        "Please reason step by step, and put your final answer within \\boxed{}."
    )
    mark: ClassVar[str] = "<extra_0>"

    def __init__(self, tokenizer: Any) -> None:
        self._text = _Text(tokenizer, self.mark)

    @property
    def head(self) -> Head:
        return "classes"

    def lay_out(self, question: str, steps: Sequence[str]) -> Layout:
        text = self._text
        asked = text.chat(
            [
                {"role": "system", "content": self.system},
                {"role": "user", "content": text.plain(question)},
            ]
        )
        pieces = [
            text.encode(("" if i else asked) + text.plain(step)) for i, step in enumerate(steps)
        ]
        return _marked(pieces, text.token(self.mark), text.encode(asked))


class Skywork:
    """Begin-of-sequence, the question, then line after line, each encoded on its own and closed
    by a newline token; a step's score stands at its last."""

    name: ClassVar[str] = "skywork"
    step_separator: ClassVar[str] = "\n"

    def __init__(self, tokenizer: Any) -> None:
        self._text = _Text(tokenizer)
        if not tokenizer.bos_token:
            raise UserError(
                "the verifier's tokenizer has no bos_token, which the format begins with"
            )

    @property
    def head(self) -> Head:
        return "value"

    def lay_out(self, question: str, steps: Sequence[str]) -> Layout:
        text = self._text
        newline = text.token("\n")
        opening = text.encode(f"{text.tokenizer.bos_token}{text.plain(question)}\n")
        ids, ends = [*opening], []
        for step in steps:
            lines = [line for line in text.plain(step).splitlines() if line.strip()]
            for line in lines or [""]:
                ids += (*text.encode(line), newline)
            ends.append(len(ids))
        return _layout(ids, ends, opening)


class MathShepherd:
    """One text: the question and the steps, `ки` behind each."""

    name: ClassVar[str] = "math_shepherd"
    step_separator: ClassVar[str] = "\n"
    mark: ClassVar[str] = "ки"

    def __init__(self, tokenizer: Any) -> None:
        self._text = _Text(tokenizer, self.mark)

    @property
    def head(self) -> tuple[int, int]:
        good, bad = self._text.encode("+ -")[-2:]
        return good, bad

    def lay_out(self, question: str, steps: Sequence[str]) -> Layout:
        text, mark = self._text, self._text.token(self.mark)
        asked = text.plain(question)
        lines = "\n".join(f"{text.plain(step)} {self.mark}" for step in steps)
        ids = text.tokenizer.encode(f"{asked} {lines}")
        ends = [i + 1 for i, id in enumerate(ids) if id == mark]
        if len(ends) != len(steps):
            raise UserError(
                f"the verifier's tokenizer does not keep {self.mark} a token of its own: "
                "give a model of the format math_shepherd"
            )
        return _layout(ids, ends, tuple(text.tokenizer.encode(asked)))


class NanoPRM:
    """Nano's own transcript: the prompt, the opened thinking, a line a step; the answer is a line
    like the others. The score stands at the newline that ends the line."""

    name: ClassVar[str] = "nano_prm"
    step_separator: ClassVar[str] = "\n"

    def __init__(self, tokenizer: Any) -> None:
        self._text = _Text(tokenizer)

    @property
    def head(self) -> Head:
        return "classes"

    def lay_out(self, question: str, steps: Sequence[str]) -> Layout:
        text = self._text
        asked = text.chat([{"role": "user", "content": text.plain(question)}]) + S1.start + "\n"
        pieces = [
            text.encode(("" if i else asked) + " ".join(text.plain(step).splitlines()))
            for i, step in enumerate(steps)
        ]
        return _marked(pieces, text.token("\n"), text.encode(asked))


FORMATS: Mapping[str, Callable[[Any], Format]] = {
    format.name: format for format in (RLHFlow, QwenMathPRM, Skywork, MathShepherd, NanoPRM)
}


def detect(model: str, architectures: Sequence[str], tokenizer: Any) -> str:
    """The format that a checkpoint shows by its architecture, and where that is a stock one by its
    name. Raises UserError where neither tells: a wrong guess would cost a run."""
    name = model.lower()
    if "Qwen2ForPrmModel" in architectures or "skywork-o1-open-prm" in name:
        return Skywork.name
    if "Qwen2ForProcessRewardModel" in architectures:
        return QwenMathPRM.name if QwenMathPRM.mark in tokenizer.get_vocab() else NanoPRM.name
    if "math-shepherd" in name:
        return MathShepherd.name
    if "prm-mistral-data" in name or "prm-deepseek-data" in name:
        return RLHFlow.name
    raise UserError(
        f"cannot tell how {model} wants its steps ({', '.join(architectures) or 'no architecture'})"
        f": say it as FORMAT:MODEL, with a format of {', '.join(FORMATS)}"
    )
