"""Budget forcing (s1, section 3.1): a single chain under a budget, see `s1_eval.methods.chain`."""

from __future__ import annotations

from typing import Any

from s1_eval.methods.chain import DIALS, BudgetForcing, answer_text, budget_of, force
from s1_eval.methods.method import Axes, Method
from s1_eval.methods.policy import Policy, Question
from s1_eval.thinking import Outcome


async def budget_forcing(policy: Policy, question: Question, params: BudgetForcing) -> Outcome:
    """Think under the budget, then answer."""
    prompt = policy.prompt_ids(question)
    policy.need_thinking("budget_forcing", prompt)
    trace = await force(policy, prompt, params)
    return Outcome(answer_text(policy, trace), (trace,))


def sweep(name: str, axes: Axes) -> list[dict[str, Any]]:
    """Two series: by caps without ignores, and by number of ignores without a cap. Where one of
    the lists has at most one member, or a grid is asked for, every cap with every number."""
    caps = sorted(axes.max_thinking_tokens, key=longest_first)
    ignores = sorted(axes.num_ignores, reverse=True)
    if axes.grid or len(caps) <= 1 or len(ignores) <= 1:
        return [
            {
                **({"max_thinking_tokens": cap} if caps else {}),
                **({"num_ignores": n} if ignores else {}),
            }
            for cap in caps or [None]
            for n in ignores or [0]
        ]
    return [
        *({"num_ignores": n} for n in ignores),
        *({"max_thinking_tokens": cap} for cap in caps),
    ]


def longest_first(cap: int | str | None) -> float:
    """Sorts caps so that those that are no numbers come first, then the largest."""
    return -cap if isinstance(cap, int) else float("-inf")


BUDGET_FORCING = Method(
    "budget_forcing",
    BudgetForcing,
    budget_forcing,
    "arXiv 2501.19393, section 3.1",
    dials=DIALS,
    sweep=sweep,
    budget=budget_of,
    forces=True,
    single=True,
)
