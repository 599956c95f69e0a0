"""Asks a model many questions by the one path of a question, and writes down each answer as it
comes. The same call goes on where an earlier one stopped."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from s1_eval.engines import Engine, Sampling
from s1_eval.engines.checkpoints import fingerprint
from s1_eval.engines.models import resolve_model
from s1_eval.engines.table import ENGINES, open_engine, parse_model
from s1_eval.errors import UserError
from s1_eval.evaluation.run import Run, open_run
from s1_eval.json_lines import AppendedLines, read_lines, write_atomically
from s1_eval.methods import Question as Prompt
from s1_eval.methods import method, settings
from s1_eval.names import slug

FAILURES_IN_A_ROW = 20
"""After so many the model is taken for gone, and the rest is left for the next call."""


class Answer(TypedDict):
    """One line of a file of answers."""

    id: str
    thinking: str
    attempt: str
    thinking_tokens: int
    answer_tokens: int
    generated_tokens: int
    prompt_tokens: int
    exit_reason: str
    answer_cut: bool


@dataclass(frozen=True, slots=True)
class Asking:
    """How a model is asked; all that its answers depend on but the question.

    model: `engine/name`. method: `plain` or `budget_forcing`; params: its settings.
    engine_args: the engine's own.
    """

    model: str
    method: str = "plain"
    params: Mapping[str, Any] = field(default_factory=dict)
    temperature: float = 0.0
    seed: int = 0
    engine_args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parse_model(self.model)
        if self.method not in ("plain", "budget_forcing"):
            raise UserError(f"method={self.method!r}: give plain or budget_forcing")
        settings(self.method, self.params)
        Sampling(self.temperature)

    def open(self) -> Engine:
        """The engine with the model loaded. Raises UserError where there is none."""
        return open_engine(*parse_model(self.model), **self.engine_args)

    def about(self) -> dict[str, Any]:
        """What two calls must share for their answers to belong together, as plain data: weights
        too, where they are a local folder. Where the engine runs and how it is reached is not part
        of it."""
        engine, name = parse_model(self.model)
        served = ENGINES[engine].served
        path = Path(name if served else resolve_model(name))
        local = not served and path.exists()
        return {
            "model": self.model,
            "method": self.method,
            "params": dict(self.params),
            "temperature": self.temperature,
            "seed": self.seed,
            "weights": fingerprint(str(path)) if local else None,
        }

    def run(self, engine: Engine) -> Run:
        """Raises UserError where the model's thinking format can't be told."""
        return open_run(
            engine,
            harness="s1-eval",
            grader=None,
            method=method(self.method),
            settings=settings(self.method, self.params),
            sampling=Sampling(self.temperature, seed=self.seed),
        )


@dataclass(frozen=True, slots=True)
class Price:
    """In one currency, per million tokens. most: what may be spent in this call: no question is
    begun that could take the cost above it."""

    generated: float | None = None
    prompt: float = 0.0
    most: float | None = None

    def __post_init__(self) -> None:
        if self.most is not None and self.generated is None:
            raise UserError("--budget needs --price-per-million: what a million tokens cost")
        for value in (self.generated, self.prompt, self.most):
            if value is not None and value < 0:
                raise UserError(f"a price or budget of {value}: give 0 or more")

    def of(self, prompt_tokens: int, generated_tokens: int) -> float:
        return (prompt_tokens * self.prompt + generated_tokens * (self.generated or 0.0)) / 1e6


FREE = Price()


class Answers:
    """The answers in one JSONL file, open for appending; beside it `<name>.about.json` says how
    they came about.

    done: the ids that are answered.
    Raises UserError where the file holds the answers to something else, is being written by
    another process, or can't be written.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self._lines = AppendedLines(path, path, "choose another file")
        beside = path.with_name(path.name + ".about.json")
        try:
            self._lines.repair()
            self.done = {row["id"] for row in read_answers(path)}
            if self.done or beside.exists():
                _refuse_others(beside, about)
            write_atomically(beside, about)
        except BaseException:
            self._lines.close()
            raise

    def append(self, row: Answer) -> None:
        """Raises UserError where the disk takes no more; the file stays whole."""
        self._lines.append(row)
        self.done.add(row["id"])

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()


