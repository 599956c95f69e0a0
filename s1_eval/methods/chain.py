"""One chain under a budget: thinking is ended by force at a cap, and attempts to end it are
ignored, `ignore_string` put in their place (s1, section 3.1). Which chains are asked for is each
method's own affair.

While a chain grows, `prompt + trace.ids()` is what the engine is asked to continue, id for id:
nothing is encoded again. A stop is sampled and paid for but stands in no segment; `stripped`
counts it. Thinking never exceeds the cap, forced ids included, and an ignore string has a sampled
id behind it, so no chain ends in a "Wait" that nobody answered.

Reference: `generate_until` of the vLLM wrapper in simplescaling/s1's fork of lm-eval, whose
defects are not kept: the cap here is one total that forced ids count against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Literal

from s1_eval.engines.following import Next, followed_by
from s1_eval.engines.protocol import Generation, Stop, split_at_stop
from s1_eval.errors import UserError
from s1_eval.methods.method import Budget, Dial
from s1_eval.methods.policy import Policy
from s1_eval.thinking import (
    AnswerExit,
    Delimiters,
    ExitReason,
    Role,
    Segment,
    Trace,
    encode_exactly,
    parse_format,
)
from s1_eval.typed import Count, Positive, Settings, Temperature

ANSWER_RESERVE = 100
"""Tokens of the context that `auto` and uncapped thinking leave for the answer (reference)."""


@dataclass(frozen=True, slots=True)
class BudgetForcing(Settings):
    """Settings of budget forcing; they check themselves.

    max_thinking_tokens: the cap on thinking tokens, forced ones included; `auto` is the room
        that the context leaves, None no cap of its own.
    min_thinking_tokens: the end of thinking cannot be sampled before that many tokens.
    num_ignores: how many attempts to end thinking are ignored.
    ignore_string: forced after the thinking at each ignore; empty for "no string".
    final_answer_nudge: opens the answer, on a line of its own, only after a forced end.
    max_answer_tokens: limit of the answer; None is the rest of the context.
    nudge_after_eos: thinking that ends by end-of-sequence is ended by force too, so the nudge
        follows; False puts the end delimiter there alone, as after the model's own (reference).
    ban_delimiters: after a forced end the answer can't open or close thinking again.
    thinking_format: see `s1_eval.thinking.parse_format`.
    until_thinking: further texts that end the thinking.
    temperature_thinking: temperature of the thinking where it differs from the answer's.
    """

    max_thinking_tokens: Positive | Literal["auto"] | None = None
    min_thinking_tokens: Count = 0
    num_ignores: Count = 0
    ignore_string: str = "Wait"
    final_answer_nudge: str = "Final Answer:"
    max_answer_tokens: Positive | None = None
    nudge_after_eos: bool = True
    ban_delimiters: bool = False
    thinking_format: str | Mapping[str, Any] = "auto"
    until_thinking: tuple[str, ...] = ()
    temperature_thinking: Temperature | None = None

    def check(self) -> None:
        """Raises UserError on settings that contradict each other, and on an unknown format."""
        cap = self.max_thinking_tokens
        if isinstance(cap, int) and self.min_thinking_tokens > cap:
            raise UserError(
                f"min_thinking_tokens={self.min_thinking_tokens} is over "
                f"max_thinking_tokens={cap}: lower the minimum or raise the cap"
            )
        parse_format(self.thinking_format)


async def force(policy: Policy, prompt: tuple[int, ...], params: BudgetForcing) -> Trace:
    """One chain under budget forcing, from the prompt to the end of the answer."""
    thinking = await think(policy, prompt, params, answered=True)
    return await answer(policy, thinking, params)


async def think(
    policy: Policy, prompt: tuple[int, ...], params: BudgetForcing, *, answered: bool = False
) -> Trace:
    """The thinking alone: the start delimiter, then sampled and forced ids up to the end, which
    is not yet written. Its length never exceeds the cap. answered: `answer` follows."""
    trace, ended = begin_thinking(policy, prompt, params)
    while not ended:
        trace, ended = await continue_thinking(policy, trace, params, answered=answered)
    return trace


def begin_thinking(
    policy: Policy, prompt: tuple[int, ...], params: BudgetForcing
) -> tuple[Trace, bool]:
    """(trace, ended): the start delimiter; ended where the context leaves no room to think."""
    if params.ban_delimiters:
        delimiter_ids(policy)  # refuses before time is spent
    start = policy.delimiters_for(prompt).start
    cap, limited_by = cap_of(policy, prompt, params)
    opening = (Segment("delimiter", "forced", start),) if start else ()
    return Trace(prompt, opening, limited_by), cap < 1


async def continue_thinking(
    policy: Policy,
    trace: Trace,
    params: BudgetForcing,
    *,
    separator: str | None = None,
    max_tokens: int | None = None,
    answered: bool = False,
) -> tuple[Trace, bool]:
    """(trace, ended): one request more, up to the end of thinking or the cap. The end is ignored
    while ignores are left.

    All that has happened is read off the trace, so a chain can be left after any request, kept,
    forked, and gone on with. An exit reason is set at the end alone; until then the trace has that
    of the limit which would cut it next.

    separator: a text to stop behind as well; it stays in the thinking, unlike a stop of the end.
    max_tokens: of this request. answered: `answer` follows at once where the thinking ends.
    """
    info, delimiters = policy.engine.info, policy.delimiters_for(trace.prompt)
    ignore = encode_exactly(policy.engine.tokenizer, params.ignore_string, info.model)
    cap, _ = cap_of(policy, trace.prompt, params)
    used = trace.thinking_tokens
    thinker = policy
    if params.temperature_thinking is not None:
        sampling = replace(policy.sampling, temperature=params.temperature_thinking)
        thinker = replace(policy, sampling=sampling)
    # After an ignore the model may not end again immediately: the engine keeps the stops from being
    # sampled before `least` ids, which is how the minimum of thinking is kept, too.
    least = max(int(just_ignored(trace)), min(params.min_thinking_tokens, cap) - used, 0)
    then = None
    if (
        answered
        and trace.num_ignores_used == params.num_ignores
        and not policy.sampling.temperature
    ):
        then = Next(delimiters.end, _answer_stop(policy, delimiters))
    with followed_by(then):
        generation = await thinker.generate(
            (*trace.prompt, *trace.ids()),
            max_tokens=min(cap - used, max_tokens or cap),
            stop=Stop(
                delimiters.stop_ids | info.eos_ids,
                (*delimiters.stop_strings, *([separator] if separator else [])),
                min_tokens=least,
            ),
        )
    if not least and delimiters.stop_strings:
        trace, generation = _stopped_across(policy, trace, generation, delimiters.stop_strings)
        used = trace.thinking_tokens
    stopped = generation.stop_ids
    paused = (
        _is_separator(policy, delimiters, stopped, separator) if separator and stopped else False
    )
    ids = generation.ids + (stopped if paused else ())
    segments = [*trace.segments]
    _append(segments, sampled("thinking", ids, generation))
    used += len(ids)
    trace = replace(
        trace,
        segments=tuple(segments),
        stripped=trace.stripped + (0 if paused else len(stopped)),
        reused=trace.reused + generation.reused,
    )
    if paused or not stopped:
        return trace, used >= cap
    if trace.num_ignores_used == params.num_ignores:
        # A token that ends the thinking may be an end of sequence to the server as well.
        eos = stopped[0] in info.eos_ids - delimiters.stop_ids
        return replace(trace, exit_reason="eos" if eos else "natural"), True
    if used + len(ignore) >= cap:  # no room for the string and one new token
        return trace, True
    forced = Segment("thinking", "forced", ignore)
    return replace(trace, segments=(*trace.segments, forced)), False


async def think_until(
    policy: Policy, trace: Trace, params: BudgetForcing, tokens: int
) -> tuple[Trace, bool]:
    """(trace, ended): as `continue_thinking`, up to so many tokens of thinking in all. Where an end
    has just been ignored, one token more."""
    ended = False
    while not ended and (trace.thinking_tokens < tokens or just_ignored(trace)):
        room = max(tokens - trace.thinking_tokens, 1)
        trace, ended = await continue_thinking(policy, trace, params, max_tokens=room)
    return trace, ended


def _stopped_across(
    policy: Policy, trace: Trace, generation: Generation, strings: Sequence[str]
) -> tuple[Trace, Generation]:
    """(trace, generation): where a stop string begins in what earlier requests sampled, the engine
    could not see it. It is taken out then, and so is whatever was sampled behind it."""
    tokenizer, stop = policy.engine.tokenizer, Stop(strings=tuple(strings))
    longest = max(len(string.encode()) for string in strings)
    written = takewhile(
        lambda s: s.role == "thinking" and s.origin == "sampled", trace.segments[::-1]
    )
    before = tuple(id for segment in [*written][::-1] for id in segment.ids)[-longest:]
    found = split_at_stop((*before, *generation.ids, *generation.stop_ids), stop, tokenizer)
    if not found or len(found.ids) >= len(before) or split_at_stop(before, stop, tokenizer):
        return trace, generation
    segments, surplus = [*trace.segments], len(before) - len(found.ids)
    while surplus:
        last = segments.pop()
        kept = max(len(last.ids) - surplus, 0)
        surplus -= len(last.ids) - kept
        _append(segments, shortened(last, kept))
    trace = replace(trace, segments=tuple(segments))
    return trace, replace(generation, ids=(), stop_ids=found.stop_ids, reason="stop")


def sampled(role: Role, ids: tuple[int, ...], generation: Generation) -> Segment:
    """What was generated as a segment. ids: its first ones."""
    told = generation.logprobs
    return Segment(role, "sampled", ids, None if told is None else told[: len(ids)])


def shortened(segment: Segment, number: int) -> Segment:
    """The segment with its first ids alone."""
    told = segment.logprobs
    return replace(
        segment, ids=segment.ids[:number], logprobs=None if told is None else told[:number]
    )


def just_ignored(trace: Trace) -> bool:
    """Whether the last thing that happened was that an end was ignored. After a call to wrap up
    none is."""
    last = trace.segments[-1:]
    forced = bool(last) and last[0].role == "thinking" and last[0].origin == "forced"
    return forced and not trace.wrap_ups


def _is_separator(
    policy: Policy, delimiters: Delimiters, stopped: Sequence[int], separator: str
) -> bool:
    """Whether a stop is the separator's, not the end of thinking."""
    if stopped[0] in delimiters.stop_ids | policy.engine.info.eos_ids:
        return False
    # Several strings may stand in the ids that were stopped at; the first in the text stopped them.
    text = policy.decode(stopped)
    found = {text.find(stop): stop for stop in (*delimiters.stop_strings, separator)}
    return found[min(at for at in found if at >= 0)] == separator


