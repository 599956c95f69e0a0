"""Which thinking format a model has, by asking its chat template: it is rendered with a reasoning
and with each of its arguments, and what it writes is read. A token in the vocabulary shows
nothing, and neither does a model's name but for s1's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from s1_eval.thinking.chat import AS_IT_IS, Chat, Message, Tokenizer, builds_prompts
from s1_eval.thinking.formats import (
    FORMATS,
    NO_THINKING,
    S1,
    THINK_TAGS,
    Delimiters,
    ThinkingFormat,
    in_ids,
    parse_format,
)
from s1_eval.thinking.templates import Source

State = Literal["on", "off", "none"]
Found = Literal["given", "name", "template", "prompt", "table", "none"]


@dataclass(frozen=True)
class Thinking:
    """What was found, and how.

    state: `off` where the prompt has thinking switched off, `none` where nothing shows any.
    opened: whether the prompt of a single question has opened the thinking already.
    prompt_tail: how that prompt ends, behind the question.
    arguments: of the template, each with a value that has thinking on. Any of them does.
    levels: the values of `reasoning_effort` or the like that change the prompt; `effort` names it.
    budget: the argument in which the template takes a number of tokens.
    removed: the format whose end the template takes out of past answers, where that is all it
        shows: models that never think have such templates too.
    """

    format: ThinkingFormat = NO_THINKING
    state: State = "none"
    source: Found = "none"
    opened: bool = False
    prompt_tail: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    effort: str | None = None
    levels: tuple[str, ...] = ()
    budget: str | None = None
    removed: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `s1-eval doctor --json` prints it."""
        return {
            "format": self.format.name,
            "thinking": self.state,
            "source": self.source,
            "start": self.format.start,
            "stop": list(self.format.stops),
            "end": self.format.end,
            "answer_close": self.format.answer_close,
            "opened": self.opened,
            "prompt_tail": self.prompt_tail,
            "arguments": dict(self.arguments),
            "dials": {
                **({self.effort: list(self.levels)} if self.effort else {}),
                **({self.budget: "tokens"} if self.budget else {}),
            },
        }

    @property
    def advice(self) -> str | None:
        """What to do for thinking where there is none, None where it is on."""
        if self.state == "on":
            return None
        if self.state == "none":
            return (
                "its chat template shows none: give thinking_format=none to hold its answer "
                "against the budget, or the delimiters if it thinks all the same, e.g. "
                f"thinking_format={self.removed or THINK_TAGS.name}"
                + (
                    f" (the template takes {FORMATS[self.removed].stops[0]} out of past answers)"
                    if self.removed
                    else ""
                )
                + "; words that its system text switches thinking on by go with -M system=TEXT"
            )
        if not self.arguments:
            return (
                "its prompt has thinking switched off, and no argument of its chat template "
                "switches it on: change the system text, or the template with "
                "-M chat_template=FILE"
            )
        name, value = next(iter(self.arguments.items()))
        return (
            "its chat template has thinking switched off: switch it on with "
            f"-M chat_template_kwargs='{json.dumps({name: value})}' (in lm-eval, "
            "chat_template_args of --model_args)"
        )

    def closed_by(self, text: str) -> bool:
        """Whether a prompt that ends with `text` has closed the thinking already. A stop alone may
        be what ends the user's turn."""
        ends = _ends(text, self.format.end, *self.format.stops)
        return ends and text.strip() not in self.format.stops

    def opened_by(self, text: str) -> bool:
        """Whether a prompt that ends with `text` has opened the thinking already."""
        return _ends(text, self.format.start)

    def delimiters(self, all: Delimiters, tail: str) -> Delimiters:
        """What of the format's delimiters is needed behind a prompt that ends with `tail`."""
        if self.state == "none":
            return all
        if self.opened_by(tail):
            return replace(all, start=())
        by_words = self.state == "off" and not self.closed_by(self.prompt_tail)
        return all.without_thinking if by_words or self.closed_by(tail) else all


