"""Runs made up for tests of the page (mathematics, forced tokens, votes, a search, texts that
try everything), read and served as `s1-eval view` does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import runs

from s1_eval.evaluation.reading import readers
from s1_eval.records import RunWriter
from s1_eval.serve.records import Records

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=document.title='owned'>"
LINK = r"$\href{javascript:document.title='owned'}{click}$ $\includegraphics{http://evil/x.png}$"
STEERING = "\u202eRTL\u2028\x1b[2J"
QUESTION = r"What is $\frac{1}{2} + \frac{1}{3}$, as a fraction? It costs $5 and $6."
LONG = 100_000


def segment(text: str, role: str = "thinking", origin: str = "sampled") -> dict[str, Any]:
    return {"role": role, "origin": origin, "ids": [7] * max(1, len(text) // 4), "text": text}


def chain(
    *thoughts: str, answer: str = "5/6", exit_reason: str = "natural", **more: Any
) -> dict[str, Any]:
    """A chain with a forced "Wait" between its thoughts."""
    parts = [segment("<think>\n", "delimiter", "forced")]
    for i, thought in enumerate(thoughts):
        parts += [segment("Wait", origin="forced")] if i else []
        parts.append(segment(thought))
    parts.append(segment("\n</think>\n\n", "delimiter", "forced"))
    if exit_reason != "pruned":
        parts.append(segment(answer, "answer"))
    return {"prompt": [], "segments": parts, "exit_reason": exit_reason, **more}


COMMON = "We need a common denominator. " * 12 + "\n"
FIRST = COMMON + r"So $\frac{1}{2} = \frac{3}{6}$ and \[\frac{1}{3} = \frac{2}{6}.\]" + "\n"
SECOND = ", let me check: \\(3 + 2 = 5\\), over 6.\n"


def long_text() -> str:
    """100,000 characters with mathematics and a needle in every part."""
    line = r"Then $x_{i} = \frac{i}{i+1}$ and the needle is here again, so we go on. " * 3 + "\n"
    return (line * (LONG // len(line) + 1))[:LONG]


def write(folder: Path) -> Path:
    """Runs of one made-up benchmark: forced chains of two lengths, a vote, and a search."""
    _write(folder, "budget_forcing", {"num_ignores": 2}, lambda i: _forced(i, 2), 64)
    _write(folder, "budget_forcing", {"num_ignores": 0}, lambda i: _forced(i, 0), None)
    _write(folder, "majority_vote", {"samples": 4}, _vote, None)
    _write(folder, "beam_search", {"samples": 2, "step_separator": "\n"}, _search, None)
    return folder


def _write(
    folder: Path, method: str, params: dict[str, Any], made: Any, budget: int | None
) -> None:
    record = runs.record(method, method_params=params, task="fractions")
    with RunWriter(folder / record["run_id"], record) as writer:
        for i in range(12):
            id = f"q{i}" if i != 11 else f"q11 {EVIL}{STEERING}"
            row = runs.row(record, id, correct=i % 3 > 0, answered=i % 4 > 0, budget=budget)
            question = QUESTION if i != 11 else QUESTION + EVIL + LINK + STEERING
            writer.append({**row, "question": question, "target": "5/6", **made(i)})


def _forced(i: int, waits: int) -> dict[str, Any]:
    thoughts = [FIRST, *[SECOND] * waits]
    if i == 10:
        thoughts[0] = long_text()
    if i == 11:
        thoughts[0] += EVIL + LINK + STEERING
    return {"traces": [chain(*thoughts)], "response": "5/6", "num_ignores_used": waits}


def _vote(i: int) -> dict[str, Any]:
    answers = ["5/6", "2/5", "5/6", ""]
    return {
        "traces": [chain(FIRST, answer=answer) for answer in answers],
        "response": "5/6",
        "sample_answers": answers,
        "sample_groups": [0, 1, 0, -1],
        "sample_correct": [True, False, True, False],
        **{f"sample_{name}_tokens": [9, 9, 9, 9] for name in ("thinking", "generated")},
    }


def _search(i: int) -> dict[str, Any]:
    steps = ["Halves are $3/6$.\n", "Thirds are $2/6$.\n", "Add the tops.\n", "Guess.\n"]
    return {
        "traces": [
            chain("".join(steps[:3])),
            chain(steps[0] + steps[1] + steps[3], answer="1/5", shared=2),
            chain(steps[0] + steps[3], exit_reason="pruned", shared=1),
        ],
        "response": "5/6",
        "sample_answers": ["5/6", "1/5"],
        "sample_groups": [0, 1],
        "sample_correct": [True, False],
        "sample_scores": [0.9, 0.2],
        "step_scores": [[0.5, 0.7, 0.9, 0.9], [0.5, 0.7, 0.25, 0.2], [0.5, 0.1]],
    }


def read(*paths: Path, tell: Any = None) -> Records:
    """What `s1-eval view` reads."""
    told = tell or (lambda _: None)
    records = Records(told, counted=False)
    for path in paths:
        records.read(path, readers(told, counted=False, ungraded=True, skip_bad=True))
    return records


@contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """The address of an app that runs in a thread. What is under way when it ends is cut."""
    import uvicorn

    config = uvicorn.Config(
        app, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    [listening] = server.servers[0].sockets
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