async def answer(policy: Policy, thinking: Trace, params: BudgetForcing) -> Trace:
    """Close the thinking as its exit reason asks and let the model answer. Where the format knows
    no thinking, what was written is the answer."""
    delimiters = policy.delimiters_for(thinking.prompt)
    if not delimiters.end:
        return _all_answer(thinking)
    info = policy.engine.info
    closing = _closing(policy, thinking, params)
    sequence = (*thinking.prompt, *thinking.ids(), *(id for s in closing for id in s.ids))
    room = info.context_length - len(sequence)
    limit = policy.limited(room, len(sequence) - len(thinking.prompt))
    if params.max_answer_tokens is not None:
        limit = min(limit, params.max_answer_tokens)
    segments = [*thinking.segments, *closing]
    if limit < 1:
        ended: AnswerExit = "context" if room < 1 else "budget"
        return replace(thinking, segments=tuple(segments), answer_exit=ended)
    if params.ban_delimiters and ends_by_force(thinking.exit_reason, params.nudge_after_eos):
        sampling = replace(policy.sampling, banned=delimiter_ids(policy))
        policy = replace(policy, sampling=sampling)
    stop = _answer_stop(policy, delimiters)
    generation = await policy.generate(sequence, max_tokens=limit, stop=stop)
    _append(segments, sampled("answer", generation.ids, generation))
    return replace(
        thinking,
        segments=tuple(segments),
        stripped=thinking.stripped + len(generation.stop_ids),
        reused=thinking.reused + generation.reused,
        answer_exit=answer_exit(policy, generation, limit, room),
    )