NOT_KNOWN = Thinking()
"""Nothing was asked: whatever delimiters there are, every prompt needs all of them."""


def detect(
    spec: str | Mapping[str, Any], tokenizer: Tokenizer, model: str, chat: Chat | None = None
) -> Thinking:
    """How `model` thinks. In this order: as `spec` says (see `parse_format`); s1, where the
    template or the last part of the model's name says so; as the template writes a reasoning; as
    its prompt opens one; as its text describes one; not at all.

    Raises UserError on a spec that can't be read. A template that fails shows nothing.
    """
    chat = chat or AS_IT_IS
    key = spec if isinstance(spec, str) else json.dumps(dict(spec), sort_keys=True, default=list)
    return _detect(key, tokenizer, model, chat, chat.source(tokenizer))


@lru_cache(maxsize=64)  # every run of a sweep asks for the same
def _detect(
    spec: str, tokenizer: Tokenizer, model: str, chat: Chat, source: str | None
) -> Thinking:
    """`detect`, remembered while the template is the same."""
    format = parse_format(spec)
    view = _View(tokenizer, chat, str(getattr(tokenizer, "eos_token", None) or ""))
    found: tuple[ThinkingFormat, Found, Mapping[str, Any]] | None
    if format is not None:
        found = (format, "given", {})
    elif "<|im_start|>think" in view.source.text:
        found = (S1, "template", {})
    elif _is_s1(model) and _has(tokenizer, "<|im_start|>"):
        found = (S1, "name", {})
    else:
        found = _written(view) or _opened(view) or _described(view)
    if found is None:
        stops = ((f.name, stop) for f in FORMATS.values() for stop in f.stops if f is not S1)
        text, said = view.source.text, view.source.written
        removed = next((name for name, stop in stops if stop in text and stop not in said), None)
        return Thinking(prompt_tail=view.tail(), removed=removed)
    return _switched(view, *found)


def detect_format(tokenizer: Tokenizer, model: str, chat: Chat | None = None) -> ThinkingFormat:
    """The format alone, see `detect`."""
    return detect("auto", tokenizer, model, chat).format


def bind(
    spec: str | Mapping[str, Any],
    tokenizer: Tokenizer,
    model: str,
    extra_stops: Sequence[str] = (),
    chat: Chat | None = None,
) -> Delimiters:
    """The delimiters of `spec` in this tokenizer's ids, as a prompt of a single question needs
    them; see `detect` and `in_ids`."""
    thinking = detect(spec, tokenizer, model, chat)
    delimiters = in_ids(thinking.format, tokenizer, model, extra_stops)
    return thinking.delimiters(delimiters, thinking.prompt_tail)


def _is_s1(model: str) -> bool:
    last = re.split(r"[/\\]", str(model).rstrip("/\\"))[-1].lower()
    return last.startswith(("s1-", "s1.1-"))


def _has(tokenizer: Tokenizer, token: str) -> bool:
    return len(tokenizer.encode(token, add_special_tokens=False)) == 1


@lru_cache(maxsize=8192)  # a chain asks for its prompt's at every step
def _ends(text: str, *delimiters: str) -> bool:
    return any(d.strip() and text.rstrip().endswith(d.strip()) for d in delimiters)


_QUESTION, _REASONING, _ANSWER = "zqquestionqz", "zqreasoningqz", "zqanswerqz"
_TOOL, _CALL = "zqtoolqz", "zqcall000"
_USER: Message = {"role": "user", "content": _QUESTION}
_REPLY: Message = {"role": "assistant", "content": _ANSWER}
_AGAIN: Message = {"role": "user", "content": "zqagainqz"}
_KEYS = ("reasoning_content", "reasoning", "thinking")


