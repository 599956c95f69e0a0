"""Two methods or models at equal compute, as Markdown for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from s1_eval.metrics.comparison import Amount, Matched
from s1_eval.metrics.costs import Axis, axis
from s1_eval.metrics.paired import POWER
from s1_eval.report.table import UNDEFINED, escape, fixed, line


def markdown(found: Sequence[Matched], at: Amount, points: float, alpha: float) -> str:
    """One line per amount, first minus second, and how to read it."""
    headings = ("At", "First", "Second", "First %", "Second %", "Difference", "p (Holm)")
    more = ("Detectable", f"Questions for {points:g}")
    lines = [line([*headings, *more]), line(["---"] * 3 + ["---:"] * 6)]
    counted = axis("thinking_tokens" if at == "budget" else at)
    lines += [_row(m, counted) for m in found]
    tests = ", ".join(sorted({f"{m.test} ({m.questions} questions)" for m in found}))
    ways = ", ".join(sorted({m.interval for m in found if m.low is not None})) or "none here"
    lines += [
        "",
        f"At: the {'budget' if at == 'budget' else counted.label} of both. In parentheses: mean "
        f"{counted.label}. Difference: "
        f"first minus second in points, with its 95% interval ({ways}). p: two-sided, Holm's "
        f"correction over all lines. Tests: {tests}. Detectable: the smallest true difference that "
        f"these questions would have shown at alpha {alpha:g} with a chance of {POWER:.0%}. Last "
        f"column: questions that would show one of {points:g} points.",
        "",
    ]
    for note in sorted({m.interval for m in found if m.low is None}):
        lines += [f"{note.capitalize()}.", ""]
    for m in found:
        if m.missing:
            lines += [
                f"{escape(m.first)} against {escape(m.second)}: {m.missing} rows are missing, and "
                "what they would have said is not known.",
                "",
            ]
    return "\n".join(lines)


def _row(m: Matched, counted: Axis) -> str:
    span = "" if m.low is None else f" [{fixed(m.low)}, {fixed(m.high)}]"
    return line(
        [
            counted.show(m.amount),
            f"{escape(m.first)} ({counted.show(m.first_tokens)})",
            f"{escape(m.second)} ({counted.show(m.second_tokens)})",
            fixed(m.first_accuracy),
            fixed(m.second_accuracy),
            f"{round(m.difference, 1) + 0.0:+.1f}{span}",
            f"{m.p_holm:.3g}",
            UNDEFINED if m.detectable is None else fixed(m.detectable),
            "over 16384" if m.needed is None else str(m.needed),
        ]
    )
