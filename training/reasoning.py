"""The example source `reasoning`: questions with a thinking trace and an answer, from the hub or
from a file, written as the model is to write them. Training on them is `sft`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from s1_eval.errors import UserError
from s1_eval.methods.chain import UNFORCED
from s1_eval.methods.step_conditional import STEPS_INSTRUCTION
from s1_eval.methods.token_conditional import TOKENS_INSTRUCTION
from s1_eval.thinking import FORMATS, Delimiters, bind
from s1_eval.training.examples import Example, Span
from s1_eval.training.files import READERS
from s1_eval.typed import Positive, Settings

NEWLINE = "\n"


@dataclass(frozen=True, slots=True)
class Reasoning(Settings):
    """dataset: a name on the hub, a file (.jsonl, .json, .parquet) or a folder of one that
    `datasets` saved. revision, split: on the hub. examples: how many there have to be, so that a
    plan can be made before they are there.

    question, thinking, answer: the columns. A thinking column may hold lists of one text.
    thinking_format: `s1`, `think_tags`, or START...END. answer_prefix: put before an answer that
    doesn't hold it yet, spaces at its end aside.
    condition: `tokens` and `steps` make s1's training data for conditional control (appendix E):
    the prompt names the thinking's length, rounded up to a power of two; with `steps`, thinking
    is split at blank lines and every step is headed by how many are left.
    cuts: budget-aware data. Besides an example itself comes a copy for each of these numbers of
    tokens that its thinking is longer than, with the thinking cut there, the end that budget
    forcing puts behind it, and the answer, which alone carries loss. cut_answer: the column of
    the answer in copies, where it is another.
    """

    dataset: str
    revision: str | None = None
    split: str = "train"
    examples: Positive | None = None
    question: str = "question"
    thinking: str = "thinking"
    answer: str = "attempt"
    thinking_format: str = "s1"
    answer_prefix: str = ""
    condition: Literal["none", "tokens", "steps"] = "none"
    cuts: tuple[Positive, ...] = ()
    cut_answer: str | None = None

    def check(self) -> None:
        if self.cuts and self.condition != "none":
            raise UserError(
                f"cuts={list(self.cuts)}: a prompt that names the thinking's length (condition="
                f"{self.condition}) would be wrong of a cut one; give one of cuts, condition"
            )
        if self.cut_answer and not self.cuts:
            raise UserError("cut_answer is of cut thinking: give cuts, e.g. [512, 2048]")

    @property
    def expected(self) -> int | None:
        """How many examples training will see, where that is known before the data is there."""
        return None if self.cuts else self.examples

    def rows(self) -> Any:
        """The data set (`datasets.Dataset`). Raises UserError where it can't be had, lacks a
        column, or has another size."""
        return self.checked(self.load())

    def checked(self, rows: Any) -> Any:
        """`rows` if they have the columns and the number that the recipe says."""
        for key in ("question", "thinking", "answer", *(["cut_answer"] if self.cut_answer else [])):
            if getattr(self, key) not in rows.column_names:
                raise UserError(
                    f"{self.dataset} has no column {getattr(self, key)!r}: name the one that "
                    f"holds the {key} with source.reasoning.{key}, out of "
                    f"{', '.join(rows.column_names)}"
                )
        if not len(rows) or self.examples not in (None, len(rows)):
            raise UserError(
                f"{self.dataset} has {len(rows)} examples, the recipe says "
                f"{self.examples or 'at least 1'}: set source.reasoning.examples, or revision"
            )
        return rows

    def load(self, download: bool = True) -> Any:
        """The rows as they are; without `download` only if they are here."""
        import datasets

        path = Path(self.dataset)
        if path.is_file() and path.suffix not in READERS:
            raise UserError(f"can't read {path}: give {', '.join(READERS)} or a folder")
        try:
            if path.is_dir():
                found = datasets.load_from_disk(str(path))
                return found[self.split] if isinstance(found, datasets.DatasetDict) else found
            if path.is_file():
                return datasets.load_dataset(
                    READERS[path.suffix], data_files=str(path), split="train"
                )
            return datasets.load_dataset(
                self.dataset,
                revision=self.revision,
                split=self.split,
                download_config=datasets.DownloadConfig(local_files_only=not download),
            )
        except Exception as error:  # whatever a reader of someone's files may raise
            raise UserError(
                f"the data set {self.dataset} can't be loaded ({type(error).__name__}: {error}): "
                "give source.reasoning.dataset a hub name, a file or a folder"
            ) from error

    def render(self, rows: Any, tokenizer: Any, model: str) -> Iterator[Example]:
        """Every row as an example; `model` is a name for messages. Raises UserError where the
        tokenizer lacks the format's delimiters, and on a row without a text."""
        delimiters = trainable(self.thinking_format, tokenizer, model)
        columns = (self.question, self.thinking, self.answer, self.cut_answer or self.answer)
        for i, row in enumerate(rows):
            question, thinking, answer, short = (
                _text(row[key], f"{self.dataset}, row {i}, column {key}") for key in columns
            )
            if self.answer_prefix.rstrip() not in answer:
                answer = self.answer_prefix + answer
            yield self._conditioned(question, thinking, answer, delimiters, tokenizer)
            for cut in self.cuts:
                if spans := cut_short(thinking, short, delimiters, tokenizer, cut):
                    yield Example(question, spans)

    def _conditioned(
        self, question: str, thinking: str, answer: str, delimiters: Delimiters, tokenizer: Any
    ) -> Example:
        if self.condition == "steps":
            steps = [step.strip("\n") for step in thinking.split("\n\n") if step.strip()]
            limit = bucket(len(steps))
            thinking = "\n".join(
                f"<|im_start|>{limit - i} steps left\n{step}" for i, step in enumerate(steps)
            )
            question = f"{question}\n\n{STEPS_INSTRUCTION.format(limit)}"
        spans = transcript(thinking, answer, delimiters, tokenizer.eos_token)
        if self.condition == "tokens":
            written = next(span.text for span in spans if not span.apart)
            used = len(tokenizer(written, add_special_tokens=False)["input_ids"])
            question = f"{question}\n\n{TOKENS_INSTRUCTION.format(bucket(used))}"
        return Example(question, spans)


