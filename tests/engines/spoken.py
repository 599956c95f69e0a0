"""How the server on loopback speaks, by dialect: what it is asked, what it answers, and what a
fault makes of the answer. The shapes are those of vLLM 0.32, of llama.cpp's server (its README and
build 11669) and of SGLang 0.5.23 (its documentation and source).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from s1_eval.engines.continuation import Request
from s1_eval.engines.protocol import Sampling, Stop

Body = dict[str, Any]
Fault = str | int

EOS = 0
PROMPT = "prompt_token_ids"


def told(ids: Iterable[int], likely: int) -> Body:
    """Log-probabilities as vLLM's server has them: id `n` has that of -(n + 1) / 8 in every place,
    and the sampled one stands first, whether it is likely or not."""
    ids = list(ids)
    every = [[id, *(n for n in range(likely) if n != id)] for id in ids]
    return {
        "token_logprobs": [-(id + 1) / 8 for id in ids],
        "top_logprobs": [{f"token_id:{n}": -(n + 1) / 8 for n in row} for row in every],
    }


class VLLM:
    path = "/v1/completions"

    def __init__(self, server: Any) -> None:
        self.server = server

    def get(self, path: str) -> Body | None:
        server = self.server
        if path == "/v1/models":
            card = {"id": "pseudo", "root": server.root, "max_model_len": server.max_model_len}
            return {"object": "list", "data": [card | self.signed()]}
        if path == "/version" and server.version:
            return {"version": server.version}
        return None

    def signed(self) -> Body:
        return {}

    def text(self, body: Body) -> str:
        """Of a request to tokenize."""
        return str(body["prompt"])

    def prompt(self, body: Body) -> list[int]:
        return list(body["prompt"])

    def request(self, body: Body) -> Request:
        return Request(
            prompt=tuple(body["prompt"]),
            max_tokens=body["max_tokens"],
            stop=Stop(
                frozenset(body.get("stop_token_ids", ())),
                tuple(body.get("stop", ())),
                body.get("min_tokens", 0),
            ),
            sampling=Sampling(body["temperature"], seed=body.get("seed")),
            banned=frozenset(int(id) for id in body.get("logit_bias", {})),
        )

    def reply(self, body: Body, ids: Sequence[int]) -> Body:
        server = self.server
        choice: Body = {
            "index": 0,
            "text": "",
            "finish_reason": "length" if len(ids) == body["max_tokens"] else "stop",
        }
        if body.get("return_token_ids") and "token_ids" in server.dialects:
            choice |= {"token_ids": list(ids), PROMPT: body["prompt"]}
        if body.get("return_tokens_as_token_ids") and "logprobs" in server.dialects:
            choice["logprobs"] = {"tokens": [f"token_id:{id}" for id in ids]}
            if server.tells:
                choice["logprobs"] |= told(ids, body["logprobs"])
        return {"choices": [choice], "usage": server.usage}

    def wrong(self, fault: Fault | None, reply: Body, body: Body) -> Body:
        [choice] = reply["choices"]
        ids = list(choice.get("token_ids") or ())
        wrong: dict[Fault | None, Body] = {
            "abort": {"finish_reason": "abort"},
            "early length": {"token_ids": ids[:-1], "finish_reason": "length"},
            "far id": {"token_ids": [1000, *ids[1:]]},
            "huge id": {"token_ids": [10**30, *ids[1:]]},
            "negative id": {"token_ids": [-1, *ids[1:]]},
            "no ids": {"token_ids": None, "logprobs": None},
            "one too many": {"token_ids": [*ids, 2]},
            "other prompt": {PROMPT: [1, 2]},
            "stop inside": {"token_ids": [*body.get("stop_token_ids", ()), *ids[1:]]},
            "words": {"token_ids": list(map(str, ids))},
        }
        return reply | {"choices": [choice | wrong.get(fault, {}) | self.server.answer]}

    def events(self, reply: Body, body: Body, broken: bool) -> str:
        """The reply as a stream, three ids an event; broken: the second can't be read."""
        [choice] = reply["choices"]
        usage = reply["usage"] if body["stream_options"]["include_usage"] else None
        ids = choice.get("token_ids") or choice["logprobs"]["tokens"]
        lines = []
        for at in range(0, len(ids), 3):
            some = ids[at : at + 3]
            part = {"index": 0, "text": "", "finish_reason": None}
            if "token_ids" in choice:
                part |= {"token_ids": some, PROMPT: None if at else choice.get(PROMPT)}
            else:
                part["logprobs"] = {"tokens": some}
            if "token_logprobs" in choice.get("logprobs", ()):
                part["logprobs"] = {k: row[at : at + 3] for k, row in choice["logprobs"].items()}
            if at + 3 >= len(ids):
                part["finish_reason"] = choice["finish_reason"]
            lines.append({"choices": [part]})
        return _streamed([*lines, {"choices": [], "usage": usage}], broken)


