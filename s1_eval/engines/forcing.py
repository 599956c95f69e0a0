"""Budget forcing inside one vLLM request, as a logits processor: the end of thinking is ignored or
forced while the model samples, without a request per continuation.

One state machine in tensors, `Machine`, and two thin adapters for vLLM's two interfaces:
`ForcingV1` (CPUs, older GPU runner) and `ForcingV2`. Pass the one that fits explicitly; an entry
point would stop the other runner's engines from starting:

    python -m vllm.entrypoints.openai.api_server --model M \\
        --logits-processors s1_eval.engines.forcing:ForcingV1

Any OpenAI client then forces budgets by `vllm_xargs`, e.g. `{"max_thinking_tokens": 500,
"num_ignores": 2}`; see `read_settings` for all. The thinking format is the tokenizer's, or what
`S1_THINKING_FORMAT` says when the server starts. Imported by vLLM only; what a forced sequence
means is said in `s1_eval.methods.budget_forcing`.
"""

from __future__ import annotations

import os
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from s1_eval import libraries
from s1_eval.engines.checkpoints import eos_ids, load_tokenizer
from s1_eval.thinking import detect, in_ids

libraries.check(__name__)
from vllm.v1.sample.logits_processor import interface as v1  # noqa: E402
from vllm.v1.sample.logits_processor.builtin import process_dict_updates  # noqa: E402
from vllm.v1.worker.gpu.sample.logits_processor import interface as v2  # noqa: E402

if TYPE_CHECKING:
    from vllm import SamplingParams

LONGEST_STRING = 64
"""Bytes of a forced string, so that its ids fit the table: no token is shorter than a byte."""

ANSWER_RESERVE = 100
"""Tokens of the context left for the answer, as in `s1_eval.methods.budget_forcing`."""

_HISTORY = 4
"""Positions whose state is kept: sampled ids may be taken back, and are then sampled again."""

_KEPT = 8
"""Requests remembered per running one, so that a preempted request goes on where it was."""

_FREE, _START, _IGNORE, _NATURAL, _CUT, _CUT_AFTER_NEWLINE = range(-1, 5)
"""What is being forced: nothing, the thinking start, the ignore string, the end after the model's
own end, the end at the cap, and the same where the thinking ends with a newline already."""

_KIND, _AT, _USED, _IGNORES, _JUST_IGNORED, _CLOSED = range(6)
"""Columns of the state: what is forced and how far, thinking tokens, ends ignored so far, whether
the last thing was an ignore, whether thinking is closed."""

_CAP, _LEAST, _NUM_IGNORES, _SEED, _ROOM, _NUDGE_EOS = range(6)
"""Columns of the limits; room is what the context leaves for the start and the thinking."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one request asks for, in the words of `BudgetForcing`. max_thinking_tokens 0: no cap."""

    max_thinking_tokens: int = 0
    min_thinking_tokens: int = 0
    num_ignores: int = 0
    ignore_string: str = "Wait"
    final_answer_nudge: str = "Final Answer:"
    nudge_after_eos: int = 1


def read_settings(extra: Mapping[str, Any] | None) -> Settings | None:
    """The settings in a request's `vllm_xargs`; None where there are none of them.

    Raises ValueError, which vLLM reports to the client.
    """
    names = Settings.__dataclass_fields__
    given = {name: value for name, value in (extra or {}).items() if name in names}
    if not given:
        return None
    for name, value in given.items():
        if name in ("ignore_string", "final_answer_nudge"):
            if not isinstance(value, str) or len(value.encode()) > LONGEST_STRING:
                raise ValueError(f"{name}: give a text of at most {LONGEST_STRING} bytes")
        elif not isinstance(value, int) or not 0 <= value < 2**31:
            raise ValueError(f"{name}={value!r}: give a whole number of 0 or more")
    settings = Settings(**given)
    if 0 < settings.max_thinking_tokens < settings.min_thinking_tokens:
        raise ValueError("min_thinking_tokens is over max_thinking_tokens")
    return settings


def admit(params: SamplingParams) -> None:
    """Check a request at admission, and name it: a preempted request comes back under its name."""
    if read_settings(params.extra_args) is None:
        return
    if params.temperature > 0 and (params.top_p < 1 or params.top_k > 0 or params.min_p > 0):
        raise ValueError(
            "budget forcing in the engine samples from the whole distribution: "
            "leave top_p, top_k and min_p out"
        )
    params.extra_args = {**(params.extra_args or {}), "s1_request": uuid.uuid4().hex}


