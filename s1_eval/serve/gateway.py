"""The gateway without HTTP: which models and methods there are, how a request becomes questions,
how many are solved at once, and what is recorded.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import MISSING, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from s1_eval.engines.protocol import Engine, EngineInfo, Generation, Sampling, Stop, Tokenizer
from s1_eval.errors import UserError
from s1_eval.evaluation.binding import NO_DIALS, Dials, bind_policy
from s1_eval.evaluation.grading import judged
from s1_eval.evaluation.run import Run, open_run
from s1_eval.json_lines import read_lines
from s1_eval.methods import METHODS, Method, Question, method, settings
from s1_eval.methods.class_conditional import LEVELS
from s1_eval.names import choose_from, slug
from s1_eval.records.run import UNKNOWN, RunRecord, run_record
from s1_eval.records.sample import SampleRow, sample_row
from s1_eval.records.store import RunWriter
from s1_eval.serve import requests
from s1_eval.serve.events import Asked, Event, Failed, Feed, Tell
from s1_eval.serve.metrics import Metrics
from s1_eval.serve.observing import Observer
from s1_eval.serve.requests import BadRequest
from s1_eval.thinking import Message, Outcome
from s1_eval.typed import flat, flat_fields
from s1_eval.verifiers import Verifier

TASK = "gateway"
"""What records call the task of questions that nobody named one of."""

RUNS = 256
"""Runs that are kept open, at most, beside those in use."""

LONG = 1 << 14
"""Characters of a conversation beyond which its prompt is made beside the event loop first, and
that a method's settings may have."""

IN_TOKENS = ("tokens", "window", "first_checkpoint", "check_every")
"""How settings end that are numbers of tokens: the context bounds these."""


