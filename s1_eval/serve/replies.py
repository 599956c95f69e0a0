"""What clients get: objects of OpenAI's API, whole or in chunks, with what this server knows beside
them under `s1_eval`.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from s1_eval.engines.protocol import Stop
from s1_eval.errors import SampleFailed, UserError
from s1_eval.methods import METHODS
from s1_eval.serve.events import Event, Grown
from s1_eval.serve.gateway import Busy, Closing, Gateway, Job, NotRecorded, Solved
from s1_eval.serve.metrics import tokens_of
from s1_eval.serve.requests import Asked, BadRequest, ChatRequest
from s1_eval.serve.text import Held, Text, open_suffix
from s1_eval.thinking import CUT
from s1_eval.typed import flat

JsonObject = dict[str, Any]


class Unlike(RuntimeError):
    """What was streamed is not what the record has."""


@dataclass(frozen=True, slots=True)
class Reply:
    """To one request."""

    asked: Asked
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def chat(self) -> bool:
        return isinstance(self.asked, ChatRequest)

    def whole(self, solved: Sequence[Solved]) -> JsonObject:
        """All answers at once."""
        choices = []
        for index, each in enumerate(solved):
            said: JsonObject = {"reasoning_content": each.reasoning or None}
            if self.chat:
                message = {"role": "assistant", "content": each.text, **said}
                said = {"message": message}
            else:
                said = {"text": each.text, **said}
            ended = {"finish_reason": finish(each), "logprobs": None}
            choices.append({"index": index, **said, **ended, **self.about(each)})
        return {
            **self._head("chat.completion"),
            "choices": choices,
            "usage": usage(solved),
            "s1_eval": choices[0]["s1_eval"],
        }

    def chunk(
        self, index: int, text: str = "", reasoning: str = "", first: bool = False, **more: Any
    ) -> JsonObject:
        """A piece of an answer. more: fields of the choice."""
        said: JsonObject = {"reasoning_content": reasoning} if reasoning else {}
        if self.chat:
            if first:
                said["role"] = "assistant"
            if text or first:
                said["content"] = text
            said = {"delta": said}
        else:
            said["text"] = text
        choice = {"index": index, **said, "finish_reason": None, "logprobs": None, **more}
        return self._chunk([choice])

    def last(self, index: int, solved: Solved) -> JsonObject:
        """The end of an answer."""
        return self.chunk(index, finish_reason=finish(solved), **self.about(solved))

    def event(self, index: int, event: Event) -> JsonObject:
        """Progress."""
        return {**self.chunk(index), "s1_eval": {"event": event.to_dict()}}

    def usage(self, solved: Sequence[Solved]) -> JsonObject:
        """What follows the answers of a stream, where it is asked for."""
        return {**self._chunk([]), "usage": usage(solved)}

    def about(self, solved: Solved) -> JsonObject:
        """What only this server tells of an answer."""
        extra, run = self.asked.s1_eval, solved.run
        told: JsonObject = {
            "method": run.method.name,
            "settings": flat(run.settings),
            "run_id": solved.record["run_id"],
            "exit_reason": solved.outcome.exit_reason,
        }
        if extra.trace:
            told["trace"] = solved.trace
        if extra.record:
            told["record"] = solved.record
        return {"s1_eval": told}

    def _head(self, kind: str) -> JsonObject:
        return {
            "id": f"{'chatcmpl' if self.chat else 'cmpl'}-{self.id}",
            "object": kind if self.chat else "text_completion",
            "created": self.created,
            "model": self.asked.model,
        }

    def _chunk(self, choices: list[JsonObject]) -> JsonObject:
        options = self.asked.stream_options
        counted = {"usage": None} if options and options.include_usage else {}
        return {**self._head("chat.completion.chunk"), "choices": choices, **counted}


class Shown:
    """An answer that a single chain grows into, as far as it may be shown.

    Raises Unlike where the end is not what was shown.
    """

    def __init__(self, job: Job) -> None:
        policy = job.run.policy
        self._known: list[tuple[int, str]] = []  # id and role
        self._shown = 0
        self._thinking = Text(policy.decode)
        close = policy.delimiters.format.answer_close
        self._answer = Held(Stop(strings=(close,) if close else ()), policy.engine.tokenizer)
        self._content = Text(policy.decode_plain)
        self._stops = job.stops
        self._rest = ""
        self._stopped = False
        self.reasoning = self.text = ""

    def take(self, event: Grown) -> tuple[str, str]:
        """(reasoning, text) that may be shown now."""
        new = [(id, event.role) for id in event.ids]
        at, end = event.at, event.at + len(new)
        again = max(min(self._shown, end), at)
        if event.chain or at > len(self._known) or self._known[at:again] != new[: again - at]:
            raise Unlike("the chain took another way than it was shown")
        self._known[at:end] = new
        fresh, self._shown = self._known[self._shown :], len(self._known)
        thinking = [id for id, role in fresh if role == "thinking"]
        answer = [id for id, role in fresh if role in ("nudge", "answer")]
        reasoning = self._thinking.add(thinking) if thinking else ""
        self.reasoning += reasoning
        return reasoning, self._grow(answer)

    def end(self, solved: Solved) -> tuple[str, str]:
        """(reasoning, text) that are left."""
        reasoning, text = solved.reasoning, solved.text
        if not (reasoning.startswith(self.reasoning) and text.startswith(self.text)):
            raise Unlike("the answer is another one than was shown")
        return reasoning[len(self.reasoning) :], text[len(self.text) :]

    def _grow(self, ids: Sequence[int]) -> str:
        if not ids or self._stopped:
            return ""
        before = self._answer.settled
        self._answer.put(len(self._answer.ids), ids)
        settled = self._answer.ids[before : self._answer.settled]
        self._rest += self._content.add(settled) if settled else ""
        if not self.text:
            self._rest = self._rest.lstrip()
        found = [at for stop in self._stops if (at := self._rest.find(stop)) >= 0]
        sure = min(found, default=None)
        if sure is None:
            # Blanks at the end are none of the answer's.
            sure = min(
                len(self._rest.rstrip()), len(self._rest) - open_suffix(self._rest, self._stops)
            )
        else:
            self._stopped = True
        text, self._rest = self._rest[:sure], self._rest[sure:]
        self.text += text
        return text


def usage(solved: Sequence[Solved]) -> JsonObject:
    """Of all answers together. prompt_tokens: of all requests that the methods made of the engine,
    as an API bills them; cached_tokens is a part of them. completion_tokens: all that was sampled;
    reasoning_tokens and discarded_tokens are parts of them."""
    tokens = [tokens_of(each.outcome, each.record) for each in solved]
    total = {role: sum(each[role] for each in tokens) for role in tokens[0]}
    completion = sum(each.outcome.generated_tokens for each in solved)
    return {
        "prompt_tokens": total["prompt"],
        "completion_tokens": completion,
        "total_tokens": total["prompt"] + completion,
        "prompt_tokens_details": {"cached_tokens": total["cached"]},
        "completion_tokens_details": {"reasoning_tokens": total["thinking"]},
        "forced_tokens": total["forced"],
        "discarded_tokens": total["discarded"],
        "verifier_tokens": total["verifier"],
    }


def finish(solved: Solved) -> str:
    """OpenAI's word for why an answer ended."""
    return "length" if solved.record.get("answer_exit") in CUT else "stop"