class Machine:
    """The state of all requests under forcing, and what their next ids may be.

    Every method works on tensors of `device` and never waits for it: whatever a request does is a
    `where`, no branch. A request has a slot in these tables, and keeps it while others come and go:

    `_state`: [slots, `_HISTORY`, 6], by the columns above. Where n ids are sampled, n % `_HISTORY`
        is what held when the last of them came, and what is found for the next one is written
        behind it. A runner that takes ids back only asks for a smaller n.
    `_limits`: [slots, 6], by the columns above. `_heat`: [slots], temperatures, 0 is greedy.
    `_queues`: [slots, 5, longest], ids of the five things that may be forced, by kind, padded with
        0; `_lengths`: [slots, 5], how many of them count, 0 where that is not to be forced.
    """

    def __init__(
        self, tokenizer: Any, model: str, *, context: int, requests: int, device: torch.device
    ) -> None:
        """model: name or folder, for its end-of-sequence ids. requests: that run at once.

        Raises UserError where the thinking format can't be told, ValueError where it can't be
        forced.
        """
        spec = os.environ.get("S1_THINKING_FORMAT", "auto")
        self._delimiters = in_ids(detect(spec, tokenizer, model).format, tokenizer, model)
        if not self._delimiters.end:
            raise ValueError(
                f"{model} shows no thinking: say its format by S1_THINKING_FORMAT, e.g. think_tags"
            )
        if self._delimiters.stop_strings:
            raise ValueError(
                f"the end of thinking {self._delimiters.stop_strings} is more than one token: "
                "force it by stop-and-continue"
            )
        self._tokenizer = tokenizer
        self._context = context
        self._device = device
        size = max(tokenizer.get_vocab().values()) + 1
        texts = tokenizer.batch_decode([[id] for id in range(size)])
        lead = self._delimiters.format.lead
        self._newline = self._tensor([text.endswith(lead) for text in texts])
        ends = eos_ids(model, tokenizer)
        self._stops = self._tensor(sorted(self._delimiters.stop_ids | ends))
        self._eos = self._tensor(sorted(ends))
        self._start = self._tensor(list(self._delimiters.start))
        longest = sum(map(len, (self._delimiters.newline, self._delimiters.end)))
        slots = _KEPT * requests
        self._state = torch.zeros(slots, _HISTORY, 6, dtype=torch.long, device=device)
        self._limits = torch.zeros(slots, 6, dtype=torch.long, device=device)
        self._heat = torch.zeros(slots, device=device)
        self._queues = torch.zeros(
            slots,
            5,
            longest + len(self._start) + LONGEST_STRING + 1,
            dtype=torch.long,
            device=device,
        )
        self._lengths = torch.zeros(slots, 5, dtype=torch.long, device=device)
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._unused = list(range(slots))

    def place(self, params: SamplingParams, prompt_length: int) -> tuple[int, bool] | None:
        """(slot, new) of a request that enters the batch; None if it asks for no forcing."""
        settings = read_settings(params.extra_args)
        if settings is None:
            return None
        name = str((params.extra_args or {}).get("s1_request", uuid.uuid4().hex))
        if name in self._slots:
            self._slots.move_to_end(name)
            return self._slots[name], False
        slot = self._unused.pop() if self._unused else self._slots.popitem(last=False)[1]
        self._slots[name] = slot
        self._write(slot, settings, params, prompt_length)
        return slot, True

    def open(self, slots: Tensor, tails: Tensor) -> None:
        """Start the chains of new requests.

        tails: [requests, length of the start delimiter], the last ids of their prompts. Where
        they are the delimiter, it is not forced again.
        """
        opened = (tails == self._start).all(-1)
        self._state[slots] = 0
        self._state[slots, 0, _KIND] = torch.where(opened, _FREE, _START)
        limits = self._limits[slots]
        room = limits[:, _ROOM] - torch.where(opened, 0, len(self._start))
        cap = torch.minimum(limits[:, _CAP], room).clamp(min=0)
        self._limits[slots, _CAP] = cap
        self._limits[slots, _LEAST] = torch.minimum(limits[:, _LEAST], cap)

    @property
    def start_length(self) -> int:
        """Ids of the start delimiter."""
        return len(self._start)

    def force(self, logits: Tensor, slots: Tensor, sampled: Tensor, last: Tensor) -> None:
        """Change the rows of `logits` [rows, vocabulary] in place.

        slots: [rows]. sampled: [rows], ids that each request has after its prompt. last: [rows],
        the latest of them.
        """
        kind, at, used, ignores, just_ignored, closed = self._state[
            slots, sampled % _HISTORY
        ].unbind(-1)
        cap, least, num_ignores, seed, _, nudge_eos = self._limits[slots].unbind(-1)
        lengths = self._lengths[slots]
        heat = self._heat[slots]

        # What the model would do, before anything is done about it; all [rows].
        thinking = (kind == _FREE) & (closed == 0)
        full = thinking & (used >= cap)
        early = thinking & ~full & ((just_ignored > 0) | (used < least))
        ends, by_eos = self._ends(logits, heat, seed, sampled)
        ends = thinking & ~full & ~early & ends
        final = ends & (ignores >= num_ignores)
        tight = ends & ~final & (used + lengths[:, _IGNORE] >= cap)
        ignored = ends & ~final & ~tight
        after_newline = self._newline[last.clamp(0, len(self._newline) - 1)] & (used > 0)
        cut = torch.where(after_newline, _CUT_AFTER_NEWLINE, _CUT)

        # What is done about it. An end that is ignored without a string is only suppressed.
        said = ignored & (lengths[:, _IGNORE] > 0)
        kind = torch.where(said, _IGNORE, kind)
        kind = torch.where(final, _NATURAL, kind)
        kind = torch.where(full | tight | (final & by_eos & (nudge_eos > 0)), cut, kind)
        forced = kind >= 0
        queue = kind.clamp(min=0)
        id = self._queues[slots, queue, at]
        at = at + 1
        done = forced & (at >= lengths.gather(1, queue[:, None])[:, 0])
        # The end must be impossible too where it has been drawn and not come out.
        suppressed = early | (ignored & ~said) | (thinking & ~forced & (heat > 0))
        self._suppress(logits, suppressed)
        self._choose(logits, forced, id)

        after = torch.stack(
            (
                torch.where(done, _FREE, kind),
                torch.where(forced & ~done, at, 0),
                used + ((thinking & ~forced) | (kind == _IGNORE)),
                ignores + ignored,
                (done & (kind == _IGNORE)).long(),
                ((closed > 0) | (done & (kind >= _NATURAL))).long(),
            ),
            -1,
        )
        self._state[slots, (sampled + 1) % _HISTORY] = after

    def _ends(
        self, logits: Tensor, heat: Tensor, seed: Tensor, sampled: Tensor
    ) -> tuple[Tensor, Tensor]:
        """[rows] each: whether the model ends its thinking here, greedily or as a draw falls, and
        whether by end-of-sequence, whose share comes first of what a draw may fall in."""
        best = logits.argmax(-1)
        scaled = logits.float() / torch.where(heat > 0, heat, 1.0)[:, None]
        whole, drawn = scaled.logsumexp(-1), _uniform(seed, sampled)
        found = [
            torch.where(
                heat > 0,
                drawn < (scaled[:, ids].logsumexp(-1) - whole).exp(),
                torch.isin(best, ids),
            )
            for ids in (self._stops, self._eos)
        ]
        return found[0], found[1]

    def _suppress(self, logits: Tensor, rows: Tensor) -> None:
        logits[:, self._stops] = torch.where(rows[:, None], -torch.inf, logits[:, self._stops])

    @staticmethod
    def _choose(logits: Tensor, rows: Tensor, ids: Tensor) -> None:
        column = ids[:, None]
        chosen = torch.where(rows[:, None], 1e9, logits.gather(1, column).double())
        logits.scatter_(1, column, chosen.to(logits.dtype))

    def _write(
        self, slot: int, settings: Settings, params: SamplingParams, prompt_length: int
    ) -> None:
        newline, end = list(self._delimiters.newline), list(self._delimiters.end)
        before = "" if self._delimiters.format.end.endswith("\n") else "\n"
        nudge = self._encode(before + settings.final_answer_nudge)
        if not settings.final_answer_nudge:
            nudge = []
        room = self._context - prompt_length - len(newline + end + nudge) - ANSWER_RESERVE
        seed = params.seed if params.seed is not None else int.from_bytes(os.urandom(4))
        cap, least = settings.max_thinking_tokens or room, settings.min_thinking_tokens
        self._limits[slot] = self._tensor(
            [cap, least, settings.num_ignores, seed, room, settings.nudge_after_eos]
        )
        self._heat[slot] = params.temperature
        queues = (
            list(self._delimiters.start),
            self._encode(settings.ignore_string),
            end,
            newline + end + nudge,
            end + nudge,
        )
        width = self._queues.shape[-1]
        self._queues[slot] = self._tensor([q + [0] * (width - len(q)) for q in queues])
        self._lengths[slot] = self._tensor([len(q) for q in queues])

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False)) if text else []

    def _tensor(self, values: Sequence[Any]) -> Tensor:
        tensor = torch.tensor(values)
        if self._device.type == "cuda":
            return tensor.pin_memory().to(self._device, non_blocking=True)
        return tensor.to(self._device)


