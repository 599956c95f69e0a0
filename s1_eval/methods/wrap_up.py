"""Soft caps: budget forcing that tells the model to come to an end at a share of its cap, and lets
it finish its line once the cap is reached. A chain that is cut in the middle of a step loses that
step; one that was told may not have begun it.

Thinking never exceeds cap and grace together, the forced string included, and that is the budget
which Control holds a run against and `compare` pairs runs by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Annotated

from annotated_types import Gt, Le

from s1_eval.errors import UserError
from s1_eval.methods.chain import (
    DIALS,
    UNFORCED,
    BudgetForcing,
    answer,
    answer_text,
    begin_thinking,
    budget_of,
    cap_of,
    continue_thinking,
    think_until,
)
from s1_eval.methods.method import Budget, Dial, Method, caps
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Outcome, Segment, Trace, encode_exactly
from s1_eval.typed import Count, Says, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUp(Settings):
    """How the cap is made soft.

    wrap_up_string: forced into the thinking, on a line of its own; None for none. From there on the
        end of thinking is not ignored any more.
    wrap_up_at: at which share of the cap.
    grace_tokens: how far the thinking may go on behind the cap, to the end of its line.
    """

    wrap_up_string: str | None = "Time is nearly up, so I have to come to the final answer now.\n"
    wrap_up_at: Annotated[float, Gt(0), Le(1), Says("a number above 0 and up to 1")] = 0.8
    grace_tokens: Count = 0
    chain: BudgetForcing = UNFORCED

    def check(self) -> None:
        """Raises UserError without a cap, and where the thinking would have to be wrapped up before
        its minimum."""
        cap, least = self.chain.max_thinking_tokens, self.chain.min_thinking_tokens
        if cap is None:
            raise UserError(
                "wrap_up needs the cap that it makes soft: give max_thinking_tokens, e.g. "
                "max_thinking_tokens=4096"
            )
        if isinstance(cap, int) and self.wrap_up_string and least > self.wrap_up_at * cap:
            raise UserError(
                f"min_thinking_tokens={least} is over wrap_up_at={self.wrap_up_at} of "
                f"max_thinking_tokens={cap}: lower the minimum, or raise one of the others"
            )

    @property
    def hard(self) -> BudgetForcing:
        """The chain under the cap that holds."""
        cap = self.chain.max_thinking_tokens
        longest = cap + self.grace_tokens if isinstance(cap, int) else cap
        return replace(self.chain, max_thinking_tokens=longest)


async def wrap_up(policy: Policy, question: Question, params: WrapUp) -> Outcome:
    """Think under a soft cap, then answer.

    Raises UserError where the string has no room between its place and the cap.
    """
    prompt = policy.prompt_ids(question)
    policy.need_thinking("wrap_up", prompt)
    hard = params.hard
    soft, limited_by = cap_of(policy, prompt, params.chain)
    point = ceil(params.wrap_up_at * soft)
    needed = len(_told(policy, params, "\n")) if params.wrap_up_string else 0
    if limited_by == "budget" and needed and point + needed >= soft:
        raise UserError(
            f"wrap_up_string has {needed} tokens, and from wrap_up_at={params.wrap_up_at} of "
            f"max_thinking_tokens={soft} to the cap there are {soft - point}: shorten it, lower "
            "wrap_up_at, or raise the cap"
        )
    trace, ended = begin_thinking(policy, prompt, hard)
    if not ended:
        trace, ended = await think_until(policy, trace, hard, point)
    if not ended:
        trace = _told_to_end(policy, trace, params, soft)
        if trace.wrap_ups:
            hard = replace(hard, num_ignores=trace.num_ignores_used)
        trace, ended = await think_until(policy, trace, hard, soft)
    if not ended and not _at_line_start(policy, trace):
        last = replace(hard, num_ignores=trace.num_ignores_used)
        trace, _ = await continue_thinking(policy, trace, last, separator="\n")
    if trace.exit_reason == "context" and trace.thinking_tokens < cap_of(policy, prompt, hard)[0]:
        trace = replace(trace, exit_reason=limited_by)
    trace = await answer(policy, trace, params.chain)
    over = max(trace.thinking_tokens - soft, 0)
    extra = {"wrapped_up": bool(trace.wrap_ups), "grace_used": over}
    return Outcome(answer_text(policy, trace), (trace,), extra=extra)


def _told_to_end(policy: Policy, trace: Trace, params: WrapUp, cap: int) -> Trace:
    """With the string forced, where it has room below the cap and a token behind it."""
    if not params.wrap_up_string:
        return trace
    forced = _told(policy, params, "" if _at_line_start(policy, trace) else "\n")
    if trace.thinking_tokens + len(forced) >= cap:
        return trace
    segments = (*trace.segments, Segment("thinking", "forced", forced))
    return replace(trace, segments=segments, wrap_ups=1)


def _told(policy: Policy, params: WrapUp, before: str) -> tuple[int, ...]:
    text = before + (params.wrap_up_string or "")
    return encode_exactly(policy.engine.tokenizer, text, policy.engine.info.model)


def _at_line_start(policy: Policy, trace: Trace) -> bool:
    return policy.decode(trace.ids("thinking")[-4:]).endswith("\n")


def budget(params: WrapUp) -> Budget:
    return budget_of(params.hard)


WRAP_UP = Method(
    "wrap_up",
    WrapUp,
    wrap_up,
    "this project's; the cap is that of arXiv 2501.19393, section 3.1",
    dials=(*DIALS, Dial("wrap_up_at"), Dial("grace_tokens")),
    sweep=caps,
    budget=budget,
    forces=True,
    single=True,
)
