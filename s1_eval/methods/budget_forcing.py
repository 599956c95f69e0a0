"""Budget forcing (s1, section 3.1): thinking is ended by force at a cap, and attempts to end it
are ignored, `ignore_string` put in their place.

Reference: `generate_until` of the vLLM wrapper in simplescaling/s1's fork of lm-eval, whose
defects are not kept: the cap here is one total that forced ids count against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from s1_eval.engines.protocol import Stop
from s1_eval.errors import UserError
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import ExitReason, Outcome, Segment, Trace, encode_exactly, parse_format

ANSWER_RESERVE = 100
"""Tokens of the context that `auto` and uncapped thinking leave for the answer (reference)."""


@dataclass(frozen=True, slots=True)
class BudgetForcing:
    """Settings of budget forcing; they check themselves.

    max_thinking_tokens: the cap on thinking tokens, forced ones included; `auto` is the room
        that the context leaves, None no cap of its own.
    min_thinking_tokens: the end of thinking cannot be sampled before that many tokens.
    num_ignores: how many attempts to end thinking are ignored.
    ignore_string: forced after the thinking at each ignore; empty for "no string".
    final_answer_nudge: opens the answer, on a line of its own, only after a forced end.
    max_answer_tokens: limit of the answer; None is the rest of the context.
    thinking_format: see `s1_eval.thinking.parse_format`.
    until_thinking: further texts that end the thinking.
    temperature_thinking: temperature of the thinking where it differs from the answer's.
    """

    max_thinking_tokens: int | Literal["auto"] | None = None
    min_thinking_tokens: int = 0
    num_ignores: int = 0
    ignore_string: str = "Wait"
    final_answer_nudge: str = "Final Answer:"
    max_answer_tokens: int | None = None
    thinking_format: str | Mapping[str, str] = "auto"
    until_thinking: tuple[str, ...] = ()
    temperature_thinking: float | None = None

    def __post_init__(self) -> None:
        cap = self.max_thinking_tokens
        if cap is not None and cap != "auto" and not (_is_int(cap) and cap > 0):
            raise UserError(
                f"max_thinking_tokens={cap!r}: give a whole number of 1 or more, "
                "`auto` for what the context leaves, or leave it out for no cap"
            )
        for name in ("min_thinking_tokens", "num_ignores"):
            value = getattr(self, name)
            if not (_is_int(value) and value >= 0):
                raise UserError(f"{name}={value!r}: give a whole number of 0 or more")
        limit = self.max_answer_tokens
        if limit is not None and not (_is_int(limit) and limit > 0):
            raise UserError(f"max_answer_tokens={limit!r}: give a whole number of 1 or more")
        if isinstance(cap, int) and self.min_thinking_tokens > cap:
            raise UserError(
                f"min_thinking_tokens={self.min_thinking_tokens} is over "
                f"max_thinking_tokens={cap}: lower the minimum or raise the cap"
            )
        for name in ("ignore_string", "final_answer_nudge"):
            if not isinstance(getattr(self, name), str):
                raise UserError(f"{name}={getattr(self, name)!r}: give a text")
        temperature = self.temperature_thinking
        if temperature is not None and not 0 <= temperature < float("inf"):
            raise UserError(f"temperature_thinking={temperature}: give 0 (greedy) or more")
        parse_format(self.thinking_format)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


async def budget_forcing(policy: Policy, question: Question, params: BudgetForcing) -> Outcome:
    """Think under the budget, then answer."""
    trace = await force(policy, policy.prompt_ids(question), params)
    cap = params.max_thinking_tokens
    return Outcome(
        answer=answer_text(policy, trace),
        traces=(trace,),
        budget=cap if isinstance(cap, int) else None,
    )


async def force(policy: Policy, prompt: tuple[int, ...], params: BudgetForcing) -> Trace:
    """One chain under budget forcing, from the prompt to the end of the answer."""
    thinking = await think(policy, prompt, params)
    return await answer(policy, thinking, params)


async def think(policy: Policy, prompt: tuple[int, ...], params: BudgetForcing) -> Trace:
    """The thinking alone: the start delimiter, then sampled and forced ids up to the end, which
    is not yet written. Its length never exceeds the cap."""
    tokenizer, info = policy.engine.tokenizer, policy.engine.info
    delimiters = policy.delimiters
    ignore = encode_exactly(tokenizer, params.ignore_string, info.model)
    segments: list[Segment] = []
    if delimiters.start:
        segments.append(Segment("delimiter", "forced", delimiters.start))
    sequence = (*prompt, *delimiters.start)
    room = info.context_length - len(sequence) - _closing_tokens(policy, params)
    cap, limited_by = _cap(params, room)
    thinker = policy
    if params.temperature_thinking is not None:
        sampling = replace(policy.sampling, temperature=params.temperature_thinking)
        thinker = replace(policy, sampling=sampling)

    used, stripped, reused, ignores = 0, 0, 0, 0
    exit_reason: ExitReason = limited_by
    least = 0
    while used < cap:
        generation = await thinker.generate(
            sequence,
            max_tokens=cap - used,
            stop=Stop(
                delimiters.stop_ids | info.eos_ids,
                delimiters.stop_strings,
                min_tokens=max(least, min(params.min_thinking_tokens, cap) - used),
            ),
        )
        _append(segments, Segment("thinking", "sampled", generation.ids))
        sequence += generation.ids
        used += len(generation.ids)
        stripped += len(generation.stop_ids)
        reused += generation.reused
        if generation.reason == "length":
            break
        if ignores == params.num_ignores:
            exit_reason = "eos" if generation.stop_ids[0] in info.eos_ids else "natural"
            break
        if used + len(ignore) >= cap:  # no room for the string and one new token
            break
        ignores += 1
        segments.append(Segment("thinking", "forced", ignore))
        sequence += ignore
        used += len(ignore)
        least = 1  # the model may not end again immediately
    return Trace(prompt, tuple(segments), exit_reason, stripped=stripped, reused=reused)


async def answer(policy: Policy, thinking: Trace, params: BudgetForcing) -> Trace:
    """Close the thinking as its exit reason asks and let the model answer."""
    info = policy.engine.info
    closing = _closing(policy, thinking, params)
    sequence = (*thinking.prompt, *thinking.ids(), *(id for s in closing for id in s.ids))
    room = info.context_length - len(sequence)
    limit = room if params.max_answer_tokens is None else min(room, params.max_answer_tokens)
    segments = [*thinking.segments, *closing]
    if limit < 1:
        return replace(thinking, segments=tuple(segments), answer_cut=True)
    generation = await policy.generate(sequence, max_tokens=limit, stop=Stop(info.eos_ids))
    _append(segments, Segment("answer", "sampled", generation.ids))
    return replace(
        thinking,
        segments=tuple(segments),
        stripped=thinking.stripped + len(generation.stop_ids),
        reused=thinking.reused + generation.reused,
        answer_cut=generation.reason == "length",
    )


def answer_text(policy: Policy, trace: Trace) -> str:
    """What a grader reads: the nudge, where one was forced, and the answer after it."""
    return policy.decode_plain((*trace.ids("nudge"), *trace.ids("answer"))).strip()


def nudge_ids(policy: Policy, params: BudgetForcing) -> tuple[int, ...]:
    """The nudge's ids, on a line of its own after the end delimiter."""
    if not params.final_answer_nudge:
        return ()
    text = "\n" + params.final_answer_nudge
    return encode_exactly(policy.engine.tokenizer, text, policy.engine.info.model)


