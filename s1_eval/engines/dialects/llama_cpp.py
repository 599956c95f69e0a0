"""llama.cpp's server (`llama-server`, builds of 2025 and later): its own `/completion`, which takes
a prompt as ids and returns those it sampled. OpenAI's routes of the same server return none.

What is different there, as its README has it and build 11669 was seen to do:

- whatever a request leaves out is the server's default, and those are no plain sampling (top_k 40,
  top_p 0.95, min_p 0.05; top_p before temperature): samplers are named one by one;
- it stops at texts and at every end of sequence that the model has, never at other ids: the stop's
  text is a stop, its id counts, and what came after it is cut;
- it has no minimum: `continue_exactly` asks for that part by itself, with the stops banned;
- `ignore_eos` bans the end of sequence instead of going on after it;
- of its context one id stays free, and `truncated` is said of an answer that was cut or whose
  prompt was shifted out;
- a stream leaves ids out that end within a character, and so do log-probabilities; those of a stop
  come in a stream alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from s1_eval.engines.continuation import Request
from s1_eval.engines.dialects.protocol import (
    Answer,
    Ask,
    Card,
    Server,
    Sizes,
    Unstreamed,
    cached,
    length,
    ranked,
    whole_ids,
)
from s1_eval.engines.protocol import Stop, Tokenizer
from s1_eval.engines.replies import excerpt
from s1_eval.errors import UserError
from s1_eval.json_lines import JsonObject
from s1_eval.thinking import Logprobs

_ANY_SEED = -1
"""A new one. Left out, it is the server's own `--seed`, the same for every request."""

_FIELDS = (
    "tokens",
    "stop_type",
    "truncated",
    "tokens_predicted",
    "tokens_evaluated",
    "timings",
    "generation_settings",
    "completion_probabilities",
)
"""Of a reply: it would repeat the prompt as text."""

_ECHOED = ("n_predict", "temperature", "top_k", "top_p", "samplers", "mirostat", "ignore_eos")
"""Settings that decide what is sampled, as the reply says that they were taken."""