class LlamaCpp(VLLM):
    """It ends at every end of sequence that is not banned, and at texts. `settings`: what it says
    instead of the settings that it was asked for."""

    path = "/completion"

    def get(self, path: str) -> Body | None:
        server = self.server
        if path == "/v1/models":
            meta = {"n_vocab": 9, "n_ctx_train": 512}
            card = {"id": "pseudo", "object": "model", "owned_by": "llamacpp", "meta": meta}
            return {"models": [], "object": "list", "data": [card]}
        if path == "/props":
            settings = {"params": {"top_k": 40}, "n_ctx": server.max_model_len}
            return {
                "default_generation_settings": settings,
                "total_slots": 2,
                "model_path": server.root,
                "build_info": "b11669-Debian",
            } | server.card
        return None

    def text(self, body: Body) -> str:
        return str(body["content"])

    def request(self, body: Body) -> Request:
        banned = frozenset(id for id, bias in body.get("logit_bias", ()) if bias is False)
        return Request(
            prompt=tuple(body["prompt"]),
            max_tokens=body["n_predict"],
            stop=Stop(frozenset({EOS}) - banned, tuple(body.get("stop", ()))),
            sampling=Sampling(body["temperature"], seed=None if body["seed"] < 0 else body["seed"]),
            banned=banned,
        )

    def reply(self, body: Body, ids: Sequence[int]) -> Body:
        kinds = {True: "eos", False: "word"}
        kind = "limit" if len(ids) == body["n_predict"] else kinds[ids[-1] == EOS]
        settings = {
            k: body[k] for k in ("n_predict", "temperature", "samplers", "seed", "mirostat")
        }
        reply: Body = {
            "tokens": list(ids) if body["return_tokens"] else [],
            "stop_type": kind,
            "truncated": False,
            "tokens_predicted": len(ids),
            "tokens_evaluated": len(body["prompt"]),
            "timings": {"predicted_n": len(ids)} | (self.server.usage or {}),
            "generation_settings": settings
            | {"grammar": "", "temperature": body["temperature"] * 1.0000001},
        }
        if (likely := body["n_probs"]) and self.server.tells:
            reply["completion_probabilities"] = [
                {
                    "id": id,
                    "token": "",
                    "bytes": [],
                    "logprob": -(id + 1) / 8,
                    "top_logprobs": [{"id": n, "logprob": -(n + 1) / 8} for n in range(likely)],
                }
                for id in ids
            ]
        return reply

    def wrong(self, fault: Fault | None, reply: Body, body: Body) -> Body:
        ids = reply["tokens"]
        plain = [id for id in ids if id != EOS] + [2] * body["n_predict"]
        wrong: dict[Fault | None, Body] = {
            "abort": {"stop_type": "none"},
            "early length": {"tokens": ids[:-1], "stop_type": "limit"},
            "far id": {"tokens": [1000, *ids[1:]]},
            "huge id": {"tokens": [10**30, *ids[1:]]},
            "negative id": {"tokens": [-1, *ids[1:]]},
            "no ids": {"tokens": []},
            "one too many": {"tokens": plain[: body["n_predict"] + 1]},
            "other prompt": {"tokens_evaluated": len(body["prompt"]) + 1},
            "words": {"tokens": list(map(str, ids))},
            "truncated": {"truncated": True},
            "lost id": {"tokens_predicted": len(ids) + 1},
            "other sampling": {"generation_settings": {"temperature": 0.8}},
            "grammar": {"generation_settings": {"grammar": "root ::= object"}},
        }
        changed = reply | wrong.get(fault, {}) | self.server.answer
        if fault in ("early length", "one too many"):
            changed["tokens_predicted"] = len(changed["tokens"])
        return changed

    def events(self, reply: Body, body: Body, broken: bool) -> str:
        """An id an event, but for `server.lost`: those end within a character."""
        lines: list[Body] = []
        for at, id in enumerate(reply["tokens"]):
            line: Body = {"content": "", "tokens": [id], "stop": False, "tokens_predicted": at + 1}
            if places := reply.get("completion_probabilities"):
                line["completion_probabilities"] = [places[at]]
            if id not in self.server.lost:
                lines.append(line)
        rest = {k: v for k, v in reply.items() if k != "completion_probabilities"}
        return _streamed([*lines, rest | {"tokens": [], "stop": True}], broken, end="")


