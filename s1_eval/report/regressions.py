"""What the regression gate found, as Markdown for a terminal and a CI job's page."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from s1_eval.metrics.gate import ALLOWANCES, Comparison, Tolerance
from s1_eval.metrics.paired import POWER
from s1_eval.metrics.series import shown
from s1_eval.report.table import UNDEFINED, escape, fixed, line

_HEADINGS = (
    *("", "Task", "Run", "Metric", "Baseline", "New", "Change"),
    *("95% interval", "p (Holm)", "Detectable"),
)
_UNITS = {"accuracy": "points", "thinking_tokens": "%"}


def markdown(
    comparisons: Sequence[Comparison], tolerance: Tolerance, allowed: Collection[str]
) -> str:
    """Verdict, one line per comparison, and what has to be known to trust it."""
    worse = sum(c.regression for c in comparisons)
    verdict = f"{worse} of {len(comparisons)} comparisons" if worse else "none"
    lines = [f"## Regressions: {verdict}", "", line(_HEADINGS)]
    lines.append(line(["---"] * 4 + ["---:"] * (len(_HEADINGS) - 4)))
    lines += [_row(c) for c in comparisons]
    lines += [
        "",
        f"A regression is a drop of more than {tolerance.max_drop:g} points of accuracy, or a rise "
        f"of more than {tolerance.max_rise:g}% of thinking tokens, that a one-sided paired test "
        f"finds at alpha {tolerance.alpha:g} (Holm's correction over all comparisons). Detectable: "
        f"the smallest true change for the worse that would have been found with a chance of "
        f"{POWER:.0%}; {UNDEFINED} where none would. Tests: {_tests(comparisons)}.",
        "",
    ]
    for c in comparisons:
        if c.low is None and c.change is not None:
            lines.append(f"{escape(c.name)}, {c.metric.replace('_', ' ')}: {c.interval}.  ")
        if c.metric == "accuracy" and (c.baseline_missing or c.missing):
            lines.append(
                f"{escape(c.name)}: {c.baseline_missing} rows of the baseline and {c.missing} of "
                "the new run are missing.  "
            )
    lines += [f"Allowed: {ALLOWANCES[name]}.  " for name in allowed]
    lines += _differences(comparisons)
    return "\n".join([*lines, ""])


def _row(c: Comparison) -> str:
    unit = _UNITS[c.metric]
    span = UNDEFINED if c.low is None else f"[{fixed(c.low)}, {fixed(c.high)}]"
    return line(
        [
            "**worse**" if c.regression else "ok",
            escape(c.task),
            escape(c.name),
            c.metric.replace("_", " "),
            fixed(c.baseline),
            fixed(c.new),
            UNDEFINED if c.change is None else f"{c.change:+.1f} {unit}",
            span,
            f"{c.p_holm:.3g}",
            UNDEFINED if c.detectable is None else f"{c.detectable:.1f} {unit}",
        ]
    )


def _tests(comparisons: Sequence[Comparison]) -> str:
    return ", ".join(sorted({f"{c.test} ({c.questions} questions)" for c in comparisons}))


def _differences(comparisons: Sequence[Comparison]) -> list[str]:
    """Where the run records differ, once per difference."""
    found: Mapping[tuple[str, str], Any] = {
        (name, json.dumps(pair)): pair for c in comparisons for name, pair in c.differs.items()
    }
    if not found:
        return ["Both sides were made under the same conditions."]
    return [
        "The run records also differ in:",
        "",
        *(
            f"- {escape(shown(name))}: {escape(_short(old))} → {escape(_short(new))}"
            for (name, _), (old, new) in found.items()
        ),
    ]


def _short(value: Any) -> str:
    return json.dumps(value)[:200]