def trainable(spec: str, tokenizer: Any, model: str) -> Delimiters:
    """The format's delimiters in this tokenizer's ids, see `bind`. s1's have to be tokens: it
    is by the one token `<|im_start|>` that thinking is seen to end."""
    delimiters = bind(spec, tokenizer, model)
    if delimiters.format == FORMATS["s1"] and not delimiters.stop_ids:
        raise UserError(
            f"the tokenizer of {model} has no token <|im_start|>: give "
            "source.reasoning.thinking_format=think_tags, or a model with ChatML tokens (Qwen2.5)"
        )
    return delimiters


def transcript(thinking: str, answer: str, delimiters: Delimiters, eos: str) -> tuple[Span, ...]:
    """All that follows the generation prompt, as s1 (and DeepSeek-R1 with think tags) writes it.
    The delimiters are those that evaluation forces, id for id; all of it carries loss."""
    tags = delimiters.format == FORMATS["think_tags"]
    parts = (
        Span(delimiters.format.start if delimiters.start else "", apart=True),
        Span(_written(thinking, delimiters)),
        Span(delimiters.format.end, apart=True),
        Span(f"{NEWLINE * 2 if tags else NEWLINE}{answer.strip()}"),
        Span(eos, apart=True),
    )
    return tuple(span for span in parts if span.text)


def cut_short(
    thinking: str, answer: str, delimiters: Delimiters, tokenizer: Any, tokens: int
) -> tuple[Span, ...]:
    """All that follows the generation prompt where budget forcing has cut the thinking after so
    many tokens, id for id as evaluation forces it; none where the thinking is not longer. Only the
    answer and its end carry loss."""
    ids = tokenizer(_written(thinking, delimiters), add_special_tokens=False)["input_ids"]
    if len(ids) <= tokens:
        return ()
    kept = tokenizer.decode(ids[:tokens], skip_special_tokens=False)
    while tokenizer(kept, add_special_tokens=False)["input_ids"] != ids[:tokens]:
        tokens -= 1  # a text that ends here would be encoded otherwise, or is half a letter
        kept = tokenizer.decode(ids[:tokens], skip_special_tokens=False)
    format = delimiters.format
    nudge = ("" if format.end.endswith(NEWLINE) else NEWLINE) + UNFORCED.final_answer_nudge
    parts = (
        Span(format.start if delimiters.start else "", learn=False, apart=True),
        Span(kept, learn=False),
        Span("" if kept.endswith(format.lead) else format.lead, learn=False, apart=True),
        Span(format.body, learn=False, apart=True),
        Span(nudge, learn=False, apart=True),
        Span(f" {answer.strip()}"),
        Span(tokenizer.eos_token, apart=True),
    )
    return tuple(span for span in parts if span.text)


def _written(thinking: str, delimiters: Delimiters) -> str:
    """Thinking with the line ends around it, as s1 (and DeepSeek-R1 with think tags) writes it."""
    tags = delimiters.format == FORMATS["think_tags"]
    return f"{'' if tags else NEWLINE}{thinking.strip()}{NEWLINE}"


def bucket(n: int) -> int:
    """The smallest power of two that is at least `n`."""
    return 1 << (n - 1).bit_length()


def _text(value: Any, where: str) -> str:
    if isinstance(value, list) and len(value) == 1:
        [value] = value
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where} holds {value!r:.80}, not a text: mend the data, or drop the row")
    return value.strip()