def _answer_stop(policy: Policy, delimiters: Delimiters) -> Stop:
    return Stop(policy.engine.info.eos_ids | delimiters.close_ids, delimiters.close_strings)


def answer_exit(policy: Policy, generation: Generation, limit: int, room: int) -> AnswerExit:
    """Why an answer ended that was given `limit` tokens of the `room` that the context left."""
    if generation.stop_ids:
        return "eos" if generation.stop_ids[0] in policy.engine.info.eos_ids else "stop"
    return "budget" if limit < room else "context"


def _all_answer(trace: Trace) -> Trace:
    segments = tuple(replace(segment, role="answer") for segment in trace.segments)
    exits: Mapping[ExitReason, AnswerExit] = {
        "natural": "stop",
        "eos": "eos",
        "budget": "budget",
        "context": "context",
    }
    return replace(trace, segments=segments, answer_exit=exits[trace.exit_reason])


def answer_text(policy: Policy, trace: Trace) -> str:
    """What a grader reads: the nudge, where one was forced, and the answer after it."""
    ids = (*trace.ids("nudge"), *trace.ids("answer"))
    close = policy.delimiters.format.answer_close
    if close and close in policy.decode(ids):
        kept = split_at_stop(ids, Stop(strings=(close,)), policy.engine.tokenizer)
        ids = kept.ids if kept else ids
    text = policy.decode_plain(ids)
    # Where it was cut, a newline at its end says that the line before it is whole.
    return text.lstrip() if trace.answer_cut else text.strip()