class _View:
    """A template as it is asked: the same question again and again, under changed arguments."""

    def __init__(self, tokenizer: Tokenizer, chat: Chat, eos: str) -> None:
        self.source = Source.read(chat.source(tokenizer) or "")
        self.eos = eos
        self._tokenizer, self._chat = tokenizer, chat
        self._silent = not self.source.text and not builds_prompts(tokenizer)
        self._seen: dict[str, str | None] = {}

    def text(
        self, *said: Message, generation: bool = False, arguments: Mapping[str, Any] | None = None
    ) -> str | None:
        """The conversation rendered, None where the template does not take it."""
        key = repr((said, generation, sorted((arguments or {}).items())))
        if key not in self._seen:
            self._seen[key] = self._render(said, generation, arguments or {})
        return self._seen[key]

    def prompt(self, arguments: Mapping[str, Any] | None = None) -> str | None:
        """The prompt of a single question."""
        return self.text(_USER, generation=True, arguments=arguments)

    def tail(self, arguments: Mapping[str, Any] | None = None) -> str:
        """How that prompt ends, behind the question."""
        return (self.prompt(arguments) or "").rpartition(_QUESTION)[2]

    def asks(self, arguments: Mapping[str, Any] | None = None) -> bool:
        """Whether the template then writes a generation prompt."""
        return self.prompt(arguments) != self.text(_USER, arguments=arguments)

    def header(self, *after: Message, arguments: Mapping[str, Any] | None = None) -> str | None:
        """What stands between a question and its answer without any reasoning."""
        text = self.text(_USER, _REPLY, *after, arguments=arguments)
        if text is None or _ANSWER not in text:
            return None
        return text.partition(_ANSWER)[0].rpartition(_QUESTION)[2]

    def variants(self) -> Iterator[tuple[str, Any]]:
        """Every argument of the template with every value that may mean something to it."""
        for name, values in self.source.arguments.items():
            for value in values:
                yield name, value

    def _render(
        self, said: Sequence[Message], generation: bool, arguments: Mapping[str, Any]
    ) -> str | None:
        if self._silent:
            return None
        try:
            chat = replace(self._chat.having(arguments), system=self._chat.system)
            return chat.render(self._tokenizer, said, generation)
        except Exception:  # a template is the model's code, and may fail as it likes
            return None


@dataclass(frozen=True, slots=True)
class _Written:
    """A reasoning in a rendered turn: what stands before it, behind the question; between it and
    the answer; and behind the answer. tool: a call of a tool stands in the answer's place."""

    before: str
    between: str
    after: str
    tool: bool


def _written(view: _View) -> tuple[ThinkingFormat, Found, Mapping[str, Any]] | None:
    """The format in which the template writes a reasoning that it is given."""
    for arguments in ({}, *({name: value} for name, value in view.variants())):
        for message in _spellings(view.source):
            text = view.text(_USER, message, arguments=arguments)
            if text is None:  # Mistral's own tokenizers take no conversation that ends so
                text = view.text(_USER, message, _AGAIN, arguments=arguments)
            if message.get("tool_calls") and _behind_answers(view, message, arguments):
                continue
            written = _read(text) if text else None
            if written and (format := _as_format(view, written, arguments)):
                return format, "template", arguments
    return None


def _behind_answers(view: _View, message: Message, arguments: Mapping[str, Any]) -> bool:
    """Whether the template writes this reasoning behind an answer: it explains a call of a tool,
    and does not lead to the answer."""
    text = view.text(_USER, {**message, **_REPLY}, arguments=arguments) or ""
    return _ANSWER in text.partition(_REASONING)[0] and _REASONING in text


def _spellings(source: Source) -> Iterator[Message]:
    """An assistant's turn with a reasoning, in every way that templates are known to take one and
    in those that this one's own words suggest."""
    keys = dict.fromkeys((*_KEYS, *source.names))
    for key in keys:
        yield {**_REPLY, key: _REASONING}
    for kind in dict.fromkeys(("thinking", "reasoning", "thoughts", *source.names)):
        for block in (
            {"type": kind, "thinking": _REASONING},
            {"type": kind, "text": _REASONING},
            {"type": kind, kind: _REASONING},
            {"type": kind, "thinking": [{"type": "text", "text": _REASONING}]},
        ):
            yield {"role": "assistant", "content": [block, {"type": "text", "text": _ANSWER}]}
            answer = {"type": "response", "text": _ANSWER}
            yield {"role": "assistant", "content": {"blocks": [block, answer]}}
    call = {
        "type": "function",
        "id": _CALL,
        "function": {"name": _TOOL, "arguments": {"x": "1"}},
    }
    for key in keys:
        yield {"role": "assistant", "content": "", key: _REASONING, "tool_calls": [call]}


