"""A plan as Markdown for a terminal."""

from __future__ import annotations

from s1_eval.metrics.costs import axis
from s1_eval.metrics.planning import Plan, Planned, Shows, Spent
from s1_eval.report.table import UNDEFINED, escape, fixed, line

_MOST = "over 16,384"
_COLUMNS = ("thinking_tokens", "generated_tokens", "flops", "hours", "usd")


def markdown(plan: Plan, title: str) -> str:
    """What each run costs, and what all of them could show."""
    headings = ["Run", *(_heading(name) for name in _COLUMNS), "From"]
    asks = f"{plan['questions']} questions x {plan['epochs']} epochs"
    lines = [f"**{escape(title)}, {asks}**", "", line(headings)]
    lines.append(line(["---", *["---:"] * len(_COLUMNS), "---"]))
    lines += [_row(each) for each in plan["runs"]]
    if len(plan["runs"]) > 1:
        lines.append(line(["all", *_cells(plan["total"]), ""]))
    lines.append("")
    if plan["tokens_per_second"]:
        lines += [
            f"Hours: at {plan['tokens_per_second']:,.0f} sampled tokens a second, each run alone; "
            "a chain that the sweep's cache shares among runs is sampled once.",
            "",
        ]
    for each in plan["runs"]:
        if each["note"]:
            lines += [f"{escape(each['label'])}: {escape(each['note'])}.", ""]
    if plan["shows"]:
        lines += [said(plan["shows"], plan["questions"], plan["epochs"]), ""]
    lines += [f"{escape(remark[:1].upper() + remark[1:])}.\n" for remark in plan["remarks"]]
    return "\n".join(lines)


def said(shows: Shows, questions: int, epochs: int) -> str:
    """Whether the difference can be shown, and what it takes."""
    points = f"{shows['points']:g} points"
    once = f"{questions} questions" + (f" x {epochs} epochs" if epochs > 1 else "")
    smallest = (
        "no difference at all"
        if shows["detectable"] is None
        else f"differences of {fixed(shows['detectable'])} points and more"
    )
    verdict = f"{once} can show {points}" if shows["can"] else f"{once} can't show {points}"
    needed = _MOST if shows["questions"] is None else f"{shows['questions']:,}"
    if shows["questions_low"] != shows["questions_high"]:
        ends = (shows["questions_low"], shows["questions_high"])
        low, high = (_MOST if n is None else f"{n:,}" for n in ends)
        needed += f" [{low}, {high}]"
    lines = [
        f"**{verdict}**: they show {smallest}, with a chance of {shows['power']:.0%} at alpha "
        f"{shows['alpha']:g}"
        + (f", over {shows['comparisons']} comparisons" if shows["comparisons"] > 1 else "")
        + f". {points} take {needed} questions"
        + (f" x {epochs} epochs" if epochs > 1 else "")
    ]
    if not shows["can"]:
        tries = shows["epochs"]
        lines.append(
            f", or {tries} epochs of these {questions}"
            if tries is not None
            else f"; further epochs of these {questions} are not known to do"
        )
    lines.append(
        f". Two runs without a difference are taken to disagree on {fixed(shows['churn'])}% of the "
        "questions in each direction."
    )
    if shows["margin"] is not None:
        lines.append(f" An accuracy is known to about ±{fixed(shows['margin'])} points.")
    return "".join(lines)


def _heading(name: str) -> str:
    return "hours" if name == "hours" else axis(name).label


def _row(each: Planned) -> str:
    return line([escape(each["label"]), *_cells(each["total"]), escape(each["source"])])


def _cells(spent: Spent) -> list[str]:
    return [
        UNDEFINED
        if (value := spent[name]) is None  # type: ignore[literal-required]
        else f"{value:,.0f}"
        if name.endswith("_tokens")
        else f"{value:.3g}"
        for name in _COLUMNS
    ]
