"""From messages to a prompt: the chat template, its arguments and the system text, as the user sets
them for an engine, and the tokenizer that applies them. What a template shows about thinking is
read in `s1_eval.thinking.detection`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from s1_eval.errors import UserError

Message = Mapping[str, Any]
SETTINGS = ("chat_template", "chat_template_kwargs", "system")
"""Settings of an engine that are `Chat`'s."""


class Tokenizer(Hashable, Protocol):
    """What prompts and formats need of a transformers tokenizer."""

    chat_template: Any

    def encode(self, text: str, *, add_special_tokens: bool = ...) -> list[int]: ...
    def decode(self, token_ids: Any, *, skip_special_tokens: bool = ...) -> str: ...
    def apply_chat_template(self, conversation: Any, **kwargs: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Chat:
    """How conversations become prompts.

    template: Jinja source in place of the tokenizer's own; None for that.
    arguments: of the template, as sorted pairs of a name and its value as JSON.
    system: put before every conversation's own system text; None for nothing.
    """

    template: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    system: str | None = None

    @classmethod
    def take(cls, settings: Mapping[str, Any]) -> tuple[Chat, dict[str, Any]]:
        """(what of an engine's settings is a chat's, the rest).

        chat_template: a file. chat_template_kwargs: a mapping, or one in JSON. system: a text.
        Raises UserError on a value of another kind.
        """
        rest = {name: value for name, value in settings.items() if name not in SETTINGS}
        system = settings.get("system")
        if system is not None and not isinstance(system, str):
            raise UserError(f"system={system!r}: give a text")
        chat = cls(_template_file(settings.get("chat_template")), (), system)
        return chat.having(
            read_arguments("chat_template_kwargs", settings.get("chat_template_kwargs"))
        ), rest

    def having(self, arguments: Mapping[str, Any]) -> Chat:
        """The same chat with further arguments of the template."""
        merged = {**dict(self.arguments), **{k: json.dumps(v) for k, v in arguments.items()}}
        return replace(self, arguments=tuple(sorted(merged.items())))

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments as values."""
        return {name: json.loads(value) for name, value in self.arguments}

    def source(self, tokenizer: Tokenizer) -> str | None:
        """The template in use, None where the tokenizer has none that can be read, or several of
        which none is the default one."""
        found = self.template or tokenizer.chat_template
        if isinstance(found, Mapping):
            found = found.get("default")
        return None if not found else str(found)

    def messages(self, conversation: Sequence[Message]) -> list[dict[str, Any]]:
        """The conversation with this chat's system text in it."""
        found = [dict(message) for message in conversation]
        if self.system is None:
            return found
        if found and found[0].get("role") == "system":
            own = found.pop(0)["content"]
            return [{"role": "system", "content": f"{self.system}\n\n{own}"}, *found]
        return [{"role": "system", "content": self.system}, *found]

    def render(
        self,
        tokenizer: Tokenizer,
        conversation: Sequence[Message],
        generation: bool = True,
    ) -> str:
        """The conversation as the template writes it. Raises whatever the template raises."""
        messages = self.messages(conversation)
        if _takes_blocks(tokenizer, replace(self, system=None), self.source(tokenizer)):
            messages = [_in_blocks(message) for message in messages]
        if self.source(tokenizer) is None and builds_prompts(tokenizer):
            # Its ids are the prompt; the text that it would give is not what they say.
            ids = self._apply(tokenizer, messages, generation, tokenize=True)
            return tokenizer.decode(list(ids), skip_special_tokens=False)
        return str(self._apply(tokenizer, messages, generation, tokenize=False))

    def encode(
        self,
        tokenizer: Tokenizer,
        conversation: Sequence[Message],
        model: str,
    ) -> tuple[int, ...]:
        """The prompt's ids, generation prompt included. Raises UserError where the template does
        not take the conversation or there is none."""
        try:
            if self.source(tokenizer) is not None:
                text = self.render(tokenizer, conversation)
                self._check_whole(tokenizer, conversation, model, text)
                return tuple(tokenizer.encode(text, add_special_tokens=False))
            # A tokenizer that builds prompts by itself: its text would be read as other ids.
            ids = self._apply(tokenizer, self.messages(conversation), True, tokenize=True)
            return tuple(int(id) for id in ids)
        except UserError:
            raise
        except Exception as error:  # a template is the model's code
            if self.source(tokenizer) is None and not builds_prompts(tokenizer):
                raise UserError(
                    f"{model} has no chat template, so its prompt can't be built: use an "
                    "instruction-tuned model, or give one with -M chat_template=FILE"
                ) from None
            roles = ", ".join(str(message.get("role")) for message in self.messages(conversation))
            raise UserError(
                f"the chat template of {model} refuses the conversation ({roles}): {error}; change "
                "the messages or the system text, or give another template with "
                "-M chat_template=FILE"
            ) from error

    def _check_whole(
        self,
        tokenizer: Tokenizer,
        conversation: Sequence[Message],
        model: str,
        text: str,
    ) -> None:
        """Raises UserError where the template leaves one of the messages out: its text is not in
        the prompt, and the prompt is the same without it, or with another one where it is the
        only one."""
        own = replace(self, system=None)
        messages = self.messages(conversation)
        for at, message in enumerate(messages):
            content = message.get("content")
            if not isinstance(content, str) or content.strip() in text:
                continue
            rest = [*messages[:at], *messages[at + 1 :]] or [{**message, "content": _PROBE}]
            try:
                same = own.render(tokenizer, rest) == text
            except Exception:  # noqa: S112 - it may refuse what is left
                continue
            if same:
                raise UserError(
                    f"the chat template of {model} leaves the {message.get('role')} message out "
                    f"({content[:40]!r}): put its text into the user's message, or give another "
                    "template with -M chat_template=FILE"
                )

    def _apply(
        self, tokenizer: Tokenizer, messages: Sequence[Message], generation: bool, **how: Any
    ) -> Any:
        arguments = {**self.kwargs, **how}
        if self.template is not None:
            arguments["chat_template"] = self.template
        if how["tokenize"]:
            arguments["return_dict"] = False
        if generation or self.source(tokenizer) is not None:
            arguments["add_generation_prompt"] = generation
        return tokenizer.apply_chat_template(messages, **arguments)


AS_IT_IS = Chat()
"""The tokenizer's own template and no more."""


_PROBE = "zqprobeqz"


@lru_cache(maxsize=64)  # every prompt asks
def _takes_blocks(tokenizer: Tokenizer, chat: Chat, source: str | None) -> bool:
    """Whether the template reads a text in blocks only, as those of many vision models, which
    loop over it and leave a plain text out; remembered while the template is the same."""

    def shows(message: Message) -> bool:
        try:
            text = chat._apply(tokenizer, [message], True, tokenize=False)
        except Exception:  # a template is the model's code, and may fail as it likes
            return False
        return _PROBE in str(text)

    plain = {"role": "user", "content": _PROBE}
    return source is not None and not shows(plain) and shows(_in_blocks(plain))


def _in_blocks(message: Message) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, str):
        return dict(message)
    return {**message, "content": [{"type": "text", "text": content}]}


def builds_prompts(tokenizer: Tokenizer) -> bool:
    """Whether a tokenizer without a template has a way of its own, as Mistral's do."""
    return type(tokenizer).__module__.endswith("mistral_common")


def is_special(tokenizer: Tokenizer, id: int) -> bool:
    """Whether the tokenizer leaves the id out of a text without special tokens."""
    shown, plain = (tokenizer.decode([id], skip_special_tokens=skip) for skip in (False, True))
    return shown != plain


def has_template(tokenizer: Tokenizer, chat: Chat) -> bool:
    """Whether a conversation can be given to the model at all."""
    return chat.source(tokenizer) is not None or builds_prompts(tokenizer)


def _template_file(path: Any) -> str | None:
    if path is None:
        return None
    try:
        return Path(str(path)).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(
            f"chat_template={path}: give the file of a Jinja template ({error})"
        ) from None


def read_arguments(name: str, value: Any) -> Mapping[str, Any]:
    """The template's arguments from a mapping, or one in JSON; name: what the user calls them."""
    if value is None:
        return {}
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise UserError(
            f"{name}={value!r}: give the template's arguments in JSON, e.g. "
            f"""{name}='{{"enable_thinking": true}}'"""
        )
    return value