def _read(text: str) -> _Written | None:
    """None where the reasoning is not there, or is only echoed as part of a list or an object."""
    if text.count(_REASONING) != 1:
        return None
    before, _, rest = text.partition(_REASONING)
    if _QUESTION not in before or before.endswith(("'", '"')) or rest.startswith(("'", '"')):
        return None
    before = before.rpartition(_QUESTION)[2]
    tool = _ANSWER not in rest
    if tool:
        named = [mark for mark in (_TOOL, _CALL) if mark in rest]
        between = rest[: min(map(rest.index, named))] if named else ""
    else:
        between = rest.partition(_ANSWER)[0]
    if not between.strip():
        return None
    return _Written(before, between, rest.partition(_ANSWER)[2], tool)


def _as_format(
    view: _View, written: _Written, arguments: Mapping[str, Any]
) -> ThinkingFormat | None:
    stop = _shortest(written.between)
    end = written.between
    header = view.header(arguments=arguments)
    if written.tool:
        end = end[: end.index(stop) + len(stop)]
    start = _start(view, written.before, stop, arguments)
    if start is None:
        return None
    close = "" if written.tool else _answer_close(view, end, written.after)
    if written.tool and header is not None:
        opener = _behind(header, view.tail(arguments), stop)
        text = view.text(_USER, _REPLY, arguments=arguments) or ""
        end += opener
        close = _answer_close(view, end, text.partition(_ANSWER)[2]) if opener else ""
    return _named(ThinkingFormat("template", start, end, (stop,), close, newline=""))


def _behind(header: str, tail: str, stop: str) -> str:
    """What a turn without reasoning has more than the generation prompt: the answer's opener."""
    shared = header[: _shared(header, tail)]
    opener = header[len(shared) :]
    return opener.rpartition(stop)[2]


_TAG = re.compile(r"<[^<>\n]{1,64}>|\[[^\[\]\n]{1,64}\]|◁[^◁▷\n]{1,64}▷")
_PIECE = re.compile(_TAG.pattern + "|.", re.DOTALL)


def _shortest(end: str) -> str:
    """The shortest text that shows that the model is ending: the first tag, or the first line."""
    end = end.strip()
    tag = _TAG.search(end)
    return end[: tag.end()] if tag else end.partition("\n")[0].rstrip()


def _shared(one: str, other: str) -> int:
    """Length of the beginning that two texts share, no tag cut in two."""
    length = 0
    for a, b in zip(_PIECE.finditer(one), _PIECE.finditer(other), strict=False):
        if a.group() != b.group():
            break
        length = a.end()
    return length


def _start(view: _View, before: str, stop: str, arguments: Mapping[str, Any]) -> str | None:
    """What of `before` opens the thinking, as opposed to the turn; None where nothing does."""
    tail = view.tail(arguments)
    if tail and before.startswith(tail) and before[len(tail) :].strip():
        return before[len(tail) :]
    if before.strip() and tail.startswith(before) and stop not in tail[len(before) :]:
        more = tail[len(before) :]
        if more.strip():  # the prompt opens with words that past turns leave out
            return more
    opener = _opener(before, stop)
    header = view.header(arguments=arguments) or ""
    if opener is not None and opener in header and stop not in header.rpartition(opener)[2]:
        opener = None  # opens the turn
    for other in (
        view.header(_AGAIN, arguments=arguments),
        view.header(arguments=arguments),
        *(view.tail({name: value}) for name, value in view.variants()),
    ):
        start = before[_shared(before, other) :] if other else ""
        if start.strip() and (opener is None or start.lstrip().startswith(opener)):
            return start
    if opener is not None:
        return before[before.rindex(opener) :]
    words = _last_line(tail)
    return words if words and not _TAG.search(words) and _last_line(before) != words else None


