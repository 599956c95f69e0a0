"""Anybody's lm-eval task as a benchmark for a sweep: `lm_eval/gsm8k`.

lm-eval makes the prompts, as a conversation, with the task's few-shot examples; its filters and
metrics judge, as they do after `lm_eval --apply_chat_template`.
"""

from __future__ import annotations

import copy
import json
import logging
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lm_eval.tasks import TaskManager

from s1_eval import libraries
from s1_eval.answers import GRADERS
from s1_eval.errors import SampleFailed, UserError
from s1_eval.evaluation.benchmark import Benchmark, Row, Sample
from s1_eval.evaluation.foreign import Foreign
from s1_eval.evaluation.named import GraderSpec
from s1_eval.harness.gen_kwargs import read_gen_kwargs
from s1_eval.harness.lm_eval_models import Chat
from s1_eval.names import nearest
from s1_eval.records.foreign_rows import as_text
from s1_eval.records.lm_eval_lines import metric_verdict
from s1_eval.records.sample import SampleRow
from s1_eval.typed import flat

libraries.check(__name__)
from lm_eval.api.instance import Instance  # noqa: E402
from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED  # noqa: E402

_LOGGER = logging.getLogger(__name__)

PREFIX = "lm_eval/"

_OURS = ("include_path", "system_instruction", "fewshot_seed", "confirm_run_unsafe_code")
"""What the command line of lm-eval takes and a task does not, as its arguments here."""


def open_task(name: str, grader: GraderSpec | None, arguments: Mapping[str, Any]) -> Benchmark:
    """The benchmark of a task. grader: which of its metrics counts, where it has several (METRIC,
    or METRIC,FILTER); or a grader of ours instead. arguments: `num_fewshot`, `system_instruction`,
    `include_path`, … as lm-eval's command line spells them, and the keys of a task's own file.

    Raises UserError on a task that there is not, and on one that does not generate one text for
    each question.
    """
    found = _Opened(name, arguments)
    ours = {"name": grader} if isinstance(grader, str) else grader
    graded = ours is not None and ours["name"] in GRADERS
    wanted = None if ours is None or graded else str(ours["name"])
    return Benchmark(
        name=found.task.task_name,
        sample=lambda row: row["sample"],
        grader=ours["name"] if ours and graded else "same_text",
        strictness={k: ours[k] for k in ours if k != "name"} if ours and graded else {},
        generate=found.rows,
        foreign=found.foreign(wanted, ours if graded else None),
    )


@contextmanager
def _seeded() -> Iterator[None]:
    """lm-eval's command seeds the world before it loads a task, which may draw from it."""
    import numpy

    kept = random.getstate(), numpy.random.get_state()
    random.seed(DEFAULT_RANDOM_SEED)
    numpy.random.seed(DEFAULT_OTHER_SEED)
    try:
        yield
    finally:
        random.setstate(kept[0])
        numpy.random.set_state(kept[1])


def _load(name: str, given: Mapping[str, Any], include_path: str | None) -> Any:
    short = name.removeprefix(PREFIX)
    manager = TaskManager(include_path=include_path)
    if short not in manager.all_tasks:
        close = nearest(short, manager.all_tasks)
        raise UserError(
            f"unknown task {name!r}: "
            + (f"did you mean {PREFIX}{close}? " if close else "")
            + "`lm_eval ls tasks` lists them; -T include_path=FOLDER adds tasks of your own"
        )
    if short not in manager.all_subtasks:
        raise UserError(
            f"{name} is a group of tasks: give one of its members, which `lm_eval ls subtasks` "
            "lists"
        )
    _check_kind(name, (manager.task_index[short].cfg or {}).get("output_type"))
    overrides = {n: value for n, value in given.items() if n not in ("num_fewshot", *_OURS)}
    try:
        [task] = manager.load([{"task": short, **overrides} if overrides else short])[
            "tasks"
        ].values()
    except Exception as error:  # the network's, the hub's and the task's own code
        raise UserError(
            f"the task {name} can't be made: {type(error).__name__}: {str(error)[:500]}"
        ) from error
    return task


def _check_kind(name: str, kind: str | None) -> None:
    """Raises UserError on a task that does not generate. None: its file leaves that to code."""
    if kind not in (None, "generate_until"):
        raise UserError(
            f"{name} is of the type {kind}: it reads log-likelihoods and generates nothing, so no "
            "method can answer it. Run it by `lm_eval --model s1_hf --tasks "
            f"{name.removeprefix(PREFIX)}`, or choose a variant that generates (often "
            "…_generative, …_cot, …_gen)"
        )


