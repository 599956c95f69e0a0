"""SGLang's servers (0.4.6 to 0.5.23): their own `/generate`, with `input_ids` in and `output_ids`
out. Read from their documentation and source, and tested on replies of their shape.

What is different there:

- `ignore_eos` ignores `stop_token_ids`, too: an end of sequence that is no stop ends an answer, and
  `continue_exactly` goes on after it;
- a seed counts only under `--enable-deterministic-inference`;
- `preferred_sampling_params` of the server stand in for whatever a request leaves out;
- under `--allow-auto-truncate` prompts and answers are cut instead of refused;
- log-probabilities are those after temperature and bans;
- a stream says every id anew with each event, unless `--incremental-streaming-output`;
- an id that is none (the model computed NaN) is replaced, and ends the answer like a stop.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from s1_eval.engines.protocol import Sampling, Stop, Tokenizer
from s1_eval.engines.replies import excerpt
from s1_eval.errors import UserError
from s1_eval.json_lines import JsonObject
from s1_eval.thinking import Logprobs

_RESERVE = 6
"""Ids of the context that stay free: its scheduler takes prompts up to 6 below."""

_BAN = -1e9
"""Added to a logit."""

_LISTS = ("output_token_logprobs", "output_top_logprobs")


@dataclass(frozen=True)
class SGLang:
    name: str = "sglang"
    owners: tuple[str, ...] = ("sglang",)
    program: str = "SGLang"
    path: str = "/generate"
    minimum: bool = True
    sizes: Sizes = field(default=Sizes(sampled=2048))  # an event says all about its request

    async def card(self, ask: Ask, server: Server) -> Card:
        model = await told(ask, server.root, "/model_info", "/get_model_info")
        info = await told(ask, server.root, "/server_info", "/get_server_info")
        source = model["model_path"]
        self._check_preferred(model.get("preferred_sampling_params"))
        lengths = [length(server.listed.get("max_model_len")), length(info.get("context_length"))]
        known = [each - _RESERVE for each in lengths if each]
        known += filter(None, [length(info.get("max_req_input_len"))])
        deterministic = info.get("enable_deterministic_inference") is True
        return Card(
            source=str(model.get("tokenizer_path") or source),
            context_length=min(known, default=None),
            version=excerpt(str(info.get("version", "unknown"))),
            seeding="request" if deterministic else "engine",
            slots=length(info.get("max_running_requests")),
            streams=info.get("incremental_streaming_output") is True,
        )

    def _check_preferred(self, preferred: Any) -> None:
        known = self.body(Request((0,), 1, Stop(), Sampling()), "", None, False)["sampling_params"]
        if others := sorted(set(preferred or ()) - set(known)):
            raise UserError(
                f"it samples with preferred_sampling_params that no request undoes "
                f"({excerpt(', '.join(map(str, others)))}): start it without"
            )

    def tokenize(self, model: str, text: str) -> JsonObject:
        return {"model": model, "prompt": text, "add_special_tokens": False}

    def body(
        self, request: Request, model: str, tokenizer: Tokenizer | None, seeded: bool
    ) -> JsonObject:
        sampling, stop = request.sampling, request.stop
        params: JsonObject = {
            "max_new_tokens": request.max_tokens,
            "min_new_tokens": stop.min_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "ignore_eos": False,
            "stop": list(stop.strings),
            "stop_token_ids": sorted(stop.ids),
            "skip_special_tokens": False,
            "spaces_between_special_tokens": False,
            "no_stop_trim": True,
            "n": 1,
            "json_schema": None,
            "regex": None,
        }
        if request.banned:
            params["logit_bias"] = {str(id): _BAN for id in sorted(request.banned)}
        if sampling.seed is not None and sampling.temperature and seeded:
            params["sampling_seed"] = sampling.seed
        body: JsonObject = {"input_ids": list(request.prompt), "sampling_params": params}
        if (likely := sampling.logprobs) is not None:
            if sampling.temperature not in (0, 1) or request.banned or stop.min_tokens:
                raise UserError(
                    f"logprobs={likely}: SGLang tells log-probabilities after temperature and "
                    "bans: ask for them at temperature 0 or 1 and without a minimum, or use "
                    "s1_hf, s1_vllm, or vLLM's server"
                )
            body |= {"return_logprob": True, "top_logprobs_num": likely}
        return body

    def read(self, reply: Any, request: Request, body: JsonObject) -> Answer:
        ids, meta = whole_ids(reply["output_ids"]), reply["meta_info"]
        reason = meta["finish_reason"]
        kind, matched = reason["type"], reason.get("matched")
        if kind not in ("stop", "length"):
            raise ValueError(f"finish_reason {kind!r}: {excerpt(str(reason.get('message')))}")
        if isinstance(matched, str) and matched not in request.stop.strings:
            raise ValueError(f"finish_reason {excerpt(matched)!r}, which was no stop")
        if meta["prompt_tokens"] != len(request.prompt):
            raise ValueError("it changed the prompt's ids")
        if meta["completion_tokens"] != len(ids):
            raise ValueError(f"it returned {len(ids)} of {meta['completion_tokens']} sampled ids")
        if type(matched) is int and ids[-1] != matched:
            raise ValueError(f"it left out the id {matched} that ended the answer")
        return Answer(tuple(ids), kind, cached(meta.get("cached_tokens"), len(request.prompt)))

    def logprobs(self, reply: Any, ids: Sequence[int], likely: int) -> Logprobs:
        own, top = (reply["meta_info"].get(name) for name in _LISTS)
        if [id for _, id, *_ in own] != list(ids):
            raise ValueError("log-probabilities of other ids")
        tops = top if likely else [[]] * len(own)
        places = [
            (value, [(id, each) for each, id, *_ in others])
            for (value, *_), others in zip(own, tops, strict=True)
        ]
        return ranked(places, ids, likely)

    def streamed(self, body: JsonObject) -> JsonObject:
        return body | {"stream": True}

    def joined(self, whole: JsonObject, event: JsonObject) -> tuple[JsonObject, list[int]]:
        new, meta = whole_ids(event["output_ids"]), event["meta_info"]
        before = whole.get("output_ids", [])
        if meta["completion_tokens"] != len(before) + len(new):
            raise ValueError("a stream that is not incremental")
        known = whole.get("meta_info", {})
        lists = {name: known.get(name, []) + meta[name] for name in _LISTS if meta.get(name)}
        return {"output_ids": before + new, "meta_info": known | meta | lists}, new