def _last_line(text: str) -> str:
    """The last line that says something, with the whitespace behind it."""
    said = text.rstrip()
    return said[said.rfind("\n") + 1 :] + text[len(said) :] if said else ""


def _opener(before: str, stop: str) -> str | None:
    """The last tag in `before` that `stop` closes."""
    tags = [tag for tag in _TAG.findall(before) if stop in _closers(tag)]
    return tags[-1] if tags else None


_OPPOSITES = (
    ("start", "end"),
    ("begin", "end"),
    ("prefix", "suffix"),
    ("open", "close"),
    ("bot", "eot"),
    ("bo", "eo"),
)


def _closers(tag: str) -> list[str]:
    """The tags that may close `tag`."""
    found = [f"{tag[0]}/{tag[1:]}"]
    if tag.startswith("<|"):
        found += [f"<|/{tag[2:]}", f"</|{tag[2:]}"]
        if not tag.endswith("|>"):
            found.append(f"<{tag[2:-1]}|>")
    for opening, closing in _OPPOSITES:
        for one, other in ((opening, closing), (opening.upper(), closing.upper())):
            if one in tag:
                found.append(tag.replace(one, other))
    return found


def _answer_close(view: _View, end: str, after: str) -> str:
    """What closes an answer besides the end of the turn, which the user's turns have too: what
    answers the opener that the end of thinking has, or is the answer's alone."""
    if view.eos:
        after = after.partition(view.eos)[0]
    tags = _TAG.findall(after)
    if not tags:
        return ""
    user = view.tail()
    close = after[: after.index(tags[0]) + len(tags[0])].strip()
    if any(close in _closers(opener) for opener in _TAG.findall(end)):
        return close
    return "" if close == _shortest(user) and user.strip().startswith(close) else close


def _named(format: ThinkingFormat) -> ThinkingFormat:
    """The format under the name that one with the same marks has."""
    alike = [
        known
        for known in FORMATS.values()
        if known.end and (known.start.strip(), known.stops) == (format.start.strip(), format.stops)
    ]
    whole = [known for known in alike if "".join(known.end.split()) == "".join(format.end.split())]
    for known in (*whole, *alike):
        return replace(format, name=known.name)
    return format


def _opened(view: _View) -> tuple[ThinkingFormat, Found, Mapping[str, Any]] | None:
    """The format that a generation prompt opens."""
    for arguments in ({}, *({name: value} for name, value in view.variants())):
        tail = view.tail(arguments)
        start = _opened_at_end(view, tail, arguments)
        if start is not None:
            tag = start.strip()
            known = [f for f in FORMATS.values() if f.start.strip() == tag]
            closers = [c for c in _closers(tag) if c in view.source.text]
            stop = known[0].stops[0] if known else (closers or _closers(tag))[0]
            closed = _closed_block(view, tag, stop)
            return _named(_tagged("prompt", start, stop, closed)), "prompt", arguments
    return None


def _opened_at_end(view: _View, tail: str, arguments: Mapping[str, Any]) -> str | None:
    """What opens the thinking at the end of a prompt: a known opener, or a tag whose opposite the
    template has, and that is no part of a turn's header."""
    said = tail.rstrip()
    space = tail[len(said) :]
    for known in FORMATS.values():
        if known.start.strip() and said.endswith(known.start.strip()):
            return known.start.strip() + space
    tags = _TAG.findall(said)
    if not tags or not said.endswith(tags[-1]):
        return None
    tag = tags[-1]
    closers = [c for c in _closers(tag) if c in view.source.text]
    thinks = bool(_THINKING.search(tag))
    header = view.header(arguments=arguments)
    if header is not None and tag in header:
        if not any(c in header.rpartition(tag)[2] for c in closers):
            return None
    elif not thinks:
        closers = closers if header is not None else []
    return tag + space if closers or (thinks and tag[1] != "/") else None