@dataclass(frozen=True)
class LlamaCpp:
    name: str = "llama_cpp"
    owners: tuple[str, ...] = ("llamacpp",)
    program: str = "llama.cpp"
    path: str = "/completion"
    minimum: bool = False
    sizes: Sizes = field(default=Sizes(prompt=64, likely=1024))  # each token with text and bytes

    async def card(self, ask: Ask, server: Server) -> Card:
        # A router of several models wants to know of which.
        reply = await ask("GET", f"{server.root}/props?model={quote(server.model, safe='')}")
        if reply.status == 401:
            raise UserError("give the server's key as api_key")
        props = reply.json()
        settings = props["default_generation_settings"]
        context = length(settings["n_ctx"])
        return Card(
            source=str(props.get("model_path") or server.model),
            context_length=context and context - 1,
            version=excerpt(str(props.get("build_info", "unknown"))),
            slots=length(props.get("total_slots")),
        )

    def tokenize(self, model: str, text: str) -> JsonObject:
        return {"model": model, "content": text, "add_special": False, "parse_special": True}

    def body(
        self, request: Request, model: str, tokenizer: Tokenizer | None, seeded: bool
    ) -> JsonObject:
        sampling, stop = request.sampling, request.stop
        samplers = ["temperature"]
        if sampling.temperature:  # in the order that vLLM and transformers have
            samplers += ["top_k"] * (sampling.top_k > 0) + ["top_p"] * (sampling.top_p < 1)
        seed = sampling.seed if seeded and sampling.temperature else None
        banned = request.banned | (stop.ids if stop.min_tokens else frozenset())
        body: JsonObject = {
            "model": model,  # for a router of several
            "prompt": list(request.prompt),
            "n_predict": request.max_tokens,
            "return_tokens": True,
            "cache_prompt": True,
            "n_cache_reuse": 0,  # no keys and values from other places of a text
            "response_fields": list(_FIELDS),
            "temperature": sampling.temperature,
            "dynatemp_range": 0.0,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "samplers": samplers,
            "mirostat": 0,
            "grammar": "",
            "ignore_eos": False,
            "seed": _ANY_SEED if seed is None else seed % (2**32 - 1),
            "logit_bias": [[id, False] for id in sorted(banned)],
            "n_probs": 0 if sampling.logprobs is None else max(sampling.logprobs, 1),
            "post_sampling_probs": False,
        }
        if not stop.min_tokens and (texts := _texts(stop, tokenizer)):
            # Special tokens have a text only where they are asked to be preserved.
            body |= {"stop": texts, "preserved_tokens": texts}
        return body if sampling.logprobs is None else self.streamed(body)

    def read(self, reply: Any, request: Request, body: JsonObject) -> Answer:
        ids, kind = whole_ids(reply["tokens"]), reply["stop_type"]
        if kind not in ("eos", "word", "limit"):
            raise ValueError(f"stop_type {kind!r}")
        if reply["truncated"] is not False:
            raise ValueError(
                "truncated: its context is shorter than it says, or shifts: start it without "
                "--context-shift, and with a larger --ctx-size or a smaller --parallel"
            )
        if reply["tokens_evaluated"] != len(request.prompt):
            raise ValueError("it changed the prompt's ids")
        if reply["tokens_predicted"] != len(ids):
            raise ValueError(f"it returned {len(ids)} of {reply['tokens_predicted']} sampled ids")
        _check_taken(reply.get("generation_settings", {}), body)
        timings = reply.get("timings")
        count = timings.get("cache_n") if isinstance(timings, dict) else None
        stops = frozenset() if request.stop.min_tokens else request.stop.ids
        end = next((at for at, id in enumerate(ids, 1) if id in stops), None)
        return Answer(
            tuple(ids[:end]),
            "length" if kind == "limit" and end is None else "stop",
            cached(count, len(request.prompt)),
        )

    def logprobs(self, reply: Any, ids: Sequence[int], likely: int) -> Logprobs:
        told = reply["completion_probabilities"][: len(ids)]
        if [place["id"] for place in told] != list(ids):
            raise ValueError("log-probabilities of other ids")
        places = [
            (place["logprob"], [(top["id"], top["logprob"]) for top in place["top_logprobs"]])
            for place in told
        ]
        return ranked(places, ids, likely)

    def streamed(self, body: JsonObject) -> JsonObject:
        return body | {"stream": True}

    def joined(self, whole: JsonObject, event: JsonObject) -> tuple[JsonObject, list[int]]:
        ids = whole_ids(event["tokens"])
        made = whole | event
        for name in ("tokens", "completion_probabilities"):
            made[name] = whole.get(name, []) + event.get(name, [])
        if event["tokens_predicted"] != len(made["tokens"]):
            raise Unstreamed("it leaves ids out of a stream that end within a character")
        return made, ids


def _texts(stop: Stop, tokenizer: Tokenizer | None) -> list[str]:
    """Texts that a stop has when it is sampled. That of an id which ends within a character has
    none of its own: what comes after it is cut."""
    texts = list(stop.strings)
    if tokenizer:
        shown = [tokenizer.decode([id], skip_special_tokens=False) for id in sorted(stop.ids)]
        texts += [text for text in shown if text and "\N{REPLACEMENT CHARACTER}" not in text]
    return texts


def _check_taken(settings: Mapping[str, Any], body: JsonObject) -> None:
    """Raises ValueError unless the server sampled as it was asked to, as far as it says."""
    if settings.get("grammar"):
        raise ValueError("it holds every answer to a grammar: start it without")
    for name in _ECHOED:
        if name in settings and not _same(settings[name], body[name]):
            raise ValueError(f"it sampled with {name}={settings[name]!r}, not {body[name]!r}")
    if body["seed"] != _ANY_SEED and settings.get("seed", body["seed"]) != body["seed"]:
        raise ValueError(f"it sampled with seed={settings['seed']!r}, not {body['seed']}")


def _same(said: Any, asked: Any) -> bool:
    """Servers compute in float32."""
    if isinstance(said, float) and isinstance(asked, int | float):
        return math.isclose(said, asked, rel_tol=1e-5)
    return bool(said == asked)