class Busy(RuntimeError):
    """As much is asked as may wait. retry_after: in how many seconds there may be room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the queue is full: try again in {retry_after} s")
        self.retry_after = retry_after


class Closing(RuntimeError):
    """The server is being shut down."""


class NotRecorded(RuntimeError):
    """The record of an answer could not be written."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes on.

    running: questions that are solved at once; waiting: that wait for that, further ones are put
    off. seconds: that a request may take, all in all. body: bytes of a request. width: a method's
    settings that are no numbers of tokens, as `samples`, are at most that.
    """

    running: int = 256
    waiting: int = 1024
    seconds: float = 3600.0
    body: int = 4 << 20
    width: int = 1024


@dataclass(frozen=True, slots=True)
class Solved:
    """One answer. run: that it belongs to. record: the sample record, whole; `correct` is None
    where no target was given. text: what a client reads."""

    run: Run
    outcome: Outcome
    record: SampleRow

    @property
    def text(self) -> str:
        return self.record["response"]

    @property
    def reasoning(self) -> str:
        """The thinking of the chain whose answer was given."""
        shown = self.outcome.shown
        return shown.text(self.run.policy.decode, "thinking") if shown else ""

    @property
    def trace(self) -> dict[str, Any] | None:
        """Of that chain, with text."""
        shown = self.outcome.shown
        return None if shown is None else shown.to_dict(self.run.policy.decode)


@dataclass(frozen=True, slots=True)
class Job:
    """One question of a request."""

    index: int
    run: Run
    record: RunRecord
    id: str
    epoch: int
    prompt: str
    before: tuple[Message, ...]
    stops: tuple[str, ...]
    target: str | None
    options: tuple[str, ...]

    @property
    def repeatable(self) -> bool:
        """Whether another try gives the same answer."""
        sampling = self.run.policy.sampling
        seeded = sampling.seed is not None and self.run.policy.engine.info.seeding == "request"
        return sampling.temperature == 0 or seeded


class Gateway:
    """A model, and every method on it.

    name: what clients call the model. usable: its methods by name, with the settings that each
    needs and that nobody has given yet.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        *,
        default: str | Method = "plain",
        params: Mapping[str, Any] | None = None,
        verifier: Verifier | None = None,
        temperature: float = 1.0,
        limits: Limits = Limits(),
        out: Path | None = None,
        packed: bool = False,
        command: Sequence[str] = (),
    ) -> None:
        """default: the method of requests that name none. params: settings for the methods that
        have them. temperature: of requests that name none. out: a folder for records, whose
        rows are `samples.jsonl.zst` where they are to be `packed`.

        Raises UserError where the default method can't be.
        """
        self.name, self.verifier, self.limits = name, verifier, limits
        self.default, self.params, self.temperature = (
            method(default),
            dict(params or {}),
            temperature,
        )
        self.metrics, self.feed = Metrics(self), Feed()
        self.engine = _Counted(engine)
        self.gate = Gate(limits.running, limits.waiting)
        self.out, self._packed = out, packed
        self.trouble: str | None = None
        self.closing = False
        self._command = list(command)
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._recorders: OrderedDict[str, _Recorder] = OrderedDict()
        self._recording = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.started = int(time.time())
        self.usable = self._usable()
        self._open(self.default, self.settings(self.default, {}), _greedy(self.default), {})

    def settings(self, of: Method, given: Mapping[str, Any]) -> Any:
        """A method's settings: what is given, else the server's. Raises BadRequest."""
        own = {k: v for k, v in self.params.items() if k in flat_fields(of.settings)}
        if len(repr(given)) > LONG:
            raise BadRequest(f"settings of more than {LONG} characters: shorten them", "s1_eval")
        try:
            made = settings(of, {**own, **given})
        except UserError as error:
            raise BadRequest(str(error), "s1_eval") from error
        for key, value in flat(made).items():
            wide = isinstance(value, int) and not key.endswith(IN_TOKENS)
            if wide and value > self.limits.width:
                raise BadRequest(
                    f"{key}={value}: this server takes at most {self.limits.width}", "s1_eval"
                )
        return made

    def shown(self, of: Method) -> dict[str, Any]:
        """The settings that requests get who give none, as far as they have a value."""
        known = flat_fields(of.settings)
        usual = {n: f.default for n, f in known.items() if f.default is not MISSING}
        return usual | {n: v for n, v in self.params.items() if n in known}

    def jobs(self, asked: requests.Asked) -> list[Job]:
        """The questions of a request. Raises BadRequest, and UserError where the model can't do
        what is asked."""
        of = self._method(asked)
        extra = asked.s1_eval
        given, dials = extra.settings, NO_DIALS
        if asked.reasoning_effort is not None:
            given, dials = self._effort(of, asked.reasoning_effort, given)
        temperature = self.temperature if asked.temperature is None else asked.temperature
        sampling = Sampling(temperature, asked.top_p or 1.0, max(asked.top_k or 0, 0))
        around: dict[str, Any] = {}
        if asked.stops:
            around["until"] = list(asked.stops)
        if asked.limit is not None:
            around["max_tokens"] = asked.limit
        run = self._open(
            of,
            self.settings(of, given),
            sampling,
            around,
            grader=extra.grader,
            dials=dials,
            raw=asked.raw,
        )
        run = replace(
            run,
            policy=replace(
                run.policy,
                sampling=replace(run.policy.sampling, seed=asked.seed),
                max_tokens=asked.limit,
            ),
            held={**run.held, "seed": asked.seed},
        )
        about = {"task": TASK, "dataset": UNKNOWN, "secret": None, "grader": run.held["grader"]}
        record = run_record(run.held, about)
        if extra.sample_id is not None and len(asked.prompts) > 1:
            raise BadRequest("sample_id names one question: give one prompt", "s1_eval.sample_id")
        each = [(p, b, e) for p, b in asked.prompts for e in range(asked.n or 1)]
        return [
            Job(
                index=index,
                run=run,
                record=record,
                id=extra.sample_id or requests.sample_id(prompt, before),
                epoch=extra.epoch + epoch,
                prompt=prompt,
                before=before,
                stops=asked.stops,
                target=extra.target,
                options=tuple(extra.options),
            )
            for index, (prompt, before, epoch) in enumerate(each)
        ]

    async def solve(
        self, job: Job, tell: Tell | None = None, tokenwise: bool = False, texts: bool = True
    ) -> Solved:
        """The answer to a question, when it is its turn. tell: gets its events, see `Observer`.

        Raises what the engine and the method do.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            async with self.gate.turn():
                await self._check_target(job)
                await self._check_room(job)
                return await self._solve(job, tell, tokenwise, texts)
        except asyncio.CancelledError:
            if self.closing:
                raise Closing("the server is being shut down") from None
            raise
        finally:
            self._tasks.discard(task)

    async def _solve(self, job: Job, tell: Tell | None, tokenwise: bool, texts: bool) -> Solved:
        run, observer = job.run, None
        if tell or self.feed.watched:
            observer = self._observer(job, tell, tokenwise, texts)
            self._say_asked(observer, job)
            run = observer.run
        try:
            outcome, row = await run.solve(job.id, job.prompt, job.epoch, job.before)
            row = _cut(row, job.stops)
            record = await self._recorded(job, row)
        except BaseException as error:
            if observer:
                observer.tell(Failed, said=str(error) or "given up")
            raise
        if observer:
            observer.answered(outcome, record)
        self.trouble = None
        self.metrics.answered(job.run.method.name, outcome, record)
        self.gate.took(record["seconds"] or 0.0)
        return Solved(job.run, outcome, record)

    def _observer(self, job: Job, tell: Tell | None, tokenwise: bool, texts: bool) -> Observer:
        watched = self.feed.watched

        def both(event: Event) -> None:
            if watched:
                self.feed.tell(event)
            if tell:
                tell(event)

        id = f"{job.id}-{secrets.token_hex(4)}"
        return Observer(id, job.run, both, tokenwise or watched, texts or watched)

    def _say_asked(self, observer: Observer, job: Job) -> None:
        policy, chosen = job.run.policy, job.run.settings
        observer.tell(
            Asked,
            model=self.name,
            method=job.run.method.name,
            settings=flat(chosen),
            budget=job.run.method.budget(chosen).tokens,
            seed=policy.sampling.seed,
            temperature=policy.sampling.temperature,
            prompt=job.prompt,
            before=job.before,
        )

    async def _recorded(self, job: Job, row: SampleRow) -> SampleRow:
        """The whole record, written down where there is a folder for it."""
        verdict = await asyncio.to_thread(
            judged, row, job.target or "", job.run.grader, job.options
        )
        if job.target is None:
            verdict |= {"correct": None}
            verdict.pop("sample_correct", None)
        asked: dict[str, Any] = {"target": job.target or "", "question": job.prompt}
        whole = sample_row(job.record, row, **asked, **verdict)
        if self.out is None:
            return whole
        async with self._recording:
            try:
                return await asyncio.to_thread(self._write, job, whole)
            except UserError as error:
                raise NotRecorded(str(error)) from error

    def _write(self, job: Job, row: SampleRow) -> SampleRow:
        id = job.record["run_id"]
        if id not in self._recorders:
            assert self.out
            folder = self.out / f"{slug(job.run.method.name)}-{id}"
            writer = RunWriter(folder, job.record, packed=self._packed)
            self._recorders[id] = _Recorder(writer)
        self._recorders.move_to_end(id)
        while len(self._recorders) > RUNS:
            self._recorders.popitem(last=False)[1].close()
        return self._recorders[id].put(row, job.repeatable)

    async def abort(self) -> int:
        """Give up all questions in flight; how many that were."""
        self.closing = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(tasks)

    def close(self) -> None:
        """Close the records. The engine stays open."""
        for recorder in self._recorders.values():
            recorder.close()
        self._recorders.clear()

    async def healthy(self) -> bool:
        """Whether the engine answers. It is asked where the last thing that it did was to fail."""
        if self.trouble is not None:
            try:
                async with asyncio.timeout(10):
                    await self.engine.generate(
                        self.engine.tokenizer.encode("a"),
                        max_tokens=1,
                        stop=Stop(),
                        sampling=Sampling(),
                    )
            except Exception:
                return False
            self.trouble = None
        return not self.closing

    def _usable(self) -> dict[str, list[str]]:
        format = self.params.get("thinking_format", "auto")
        policy, _ = bind_policy(self.engine, format, Sampling())
        found = {}
        for name, each in METHODS.items():
            if each.verifier and self.verifier is None:
                continue
            if each.forces:
                try:
                    policy.need_thinking(name)
                except UserError:
                    continue
            known = flat_fields(each.settings)
            needs = [n for n, f in known.items() if _needed(f) and n not in self.params]
            if not needs and each.asks:
                try:
                    self.settings(each, {})
                except UserError:  # one of two will do
                    needs = [each.asks]
            found[name] = needs
        return found

    def _method(self, asked: requests.Asked) -> Method:
        base, _, named = asked.model.rpartition(":")
        if asked.model != self.name and (base != self.name or named not in METHODS):
            raise self.unknown(asked.model)
        in_name = named if asked.model != self.name else None
        in_extra = asked.s1_eval.method
        if in_name and in_extra and in_name != in_extra:
            raise BadRequest(
                f"the model names the method {in_name} and s1_eval {in_extra}: give one",
                "s1_eval.method",
            )
        try:
            return method(in_name or in_extra or self.default)
        except UserError as error:
            raise BadRequest(str(error), "s1_eval.method") from error

    def unknown(self, model: str) -> BadRequest:
        """What is said of a model that is not here."""
        names = [self.name, *(f"{self.name}:{each}" for each in self.usable)]
        said = f"there is no model {model!r:.200}: {choose_from(model[:200], names)}"
        return BadRequest(said, "model", "model_not_found")

    def _effort(
        self, of: Method, effort: str, given: dict[str, Any]
    ) -> tuple[dict[str, Any], Dials]:
        """Where a method asks by effort that is its setting, otherwise the template's dial."""
        if of.service != "effort" or of.asks is None:
            return given, Dials(effort=effort)
        if of.asks in given:
            raise BadRequest(f"reasoning_effort: leave it out beside {of.asks}", "reasoning_effort")
        policy, _ = bind_policy(self.engine, self.params.get("thinking_format", "auto"), Sampling())
        lengths = {level: length for length, level in LEVELS.items()} | {"medium": "default"}
        if effort not in policy.thinking.levels:
            effort = lengths.get(effort, effort)
        return {**given, of.asks: effort}, NO_DIALS

    def _open(
        self,
        of: Method,
        chosen: Any,
        sampling: Sampling,
        around: Mapping[str, Any],
        *,
        grader: str | Mapping[str, Any] = "math",
        dials: Dials = NO_DIALS,
        raw: bool = False,
    ) -> Run:
        """The run of these settings, but for its seed. Raises UserError."""
        data = {"name": grader} if isinstance(grader, str) else dict(grader)
        what = [of.name, flat(chosen), repr(sampling), around, data, repr(dials), raw]
        key = json.dumps([*what, str(date.today())], sort_keys=True, default=repr)
        if key not in self._runs:
            try:
                self._runs[key] = open_run(
                    self.engine,
                    harness="serve",
                    grader=data,
                    method=of,
                    settings=chosen,
                    sampling=sampling,
                    verifier=self.verifier if of.verifier else None,
                    command=self._command,
                    prompting=around,
                    prompts="raw" if raw else "auto",
                    dials=dials,
                )
            except (KeyError, TypeError) as error:
                raise BadRequest(
                    f"grader={json.dumps(data):.200}: give a name, math, integer or choice, or an "
                    "object with it as `name` beside its settings",
                    "s1_eval.grader",
                ) from error
        self._runs.move_to_end(key)
        while len(self._runs) > RUNS:
            self._runs.popitem(last=False)
        return self._runs[key]

    async def _check_target(self, job: Job) -> None:
        """Raises BadRequest on a target that its grader can't read: every answer would be wrong. To
        the math grader one that is spelled the same is right even then."""
        if job.target is None or job.run.grader.name == "math":
            return
        try:
            await asyncio.to_thread(job.run.grader.check_target, job.target)
        except UserError as error:
            raise BadRequest(str(error), "s1_eval.target") from error

    async def _check_room(self, job: Job) -> None:
        """Raises BadRequest on a prompt that leaves no room for an answer."""
        if not job.prompt and job.run.raw:
            raise BadRequest("prompt: it is empty", "prompt")
        question = Question(job.id, job.prompt, job.run.grader, job.before, job.run.raw)
        long = len(job.prompt) + sum(len(m["content"]) for m in job.before) > LONG
        make = job.run.policy.prompt_ids
        ids = await asyncio.to_thread(make, question) if long else make(question)
        context = self.engine.info.context_length
        if len(ids) >= context:
            raise BadRequest(
                f"the prompt has {len(ids)} tokens, and the context of {self.name} {context}: "
                "shorten it",
                "prompt" if job.run.raw else "messages",
                "context_length_exceeded",
            )