_THINKING = re.compile(r"think|thought|reason", re.IGNORECASE)


def _tagged(name: str, start: str, stop: str, closed: str | None) -> ThinkingFormat:
    """A format from its tags. closed: how the template writes an empty block, behind the start's
    tag; None where it does not."""
    lead = "\n" if start.endswith("\n") else ""
    trail = "\n\n" if lead else ""
    if closed is not None:
        trail = closed.partition(stop)[2]
        trail = trail[: len(trail) - len(trail.lstrip())]
    return ThinkingFormat(name, start, f"{lead}{stop}{trail}", (stop,), newline="")


def _closed_block(view: _View, tag: str, stop: str) -> str | None:
    """What a prompt with thinking switched off has behind the opening tag."""
    for name, value in (("", None), *view.variants()):
        tail = view.tail({name: value} if name else None)
        _, found, rest = tail.rpartition(tag)
        if found and rest.strip().startswith(stop):
            return rest
    return None


def _described(view: _View) -> tuple[ThinkingFormat, Found, Mapping[str, Any]] | None:
    """The format of the table whose tags stand in what the template itself writes; sooner in the
    prompt of a question than elsewhere, where it may be about tools."""
    prompts = "\0".join(text for _, text in _prompts(view))
    return _told(view, prompts) or _told(view, view.source.written)


def _told(view: _View, told: str) -> tuple[ThinkingFormat, Found, Mapping[str, Any]] | None:
    for known in FORMATS.values():
        tag, stop = known.start.strip(), known.stops[0] if known.stops else ""
        if known is S1 or not stop or tag not in told or stop not in told:
            continue
        if not _TAG.search(tag):  # words, which no template writes around nothing
            return known, "table", _telling(view, tag, stop)
        if known.answer_close and known.answer_close not in told:
            continue
        block = re.search(f"{re.escape(tag)}(\\s*){re.escape(stop)}(\\s*)", told)
        start, lead, trail = known.start, known.lead, "\n\n" if known.lead else ""
        if block:
            space = block.group(1)
            start, trail = tag + ("\n" if space else ""), block.group(2)
            lead = "\n" if space else ""
            if "\n" not in trail:
                trail = ""
        format = ThinkingFormat(known.name, start, f"{lead}{stop}{trail}", (stop,), newline="")
        opening, close = _told_answer(view, stop)
        format = replace(format, end=format.end + opening, answer_close=close)
        return format, "table", _telling(view, tag, stop)
    return None


_ANSWERS = ("response", "answer", "solution", "output")


def _told_answer(view: _View, stop: str) -> tuple[str, str]:
    """The tags around the answer: those that a system text which describes the thinking also asks
    for, or those that the template takes off past answers."""
    for _, text in _prompts(view):
        if stop not in text:
            continue
        for word in _ANSWERS:
            opening, close = f"<{word}>", f"</{word}>"
            if opening in text and close in text:
                return opening, close
    for word in _ANSWERS:
        opening, close = f"<{word}>", f"</{word}>"
        if all(
            re.search(rf"""split\(["']{tag}["']""", view.source.text) for tag in (opening, close)
        ):
            return f"{opening}\n", close
    return "", ""