class _Opened:
    """A task with its requests."""

    def __init__(self, name: str, arguments: Mapping[str, Any]) -> None:
        self.name = name
        with _seeded():
            self.task = task = _load(name, arguments, arguments.get("include_path"))
            self._check(arguments)
            shots = arguments.get("num_fewshot")
            if shots is not None and task.get_config("num_fewshot") != 0:
                task.set_config(key="num_fewshot", value=shots)
            elif task.get_config("num_fewshot") is None:
                task.set_config(key="num_fewshot", value=0)
            task.set_fewshot_seed(seed=arguments.get("fewshot_seed", DEFAULT_OTHER_SEED))
            task.build_all_requests(
                system_instruction=arguments.get("system_instruction"),
                apply_chat_template=True,
                fewshot_as_multiturn=True,
                chat_template=self._chat,
                tokenizer_name="s1_eval_messages",
            )
        self._requests = {str(each.doc_id): each for each in task.instances}
        strange = {each.request_type for each in task.instances} - {"generate_until"}
        if strange or len(self._requests) < len(task.instances):
            raise UserError(
                f"{name} asks several things of a question"
                + (f" ({', '.join(sorted(strange))} among them)" if strange else "")
                + ", and a method answers once: run it by lm_eval --model s1_hf"
            )
        self._given = read_gen_kwargs(task.instances[0].args[1])

    def _check(self, arguments: Mapping[str, Any]) -> None:
        _check_kind(self.name, self.task.OUTPUT_TYPE)
        if getattr(self.task, "MULTIMODAL", False):
            raise UserError(
                f"{self.name} shows pictures or sounds, and our engines read text alone"
            )
        if getattr(self.task, "UNSAFE_CODE", False) and not arguments.get(
            "confirm_run_unsafe_code"
        ):
            raise UserError(
                f"{self.name} runs code that the model writes: if that is what you want, add -T "
                "confirm_run_unsafe_code=true"
            )

    def _chat(self, messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        if not add_generation_prompt:
            raise UserError(
                f"{self.name} begins the model's answer (gen_prefix), and thinking comes first: "
                "add -T gen_prefix=null"
            )
        return Chat(json.dumps(messages, ensure_ascii=False))

    def rows(self) -> Iterator[Row]:
        for id, request in self._requests.items():
            try:
                *before, last = Chat(request.args[0]).messages()
            except UserError as error:
                raise UserError(f"{self.name}, document {id}: {error}") from error
            doc = request.doc if isinstance(request.doc, Mapping) else {}
            made = Sample(
                id=id,
                prompt=last["content"],
                target=as_text(str(self.task.doc_to_target(request.doc))),
                metadata={n: v for n, v in doc.items() if isinstance(v, str | int | float | None)},
                turns=tuple(before),
            )
            yield {"sample": made}

    def foreign(self, wanted: str | None, ours: Mapping[str, Any] | None) -> Foreign:
        given, task = self._given, self.task
        counts = None if ours else self._choose(wanted)
        sampling = given.sampling
        return Foreign(
            judge=self._judge_by(counts) if counts else None,
            scorer={"name": counts} if counts else dict(ours or {}),
            dataset="/".join(filter(None, (task.DATASET_PATH, task.DATASET_NAME))) or self.name,
            sampling={
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
            },
            answer_limit=flat(given.settings).get("max_tokens"),
            until=given.until,
        )

    def _choose(self, wanted: str | None) -> str:
        """The metric that counts, as `METRIC,FILTER`: the first of the first filter unless told."""
        first = next(iter(self._requests.values()))
        try:
            known = [*self._scores(first, "")]
        except Exception:  # a task is anybody's code, and no answer may be too little for it
            listed = self.task.get_config("filter_list") or [{"name": "none"}]
            known = [f"{m},{each['name']}" for each in listed for m in self.task.aggregation()]
        chosen = [name for name in known if wanted in (None, name, name.partition(",")[0])]
        if not chosen:
            raise UserError(
                f"grader {wanted!r}: {self.name} is scored by {'; '.join(known)}: give one of "
                f"them, or {', '.join(GRADERS)} instead"
            )
        if len(chosen) > 1:
            _LOGGER.warning(
                "%s is scored by %s: %s counts, and the others are recorded; another one counts "
                "by --grader METRIC,FILTER",
                *(self.name, "; ".join(known), chosen[0]),
            )
        return chosen[0]

    def _scores(self, request: Instance, response: str) -> dict[str, tuple[Any, Any]]:
        """(value, filtered response) by metric and filter."""
        answered, task = copy.copy(request), copy.copy(self.task)
        answered.resps, answered.filtered_resps = [response], {}
        task._instances = [answered]
        task.apply_filters()
        found = {}
        for name, filtered in answered.filtered_resps.items():
            for metric, value in task.process_results(request.doc, [filtered]).items():
                found[f"{metric},{name}"] = (value, filtered)
        return found

    def _judge_by(self, counts: str) -> Any:
        async def judge(sample: Sample, solved: SampleRow) -> Mapping[str, Any]:
            response = solved["response"]
            try:
                scores = self._scores(self._requests[sample.id], response)
                value, filtered = scores[counts]
            except Exception as error:  # a task is anybody's code
                raise SampleFailed(f"the metrics of {self.name} fail: {error!r:.500}") from error
            found = metric_verdict(value, filtered, response)
            if len(scores) == 1 and found["correct"] is not None:
                return found
            values = {name: value for name, (value, _) in scores.items()}
            return {**found, "scores": json.loads(json.dumps(values, default=str))}

        return judge