class SGLang(VLLM):
    """`ignore_eos` ignores other stops, too."""

    path = "/generate"

    def signed(self) -> Body:
        return {"owned_by": "sglang", "root": "pseudo"}

    def get(self, path: str) -> Body | None:
        server = self.server
        if path == "/model_info":
            return {"model_path": server.root, "tokenizer_path": server.root} | server.card
        if path == "/server_info":
            known = {"max_req_input_len": server.max_model_len and server.max_model_len - 6}
            return (
                {
                    "version": "0.5.23",
                    "incremental_streaming_output": True,
                    "enable_deterministic_inference": True,
                }
                | known
                | server.card
            )
        return super().get(path) if path == "/v1/models" else None

    def prompt(self, body: Body) -> list[int]:
        return list(body["input_ids"])

    def request(self, body: Body) -> Request:
        params = body["sampling_params"]
        ends = frozenset() if params["ignore_eos"] else frozenset({EOS, *params["stop_token_ids"]})
        return Request(
            prompt=tuple(body["input_ids"]),
            max_tokens=params["max_new_tokens"],
            stop=Stop(ends, tuple(params["stop"]), params["min_new_tokens"]),
            sampling=Sampling(params["temperature"], seed=params.get("sampling_seed")),
            banned=frozenset(
                int(id) for id, by in params.get("logit_bias", {}).items() if by < -99
            ),
        )

    def reply(self, body: Body, ids: Sequence[int]) -> Body:
        params = body["sampling_params"]
        reason: Body = {"type": "length", "length": len(ids)}
        if ids[-1] in self.request(body).stop.ids and len(ids) > params["min_new_tokens"]:
            reason = {"type": "stop", "matched": ids[-1]}
        elif len(ids) < params["max_new_tokens"]:
            reason = {"type": "stop", "matched": params["stop"][0]}
        meta: Body = {
            "id": "1",
            "finish_reason": reason,
            "prompt_tokens": len(body["input_ids"]),
            "completion_tokens": len(ids),
        } | (self.server.usage or {})
        if body.get("return_logprob") and self.server.tells:
            likely = body["top_logprobs_num"]
            meta["output_token_logprobs"] = [[-(id + 1) / 8, id, None] for id in ids]
            top = [[-(n + 1) / 8, n, None] for n in range(likely)]
            meta["output_top_logprobs"] = [top for _ in ids]
        return {"text": "", "output_ids": list(ids), "meta_info": meta}

    def wrong(self, fault: Fault | None, reply: Body, body: Body) -> Body:
        ids, meta = reply["output_ids"], reply["meta_info"]
        stops = body["sampling_params"]["stop_token_ids"]
        aborted = {"type": "abort", "message": "told to fail"}
        wrong: dict[Fault | None, Body] = {
            "abort": {"finish_reason": aborted},
            "early length": {
                "output_ids": ids[:-1],
                "finish_reason": {"type": "length", "length": len(ids)},
            },
            "far id": {"output_ids": [1000, *ids[1:]]},
            "huge id": {"output_ids": [10**30, *ids[1:]]},
            "negative id": {"output_ids": [-1, *ids[1:]]},
            "no ids": {"output_ids": None},
            "one too many": {"output_ids": [*ids, 2], "finish_reason": {"type": "length"}},
            "other prompt": {"prompt_tokens": len(body["input_ids"]) - 1},
            "stop inside": {"output_ids": [*stops, *ids[1:]], "finish_reason": {"type": "length"}},
            "words": {"output_ids": list(map(str, ids))},
            "lost id": {"completion_tokens": len(ids) + 1},
            "lost stop": {"finish_reason": {"type": "stop", "matched": int(ids[-1] == 0)}},
            "NaN": {"finish_reason": {"type": "stop", "matched": "NaN happened"}},
        }
        changed = wrong.get(fault, {}) | self.server.answer
        out = changed.pop("output_ids", ids)
        if fault in ("early length", "one too many", "stop inside"):
            changed["completion_tokens"] = len(out)
        return {"text": "", "output_ids": out, "meta_info": meta | changed}

    def events(self, reply: Body, body: Body, broken: bool) -> str:
        """Three ids an event."""
        ids, meta = reply["output_ids"], reply["meta_info"]
        lines = []
        for at in range(0, len(ids), 3):
            some = slice(at, at + 3)
            part = {k: v[some] for k, v in meta.items() if k.startswith("output_")}
            end = None if at + 3 < len(ids) else meta["finish_reason"]
            part |= {"completion_tokens": min(at + 3, len(ids)), "finish_reason": end}
            lines.append({"text": "", "output_ids": ids[some], "meta_info": meta | part})
        return _streamed(lines, broken)


def _streamed(events: Sequence[Body], broken: bool, end: str = "data: [DONE]\n\n") -> str:
    """Server-sent events; broken: the second can't be read."""
    lines = [f"data: {json.dumps(event)}" for event in events]
    if broken:
        lines[1] = lines[1][:20]
    return "".join(f"{line}\n\n" for line in lines) + end


SPEECHES = {"vllm": VLLM, "llama_cpp": LlamaCpp, "sglang": SGLang}
