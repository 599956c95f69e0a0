"""Anybody's Inspect task as a benchmark for a sweep: `inspect_evals/gsm8k`, `file.py@name`.

Its own solver makes the prompt. It runs up to the one time that it asks the model, where the
sweep's method answers; with the answer it runs again to its end, and the task's own scorer judges.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from inspect_ai import Task, list_tasks
from inspect_ai.dataset import MemoryDataset
from inspect_ai.dataset import Sample as InspectSample
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelName,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.scorer import Score, Scorer, Target
from inspect_ai.solver import Solver, TaskState, chain, multiple_choice
from inspect_ai.tool import ToolChoice, ToolInfo

from s1_eval import libraries
from s1_eval.answers import GRADERS
from s1_eval.errors import SampleFailed, UserError
from s1_eval.evaluation.benchmark import Benchmark, Row, Sample
from s1_eval.evaluation.foreign import Foreign
from s1_eval.evaluation.loops import wait_for
from s1_eval.evaluation.named import GraderSpec
from s1_eval.harness.inspect_choices import several
from s1_eval.harness.inspect_models import STOP_REASONS, UNSUPPORTED, conversation
from s1_eval.names import choose_from
from s1_eval.records.foreign_inspect import judgement, target_of
from s1_eval.records.sample import SampleRow

libraries.check(__name__)
from inspect_ai._eval.context import init_task_context  # noqa: E402
from inspect_ai._eval.loader import load_tasks  # noqa: E402
from inspect_ai._util.registry import (  # noqa: E402
    registry_find,
    registry_info,
    registry_params,
    registry_unqualified_name,
)
from inspect_ai.log._transcript import Transcript, init_transcript  # noqa: E402
from inspect_ai.model._model import init_sample_model_data  # noqa: E402
from inspect_ai.scorer._scorer import unique_scorer_name  # noqa: E402
from inspect_ai.solver._task_state import set_sample_state  # noqa: E402
from inspect_ai.util._store import init_subtask_store  # noqa: E402

_LOGGER = logging.getLogger(__name__)

_SAMPLING = ("temperature", "top_p", "top_k")
_CHANGE_ANSWERS = ({*UNSUPPORTED} - {"stop_seqs"}) | {"reasoning_effort", "reasoning_tokens"}
"""Options that would change the answers and that a sweep does not have, or has by a method."""


def open_task(name: str, grader: GraderSpec | None, arguments: Mapping[str, Any]) -> Benchmark:
    """The benchmark of a task. grader: which of its scorers counts, where it has several (SCORER,
    or SCORER.KEY of one that gives a value for each of several keys); or a grader of ours instead.

    Raises UserError on a task that there is not, on an argument that it does not take, and on what
    no method can answer: tools, sandboxes, several turns, and a scorer that asks the model.
    """
    found = _Opened(name, _load_alike(name, arguments))
    ours = {"name": grader} if isinstance(grader, str) else grader
    if ours is not None and ours["name"] in GRADERS:
        chosen = None
    else:
        chosen = found.choose(None if ours is None else ours["name"])
    return Benchmark(
        name=found.task.name,
        sample=_sample,
        grader="same_text" if chosen or ours is None else ours["name"],
        strictness={} if chosen or ours is None else {k: ours[k] for k in ours if k != "name"},
        generate=found.rows,
        foreign=found.foreign(chosen, ours),
    )


def _sample(row: Row) -> Sample:
    sample: Sample = row["sample"]
    return sample


def _load_alike(name: str, arguments: Mapping[str, Any]) -> Task:
    """The task, in an order that is the same in the next command. Raises UserError on one that
    draws other questions, or words or orders them otherwise, each time that it is made: nobody
    could go on with a sweep over it, or compare another one."""
    task = _load(name, arguments)
    samples = [*task.dataset]
    if not (task.dataset.shuffled or any(sample.choices for sample in samples)):
        return task
    again = [*_load(name, arguments).dataset]
    if [*map(_content, samples)] == [*map(_content, again)]:
        return task
    in_order = sorted(samples, key=lambda sample: str(sample.id))
    named = all(sample.id is not None for sample in samples)
    if named and {*map(_content, samples)} == {*map(_content, again)}:
        _LOGGER.warning("%s comes in another order each time: taken in the order of ids", name)
        task.dataset = MemoryDataset(in_order, task.dataset.name, task.dataset.location)
        return task
    known = registry_info(task).metadata.get("params", ())
    raise UserError(
        f"{name} draws other questions, or another order of options, each time: give its seed, or "
        f"switch that off, by -T KEY=VALUE; its arguments are {', '.join(known) or 'none'}"
    )


def _content(sample: InspectSample) -> str:
    """What tells samples apart; ids that Inspect makes of their order do not."""
    said = sample.model_dump_json(include={"id", "choices", "target"})
    texts = [sample.input] if isinstance(sample.input, str) else [m.text for m in sample.input]
    return json.dumps([said, texts])


def _load(name: str, arguments: Mapping[str, Any]) -> Task:
    package = name.partition("/")[0]
    file = name.rpartition("@")[0] or name
    by_package = not file.endswith(".py")
    if by_package and package not in packages():
        raise UserError(
            f"{name}: {package} is not installed: pip install {package.replace('_', '-')}"
        )
    try:
        tasks = load_tasks([name], dict(arguments))
    except Exception as error:  # a task is anybody's code
        raise UserError(
            f"the task {name} can't be made: {type(error).__name__}: {str(error)[:500]}"
            + _nearest(name, package)
        ) from error
    if len(tasks) != 1:
        known = ", ".join(f"{file}@{task.name}" for task in tasks)
        raise UserError(
            f"{name} holds several tasks: give one of {known}"
            if tasks
            else f"unknown task {name}{_nearest(name, package)}"
        )
    [task] = tasks
    if strange := {*arguments} - {*registry_params(task)}:
        known = registry_info(task).metadata.get("params", ())
        raise UserError(
            f"{name} does not take {', '.join(sorted(strange))}: its arguments are "
            f"{', '.join(known) or 'none'}"
        )
    return task


def packages() -> set[str]:
    """The packages whose tasks Inspect finds by name."""
    return {each.name for each in entry_points(group="inspect_ai")}


def _nearest(name: str, package: str) -> str:
    """What there is beside `name`, for a refusal of it."""
    file = Path(name.rpartition("@")[0] or name)
    if file.suffix == ".py":
        inside = list_tasks(file.name, root_dir=file.parent) if file.is_file() else []
        known = [f"{file}@{info.name}" for info in inside]
    else:
        infos = [registry_info(each) for each in registry_find(lambda info: info.type == "task")]
        known = [info.name for info in infos if info.name.startswith(f"{package}/")]
    return f": {choose_from(name, known)}" if known and name not in known else ""


@dataclass
class _Turn:
    """The one time that a task asks the model. answer: what it gets. by_scorer: it is the scorer's
    turn now. asked: what it has asked. refused: why a sweep can't be the model."""

    answer: ModelOutput
    by_scorer: bool = False
    asked: list[ChatMessage] | None = None
    config: GenerateConfig = field(default_factory=GenerateConfig)
    refused: UserError | None = None

    def ask(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolInfo], config: GenerateConfig
    ) -> ModelOutput:
        if tools:
            names = ", ".join(each.name for each in tools)
            self._refuse(f"gives the model tools ({names}), and a method answers in words")
        if self.by_scorer:
            self._refuse(
                "has a scorer that asks the evaluated model: give it a model of its own by an "
                f"argument of the task, or --grader {', '.join(GRADERS)}"
            )
        if self.asked is not None:
            self._refuse("asks the model several times, and a method answers once")
        self.asked, self.config = deepcopy([*messages]), config
        return self.answer.model_copy(deep=True)

    @property
    def said(self) -> list[tuple[str, str]]:
        """What it has asked, as (role, text)."""
        return [(message.role, message.text) for message in self.asked or ()]

    def _refuse(self, why: str) -> NoReturn:
        self.refused = UserError(why)
        raise self.refused