def nudge_ids(policy: Policy, params: BudgetForcing) -> tuple[int, ...]:
    """The nudge's ids, on a line of its own after the end delimiter."""
    if not params.final_answer_nudge:
        return ()
    newline = "" if policy.delimiters.format.end.endswith("\n") else "\n"
    text = newline + params.final_answer_nudge
    return encode_exactly(policy.engine.tokenizer, text, policy.engine.info.model)


def _closing(policy: Policy, thinking: Trace, params: BudgetForcing) -> list[Segment]:
    delimiters = policy.delimiters_for(thinking.prompt)
    end = Segment("delimiter", "forced", delimiters.end)
    if not ends_by_force(thinking.exit_reason, params.nudge_after_eos):
        return [end]
    # A few ids: the newlines that the end begins with may be one token or several.
    tail: Sequence[int] = thinking.ids("thinking")[-4:]
    if not policy.decode(tail).endswith(delimiters.format.lead):
        end = Segment("delimiter", "forced", delimiters.newline + delimiters.end)
    nudge = nudge_ids(policy, params)
    return [end, Segment("nudge", "forced", nudge)] if nudge else [end]


def ends_by_force(exit_reason: ExitReason, nudge_after_eos: bool) -> bool:
    """Whether thinking that ended so is closed by force, with newline and nudge."""
    return exit_reason != "natural" and (exit_reason != "eos" or nudge_after_eos)


def delimiter_ids(policy: Policy) -> frozenset[int]:
    """The ids without which an answer can't open or close thinking: a delimiter that is one
    token, or the special token that it begins with.

    Raises UserError where banning would take ordinary text or the end of sequence with it.
    """
    tokenizer, info = policy.engine.tokenizer, policy.engine.info
    found = set()
    format = policy.delimiters.format
    for text in (format.start.strip(), *format.stops):
        ids = encode_exactly(tokenizer, text, info.model)
        if not ids:
            continue
        if (len(ids) > 1 and not policy.hides(ids[0])) or ids[0] in info.eos_ids:
            raise UserError(
                f"ban_delimiters: {info.model} writes {text!r} as {len(ids)} tokens, the first of "
                "which is needed for other things too: leave it out"
            )
        found.add(ids[0])
    return frozenset(found)


def _closing_tokens(policy: Policy, delimiters: Delimiters, params: BudgetForcing) -> int:
    """What must stay free behind the thinking: the forced end, the nudge and an answer."""
    if not delimiters.end:
        return 0
    forced = len(delimiters.newline) + len(delimiters.end) + len(nudge_ids(policy, params))
    return forced + min(params.max_answer_tokens or ANSWER_RESERVE, ANSWER_RESERVE)


def cap_of(
    policy: Policy, prompt: tuple[int, ...], params: BudgetForcing
) -> tuple[int, ExitReason]:
    """The number of thinking tokens at which this chain is cut, and what cuts it there."""
    delimiters = policy.delimiters_for(prompt)
    left = policy.engine.info.context_length - len(prompt)
    allowed = policy.limited(left, 0)
    room = allowed - len(delimiters.start) - _closing_tokens(policy, delimiters, params)
    cap = params.max_thinking_tokens
    if not delimiters.end and (limit := params.max_answer_tokens):
        # All that is written is the answer, so either limit is its limit.
        cap = min(cap, limit) if isinstance(cap, int) else limit
    if isinstance(cap, int) and cap <= room:
        return cap, "budget"
    return max(room, 0), "context" if allowed == left else "budget"


def _append(segments: list[Segment], segment: Segment) -> None:
    if segment.ids:
        segments.append(segment)


UNFORCED = BudgetForcing()
"""Nothing is cut, nothing extended; what methods begin with."""

DIALS = tuple(map(Dial, ("max_thinking_tokens", "num_ignores", "min_thinking_tokens")))
"""What varies in a chain."""


def budget_of(params: BudgetForcing) -> Budget:
    """A chain's: a cap that is a number."""
    cap = params.max_thinking_tokens
    return Budget(cap if isinstance(cap, int) else None, params.min_thinking_tokens or None)