class Gate:
    """Lets so many questions be solved at once, and so many wait.

    inside: questions that were admitted and are not answered. running: those that are solved.
    """

    def __init__(self, running: int, waiting: int) -> None:
        self._room = running + waiting
        self._free = asyncio.Semaphore(running)
        self._most = running
        self._seconds = 1.0  # that a question takes, of late
        self.inside = self.running = 0

    @contextmanager
    def admitted(self, questions: int) -> Iterator[None]:
        """Room for so many, until the block ends. Raises Busy without, BadRequest where there never
        is."""
        if questions > self._room:
            raise BadRequest(
                f"the request holds {questions} questions, n times its prompts, and this server "
                f"takes {self._room} at once: ask for fewer",
                "n",
            )
        if self.inside + questions > self._room:
            wait = self._seconds * (self.inside - self.running + 1) / self._most
            raise Busy(min(max(math.ceil(wait), 1), 60))
        self.inside += questions
        try:
            yield
        finally:
            self.inside -= questions

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for one's turn, which lasts until the block ends."""
        async with self._free:
            self.running += 1
            try:
                yield
            finally:
                self.running -= 1

    def took(self, seconds: float) -> None:
        """A question was answered in so long."""
        self._seconds += 0.1 * (seconds - self._seconds)

    @property
    def waiting(self) -> int:
        return self.inside - self.running