def read_answers(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file that each have an id. Raises UserError on anything else."""
    try:
        for number, row in read_lines(path):
            if "id" not in row:
                raise UserError(f"{path} line {number}: give one JSON object with an id")
            yield row
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}") from None


def _refuse_others(beside: Path, about: Mapping[str, Any]) -> None:
    try:
        there = json.loads(beside.read_text())
    except (OSError, ValueError):
        raise UserError(f"{beside} is missing or damaged: choose another file") from None
    # A file of before does not say what its weights were.
    known = {key: value for key, value in about.items() if key in there}
    if changed := [k for k in known if there[k] != json.loads(json.dumps(about[k]))]:
        was = "; ".join(f"{k} is {there[k]!r} there and {about[k]!r} now" for k in changed)
        raise UserError(f"{beside} says that {was}: choose another file, or repeat the command")


@dataclass(frozen=True, slots=True)
class Left:
    """What a call did not get answered: `failed` by the engine's fault (`first` says how the
    first did), `unasked` for want of budget or because the engine was gone."""

    failed: int = 0
    unasked: int = 0
    first: str = ""


async def ask(
    run: Run,
    prompts: Mapping[str, str],
    answers: Answers,
    *,
    concurrency: int = 128,
    price: Price = FREE,
    on_answer: Callable[[], None] = lambda: None,
) -> Left:
    """Answers to `prompts` (by id) that `answers` does not have yet, at most `concurrency` at a
    time. Each answer's seed comes from its id alone."""
    todo = iter([(id, prompt) for id, prompt in prompts.items() if id not in answers.done])
    purse = _Purse(math.inf if price.most is None else price.most)
    failed = in_a_row = 0
    first = ""

    async def worker() -> None:
        nonlocal failed, in_a_row, first
        for id, prompt in todo:
            length = prompt_length(run, prompt)
            worst = price.of(length, longest(run, length))
            if in_a_row >= FAILURES_IN_A_ROW or not await purse.reserve(worst):
                return
            cost = worst
            try:
                outcome, row = await run.solve(id, prompt, 1)
                cost = price.of(length, outcome.generated_tokens)
            except RuntimeError as error:
                failed, in_a_row, first = failed + 1, in_a_row + 1, first or str(error)
                continue
            finally:
                await purse.settle(worst, cost)
            in_a_row = 0
            [trace] = outcome.traces
            answers.append(
                {
                    "id": id,
                    "thinking": trace.text(run.policy.decode, "thinking").strip(),
                    # A nudge that nothing was written after is no answer.
                    "attempt": outcome.answer.strip() if row["answer_tokens"] else "",
                    "thinking_tokens": row["thinking_tokens"],
                    "answer_tokens": row["answer_tokens"],
                    "generated_tokens": row["generated_tokens"],
                    "prompt_tokens": length,
                    "exit_reason": row["exit_reason"],
                    "answer_cut": trace.answer_cut,
                }
            )
            on_answer()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(worker())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return Left(failed, len(prompts.keys() - answers.done) - failed, first)


class _Purse:
    """What may still be spent: an answer is begun when its worst case is covered."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._spent = self._reserved = 0.0
        self._begun = 0
        self._changed = asyncio.Condition()

    async def reserve(self, worst: float) -> bool:
        """Waits for others to come out cheaper than feared; False if that can't help."""

        def covered() -> bool:
            return self._spent + self._reserved + worst <= self._most

        async with self._changed:
            await self._changed.wait_for(lambda: not self._begun or covered())
            if not covered():
                return False
            self._reserved += worst
            self._begun += 1
            return True

    async def settle(self, worst: float, cost: float) -> None:
        async with self._changed:
            self._begun -= 1
            self._reserved = self._reserved - worst if self._begun else 0.0
            self._spent += cost
            self._changed.notify_all()


def prompt_length(run: Run, text: str) -> int:
    """Tokens of the prompt that asks `text`."""
    return len(run.policy.prompt_ids(Prompt("", text, run.grader)))


def longest(run: Run, prompt_tokens: int) -> int:
    """The most tokens that one answer can take."""
    room = max(run.policy.engine.info.context_length - prompt_tokens, 0)
    if run.method.unforced:
        return min(room, run.settings.max_tokens or room)
    cap, answer = run.settings.max_thinking_tokens, run.settings.max_answer_tokens
    if not isinstance(cap, int) or answer is None:
        return room
    return min(room, cap + int(answer) + int(run.settings.num_ignores) + 2)


def complete(
    asking: Asking, prompts: Mapping[str, str], folder: Path, purpose: str, concurrency: int
) -> dict[str, dict[str, Any]]:
    """The answer to each of `prompts` by id, from a file in `folder` of its own for each way of
    asking where it is there. Raises UserError where some could not be had; the next call goes
    on."""
    about = asking.about()
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    named = folder / f"{purpose}-{slug(asking.model)}-{key}.jsonl"
    path = next(folder.glob(f"{purpose}-*-{key}.jsonl"), named)
    with Answers(path, about) as answers:
        if prompts.keys() - answers.done:
            engine = asking.open()
            try:
                left = ask_with_bar(purpose, asking.run(engine), prompts, answers, concurrency)
            finally:
                engine.close()
            if left.failed or left.unasked:
                raise UserError(
                    f"{purpose}: {asking.model}: {left.failed + left.unasked} of {len(prompts)} "
                    f"questions have no answer ({left.first}); the same command goes on from there"
                )
    return {row["id"]: row for row in read_answers(path) if row["id"] in prompts}


def ask_with_bar(
    title: str,
    run: Run,
    prompts: Mapping[str, str],
    answers: Answers,
    concurrency: int,
    price: Price = FREE,
) -> Left:
    """`ask` with a progress bar on standard error."""
    with _bar(title, len(prompts), len(prompts.keys() & answers.done)) as advance:
        asked = ask(run, prompts, answers, concurrency=concurrency, price=price, on_answer=advance)
        return asyncio.run(asked)


@contextmanager
def _bar(title: str, total: int, completed: int) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, completed=completed)
        yield lambda: progress.advance(task)
