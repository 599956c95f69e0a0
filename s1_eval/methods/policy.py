"""What every method is given: a question, and a policy to answer it with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from s1_eval.answers.grading import Grader
from s1_eval.engines.protocol import Engine, Generation, Sampling, Stop, Tokenizer
from s1_eval.errors import UserError
from s1_eval.methods.meter import Meter
from s1_eval.thinking import (
    AS_IT_IS,
    NOT_KNOWN,
    Chat,
    Delimiters,
    Message,
    Thinking,
    dates,
    detect,
    in_ids,
    is_special,
)
from s1_eval.verifiers import Verifier

_TAIL = 64
"""Ids at the end of a prompt in which a delimiter is looked for."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question as the benchmark words it.

    prompt: the user message that is to be answered. A method may add to it (the conditional
        controls do).
    grader: says which answers are equal; methods that vote need it, never the target.
    before: the conversation up to there: system messages, few-shot turns, earlier turns.
    raw: `prompt` is no message but text to go on with, as a base model reads it; nothing comes
        before it and no chat template around it.
    """

    id: str
    prompt: str
    grader: Grader
    before: tuple[Message, ...] = ()
    raw: bool = False

    def messages(self, suffix: str = "") -> list[Message]:
        """The conversation so far, for a chat template.

        suffix: follows the last user message after a blank line.
        Raises UserError on a raw prompt, which has no messages.
        """
        if self.raw:
            raise UserError(
                "this needs a conversation (a system message, earlier turns, or a method that "
                "speaks to the model in words), and the prompt is raw text: add "
                "--apply_chat_template in lm-eval, use a model that has a chat template, or give "
                "it one with chat_template=FILE"
            )
        content = f"{self.prompt}\n\n{suffix}" if suffix else self.prompt
        return [*self.before, {"role": "user", "content": content}]


@dataclass(frozen=True, slots=True)
class Policy:
    """A model that thinks: an engine, its delimiters, and how to sample from it.

    delimiters: all of the format's; `delimiters_for` says which of them a prompt needs.
    verifier: scores steps for the methods that search by it.
    template_date: the date that the chat template prints, see `s1_eval.thinking.dates`.
    thinking: what is known of how the model thinks, and how it was found.
    chat: how conversations become prompts.
    meter: of the question at hand; forks share it.
    max_tokens: ids that a chain may have behind its prompt, forced ones included; None leaves that
        to the context.
    """

    engine: Engine
    delimiters: Delimiters
    sampling: Sampling
    verifier: Verifier | None = None
    template_date: str | None = None
    thinking: Thinking = NOT_KNOWN
    chat: Chat = AS_IT_IS
    meter: Meter | None = None
    max_tokens: int | None = None

    @classmethod
    def bind(
        cls,
        engine: Engine,
        thinking_format: str | Mapping[str, Any] = "auto",
        sampling: Sampling | None = None,
        until_thinking: Sequence[str] = (),
        verifier: Verifier | None = None,
    ) -> Policy:
        """A policy for `engine` with the delimiters of `thinking_format` in its ids.

        Raises UserError as `s1_eval.thinking.detect` and `in_ids` do.
        """
        model, chat = engine.info.model, engine.info.chat
        thinking = detect(thinking_format, engine.tokenizer, model, chat)
        delimiters = in_ids(thinking.format, engine.tokenizer, model, until_thinking)
        return cls(
            engine, delimiters, sampling or Sampling(), verifier, thinking=thinking, chat=chat
        )

    def prompt_ids(self, question: Question, suffix: str = "") -> tuple[int, ...]:
        """The chat prompt up to and including the generation prompt, as ids; see
        `Question.messages`. A raw prompt is encoded as it is."""
        if question.raw and not (suffix or question.before):
            return self.encode_raw(question.prompt)
        return self.encode_chat(question.messages(suffix))

    def encode_raw(self, text: str) -> tuple[int, ...]:
        """Text as the model's library encodes it: with the special tokens that its tokenizer
        adds, the beginning of the sequence once, also where the text spells it already."""
        tokenizer = self.engine.tokenizer
        plain = tokenizer.encode(text, add_special_tokens=False)
        bos = getattr(tokenizer, "bos_token_id", None)
        spelled = bos is not None and plain[:1] == [bos]
        ids = tuple(plain if spelled else tokenizer.encode(text, add_special_tokens=True))
        if not ids:
            raise UserError("the prompt is empty: give the question's text")
        return ids

    def encode_chat(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Messages (`role`, `content`) through the chat template, generation prompt included."""
        tokenizer, chat = self.engine.tokenizer, self.chat
        if self.template_date and (source := chat.source(tokenizer)):
            chat = replace(chat, template=dates.at(source, self.template_date))
        asked = tuple(tuple(message.items()) for message in messages)
        try:
            template = chat.source(tokenizer)  # which others may change in place
            return _encoded(chat, tokenizer, asked, self.engine.info.model, template)
        except TypeError:  # content in blocks, which no cache can know again
            return chat.encode(tokenizer, messages, self.engine.info.model)

    def having(self, **arguments: Any) -> Policy:
        """The same policy with further arguments of the chat template, which may have thinking
        switched off."""
        chat, known = self.chat.having(arguments), self.thinking
        if known.state == "none" or not known.format.end:
            return replace(self, chat=chat)
        spec = known.format.to_dict() if known.source == "given" else "auto"
        found = detect(spec, self.engine.tokenizer, self.engine.info.model, chat)
        state = "off" if found.state == "none" else found.state
        return replace(
            self,
            chat=chat,
            thinking=replace(
                known, state=state, opened=found.opened, prompt_tail=found.prompt_tail
            ),
        )

    def delimiters_for(self, prompt: Sequence[int]) -> Delimiters:
        """The delimiters that this prompt needs: no start where it has opened the thinking, none at
        all where it has closed it."""
        tail = _text(self.engine.tokenizer, tuple(prompt[-_TAIL:])) if prompt else ""
        return self.thinking.delimiters(self.delimiters, tail)

    @property
    def default_delimiters(self) -> Delimiters:
        """Those that the prompt of a single question needs, its start among them."""
        found = self.thinking.delimiters(self.delimiters, self.thinking.prompt_tail)
        return replace(found, start=self.delimiters.start) if found.end else found

    def need_thinking(self, what: str, prompt: Sequence[int] | None = None) -> None:
        """Raises UserError where thinking is to be forced and there is none, at `prompt` or at all.
        Where the user said that the model answers at once, the answer stands for the thinking."""
        if self.thinking.source == "given" and not self.thinking.format.end:
            return
        forceless = self.thinking.state != "on"
        if prompt is not None:
            forceless = not self.delimiters_for(prompt).end
        if forceless:
            why = self.thinking.advice or "the conversation has switched it off: change its texts"
            raise UserError(
                f"{what} forces thinking, and {self.engine.info.model} does none here: {why}"
            )

    def dated(self, day: str | None = None) -> Policy:
        """The same policy with its template's date pinned to `day`, today where it is None. Without
        effect where the template prints none."""
        tokenizer = self.engine.tokenizer

        def render(template: str) -> str:
            asked = [{"role": "user", "content": "?"}]
            return replace(self.chat, template=template).render(tokenizer, asked, False)

        return replace(self, template_date=dates.pinned(self.chat.source(tokenizer), render, day))

    def prompting(self) -> dict[str, Any]:
        """What a run record says about how prompts are made, and whether the model then thinks."""
        chat, thinking = self.chat, self.thinking
        template = chat.template or self.engine.tokenizer.chat_template
        sha256 = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()
        return {
            "chat_template_sha256": sha256,
            **({"template_date": self.template_date} if self.template_date else {}),
            **({"chat_template_kwargs": chat.kwargs} if chat.arguments else {}),
            **({} if chat.system is None else {"system": chat.system}),
            "thinking": thinking.state,
            "thinking_source": thinking.source,
        }

    def limited(self, room: int, behind: int) -> int:
        """How many of the `room` ids that are left a chain may take, with so many behind its
        prompt."""
        return room if self.max_tokens is None else min(room, self.max_tokens - behind)

    def fork(self, *branch: object) -> Policy:
        """The same policy with a seed of its own, see `Sampling.fork`."""
        return replace(self, sampling=self.sampling.fork(*branch))

    async def generate(self, prompt: Sequence[int], *, max_tokens: int, stop: Stop) -> Generation:
        """Continue `prompt` with this policy's sampling; the place in the text is part of the
        seed, so two continuations of one chain never repeat each other's random numbers.

        Raises UserError where log-probabilities are asked for and the engine tells none.
        """
        sampling = self.sampling
        if sampling.temperature:
            sampling = sampling.fork("at", len(prompt))
        generation = await self.engine.generate(
            prompt, max_tokens=max_tokens, stop=stop, sampling=sampling
        )
        if self.meter:
            self.meter.count(prompt, generation)
        likely, told = self.sampling.logprobs, generation.logprobs
        number = len(generation.ids) + len(generation.stop_ids)
        if likely is not None and (told is None or told.width != likely or len(told) != number):
            raise UserError(
                f"logprobs={likely}: the engine {self.engine.info.engine} tells no "
                "log-probabilities; use s1_hf, s1_vllm, or s1_api"
            )
        return generation

    def decode(self, ids: Sequence[int]) -> str:
        if len(ids) <= _TAIL:  # delimiters, nudges and short answers come again and again
            return _text(self.engine.tokenizer, tuple(ids))
        return self.engine.tokenizer.decode(list(ids), skip_special_tokens=False)

    def hides(self, id: int) -> bool:
        """Whether `decode_plain` leaves the id out: a special token."""
        return is_special(self.engine.tokenizer, id)

    def decode_plain(self, ids: Sequence[int]) -> str:
        """Without special tokens: an answer as a grader reads it."""
        if len(ids) <= _TAIL:
            return _text(self.engine.tokenizer, tuple(ids), True)
        return self.engine.tokenizer.decode(list(ids), skip_special_tokens=True)


@lru_cache(maxsize=1024)  # the runs of a sweep ask the same question one after the other
def _encoded(
    chat: Chat,
    tokenizer: Tokenizer,
    messages: tuple[tuple[tuple[str, Any], ...], ...],
    model: str,
    template: str | None,
) -> tuple[int, ...]:
    return chat.encode(tokenizer, [dict(message) for message in messages], model)


@lru_cache(maxsize=8192)  # a chain asks for its prompt's at every step
def _text(tokenizer: Tokenizer, ids: tuple[int, ...], plain: bool = False) -> str:
    return tokenizer.decode(list(ids), skip_special_tokens=plain)
