"""What Inspect View shows of our runs: the columns of a task's samples, the tags that tell runs
apart in the list of logs, questions as they are written, and why an answer got its score.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from inspect_ai.hooks import Hooks, TaskEnd, hooks
from inspect_ai.log import ProvenanceData, TagsEdit, edit_eval_log, write_eval_log_async
from inspect_ai.model import ChatMessage
from inspect_ai.solver import TaskState
from inspect_ai.viewer import TaskSamplesColumn, TaskSamplesView, ViewerConfig

from s1_eval.methods import METHODS
from s1_eval.methods.plain import PLAIN
from s1_eval.records.located import KEY
from s1_eval.thinking.render import printable

GRADE = "s1_eval/grade"
"""What a log calls the scorer that says what is right."""

MEASURES: Mapping[str, str] = {
    "thinking_tokens": "Thinking",
    "budget": "Budget",
    "exit_reason": "Ended",
    "forced_tokens": "Forced",
}
"""Fields of the sample record that have a score, and with it a column, of their own."""

UNFORCED = "s1_eval/unforced"
"""The solver of a task of ours that was given none."""

_ENDS: Mapping[str, Literal["good", "bad", "warn", "info", "muted"]] = {
    "natural": "good",
    "eos": "info",
    "budget": "warn",
    "context": "bad",
    "pruned": "muted",
}
_LONGEST = 600
"""Characters of a sampled segment that an explanation shows; of a longer one, both its ends."""


def score_name(measure: str) -> str:
    """What a log calls the score of a measure."""
    return f"s1_eval/{measure}"


def viewer() -> ViewerConfig:
    """How Inspect View lists the samples of a task of ours."""
    scores = (GRADE, *map(score_name, MEASURES))
    after = ("answer", "target", "input", "tokens", "duration", "error", "limit")
    view = TaskSamplesView(
        name="Thinking",
        columns=[
            *(TaskSamplesColumn(id=name) for name in ("sampleStatus", "sampleId", "epoch")),
            *(TaskSamplesColumn.score(name) for name in scores),
            *(TaskSamplesColumn(id=name) for name in after),
        ],
        multiline=True,
        score_labels={
            GRADE: "Accuracy",
            **{score_name(name): label for name, label in MEASURES.items()},
        },
        score_color_scales={
            score_name("thinking_tokens"): "neutral",
            score_name("exit_reason"): _ENDS,
        },
        color_scales_enabled=True,
    )
    return ViewerConfig(task_samples_view=view)


class Tags(Hooks):
    """The list of logs has a column of tags and none of solvers: without them, runs of one task at
    different budgets look alike."""

    async def on_task_end(self, data: TaskEnd) -> None:
        """Only a log's header is written again."""
        if tags := tags_of(data.log):
            said = ProvenanceData(author="s1_eval", reason="method and settings")
            tagged = edit_eval_log(data.log, [TagsEdit(tags_add=tags)], said)
            data.log.log_updates, data.log.tags = tagged.log_updates, tagged.tags
            await write_eval_log_async(data.log, header_only=True)


@cache
def tag_logs() -> None:
    """Have the logs of this process tagged. Called by solvers of ours as they run: Inspect
    announces at the start of every evaluation the hooks that it finds then."""
    hooks("tags", "method and settings of s1_eval's solvers")(Tags)


def tags_of(log: Any) -> list[str]:
    """The method of ours that a log's plan ran, and the settings that it was given, `32
    max_thinking_tokens`; empty where none did. Tags are sorted, and the list has room for the first
    few letters: numbers come first there."""
    tags: list[str] = []
    for step in log.plan.steps:
        name = PLAIN.name if step.solver == UNFORCED else step.solver.removeprefix("s1_eval/")
        if name in METHODS:
            given = step.params_passed if step.params_passed is not None else step.params
            tags += [name, *(_tag(key, value) for key, value in (given or {}).items())]
    return tags


def _tag(name: str, value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value} {name}"
    return f"{name}={value if isinstance(value, str) else json.dumps(value, default=str)}"


def as_written(questions: Sequence[str]) -> list[str]:
    """The questions as Inspect View, which reads Markdown, has to get them to show them as they
    are: in a fence where Markdown would make something else of one (`A*5` becomes emphasis), and
    then all that have no mathematics in TeX, which only unfenced text shows set."""
    changed = [_changes(question) for question in questions]
    alike = any(changed)
    return [
        fenced(question) if changes or (alike and not _TEX.search(question)) else question
        for question, changes in zip(questions, changed, strict=True)
    ]