def _closing(policy: Policy, thinking: Trace, params: BudgetForcing) -> list[Segment]:
    end = Segment("delimiter", "forced", policy.delimiters.end)
    if thinking.exit_reason in ("natural", "eos"):
        return [end]
    tail: Sequence[int] = thinking.ids("thinking")[-1:]
    if not policy.decode(tail).endswith("\n"):
        end = Segment("delimiter", "forced", policy.delimiters.newline + policy.delimiters.end)
    nudge = nudge_ids(policy, params)
    return [end, Segment("nudge", "forced", nudge)] if nudge else [end]


def _closing_tokens(policy: Policy, params: BudgetForcing) -> int:
    """What must stay free behind the thinking: the forced end, the nudge and an answer."""
    delimiters = policy.delimiters
    forced = len(delimiters.newline) + len(delimiters.end) + len(nudge_ids(policy, params))
    return forced + min(params.max_answer_tokens or ANSWER_RESERVE, ANSWER_RESERVE)


def _cap(params: BudgetForcing, room: int) -> tuple[int, ExitReason]:
    """The number of thinking tokens at which this chain is cut, and what cuts it there."""
    cap = params.max_thinking_tokens
    if isinstance(cap, int) and cap <= room:
        return cap, "budget"
    return max(room, 0), "context"


def _append(segments: list[Segment], segment: Segment) -> None:
    if segment.ids:
        segments.append(segment)