def _prompts(view: _View) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The prompt of one question under every argument, the plain one first."""
    for arguments in ({}, *({name: value} for name, value in view.variants())):
        text = view.prompt(arguments)
        if text is not None:
            yield arguments, text


def _telling(view: _View, tag: str, stop: str) -> Mapping[str, Any]:
    """Arguments under which the prompt describes the thinking; none where it always or never
    does."""
    for arguments, text in _prompts(view):
        described = text.rpartition(_QUESTION)[0]
        if tag in described and stop in described:
            return arguments
    return {}


def _switched(
    view: _View, format: ThinkingFormat, source: Found, needed: Mapping[str, Any]
) -> Thinking:
    """Whether thinking is on in the prompt as it is, and which arguments switch it.

    needed: the arguments without which the format was not seen.
    """
    thinking = Thinking(format, "on", source)
    plain = view.prompt()
    tail = view.tail()
    needed_prompt = view.prompt(needed) if needed else plain
    differs = needed_prompt != plain
    spoken = _spoken(view, thinking)

    def on(arguments: Mapping[str, Any]) -> bool:
        end = view.tail(arguments)
        if thinking.closed_by(end) or _closed_within(end, format):
            return False
        if thinking.opened_by(end):
            return True
        if thinking.opened_by(tail) or (view.asks() and not view.asks(arguments)):
            return False  # what opened the thinking, or the whole generation prompt, is gone
        if differs:
            return view.prompt(arguments) == needed_prompt
        if spoken:
            return view.prompt(arguments) == spoken
        return True

    state: State = "on" if on({}) else "off"
    arguments: dict[str, Any] = {}
    for name, values in view.source.arguments.items():
        states = {}
        changes = False
        for value in values:
            text = view.prompt({name: value})
            if text is None:
                continue
            states[json.dumps(value)] = on({name: value})
            changes |= view.tail({name: value}) != tail or states[json.dumps(value)] != on({})
        if changes and len({*states.values(), state == "on"}) > 1 and any(states.values()):
            having_on = [v for v in values if states.get(json.dumps(v))]
            opening = [v for v in having_on if thinking.opened_by(view.tail({name: v}))]
            arguments[name] = (opening or having_on)[0]
    effort, levels = _effort(view)
    return replace(
        thinking,
        state=state,
        opened=state == "on" and thinking.opened_by(tail),
        prompt_tail=tail,
        arguments=arguments,
        effort=effort,
        levels=levels,
        budget=_budget(view),
    )


_SWITCH = re.compile(r"think|thought|reason|delib", re.IGNORECASE)
_NEGATIVE = re.compile(r"(^|_)(no|not|skip|disable|without|hide|off)(_|$)|^no|skip|disab", re.I)


def _closed_within(tail: str, format: ThinkingFormat) -> bool:
    """Whether a prompt has opened the thinking behind the question and ended it again."""
    start = format.start.strip()
    _, opened, rest = tail.rpartition(start) if start else ("", "", "")
    return bool(opened) and any(stop in rest for stop in format.stops)


def _spoken(view: _View, thinking: Thinking) -> str | None:
    """The prompt with thinking on, where a switch only changes words in it that no delimiter shows
    (`Deliberation: disabled`) and is off as it is."""
    plain = view.prompt()
    for name, values in view.source.arguments.items():
        if not _SWITCH.search(name) or True not in values:
            continue
        one, other = view.prompt({name: True}), view.prompt({name: False})
        if one is None or other is None or one == other:
            continue
        if any(thinking.closed_by(view.tail({name: v})) for v in (True, False)):
            continue
        on, off = (other, one) if _NEGATIVE.search(name) else (one, other)
        if plain == off:
            return on
    return None


EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Levels of effort, from none to most, in the words that templates and Inspect use."""


_EFFORT = re.compile(r"effort|reason|strength|think\w*level", re.IGNORECASE)


def _effort(view: _View) -> tuple[str | None, tuple[str, ...]]:
    """(argument, levels): the one in which the template takes a level of effort."""
    for name in view.source.arguments:
        if not _EFFORT.search(name):
            continue
        shown = {level: view.prompt({name: level}) for level in EFFORTS}
        plain = view.prompt()
        levels = tuple(v for v, text in shown.items() if text is not None)
        distinct = {text for text in shown.values() if text is not None}
        if len(distinct | {plain}) > 2 or ("effort" in name.lower() and len(distinct) > 1):
            # A level that changes nothing is the usual one, or one that the template passes over.
            return name, tuple(v for v in levels if shown[v] != plain or v in view.source.words)
    return None, ()


def _budget(view: _View) -> str | None:
    """The argument whose number the prompt then names."""
    for name in view.source.arguments:
        if "budget" not in name.lower() and "tokens" not in name.lower():
            continue
        if all(str(n) in (view.prompt({name: n}) or "") for n in (1234, 5678)):
            return name
    return None