def shown_messages(state: TaskState) -> list[ChatMessage] | None:
    """The conversation with its question in a fence; None where the task shows it in none, or a
    solver has made another one of it."""
    question = (state.metadata.get(KEY) or {}).get("question")
    if question is None or not state.messages or state.messages[-1].text != question:
        return None
    *before, last = state.messages
    return [*before, last.model_copy(update={"content": fenced(question)})]


_TEX = re.compile(
    r"(?<!\\)\$\$.+?\$\$|(?<!\\)\$[^$\n]+?\$|\\\(.+?\\\)|\\\[.+?\\\]|"
    r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}",
    re.DOTALL,
)


def _changes(text: str) -> bool:
    """Whether Markdown shows anything but the text's own characters, its mathematics aside."""
    from markdown_it import MarkdownIt

    plain = _TEX.sub("x", text).strip("\n")
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    shown = []
    for token in parser.parse(plain):
        if token.type == "inline":
            if {child.type for child in token.children or ()} - {"text", "softbreak"}:
                return True
            shown.append("".join(child.content or "\n" for child in token.children or ()))
        elif token.type not in ("paragraph_open", "paragraph_close"):
            return True
    return " ".join(shown).split() != plain.split()


def fenced(text: str, kind: str = "text") -> str:
    """A block of Markdown that shows the text as it is."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{kind}\n{text}\n{fence}"


def explanation(row: Mapping[str, Any]) -> str:
    """Why an answer got its score, in Markdown: what was read by which rule, how thinking ended,
    the votes, and the chain that gave the answer, what was forced on it in ⟦…⟧.

    row: a whole row, or of an answer that is not a method's of ours the verdict alone.
    """
    verdict = "Right" if row["correct"] else "Wrong" if row["answered"] else "No answer"
    read = f": {_code(row['answer'])}" if row["answered"] else ""
    parts = [f"**{verdict}**{read}, by the rule {_code(row['rule'])}"]
    if "exit_reason" in row:
        limit = f" of {row['budget']}" if row["budget"] is not None else ""
        parts.append(
            f"Thinking: {row['thinking_tokens']}{limit} tokens, ended: {row['exit_reason']}; "
            f"{row['forced_tokens']} tokens forced, {row['num_ignores_used']} ends ignored"
        )
        parts += _votes(row)
        if trace := _answering(row):
            parts.append(f"The chain that answered, what was forced on it in ⟦…⟧:\n\n{trace}")
    return "\n\n".join(parts)


def _votes(row: Mapping[str, Any]) -> list[str]:
    """The groups of equal answers, the largest first."""
    answers = row.get("sample_answers") or ()
    if len(answers) < 2 or "sample_groups" not in row:
        return []
    right = row.get("sample_correct") or [False] * len(answers)
    scores = row.get("sample_scores") or ()
    groups: dict[Any, list[int]] = {}
    for i, number in enumerate(row["sample_groups"]):
        groups.setdefault(number if number >= 0 else f"alone {i}", []).append(i)
    lines = []
    for members in sorted(groups.values(), key=len, reverse=True):
        mark = " (right)" if right[members[0]] else ""
        best = f", highest score {max(scores[i] for i in members):.3f}" if scores else ""
        said = _code(answers[members[0]])
        lines.append(f"- {len(members)} of {len(answers)}: {said}{mark}{best}")
    return ["Votes:\n\n" + "\n".join(lines)]


def _answering(row: Mapping[str, Any]) -> str:
    """The chain whose answer was given, in a fence; empty where the record holds no text."""
    traces = [trace for trace in row.get("traces") or () if trace["exit_reason"] != "pruned"]
    response = row.get("response") or ""
    for trace in sorted(traces, key=lambda trace: not _said(trace).endswith(response)):
        shown = "".join(
            f"⟦{printable(text)}⟧" if part["origin"] == "forced" else _both_ends(printable(text))
            for part in trace["segments"]
            if (text := part.get("text"))
        )
        return fenced(shown) if shown else ""
    return ""


def _said(trace: Mapping[str, Any]) -> str:
    parts = trace["segments"]
    return "".join(p.get("text", "") for p in parts if p["role"] in ("answer", "nudge")).strip()


def _both_ends(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters …\n{text[-half:]}"


def _code(text: str) -> str:
    """One line of Markdown that shows the text as it is, its first 200 characters."""
    line = printable(" ".join(text.split()))
    line = line if len(line) <= 200 else f"{line[:199]}…"
    ticks = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    gap = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{gap}{line}{gap}{ticks}" if line else "nothing"
