"""A recorded row as the page shows it: its chains, its votes and its tree of steps, as plain data.
Texts come from models and from other people's files: characters that could steer what is shown are
spelled out, and the page escapes the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from s1_eval.records import SampleRow
from s1_eval.records.run import RunRecord
from s1_eval.serve.records import verdict_of
from s1_eval.thinking.render import printable

Json = dict[str, Any]

_COUNTS = (
    *("thinking_tokens", "forced_tokens", "answer_tokens", "generated_tokens", "verifier_tokens"),
    "num_ignores_used",
)
_SAID = ("exit_reason", "answer_exit", "error", "limit", "rule", "seconds", "seed", "budget")
_MOST_STEPS = 3000
"""Of a tree in a picture."""
_LONGEST_ANSWER = 120
"""Characters of one in a list."""
_LONGEST_TOLD = 40
"""Characters of an answer that repeats no question: longer ones may be whole replies."""
_LONGEST_STEP = 2000
"""Characters of a step that a tree shows; the chain has the rest."""


def shown_row(
    row: SampleRow, record: RunRecord, question: str | None, *, texts: bool, counted: bool
) -> Json:
    """All but the chains' texts, see `shown_chain`. question: as far as it is known. texts: what
    repeats it may be shown. counted: the file tells the numbers of tokens."""
    chains = _chains(row)
    own = bool(row.get("traces"))
    about = {
        "sample_id": row["sample_id"],
        "name": printable(row["sample_id"]),
        "epoch": row["epoch"],
        "verdict": verdict_of(row),
        "target": printable(row["target"]),
        "answer": told_answer(row["answer"], texts),
        "question": _plain(question) if texts else None,
        "withheld": not texts,
        "secret": record.get("secret"),
        **{name: row.get(name) for name in _COUNTS if own or counted},
        **{name: _plain(row.get(name)) for name in _SAID},
    }
    votes = _votes(row, texts)
    return {
        **about,
        "chains": [_summary(row, chain, i, texts) for i, chain in enumerate(chains)],
        "shown": next((i for i, a in enumerate(_listed(row, "sample_answers")) if _won(row, a)), 0),
        "votes": votes,
        "tree": _tree(row, record, chains) if texts and own else None,
    }


def told_answer(answer: str, texts: bool) -> str:
    """An answer, as far as it may be shown. texts: as of `shown_row`."""
    return printable(answer) if texts or len(answer) <= _LONGEST_TOLD else "(withheld)"


def shown_chain(row: SampleRow, number: int) -> list[Json]:
    """The segments of a chain: role, origin (`unknown` in a log of others), text, number of tokens
    where it is known. Raises IndexError where there is no such chain."""
    return [
        {**_segment(each), "text": printable(each.get("text") or "")}
        for each in _chains(row)[number]["segments"]
    ]


def _chains(row: SampleRow) -> list[Mapping[str, Any]]:
    """The traces that a row has; one made of its texts where it has none."""
    traces = [trace for trace in row.get("traces") or () if _is_trace(trace)]
    if traces:
        return traces
    texts = (("thinking", row.get("thinking")), ("answer", row.get("response")))
    segments = [
        {"role": role, "origin": "unknown", "text": text}
        for role, text in texts
        if isinstance(text, str) and text
    ]
    return [{"segments": segments, "exit_reason": row["exit_reason"]}] if segments else []


def _is_trace(trace: Any) -> bool:
    segments = trace.get("segments") if isinstance(trace, dict) else None
    return isinstance(segments, list) and all(
        isinstance(each, dict) and isinstance(each.get("text", ""), str) for each in segments
    )


def _segment(segment: Mapping[str, Any]) -> Json:
    ids = segment.get("ids")
    return {
        "role": str(segment.get("role")),
        "origin": str(segment.get("origin")),
        "tokens": len(ids) if isinstance(ids, list) else None,
    }


def _summary(row: SampleRow, chain: Mapping[str, Any], number: int, texts: bool) -> Json:
    """A chain without its text; with its vote, where it has one."""
    answer = _at(_listed(row, "sample_answers"), number)
    return {
        "segments": [_segment(each) for each in chain["segments"]],
        "exit_reason": _plain(chain.get("exit_reason")),
        "answer_exit": _plain(chain.get("answer_exit")),
        "answer": _short(answer) if texts else None,
        "score": _plain(_at(_listed(row, "sample_scores"), number)),
        "right": _at(_listed(row, "sample_correct"), number),
    }


def _votes(row: SampleRow, texts: bool) -> list[Json]:
    """The groups of equal answers, the largest first: which chains gave which answer. Answers that
    can't be read are a group without a number."""
    answers, groups = _listed(row, "sample_answers"), _listed(row, "sample_groups")
    found: dict[Any, Json] = {}
    for i, (answer, group) in enumerate(zip(answers, groups, strict=False)):
        vote = found.setdefault(
            group,
            {
                "group": None if group == -1 else group,
                "answer": _short(answer) if texts else f"answer {len(found) + 1}",
                "chains": [],
                "right": _at(_listed(row, "sample_correct"), i),
                "won": False,
                "score": None,
            },
        )
        vote["chains"].append(i)
        vote["won"] |= group != -1 and _won(row, answer)
        score = _at(_listed(row, "sample_scores"), i)
        if isinstance(score, int | float):
            vote["score"] = (vote["score"] or 0) + score
    return sorted(found.values(), key=lambda v: (v["group"] is None, -len(v["chains"])))