_turn: ContextVar[_Turn] = ContextVar("the turn of a sample")


@modelapi(name="s1_eval_method")
class _Method(ModelAPI):
    """What a task takes for its model."""

    methods_welcome: ClassVar[bool] = True

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        return _turn.get().ask(input, tools, config)


class _Opened:
    """A task with its samples."""

    def __init__(self, name: str, task: Task) -> None:
        self.name, self.task = name, task
        self._model = Model(_Method("method"), GenerateConfig())
        self._solver = chain(*_listed(task.setup), task.solver)
        self._scorers = _named(task.scorer or [])
        samples = [*task.dataset]
        self._samples = {
            str(sample.id if sample.id is not None else number): sample
            for number, sample in enumerate(samples, 1)
        }
        if not samples:
            raise UserError(f"{name} has no samples")
        if len(self._samples) < len(samples):
            raise UserError(f"{name} has two samples of one id")
        if task.sandbox or any(sample.sandbox for sample in samples):
            raise UserError(
                f"{name} has a sandbox, which a sweep has not: run it by `inspect eval {name} "
                "--solver s1_eval/METHOD`, with -S sandbox=scorer if its scorer alone uses it"
            )
        self._asked = wait_for(self._look())

    async def _look(self) -> dict[str, _Turn]:
        """What every sample asks. Nothing is generated; the answer is empty."""
        asked = {id: await self._try(id) for id in self._samples}
        for id in [*asked][:3]:
            if (await self._try(id)).said != asked[id].said:
                raise UserError(
                    f"{self.name} puts another prompt each time: give the seed of what it draws as "
                    "an argument, -T NAME=SEED"
                )
        return asked

    async def _try(self, id: str) -> _Turn:
        turn, _, error = await self._run(id, 1, _output(""))
        if turn.refused:
            raise UserError(f"{self.name}, sample {id}: {turn.refused}") from turn.refused
        if turn.asked is None:
            why = f"breaks before that: {error!r:.300}" if error else "has no generate() in it"
            raise UserError(f"{self.name}, sample {id} never asks the model: its solver {why}")
        return turn

    async def _run(
        self, id: str, epoch: int, answer: ModelOutput, scored: bool = False
    ) -> tuple[_Turn, dict[str, Score], Exception | None]:
        """A sample with an answer, in a context of its own."""
        turn = _Turn(answer)
        scores: dict[str, Score] = {}

        async def in_context() -> Exception | None:
            state = self._state(self._samples[id], id, epoch)
            _turn.set(turn)
            init_task_context(self._model, self.task.model_roles, self.task.config)
            init_sample_model_data()
            init_transcript(Transcript(log_model_api=False, bounded=False))
            init_subtask_store(state.store)
            set_sample_state(state)
            try:
                state = await self._solver(state, self._generate)
                turn.by_scorer = True
                for name, scorer in self._scorers.items() if scored else ():
                    if (score := await scorer(state, state.target)) is not None:
                        scores[name] = score
            except Exception as error:  # a task is anybody's code
                return error
            return None

        error = await asyncio.create_task(in_context())
        return turn, scores, error

    async def _generate(self, state: TaskState, *_: Any, **config: Any) -> TaskState:
        """The options of a sample whose solvers leave them out are shown, as a solver of ours
        does in Inspect."""
        values = [choice.value.strip() for choice in state.choices]
        if values and not all(value in state.user_prompt.text for value in values):
            return await multiple_choice(multiple_correct=several(state))(state, self._ask)
        return await self._ask(state, **config)

    async def _ask(self, state: TaskState, *_: Any, **config: Any) -> TaskState:
        config = {name: value for name, value in config.items() if name in _CONFIG}
        state.output = await self._model.generate(
            state.messages, state.tools, state.tool_choice, GenerateConfig(**config)
        )
        state.messages.append(state.output.message)
        return state

    def _state(self, sample: InspectSample, id: str, epoch: int) -> TaskState:
        messages: list[ChatMessage] = (
            [ChatMessageUser(content=sample.input, source="input")]
            if isinstance(sample.input, str)
            else deepcopy(sample.input)
        )
        return TaskState(
            model=ModelName(self._model),
            sample_id=id if sample.id is None else sample.id,
            epoch=epoch,
            input=sample.input,
            target=Target(sample.target),
            choices=sample.choices,
            messages=messages,
            metadata=deepcopy(sample.metadata) or {},
            scores={},
        )

    def rows(self) -> Iterator[Row]:
        for id, sample in self._samples.items():
            try:
                before, prompt = conversation(self._asked[id].asked or [])
            except UserError as error:
                raise UserError(f"{self.name}, sample {id}: {error}") from error
            made = Sample(
                id=id,
                prompt=prompt,
                target=target_of(sample),
                options=tuple(sample.choices or ()),
                metadata=sample.metadata or {},
                turns=before,
                question=sample.input if isinstance(sample.input, str) else None,
            )
            yield {"sample": made}

    def choose(self, wanted: str | None) -> tuple[str, str | None]:
        """(scorer, key of its value) that counts. As Inspect has it, the first unless told."""
        known = [*self._scorers]
        if not known:
            raise UserError(f"{self.name} has no scorer: give --grader {', '.join(GRADERS)}")
        if wanted is None:
            if len(known) > 1:
                _LOGGER.warning(
                    "%s is scored by %s: %s counts, and the others are recorded; another one "
                    "counts by --grader NAME",
                    *(self.name, ", ".join(known), known[0]),
                )
            return known[0], None
        name, _, key = wanted.partition(".")
        if name not in known:
            raise UserError(
                f"grader {wanted!r}: {self.name} is scored by {', '.join(known)}: give one of "
                f"them, or {', '.join(GRADERS)} instead"
            )
        return name, key or None

    def foreign(
        self, chosen: tuple[str, str | None] | None, ours: Mapping[str, Any] | None
    ) -> Foreign:
        config = next(iter(self._asked.values())).config
        if refused := [name for name in _CHANGE_ANSWERS if getattr(config, name, None) is not None]:
            raise UserError(
                f"{self.name} sets {', '.join(sorted(refused))}, which a sweep leaves to its "
                "methods: run it in Inspect"
            )
        if chosen:
            wait_for(self._dry_run())
        dataset = self.task.dataset
        return Foreign(
            judge=self._judge_by(*chosen) if chosen else None,
            scorer=self._scorer_data(*chosen) if chosen else dict(ours or {}),
            dataset=dataset.name or dataset.location or self.name,
            sampling={n: v for n in _SAMPLING if (v := getattr(config, n)) is not None},
            answer_limit=config.max_tokens,
            until=tuple(config.stop_seqs or ()),
        )

    async def _dry_run(self) -> None:
        """Raises UserError where a scorer needs the model that is evaluated. One with a model of
        its own is not tried: that may cost."""
        for scorer in self._scorers.values():
            if any("model" in name and value for name, value in registry_params(scorer).items()):
                return
        id = next(iter(self._samples))
        turn, _, _ = await self._run(id, 1, _output(""), scored=True)
        if turn.refused:
            raise UserError(f"{self.name} {turn.refused}") from turn.refused

    def _scorer_data(self, name: str, key: str | None) -> dict[str, Any]:
        params = json.loads(json.dumps(registry_params(self._scorers[name]), default=str))
        return {**params, "name": name if key is None else f"{name}.{key}"}

    def _judge_by(self, name: str, key: str | None) -> Any:
        async def judge(sample: Sample, solved: SampleRow) -> Mapping[str, Any]:
            turn, scores, error = await self._run(
                sample.id, solved["epoch"], _answer_of(solved), scored=True
            )
            if turn.refused:
                raise UserError(f"{self.name}, sample {sample.id}: {turn.refused}")
            if error:
                raise SampleFailed(f"what {self.name} does with the answer fails: {error!r:.500}")
            if conversation(turn.asked or []) != (sample.before, sample.prompt):
                raise UserError(f"{self.name}, sample {sample.id}: another prompt than before")
            return _verdict(scores, name, key, solved["response"])

        return judge


