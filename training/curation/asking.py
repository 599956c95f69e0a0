"""Asks a model many questions through any engine, and writes down each answer as it comes. The
same call goes on where an earlier one stopped."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from s1_eval.answers import grader
from s1_eval.engines import Engine, Sampling
from s1_eval.engines.table import open_engine, parse_model
from s1_eval.errors import UserError
from s1_eval.methods import METHODS, Policy, settings
from s1_eval.methods import Question as Asked

FAILURES_IN_A_ROW = 20
"""After so many the model is taken for gone, and the rest is left for the next call."""


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
        """What two calls must share for their answers to belong together, as plain data. Where
        the engine runs and how it is reached is not part of it."""
        return {
            "model": self.model,
            "method": self.method,
            "params": dict(self.params),
            "temperature": self.temperature,
            "seed": self.seed,
        }

    def policy(self, engine: Engine) -> Policy:
        """Raises UserError where the model's thinking format can't be told."""
        thinking_format = settings(self.method, self.params).thinking_format
        return Policy.bind(engine, thinking_format, Sampling(self.temperature, seed=self.seed))


@dataclass(frozen=True, slots=True)
class Limit:
    """No question is begun that could take the cost above `most`.

    cost: of one answer, by prompt tokens and generated tokens; at most `longest` of the latter.
    """

    most: float
    cost: Callable[[int, int], float]


class Answers:
    """The answers in one JSONL file, open for appending; beside it `<name>.about.json` says how
    they came about. A last line that a kill cut short is taken off.

    done: the ids that are answered.
    Raises UserError where the file holds the answers to something else, is being written by
    another process, or can't be written.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        beside = path.with_name(path.name + ".about.json")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise UserError(f"can't write {path} ({error.strerror}): choose another file") from None
        try:
            self._lock()
            self._cut_unfinished()
            self.done = {row["id"] for row in read_answers(path)}
            if self.done or beside.exists():
                _refuse_others(beside, about)
            beside.write_text(json.dumps(about, indent=1) + "\n")
        except BaseException:
            self._file.close()
            raise

    def append(self, row: Mapping[str, Any]) -> None:
        """Raises UserError where the disk takes no more; the file stays whole."""
        size = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(json.dumps(row).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            self._file.truncate(size)
            raise UserError(
                f"can't write {self.path} ({error.strerror}): make room; the same command goes on"
            ) from error
        self.done.add(row["id"])

    def _lock(self) -> None:
        if sys.platform == "win32":
            return
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(f"another process is writing {self.path}: wait for it") from None

    def _cut_unfinished(self) -> None:
        self._file.seek(0)
        end = 0
        for line in self._file:
            if line.endswith(b"\n"):
                end += len(line)
        self._file.truncate(end)

    def __enter__(self) -> Answers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def read_answers(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSONL file that each have an id. Raises UserError on anything else."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                    _ = row["id"]
                except (ValueError, KeyError, TypeError):
                    raise UserError(
                        f"{path} line {number}: give one JSON object with an id on each line"
                    ) from None
                yield row
    except OSError as error:
        raise UserError(f"can't read {path}: {error.strerror}") from None


def _refuse_others(beside: Path, about: Mapping[str, Any]) -> None:
    try:
        there = json.loads(beside.read_text())
    except (OSError, ValueError):
        raise UserError(f"{beside} is missing or damaged: choose another file") from None
    if changed := [k for k in about if there.get(k) != json.loads(json.dumps(about[k]))]:
        was = "; ".join(f"{k} is {there.get(k)!r} there and {about[k]!r} now" for k in changed)
        raise UserError(f"{beside} says that {was}: choose another file, or repeat the command")


@dataclass(frozen=True, slots=True)
class Left:
    """What a call did not get answered: `failed` by the engine's fault (`first` says how the
    first did), `unasked` for want of budget or because the engine was gone."""

    failed: int = 0
    unasked: int = 0
    first: str = ""


async def ask(
    asking: Asking,
    policy: Policy,
    prompts: Mapping[str, str],
    answers: Answers,
    *,
    concurrency: int = 128,
    limit: Limit | None = None,
    on_answer: Callable[[], None] = lambda: None,
) -> Left:
    """Answers to `prompts` (by id) that `answers` does not have yet, at most `concurrency` at a
    time. Each answer's seed comes from its id alone."""
    method, params = METHODS[asking.method], settings(asking.method, asking.params)
    todo = iter([(id, prompt) for id, prompt in prompts.items() if id not in answers.done])
    purse = _Purse(limit)
    failed = in_a_row = 0
    first = ""

    async def worker() -> None:
        nonlocal failed, in_a_row, first
        for id, prompt in todo:
            question = Asked(id, prompt, grader("math"))
            length = len(policy.prompt_ids(question))
            worst = purse.cost(length, longest(asking, policy, length))
            if in_a_row >= FAILURES_IN_A_ROW or not await purse.reserve(worst):
                return
            cost = worst
            try:
                outcome = await method.run(policy.fork(id), question, params)
                cost = purse.cost(length, outcome.generated_tokens)
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
                    "thinking": trace.text(policy.decode, "thinking").strip(),
                    "attempt": outcome.answer.strip(),
                    "thinking_tokens": outcome.thinking_tokens,
                    "answer_tokens": outcome.answer_tokens,
                    "generated_tokens": outcome.generated_tokens,
                    "prompt_tokens": length,
                    "exit_reason": outcome.exit_reason,
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

    def __init__(self, limit: Limit | None) -> None:
        self._limit = limit
        self._spent = self._reserved = 0.0
        self._begun = 0
        self._changed = asyncio.Condition()

    def cost(self, prompt_tokens: int, generated_tokens: int) -> float:
        return self._limit.cost(prompt_tokens, generated_tokens) if self._limit else 0.0

    async def reserve(self, worst: float) -> bool:
        """Waits for others to come out cheaper than feared; False if that can't help."""
        if not self._limit:
            return True
        most = self._limit.most
        async with self._changed:
            await self._changed.wait_for(
                lambda: not self._begun or self._spent + self._reserved + worst <= most
            )
            if self._spent + self._reserved + worst > most:
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


def longest(asking: Asking, policy: Policy, prompt_tokens: int) -> int:
    """The most tokens that one answer can take."""
    room = max(policy.engine.info.context_length - prompt_tokens, 0)
    params = settings(asking.method, asking.params)
    if asking.method == "plain":
        most: int | None = params.max_tokens
        return min(room, most or room)
    cap, answer = params.max_thinking_tokens, params.max_answer_tokens
    if not isinstance(cap, int) or answer is None:
        return room
    forced: int = params.num_ignores + 2
    return min(room, cap + int(answer) + forced)


def ask_all(
    asking: Asking, prompts: Mapping[str, str], path: Path, title: str, concurrency: int = 128
) -> dict[str, dict[str, Any]]:
    """The answer to each of `prompts`, from the file `path` where it is there. Raises UserError
    where some could not be had; the next call goes on."""
    with Answers(path, asking.about()) as answers:
        todo = len(prompts.keys() - answers.done)
        if todo:
            engine = asking.open()
            try:
                with bar(title, len(prompts), len(prompts) - todo) as advance:
                    left = asyncio.run(
                        ask(
                            asking,
                            asking.policy(engine),
                            prompts,
                            answers,
                            concurrency=concurrency,
                            on_answer=advance,
                        )
                    )
            finally:
                engine.close()
            if left.failed or left.unasked:
                raise UserError(
                    f"{title}: {left.failed + left.unasked} of {len(prompts)} questions have no "
                    f"answer ({left.first}); the same command goes on from there"
                )
    return {row["id"]: row for row in read_answers(path) if row["id"] in prompts}


@contextmanager
def bar(title: str, total: int, completed: int) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error; gives the function that advances it."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, completed=completed)
        yield lambda: progress.advance(task)


def slug(text: str) -> str:
    """`text` as part of a file's name."""
    return "".join(c if c.isalnum() or c in "-." else "_" for c in text)
