"""vLLM's servers (0.10 to 0.32): OpenAI's completions, with prompts as ids. They return sampled
ids as such, or, the older ones, in the place of the tokens' text beside log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from s1_eval.engines.continuation import Request
from s1_eval.engines.dialects.protocol import (
    Answer,
    Ask,
    Card,
    Server,
    Sizes,
    cached,
    length,
    ranked,
    told,
    whole_ids,
)
from s1_eval.engines.protocol import Tokenizer
from s1_eval.engines.replies import excerpt
from s1_eval.json_lines import JsonObject
from s1_eval.thinking import Logprobs

_NAMED = {"return_tokens_as_token_ids": True}
"""Tokens come as `token_id:N`."""


@dataclass(frozen=True)
class VLLM:
    """options: how the server is asked for the ids that it sampled."""

    name: str
    options: Mapping[str, Any]
    owners: tuple[str, ...] = ("vllm",)
    program: str = "vLLM"
    path: str = "/v1/completions"
    minimum: bool = True
    sizes: Sizes = field(default=Sizes())

    async def card(self, ask: Ask, server: Server) -> Card:
        """Any server may be vLLM's: what it returns decides."""
        version = (await told(ask, server.root, "/version")).get("version", "unknown")
        return Card(
            source=str(server.listed.get("root") or server.model),
            context_length=length(server.listed.get("max_model_len")),
            version=excerpt(str(version)),
        )

    def tokenize(self, model: str, text: str) -> JsonObject:
        return {"model": model, "prompt": text, "add_special_tokens": False}

    def body(
        self, request: Request, model: str, tokenizer: Tokenizer | None, seeded: bool
    ) -> JsonObject:
        sampling, stop = request.sampling, request.stop
        body: JsonObject = {
            "model": model,
            "prompt": list(request.prompt),
            "max_tokens": request.max_tokens,
            "temperature": sampling.temperature,
            # vLLM takes what is left out from the model's generation config.
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "min_tokens": stop.min_tokens,
            "ignore_eos": True,
            "stop_token_ids": sorted(stop.ids),
            "skip_special_tokens": False,
            **self.options,
        }
        if sampling.logprobs is not None:
            likely = max(sampling.logprobs, int(body.get("logprobs", 0)))
            body |= {"logprobs": likely, **_NAMED}
        if stop.strings:
            body["stop"] = list(stop.strings)
        if request.banned:
            body["logit_bias"] = {str(id): -100 for id in sorted(request.banned)}
        if sampling.seed is not None and sampling.temperature and seeded:
            body["seed"] = sampling.seed
        return body

    def read(self, reply: Any, request: Request, body: JsonObject) -> Answer:
        choice = reply["choices"][0]
        reason = choice["finish_reason"]
        prompt = list(request.prompt)
        if (choice.get("prompt_token_ids") or prompt) != prompt:
            raise ValueError("it changed the prompt's ids")
        ids = self._ids(choice)
        if reason not in ("stop", "length"):
            raise ValueError(f"finish_reason {reason!r}")
        usage = reply.get("usage")
        details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
        count = details.get("cached_tokens") if isinstance(details, dict) else None
        return Answer(tuple(ids), reason, cached(count, len(prompt)))

    def _ids(self, choice: Any) -> list[int]:
        if "logprobs" not in self.options:
            return whole_ids(choice["token_ids"])
        tokens = choice["logprobs"]["tokens"]
        return whole_ids([_named_id(token) for token in tokens])

    def logprobs(self, reply: Any, ids: Sequence[int], likely: int) -> Logprobs:
        told = reply["choices"][0]["logprobs"]
        values = told["token_logprobs"]
        tops = told["top_logprobs"] if likely else [{}] * len(values)
        places = []
        for value, others in zip(values, tops, strict=True):
            # More than were asked for come where the sampled one is not likely itself.
            places.append((value, [(_named_id(name), each) for name, each in others.items()]))
        return ranked(places, ids, likely)

    def streamed(self, body: JsonObject) -> JsonObject:
        return body | {"stream": True, "stream_options": {"include_usage": True}}

    def joined(self, whole: JsonObject, event: JsonObject) -> tuple[JsonObject, list[int]]:
        choices = event["choices"][:1]
        made, ids = whole | event, []
        made["choices"] = whole.get("choices", [])
        for choice in choices:
            ids = self._ids(choice)
            [known] = whole.get("choices") or [{}]
            made["choices"] = [_joined(known, choice)]
        return made, ids


VLLM_IDS = VLLM("vllm", {"return_token_ids": True})
VLLM_LOGPROBS = VLLM("vllm_logprobs", {"logprobs": 1, **_NAMED})


def _named_id(name: str) -> int:
    if not name.startswith("token_id:"):
        raise ValueError("it names tokens by their text")
    return int(name.removeprefix("token_id:"))


def _joined(before: JsonObject, more: JsonObject) -> JsonObject:
    """A choice as far as it is known, and what an event adds: lists go on, anything else is said
    anew."""
    joined = dict(before)
    for name, value in more.items():
        there = joined.get(name)
        if value is None and there is not None:
            continue
        if isinstance(there, dict) and isinstance(value, dict):
            joined[name] = _joined(there, value)
        elif isinstance(there, list) and isinstance(value, list):
            joined[name] = there + value
        else:
            joined[name] = value
    return joined