def _short(answer: Any) -> str:
    """An answer for a list: of a long one the last that it puts into a box, else its end."""
    text = printable(answer).strip() if isinstance(answer, str) else ""
    if len(text) <= _LONGEST_ANSWER:
        return text
    box = text.rfind("\\boxed{")
    return text[box:][:_LONGEST_ANSWER] if box >= 0 else f"… {text[-_LONGEST_ANSWER:]}"


def _won(row: SampleRow, answer: Any) -> bool:
    return isinstance(answer, str) and bool(answer) and answer == row.get("response")


def _tree(
    row: SampleRow, record: RunRecord, chains: Sequence[Mapping[str, Any]]
) -> list[Json] | None:
    """The steps of a search, each behind the one that it follows: beginnings that chains have in
    common stand once. None where no chain was given up and none begins as another; empty
    where there are more steps than a picture shows.

    parent: the number of the step before, None for a first one. pruned: every chain with the step
    was. chains: those that end with it.
    """
    if not any(c.get("shared") or c.get("exit_reason") == "pruned" for c in chains):
        return None
    separator = _separator(row, record)
    found: dict[tuple[int | None, str], int] = {}
    nodes: list[Json] = []
    for number, chain in enumerate(chains):
        at: int | None = None
        scores = _at(_listed(row, "step_scores"), number)
        steps = [*_steps(chain, separator)]
        known = isinstance(scores, list) and len(scores) >= len(steps)
        for i, step in enumerate(steps):
            node: Json = {"parent": at, "text": step, "score": None, "pruned": True, "chains": []}
            at = found.setdefault((at, step), len(nodes))
            if at == len(nodes):
                nodes.append(node)
            if known:
                nodes[at]["score"] = _plain(scores[i])
            nodes[at]["pruned"] &= chain.get("exit_reason") == "pruned"
        if at is not None:
            nodes[at]["chains"].append(number)
        if len(nodes) > _MOST_STEPS:
            return []
    return nodes


def _steps(chain: Mapping[str, Any], separator: str) -> Iterator[str]:
    """As the methods split the thinking for a verifier."""
    thinking = "".join(
        each.get("text") or "" for each in chain["segments"] if each.get("role") == "thinking"
    )
    for step in thinking.split(separator):
        if step.strip():
            yield printable(step.strip()[:_LONGEST_STEP])


def _separator(row: SampleRow, record: RunRecord) -> str:
    for place in (row["method_params"], record.get("verifier") or {}):
        if isinstance(found := place.get("step_separator"), str) and found:
            return found
    return "\n\n"


def _listed(row: SampleRow, name: str) -> Sequence[Any]:
    found = row.get(name)
    return found if isinstance(found, list) else ()


def _at(values: Sequence[Any], number: int) -> Any:
    return values[number] if number < len(values) else None


def _plain(value: Any) -> Any:
    """A text without what could steer it, a number, or None."""
    if isinstance(value, str):
        return printable(value)
    return value if isinstance(value, int | float) else None