def _uniform(seed: Tensor, position: Tensor) -> Tensor:
    """Numbers in [0, 1) that depend on seed and position alone (the mixer of SplitMix)."""
    x = (seed * 0x9E3779B1 + position * 0x85EBCA77 + 1) & 0xFFFFFFFF
    for factor in (0x21F0AAAD, 0x735A2D97):
        x = ((x ^ (x >> 16)) * factor) & 0xFFFFFFFF
    return (x ^ (x >> 15)).double() / 2**32


def _machine(vllm_config: Any, device: torch.device) -> Machine:
    model = vllm_config.model_config
    return Machine(
        load_tokenizer(model.tokenizer, model.tokenizer_revision, model.trust_remote_code),
        model.model,
        context=model.max_model_len,
        requests=vllm_config.scheduler_config.max_num_seqs,
        device=torch.device(device),
    )


class ForcingV1(v1.LogitsProcessor):  # type: ignore[misc]
    """For the V1 runner, which hands over lists of output ids."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._machine = _machine(vllm_config, device)
        self._device = device
        self._rows: dict[int, tuple[int, Sequence[int]]] = {}

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        admit(sampling_params)

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: v1.BatchUpdate | None) -> None:
        process_dict_updates(self._rows, batch_update, self._enter)

    def apply(self, logits: Tensor) -> Tensor:
        if not self._rows:
            return logits
        rows = torch.tensor(list(self._rows), device=self._device)
        slots, outputs = zip(*self._rows.values(), strict=True)
        sampled = [len(ids) for ids in outputs]
        last = [ids[-1] if ids else 0 for ids in outputs]
        table = torch.tensor([slots, sampled, last], device=self._device)
        changed = logits[rows]
        self._machine.force(changed, *table.unbind())
        logits[rows] = changed
        return logits

    def _enter(
        self, params: SamplingParams, prompt: list[int] | None, output: list[int]
    ) -> tuple[int, Sequence[int]] | None:
        prompt = prompt or []
        placed = self._machine.place(params, len(prompt))
        if placed is None:
            return None
        slot, new = placed
        if new:
            length = self._machine.start_length
            tail = [-1] * length + prompt
            tails = torch.tensor([tail[len(tail) - length :]], device=self._device)
            self._machine.open(torch.tensor([slot], device=self._device), tails)
        return slot, output


class ForcingV2(v2.LogitsProcessor):  # type: ignore[misc]
    """For the V2 runner, whose ids stay on the device. Its state machine is `ForcingV1`'s; the
    adapter is tested on CPU tensors and has not been run on a GPU."""

    def __init__(self, vllm_config: Any, req_states: v2.LogitsProcRequestState) -> None:
        self._machine = _machine(vllm_config, req_states.device)
        self._requests = req_states
        self._device = req_states.device
        self._slots = torch.full(
            (req_states.max_num_reqs,), -1, dtype=torch.long, device=self._device
        )
        self._active = [False] * req_states.max_num_reqs
        self._new: list[tuple[int, int, int]] = []

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        admit(sampling_params)

    def add_request(self, req_idx: int, sampling_params: SamplingParams) -> bool:
        length = int(self._requests.prompt_len.np[req_idx])
        placed = self._machine.place(sampling_params, length)
        self._active[req_idx] = placed is not None
        if placed is None:
            return False
        slot, new = placed
        self._slots[req_idx] = slot
        if new:
            self._new.append((req_idx, slot, length))
        return True

    def apply_staged_writes(self) -> None:
        for req_idx, slot, length in self._new:
            width = self._machine.start_length
            ids = self._requests.all_token_ids.gpu[req_idx]
            tail = ids[max(length - width, 0) : length]
            tails = torch.full((1, width), -1, dtype=ids.dtype, device=self._device)
            tails[0, width - len(tail) :] = tail
            self._machine.open(torch.tensor([slot], device=self._device), tails)
        self._new.clear()

    def apply(self, logits: Tensor, ctx: v2.LogitsContext) -> Tensor:
        forced = [at for at, req in enumerate(ctx.idx_mapping_np) if self._active[req]]
        if not forced:
            return logits
        # Without speculative decoding, which refuses processors, a request is one row.
        rows = torch.tensor(forced, device=self._device)
        requests = ctx.expanded_idx_mapping[rows].long()
        sampled = ctx.pos[rows].long() + 1 - self._requests.prompt_len.gpu[requests].long()
        changed = logits[rows]
        self._machine.force(changed, self._slots[requests], sampled, ctx.input_ids[rows].long())
        logits[rows] = changed
        return logits
