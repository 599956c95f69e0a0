"""The model as it is: nothing is cut, nothing extended. The unforced run that others are
compared with."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from s1_eval.engines.protocol import Stop, split_at_stop
from s1_eval.methods.budget_forcing import answer_exit, answer_text
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import ExitReason, Outcome, Segment, Trace, parse_format
from s1_eval.typed import Positive, Settings


@dataclass(frozen=True, slots=True)
class Plain(Settings):
    """Settings of the unforced run.

    max_tokens: limit on thinking and answer together; None is the rest of the context.
    thinking_format: see `s1_eval.thinking.parse_format`.
    """

    max_tokens: Positive | None = None
    thinking_format: str | Mapping[str, str] = "auto"

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
    info, start = policy.engine.info, policy.delimiters.start
    opening = (Segment("delimiter", "forced", start),) if start else ()
    room = info.context_length - len(prompt) - len(start)
    limit = room if params.max_tokens is None else min(room, params.max_tokens)
    if limit < 1:
        return Trace(prompt, opening, "context", answer_exit="context")
    generation = await policy.generate((*prompt, *start), max_tokens=limit, stop=Stop(info.eos_ids))
    cut = generation.reason == "length"
    thinking, delimiter, answer = split(policy, generation.ids)
    exit_reason: ExitReason = "natural"
    if not delimiter:
        exit_reason = "eos" if not cut else "budget" if limit < room else "context"
    parts = (
        Segment("thinking", "sampled", thinking),
        Segment("delimiter", "sampled", delimiter),
        Segment("answer", "sampled", answer),
    )
    return Trace(
        prompt,
        (*opening, *(s for s in parts if s.ids)),
        exit_reason,
        stripped=len(generation.stop_ids),
        answer_exit=answer_exit(policy, generation, limit, room),
        reused=generation.reused,
    )


def split(
    policy: Policy, ids: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """(thinking, delimiter, answer): `ids` split at the first end delimiter, found by its ids or,
    where the model spelled it with other tokens, by its text. Without one all is thinking."""
    ids, end = tuple(ids), policy.delimiters.end
    for at in range(len(ids) - len(end) + 1):
        if ids[at : at + len(end)] == end:
            return ids[:at], end, ids[at + len(end) :]
    text = policy.delimiters.format.end
    if text not in policy.decode(ids):
        return ids, (), ()
    upto = bisect.bisect_left(range(len(ids)), True, key=lambda n: text in policy.decode(ids[:n]))
    found = split_at_stop(ids[:upto], Stop(strings=(text,)), policy.engine.tokenizer)
    assert found is not None
    return found.ids, found.stop_ids, ids[upto:]
