"""Runs made up for tests of advice: the answers of chains along their budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import runs

from s1_eval.records import Located, Run, collect


def swept(
    chains: Sequence[Sequence[str]],
    caps: Sequence[int | None],
    lengths: Sequence[int] | None = None,
    *,
    epochs: int = 1,
    target: str = "7",
    traced: bool = True,
    **changes: Any,
) -> tuple[list[Run], list[Located]]:
    """Runs of budget forcing at `caps`, and their rows.

    chains: per question and epoch, epochs of a question behind each other, the answer at each cap;
    empty for none. lengths: where each chain ends by itself, by default never. Every answer is
    two sampled tokens, its stop included.
    """
    rows = []
    for at, cap in enumerate(caps):
        made = runs.record(method_params={"max_thinking_tokens": cap}, **changes)
        for n, answers in enumerate(chains):
            length = lengths[n] if lengths else max(cap or 0 for cap in caps) + 1
            over = cap is None or length <= cap
            row = runs.row(
                made,
                f"q{n // epochs:03}",
                epoch=n % epochs + 1,
                correct=answers[at] == target,
                thinking=length if over else cap,
                exit_reason="natural" if over else "budget",
                budget=cap,
                with_traces=traced,
            )
            row |= {"answer": answers[at], "answered": bool(answers[at])}
            row["generated_tokens"] = row["thinking_tokens"] + 2
            rows.append(Located(row, "memory", f"memory {n}", made))
    return collect(rows), rows