_CONFIG = GenerateConfig.model_fields.keys()


def _listed(solver: Solver | Sequence[Solver] | None) -> list[Solver]:
    if solver is None:
        return []
    return [*solver] if isinstance(solver, Sequence) and not callable(solver) else [solver]


def _named(scorers: Sequence[Scorer]) -> dict[str, Scorer]:
    """The scorers under the names that a log gives their scores."""
    found: dict[str, Scorer] = {}
    for scorer in scorers:
        found[unique_scorer_name(registry_unqualified_name(scorer), [*found])] = scorer
    return found


def _output(text: str, stop: Any = "stop", usage: ModelUsage | None = None) -> ModelOutput:
    message = ChatMessageAssistant(content=text, source="generate")
    choice = ChatCompletionChoice(message=message, stop_reason=stop)
    return ModelOutput(model="method", choices=[choice], usage=usage)


def _answer_of(solved: SampleRow) -> ModelOutput:
    generated = solved["generated_tokens"]
    return _output(
        solved["response"],
        STOP_REASONS.get(solved.get("answer_exit"), "stop"),
        ModelUsage(
            output_tokens=generated,
            total_tokens=generated,
            reasoning_tokens=solved["thinking_tokens"],
        ),
    )


def _verdict(
    scores: Mapping[str, Score], name: str, key: str | None, response: str
) -> Mapping[str, Any]:
    """The verdict of the score that counts; all that was said beside it under `scores`."""
    values = {each: score.value for each, score in scores.items()}
    score = scores.get(name)
    value = None if score is None else score.value
    if isinstance(value, Mapping):
        only = next(iter(value)) if len(value) == 1 else ""
        value = value.get(key or only)
    found = judgement(value, None if score is None else score.answer, response)
    told = len(scores) > 1 or found["correct"] is None
    return {**found, **({"scores": json.loads(json.dumps(values, default=str))} if told else {})}
