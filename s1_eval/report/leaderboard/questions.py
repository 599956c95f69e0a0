"""The leaderboard's pages of questions: a list for each task, and one page per question with every
sample and its trace. Traces are written as they are read; memory holds a bounded part of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from s1_eval.metrics.series import describe, dials_on, method_label
from s1_eval.records import Located, Run, SampleRow
from s1_eval.report.pages import render
from s1_eval.thinking.render import printable

FOLDER = "questions"

_BUFFERED = 1 << 26
"""Characters that wait to be written, so that files are not opened for every sample."""


class Listed:
    """Tasks and their questions, numbered: names from records never become paths.

    ids: question ids by task, both sorted.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        found: dict[str, set[str]] = defaultdict(set)
        for run in runs:
            found[run.task].update(row["sample_id"] for row in run.rows)
        self.ids = {task: sorted(found[task]) for task in sorted(found)}
        self._tasks = {task: i for i, task in enumerate(self.ids)}
        self._questions = {
            (task, id): i for task, ids in self.ids.items() for i, id in enumerate(ids)
        }

    def task(self, name: str) -> int:
        return self._tasks[name]

    def question(self, task: str, id: str) -> tuple[int, int]:
        """The numbers of the task and of the question in it."""
        return self._tasks[task], self._questions[task, id]


def write(
    to: Path,
    listed: Listed,
    rows: Iterable[Located],
    withheld: Collection[str],
) -> None:
    """Write every task's list, and the pages of questions of the tasks that are not withheld."""
    for task in listed.ids:
        folder = to / FOLDER / str(listed.task(task))
        folder.mkdir(parents=True, exist_ok=True)
        text = render(
            "leaderboard/questions.html.j2",
            ("leaderboard/state.js", "leaderboard/tables.js"),
            task=task,
            rows=_summaries(listed, task),
            withheld=task in withheld,
        )
        _append(folder / "index.html", text)
    pages = _Pages(to, listed)
    seen: set[tuple[str, str, int]] = set()
    for located in rows:
        row = located.row
        sample = (row["run_id"], row["sample_id"], row["epoch"])
        if row["task"] in withheld or sample in seen:
            continue
        seen.add(sample)
        pages.add(row)
    pages.finish()


class _Pages:
    def __init__(self, to: Path, listed: Listed) -> None:
        self._to, self._listed = to, listed
        self._names = {run.id: _name(run) for run in listed.runs}
        self._waiting: dict[tuple[int, int], list[str]] = defaultdict(list)
        self._size = 0
        self._begun: dict[tuple[int, int], tuple[str, str]] = {}  # question and target

    def add(self, row: SampleRow) -> None:
        key = self._listed.question(row["task"], row["sample_id"])
        asked = _inert(str(row.get("question") or "")), row["target"]
        if key not in self._begun:
            self._begun[key] = asked
            head = render(
                "leaderboard/question.html.j2",
                task=row["task"],
                id=row["sample_id"],
                target=row["target"],
                question=asked[0],
            )
            self._waiting[key].append(head)
        sample = render(
            "leaderboard/sample.html.j2",
            row=row,
            run=self._names[row["run_id"]],
            traces=_traces(row),
            response=_response(row),
            # Two data sets of one name may have other questions by the same ids.
            other=asked if _differ(asked, self._begun[key]) else None,
        )
        self._waiting[key].append(sample)
        self._size += len(sample)
        if self._size > _BUFFERED:
            self.flush()

    def finish(self) -> None:
        for key in self._begun:
            self._waiting[key].append("</main>\n</body>\n</html>\n")
        self.flush()

    def flush(self) -> None:
        for (task, question), parts in self._waiting.items():
            _append(self._to / FOLDER / str(task) / f"{question}.html", "".join(parts))
        self._waiting.clear()
        self._size = 0


def _differ(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two rows were asked different questions; one of them may not say."""
    unsaid = not (one[0] and other[0])
    return one[1] != other[1] or not (unsaid or one[0] == other[0])


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.write(text)


def _name(run: Run) -> str:
    return f"{run.model}: {describe(method_label(run), dials_on(run))}"


def _summaries(listed: Listed, task: str) -> list[dict[str, Any]]:
    sums: dict[str, list[int]] = {id: [0, 0, 0] for id in listed.ids[task]}
    for run in listed.runs:
        if run.task == task:
            for row in run.rows:
                entry = sums[row["sample_id"]]
                entry[0] += 1
                entry[1] += row["correct"]
                entry[2] += row["thinking_tokens"]
    return [
        {
            "number": i,
            "id": id,
            "samples": samples,
            "correct": 100 * correct / samples,
            "thinking": thinking / samples,
        }
        for i, (id, (samples, correct, thinking)) in enumerate(sums.items())
    ]


def _traces(row: SampleRow) -> list[dict[str, Any]]:
    """The traces that carry text, ready to be shown; what is no trace is not."""
    shown = []
    for trace in row.get("traces") or ():
        segments = trace.get("segments") if isinstance(trace, dict) else None
        if isinstance(segments, list):
            parts = [
                {
                    "role": str(segment.get("role")),
                    "forced": segment.get("origin") == "forced",
                    "text": _inert(segment["text"]),
                }
                for segment in segments
                if isinstance(segment, dict) and isinstance(segment.get("text"), str)
            ]
            shown.append({"segments": parts, "exit_reason": str(trace.get("exit_reason"))})
    return shown


def _response(row: SampleRow) -> str:
    response = row.get("response")
    return _inert(response) if isinstance(response, str) else ""


def _inert(text: str) -> str:
    """`printable`, in a fraction of the time where there is nothing to spell out."""
    plain = text.replace("\n", "").replace("\t", "").isprintable()
    return text if plain else printable(text)