class _Recorder:
    """A run's folder, and which samples it has: by id, epoch, and what was asked."""

    def __init__(self, writer: RunWriter) -> None:
        self._writer = writer
        self._last: dict[str, int] = {}
        self._there: set[tuple[str, int, int]] = set()
        for _, row in read_lines(writer.path):
            self._note(row["sample_id"], row["epoch"], row["epoch"], _said(row))

    def put(self, row: SampleRow, repeatable: bool) -> SampleRow:
        """Write a row down. One that was asked before is the same if it can be repeated, and is
        there; otherwise it is a further epoch, as another question by the same id is."""
        id, epoch, said = row["sample_id"], row["epoch"], _said(row)
        if (id, epoch) in self._writer.done:
            if repeatable and (id, epoch, said) in self._there:
                return row
            row["epoch"] = self._last[id] + 1
        self._writer.append(row)
        self._note(id, epoch, row["epoch"], said)
        return row

    def _note(self, id: str, asked: int, epoch: int, said: int) -> None:
        self._there.add((id, asked, said))
        self._last[id] = max(epoch, self._last.get(id, 0))

    def close(self) -> None:
        self._writer.close()


class _Counted:
    """An engine that knows how many requests it has in flight."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.in_flight = 0

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    @property
    def tokenizer(self) -> Tokenizer:
        return self._engine.tokenizer

    async def generate(
        self, prompt: Sequence[int], *, max_tokens: int, stop: Stop, sampling: Sampling
    ) -> Generation:
        self.in_flight += 1
        try:
            return await self._engine.generate(
                prompt, max_tokens=max_tokens, stop=stop, sampling=sampling
            )
        finally:
            self.in_flight -= 1

    def close(self) -> None:
        self._engine.close()


def _said(row: Mapping[str, Any]) -> int:
    """Tells apart what was asked by one id."""
    return hash((row.get("question"), row["target"]))


def _cut(row: SampleRow, stops: Sequence[str]) -> SampleRow:
    """The row with its response up to the first of these texts."""
    response = row["response"]
    cuts = [at for text in stops if (at := response.find(text)) >= 0]
    if cuts:
        row["response"], row["answer_exit"] = response[: min(cuts)], "stop"
    return row


def _greedy(of: Method) -> Sampling:
    return Sampling(1.0 if of.sampled else 0.0)


def _needed(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
