"""What every method is given: a question, and a policy to answer it with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from s1_eval.answers.grading import Grader
from s1_eval.engines.protocol import Engine, Generation, Sampling, Stop
from s1_eval.errors import UserError
from s1_eval.thinking import Delimiters, bind, dates
from s1_eval.verifiers import Verifier


@dataclass(frozen=True, slots=True)
class Question:
    """One question as the benchmark words it.

    prompt: the user message. A method may add to it (the conditional controls do).
    grader: says which answers are equal; methods that vote need it, never the target.
    system: a system message, where the benchmark or the user gives one.
    """

    id: str
    prompt: str
    grader: Grader
    system: str | None = None

    def messages(self, suffix: str = "") -> list[dict[str, str]]:
        """The conversation so far, for a chat template.

        suffix: follows the question after a blank line.
        """
        content = f"{self.prompt}\n\n{suffix}" if suffix else self.prompt
        user = {"role": "user", "content": content}
        return [user] if self.system is None else [{"role": "system", "content": self.system}, user]


@dataclass(frozen=True, slots=True)
class Policy:
    """A model that thinks: an engine, its delimiters, and how to sample from it.

    verifier: scores steps for the methods that search by it.
    template_date: the date that the chat template prints, see `s1_eval.thinking.dates`.
    """

    engine: Engine
    delimiters: Delimiters
    sampling: Sampling
    verifier: Verifier | None = None
    template_date: str | None = None

    @classmethod
    def bind(
        cls,
        engine: Engine,
        thinking_format: str | Mapping[str, str] = "auto",
        sampling: Sampling | None = None,
        until_thinking: Sequence[str] = (),
        verifier: Verifier | None = None,
    ) -> Policy:
        """A policy for `engine` with the delimiters of `thinking_format` in its ids.

        Raises UserError as `s1_eval.thinking.bind` does.
        """
        model = engine.info.model
        delimiters = bind(thinking_format, engine.tokenizer, model, until_thinking)
        return cls(engine, delimiters, sampling or Sampling(), verifier)

    def prompt_ids(self, question: Question, suffix: str = "") -> tuple[int, ...]:
        """The chat prompt up to and including the generation prompt, as ids; see
        `Question.messages`."""
        return self.encode_chat(question.messages(suffix))

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        """Messages (`role`, `content`) through the chat template, generation prompt included."""
        tokenizer = self.engine.tokenizer
        if not tokenizer.chat_template:
            raise UserError(
                f"{self.engine.info.model} has no chat template, so its prompt can't be built: "
                "use an instruction-tuned model, or add a chat_template.jinja to its folder"
            )
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **dates.on(self.template_date)
        )
        return tuple(tokenizer.encode(str(text), add_special_tokens=False))

    def dated(self, day: str | None = None) -> Policy:
        """The same policy with its template's date pinned to `day`, today where it is None. Without
        effect where the template prints none."""
        tokenizer = self.engine.tokenizer

        def render(variables: Mapping[str, Any]) -> str:
            asked = [{"role": "user", "content": "?"}]
            return str(tokenizer.apply_chat_template(asked, tokenize=False, **variables))

        return replace(self, template_date=dates.pinned(tokenizer.chat_template, render, day))

    def prompting(self) -> dict[str, Any]:
        """What a run record says about how prompts are made."""
        template = json.dumps(self.engine.tokenizer.chat_template, sort_keys=True)
        return {
            "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest(),
            **({"template_date": self.template_date} if self.template_date else {}),
        }

    def fork(self, *branch: object) -> Policy:
        """The same policy with a seed of its own, see `Sampling.fork`."""
        return replace(self, sampling=self.sampling.fork(*branch))

    async def generate(self, prompt: Sequence[int], *, max_tokens: int, stop: Stop) -> Generation:
        """Continue `prompt` with this policy's sampling; the place in the text is part of the
        seed, so two continuations of one chain never repeat each other's random numbers."""
        return await self.engine.generate(
            prompt,
            max_tokens=max_tokens,
            stop=stop,
            sampling=self.sampling.fork("at", len(prompt)),
        )

    def decode(self, ids: Sequence[int]) -> str:
        return self.engine.tokenizer.decode(list(ids), skip_special_tokens=False)

    def hides(self, id: int) -> bool:
        """Whether `decode_plain` leaves the id out: a special token."""
        return self.decode((id,)) != self.decode_plain((id,))

    def decode_plain(self, ids: Sequence[int]) -> str:
        """Without special tokens: an answer as a grader reads it."""
        return self.engine.tokenizer.decode(list(ids), skip_special_tokens=True)
