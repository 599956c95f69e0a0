"""The model as it is: nothing is cut, nothing extended. The unforced run that others are
compared with."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from s1_eval.engines.protocol import Stop, split_at_stop
from s1_eval.methods.chain import answer_exit, answer_text
from s1_eval.methods.method import Dial, Method
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import (
    Delimiters,
    ExitReason,
    Outcome,
    Role,
    Segment,
    ThinkingFormat,
    Trace,
    encode_exactly,
    parse_format,
)
from s1_eval.typed import Positive, Settings


@dataclass(frozen=True, slots=True)
class Plain(Settings):
    """Settings of the unforced run.

    max_tokens: limit on thinking and answer together; None is the rest of the context.
    thinking_format: see `s1_eval.thinking.parse_format`.
    """

    max_tokens: Positive | None = None
    thinking_format: str | Mapping[str, Any] = "auto"

    def check(self) -> None:
        """Raises UserError on an unknown format."""
        parse_format(self.thinking_format)


async def plain(policy: Policy, question: Question, params: Plain) -> Outcome:
    """Open the thinking and sample up to end-of-sequence; find the delimiter afterwards."""
    prompt = policy.prompt_ids(question)
    trace = await free_run(policy, prompt, params)
    return Outcome(answer=answer_text(policy, trace), traces=(trace,))


async def free_run(policy: Policy, prompt: tuple[int, ...], params: Plain) -> Trace:
    """One unforced chain after `prompt`, split into thinking, delimiter and answer."""
    info, delimiters = policy.engine.info, policy.delimiters_for(prompt)
    start = delimiters.start
    opening = (Segment("delimiter", "forced", start),) if start else ()
    room = info.context_length - len(prompt) - len(start)
    limit = policy.limited(room, len(start))
    if params.max_tokens is not None:
        limit = min(limit, params.max_tokens)
    if limit < 1:
        ended: Literal["budget", "context"] = "context" if room < 1 else "budget"
        return Trace(prompt, opening, ended, answer_exit=ended)
    generation = await policy.generate((*prompt, *start), max_tokens=limit, stop=Stop(info.eos_ids))
    ids, last, told = generation.ids, generation, generation.logprobs
    if generation.stop_ids and generation.stop_ids[0] in delimiters.stop_ids and len(ids) < limit:
        # To some servers what ends the thinking ends the sequence as well; the answer follows it.
        ids += generation.stop_ids
        if limit > len(ids):
            last = await policy.generate(
                (*prompt, *start, *ids), max_tokens=limit - len(ids), stop=Stop(info.eos_ids)
            )
            ids += last.ids
            told = None if told is None or last.logprobs is None else told + last.logprobs
    cut = last.reason == "length"
    thinking, delimiter, answer = split(policy, delimiters, ids)
    exit_reason: ExitReason = "natural"
    if not delimiter:
        exit_reason = "eos" if not cut else "budget" if limit < room else "context"
    parts, at = [], 0
    roles: tuple[Role, ...] = ("thinking", "delimiter", "answer")
    for role, own in zip(roles, (thinking, delimiter, answer), strict=True):
        places = None if told is None else told[at : at + len(own)]
        parts.append(Segment(role, "sampled", own, places))
        at += len(own)
    return Trace(
        prompt,
        (*opening, *(s for s in parts if s.ids)),
        exit_reason,
        stripped=len(last.stop_ids),
        answer_exit=answer_exit(policy, last, limit, room),
        reused=generation.reused + (last.reused if last is not generation else 0),
    )


def split(
    policy: Policy, delimiters: Delimiters, ids: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """(thinking, delimiter, answer): `ids` split at the first end delimiter, found by its ids or,
    where the model spelled it with other tokens, by its text. Without one all is thinking, and
    where there is no thinking, all is the answer."""
    ids = tuple(ids)
    if not delimiters.end:
        return (), (), ids
    for text in ends(delimiters.format):
        found = _find(policy, ids, text)
        if found is not None:
            return found
    return ids, (), ()


def ends(format: ThinkingFormat) -> tuple[str, ...]:
    """The texts by which a model that nobody forces ends its thinking, the first in this order: the
    end, and stops that say as much: what follows them there is whitespace or a tag of the answer's.
    s1's is only the beginning of its end."""
    body = format.body
    loose = (
        stop
        for stop in format.stops
        if body.startswith(stop) and not body[len(stop) : len(stop) + 1].isalnum()
    )
    return body, body.rstrip(), *loose


def _find(
    policy: Policy, ids: tuple[int, ...], text: str
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
    """`ids` around the first `text` in them, None where it is not there."""
    tokenizer = policy.engine.tokenizer
    end = encode_exactly(tokenizer, text, policy.engine.info.model)
    for at in range(len(ids) - len(end) + 1):
        if ids[at : at + len(end)] == end:
            return ids[:at], end, ids[at + len(end) :]
    if text not in policy.decode(ids):
        return None
    upto = bisect.bisect_left(range(len(ids)), True, key=lambda n: text in policy.decode(ids[:n]))
    found = split_at_stop(ids[:upto], Stop(strings=(text,)), tokenizer)
    assert found is not None
    return found.ids, found.stop_ids, ids[upto:]


PLAIN = Method(
    "plain",
    Plain,
    plain,
    "unforced run",
    dials=(Dial("max_tokens"),),
    unforced=True,
    single=True,
)
