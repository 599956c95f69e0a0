"""What clients send: `/v1/chat/completions` and `/v1/completions`, checked before anything is done.

A field means what OpenAI's API says, or is refused by its name: none is ignored that could change
the answer. `s1_eval` holds what only this server knows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from s1_eval.errors import UserError
from s1_eval.names import choose_from
from s1_eval.thinking import Message

HARMLESS = frozenset(("metadata", "prompt_cache_key", "safety_identifier", "user"))
"""Fields that tell who asks, and change no answer."""

NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "min_p": (0,),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("none",),
    "tools": ([],),
}
"""Fields that are not supported, and their values that ask for nothing."""

MOST_CHOICES = 128
"""Of one request: it is OpenAI's limit."""

DEEPEST = 64
"""Levels of nesting that a body may have."""


class BadRequest(UserError):
    """The request can't be taken. param: the field that is wrong; code: OpenAI's word for why."""

    status = 400

    def __init__(self, said: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(said)
        self.param, self.code = param, code


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TextPart(_Strict):
    """Of a message: the engines read text alone."""

    type: Literal["text"]
    text: str


class ChatMessage(_Strict):
    """One of the conversation. What clients send back of an answer is taken where it is empty."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    reasoning_content: str | None = None
    s1_eval: Any = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    audio: None = None
    function_call: None = None
    name: None = None
    refusal: None = None
    tool_calls: Annotated[list[Any], Field(max_length=0)] | None = None

    def message(self) -> Message:
        """For a chat template. Several texts of one message stand on lines of their own."""
        parts = self.content
        text = parts if isinstance(parts, str) else "\n".join(part.text for part in parts)
        said = {"role": "system" if self.role == "developer" else self.role, "content": text}
        if self.reasoning_content:
            said["reasoning_content"] = self.reasoning_content
        return said


class Extra(BaseModel):
    """`s1_eval` of a request: whatever else it has are the method's settings.

    method: in place of the one in the model's name. grader: by which a method that votes compares
    answers, a name or a mapping with it as `name`. target: the right answer, if it is known: the
    record then has a verdict. sample_id, epoch: what the record calls the question, and what its
    seed depends on; by default a hash of the conversation, and 1.
    record: the answer holds the sample record. trace: it holds the trace. events: a stream holds
    every event of `s1_eval.serve.events`.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    method: str | None = None
    grader: str | dict[str, Any] = "math"
    target: Annotated[str, Field(min_length=1)] | None = None
    options: list[str] = []
    sample_id: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    epoch: Annotated[int, Field(ge=1, le=1 << 31)] = 1
    record: bool = False
    trace: bool = True
    events: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class StreamOptions(_Strict):
    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class Asked(_Strict):
    """What both kinds of request have. raw: see `s1_eval.methods.Question`."""

    raw: ClassVar[bool]
    model: str
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=1 << 31)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1 << 31)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    reasoning_effort: str | None = None
    s1_eval: Extra = Extra()

    @model_validator(mode="after")
    def _options_of_a_stream(self) -> Asked:
        if self.stream_options and not self.stream:
            raise ValueError("stream_options: only with stream=true")
        if self.s1_eval.events and not self.stream:
            raise ValueError("s1_eval.events: only with stream=true")
        if not all(self.stops):
            raise ValueError("stop: an empty text would stop everything, leave it out")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def limit(self) -> int | None:
        """Of a chain's tokens."""
        return self.max_tokens

    @property
    def prompts(self) -> list[tuple[str, tuple[Message, ...]]]:
        """The questions, each with what was said before it."""
        raise NotImplementedError


class ChatRequest(Asked):
    """`/v1/chat/completions`."""

    raw: ClassVar[bool] = False
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1, le=1 << 31)] | None = None

    @model_validator(mode="after")
    def _a_user_asks(self) -> ChatRequest:
        if (role := self.messages[-1].role) != "user":
            raise ValueError(
                f"messages: the last one is of the role {role!r}, and a method answers a user's: "
                "an answer that was begun can't be gone on with, since thinking comes first"
            )
        if None not in (self.max_tokens, self.max_completion_tokens):
            raise ValueError("max_tokens: leave it out beside max_completion_tokens")
        return self

    @property
    def limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def prompts(self) -> list[tuple[str, tuple[Message, ...]]]:
        *before, last = (message.message() for message in self.messages)
        return [(last["content"], tuple(before))]


class TextRequest(Asked):
    """`/v1/completions`: text to go on with, as a base model reads it."""

    raw: ClassVar[bool] = True
    prompt: str | Annotated[list[str], Field(min_length=1, max_length=MOST_CHOICES)]

    @property
    def prompts(self) -> list[tuple[str, tuple[Message, ...]]]:
        texts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        return [(text, ()) for text in texts]


def read_body(body: bytes) -> dict[str, Any]:
    """The JSON object. Raises BadRequest on anything else: hostile input."""
    try:
        found = json.loads(body.decode(), parse_constant=_refuse)
        if b"\\u" in body:
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRequest("the body holds half of a surrogate pair, which is no text") from None
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is no JSON: {str(error)[:200]}") from None
    if not isinstance(found, dict):
        raise BadRequest("the body is no JSON object")
    if _deeper(found, DEEPEST):
        raise BadRequest(f"the body is nested deeper than {DEEPEST} levels")
    return found


def read_request(kind: type[Asked], body: bytes) -> Any:
    """The request, a `kind`. Raises BadRequest with the field that is wrong."""
    given = read_body(body)
    asked = {
        name: value
        for name, value in given.items()
        if name not in HARMLESS
        and (value is not None or name in kind.model_fields)
        and not any(_same(value, usual) for usual in NEUTRAL.get(name, ()))
    }
    if given.get("s1_eval") is None:
        asked.pop("s1_eval", None)
    if kind is TextRequest and _has_ids(given.get("prompt")):
        raise BadRequest("prompt: token ids are not taken: give its text", "prompt")
    try:
        return kind.model_validate(asked)
    except ValidationError as error:
        _say(error, kind)


def sample_id(prompt: str, before: tuple[Message, ...]) -> str:
    """What a record calls a question that has no id."""
    said = json.dumps([prompt, *before], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _say(error: ValidationError, kind: type[Asked]) -> NoReturn:
    """Raises BadRequest about the first thing that is wrong."""
    # Of the kinds that a value may have, the one that it came nearest to.
    errors = error.errors(include_url=False, include_input=False)
    first = max(errors, key=lambda each: (len(each["loc"]), not each["type"].endswith("_type")))
    place = [
        str(part) for part in first["loc"] if re.fullmatch(r"\w+", str(part)) and part != "str"
    ]
    param = ".".join(place) or None
    if first["type"] == "extra_forbidden":
        known = kind.model_fields if len(place) == 1 else ()
        instead = f" or {choose_from(place[-1], known)}" if known else ""
        raise BadRequest(f"{param} is not supported: leave it out{instead}", param)
    said = first["msg"].removeprefix("Value error, ")
    raise BadRequest(f"{param}: {said}" if param else said, param or said.partition(":")[0])


def _same(value: Any, usual: Any) -> bool:
    return bool(value == usual) and isinstance(value, bool) == isinstance(usual, bool)


def _has_ids(prompt: Any) -> bool:
    return isinstance(prompt, list) and bool(prompt) and not isinstance(prompt[0], str)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inner) and (levels == 0 or any(_deeper(each, levels - 1) for each in inner))