def error_of(error: BaseException) -> tuple[int, JsonObject, dict[str, str]]:
    """(status, body, headers) for what went wrong."""
    status, kind, code, param = 500, "server_error", None, None
    headers: dict[str, str] = {}
    said = str(error) or type(error).__name__
    match error:
        case BadRequest():
            status, kind = error.status, "invalid_request_error"
            code, param = error.code, error.param
            if code == "model_not_found":
                status = 404
        case UserError():
            status, kind = 400, "invalid_request_error"
        case Busy():
            status, kind, code = 429, "rate_limit_error", "rate_limit_exceeded"
            headers["Retry-After"] = str(error.retry_after)
        case Closing():
            status, code = 503, "closing"
            headers["Retry-After"] = "10"
        case SampleFailed():
            status, code = 502, "sample_failed"
        case TimeoutError():
            status, code, said = 504, "timeout", "the time limit of this server is over"
        case NotRecorded():
            status, code = 507, "not_recorded"
        case Unlike():
            code = "unlike"
        case RuntimeError():
            status, code = 503, "engine_failed"
        case _:
            said = "an error of the server's, which its log has"
    body = {"error": {"message": said, "type": kind, "param": param, "code": code}}
    return status, body, headers


def sse(data: JsonObject) -> bytes:
    """As a server-sent event."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode(errors="replace") + b"\n\n"


def models(gateway: Gateway) -> JsonObject:
    """The list of models: the default method's under the bare name."""
    cards = [_card(gateway, gateway.name, gateway.default.name)]
    cards += [_card(gateway, f"{gateway.name}:{name}", name) for name in gateway.usable]
    return {"object": "list", "data": cards}


def _card(gateway: Gateway, id: str, method: str) -> JsonObject:
    of = METHODS.get(method, gateway.default)
    return {
        "id": id,
        "object": "model",
        "created": gateway.started,
        "owned_by": "s1_eval",
        "max_model_len": gateway.engine.info.context_length,
        "s1_eval": {
            "method": method,
            "summary": of.summary,
            "paper": of.paper,
            "needs": gateway.usable.get(method, []),
            "settings": gateway.shown(of),
        },
    }
