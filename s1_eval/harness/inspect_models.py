"""Inspect's providers: each engine of the table, as models that think.

One call of `generate` answers one question, by the method that the call names in
`extra_body["s1_eval"]` (see `MethodCall`), else unforced. That keeps Inspect's own accounting: one
model event, its usage and its limits for each question, however many times the engine is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    Content,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    StopReason,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from s1_eval.engines import Engine, Sampling
from s1_eval.engines.table import RELEASED, open_engine
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import SameText, open_grader
from s1_eval.evaluation.binding import Dials, FirstQuestion, bind_policy, check_first, turned
from s1_eval.evaluation.opened import shared, shared_verifier
from s1_eval.evaluation.run import Run, open_run
from s1_eval.methods import Policy, Question, method, settings
from s1_eval.methods.chain import answer_text
from s1_eval.methods.method import ANSWER_LIMITS
from s1_eval.methods.plain import PLAIN, Plain, free_run
from s1_eval.records.dates import check_date
from s1_eval.records.readers import KEY
from s1_eval.thinking import Message, Outcome, Segment, Trace
from s1_eval.verifiers.table import VerifierSpec, check_verifier

STOP_REASONS: Mapping[str | None, StopReason] = {"budget": "max_tokens", "context": "model_length"}
"""Inspect's word for why an answer was cut."""

MAX_CONNECTIONS = 1024
"""Questions in flight. The engines batch by themselves, so Inspect's adaptive limit, which starts
at 20 and is made for rate-limited services, would only starve them."""

UNSUPPORTED = (
    "best_of",
    "frequency_penalty",
    "logit_bias",
    "num_choices",
    "presence_penalty",
    "response_schema",
    "stop_seqs",
)
"""Options of Inspect that would change the result and that our engines don't have."""


@dataclass(frozen=True, slots=True)
class MethodCall:
    """What a solver of ours asks of a provider of ours: run this method on the conversation.

    Plain data, so that Inspect can log it and use it in the keys of its response cache. What is
    right, and which benchmark asks, is the scorer's to know.

    grader: by which a method compares answers with each other, as data, see `open_grader`;
        own_grader: the question's own.
    question: the data's own, before any solver. own_turns: what the data itself has said before it,
        (role, text) each.
    model_args: the engine's, which Inspect's cache would not tell apart.
    fenced: the last message is the question as Inspect View has to get it, see `as_written`; what
        the model is asked is the question itself.
    """

    method: str
    params: dict[str, Any]
    sample_id: str
    epoch: int
    grader: dict[str, Any] | None
    own_grader: dict[str, Any] | None = None
    verifier: VerifierSpec | None = None
    question: str = ""
    own_turns: list[tuple[str, str]] = field(default_factory=list)
    model_args: dict[str, Any] = field(default_factory=dict)
    fenced: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class S1ModelAPI(ModelAPI):
    """A model behind one of our engines. Its weights are loaded at the first question."""

    engine_name: ClassVar[str]

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),
        thinking_format: str = "auto",
        released: object = None,
        **model_args: Any,
    ) -> None:
        """model_args: the engine's own settings. thinking_format: for ordinary solvers; solvers
        of ours bring their own. released: the model's date, for its records."""
        super().__init__(model_name, base_url, api_key, config=config)
        if base_url is not None:
            model_args["base_url"] = base_url
        if api_key is not None:
            model_args["api_key"] = api_key
        self.model_args = model_args
        self.released = None if released is None else check_date(released, RELEASED)
        self.plain = Plain(thinking_format=thinking_format)
        if config.max_connections is None and config.adaptive_connections is None:
            # Inspect merges what the user gives over this, its only place for a provider's wish.
            config.max_connections = MAX_CONNECTIONS
        self._runs: dict[str, Run] = {}
        self._engine: Engine | None = None
        self._opening = asyncio.Lock()

    async def engine(
        self, first: FirstQuestion | None = None, verifier: VerifierSpec | None = None
    ) -> Engine:
        """The engine, shared with every other user of the same model and arguments. A run that
        can't be is refused before its weights are loaded."""
        if self._engine is None:
            async with self._opening:
                if self._engine is None:
                    self._engine = await asyncio.to_thread(self._open, first, verifier)
        return self._engine

    def _open(self, first: FirstQuestion | None, verifier: VerifierSpec | None) -> Engine:
        check_first(self.engine_name, self.model_name, self.model_args, [first] if first else [])
        check_verifier(verifier)
        return shared(open_engine, self.engine_name, self.model_name, **self.model_args)

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answer the conversation. Raises UserError on what the engines can't do."""
        refused = [name for name in UNSUPPORTED if getattr(config, name, None) is not None]
        if tools or refused:
            raise UserError(
                f"{self.engine_name} has no {', '.join(refused) or 'tools'}: leave it out"
            )
        sampling = _sampling(config)
        dials = Dials(config.reasoning_effort, config.reasoning_tokens)
        call = (config.extra_body or {}).get(KEY)
        if call is None:
            return await self._answer(input, sampling, dials, config.max_tokens)
        asked = MethodCall(**call)
        if asked.fenced:
            input = [*input[:-1], input[-1].model_copy(update={"content": asked.question})]
        limit = method(asked.method).answer_limit or ANSWER_LIMITS[0]
        if config.max_tokens is not None and asked.params.get(limit) is None:
            raise UserError(
                f"max_tokens={config.max_tokens}, of --max-tokens or the task, does not reach "
                f"{asked.method}: give -S {limit}=N"
            )
        return await self._solve(input, asked, sampling, dials)

    async def _answer(
        self,
        input: Sequence[ChatMessage],
        sampling: Sampling,
        dials: Dials,
        max_tokens: int | None,
    ) -> ModelOutput:
        """What any solver gets: think and answer, unforced."""
        if earlier := next((name for m in input if (name := (m.metadata or {}).get(KEY))), None):
            raise UserError(
                f"a solver asks the model again after {earlier} has answered, and a task of "
                "several turns can't be answered by a method of s1_eval: leave out what follows it"
            )
        before, asked = conversation(input)
        first = FirstQuestion(PLAIN, self.plain, sampling, asked, before, dials=dials)
        engine = await self.engine(first)
        policy, raw = bind_policy(engine, self.plain.thinking_format, sampling)
        policy = turned(policy, dials)
        prompt = policy.prompt_ids(Question("", asked, SameText(), before, raw))
        trace = await free_run(policy, prompt, replace(self.plain, max_tokens=max_tokens))
        return self._output(policy, Outcome(answer_text(policy, trace), (trace,)))

    async def _solve(
        self, input: Sequence[ChatMessage], call: MethodCall, sampling: Sampling, dials: Dials
    ) -> ModelOutput:
        """What a solver of ours gets: the method's answer, and in the metadata all of its record
        that is known without the benchmark."""
        before, prompt = conversation(input)
        chosen = settings(call.method, call.params)
        first = FirstQuestion(method(call.method), chosen, sampling, prompt, before, dials=dials)
        run = await self._run(call, first)
        own = None if call.own_grader is None else open_grader(call.own_grader)
        outcome, solved = await run.solve(call.sample_id, prompt, call.epoch, before, own)
        prompting = {**run.held["prompting"], **framing_of(call, input)}
        held = {**run.held, "prompting": prompting}
        output = self._output(run.policy, outcome, {KEY: {**solved, "run": held}})
        output.message.metadata = {KEY: call.method}
        return output

    async def _run(self, call: MethodCall, first: FirstQuestion) -> Run:
        """The run that the call belongs to; one object for all its questions, whatever stands
        around each."""
        what = [call.method, call.params, call.grader, call.verifier]
        what += [repr(first.sampling), repr(first.dials)]
        key = json.dumps(what, sort_keys=True)
        if key in self._runs:
            return self._runs[key]
        engine = await self.engine(first, call.verifier)
        verifier = await asyncio.to_thread(shared_verifier, call.verifier)
        if key not in self._runs:  # others may have waited for the engine too
            self._runs[key] = open_run(
                engine,
                harness="inspect",
                grader=call.grader,
                method=first.method,
                settings=first.settings,
                sampling=first.sampling,
                verifier=verifier,
                dials=first.dials,
                released=self.released,
            )
        return self._runs[key]

    def _output(
        self, policy: Policy, outcome: Outcome, metadata: dict[str, Any] | None = None
    ) -> ModelOutput:
        """The outcome as Inspect shows it. Where several chains were chosen, the thinking is
        that of the one whose answer was given. Every id that was not sampled counts as input, and
        what several chains of a search share counts once."""
        shown = outcome.shown
        content: list[Content] = []
        if shown and shown.thinking_tokens:
            content.append(ContentReasoning(reasoning=shown.text(policy.decode, "thinking")))
        content.append(ContentText(text=outcome.answer))
        own = [list(own_segments(trace)) for trace in outcome.traces]
        prompts = sum(len(trace.prompt) for trace in outcome.traces if not trace.shared)
        read = prompts + sum(len(s.ids) for each in own for s in each if s.origin == "forced")
        thought = [s for each in own for s in each if s.role == "thinking"]
        return ModelOutput(
            model=self.model_name,
            choices=[
                ChatCompletionChoice(
                    message=ChatMessageAssistant(
                        content=content, model=self.model_name, source="generate"
                    ),
                    stop_reason=STOP_REASONS.get(outcome.answer_exit, "stop"),
                )
            ],
            usage=ModelUsage(
                input_tokens=read,
                output_tokens=outcome.generated_tokens,
                total_tokens=read + outcome.generated_tokens,
                reasoning_tokens=sum(len(s.ids) for s in thought if s.origin == "sampled"),
            ),
            metadata=metadata,
        )

    async def tokenize(self, text: str) -> list[int]:
        return (await self.engine()).tokenizer.encode(text, add_special_tokens=False)

    async def count_text_tokens(self, text: str) -> int:
        return len(await self.tokenize(text))

    def max_connections(self) -> int:
        return MAX_CONNECTIONS

    def connection_key(self) -> str:
        return f"{self.engine_name}/{self.model_name}"

    def close(self) -> None:
        """Forget the runs. The engine stays for its other users; it ends with the process."""
        self._runs.clear()


def provide(engine: str) -> None:
    """Register the engine of the table called `engine` as a provider of that name."""
    members = {"engine_name": engine, "__module__": __name__}
    modelapi(name=engine)(type(engine, (S1ModelAPI,), members))


def own_segments(trace: Trace) -> Iterator[Segment]:
    """What a chain has beyond the trunk that another one counts, see `Trace.shared`."""
    trunk = trace.shared
    for segment in trace.segments:
        if segment.origin == "sampled":
            skipped = min(trunk, len(segment.ids))
            trunk -= skipped
            yield replace(segment, ids=segment.ids[skipped:])
        elif not trunk:
            yield segment


def _sampling(config: GenerateConfig) -> Sampling:
    """Greedy unless a temperature is given. Raises UserError on `top_logprobs` alone, which Inspect
    would ask for in vain."""
    if config.top_logprobs is not None and not config.logprobs:
        raise UserError("--top-logprobs is for the log-probabilities: add --logprobs")
    return Sampling(
        temperature=config.temperature or 0.0,
        top_p=1.0 if config.top_p is None else config.top_p,
        top_k=config.top_k or 0,
        seed=config.seed,
        logprobs=(config.top_logprobs or 0) if config.logprobs else None,
    )


def framing_of(call: MethodCall, input: Sequence[ChatMessage]) -> dict[str, Any]:
    """What solvers before ours have put around the question: part of the run's identity. What the
    data itself says, which may differ from question to question, is the data's. What solvers make
    of the data may differ too: `read_log` then has one run of the log all the same."""
    own = {tuple(turn) for turn in call.own_turns} | {("user", call.question)}
    put = [said for m in input[:-1] if (said := (m.role, m.text)) not in own]
    systems = [text for role, text in put if role == "system"]
    turns = [{"role": role, "content": text} for role, text in put if role != "system"]
    prompt = input[-1].text if input else ""
    around = prompt.split(call.question) if call.question else []
    return {
        **({"system": "\n\n".join(systems)} if systems else {}),
        **({"turns": turns} if turns else {}),
        **({"around": around} if any(around) else {}),
    }


def conversation(input: Sequence[ChatMessage]) -> tuple[tuple[Message, ...], str]:
    """(what was said before, the last user message). Raises UserError on anything that a chat
    template would not be shown: it would be missing silently."""
    if not input or input[-1].role != "user":
        roles = ", ".join(message.role for message in input)
        raise UserError(
            f"a model of ours answers the last message, which has to be a user's, but the "
            f"conversation is {roles or 'empty'}"
        )
    *before, last = [_message(message) for message in input]
    return tuple(before), last["content"]


def _message(message: ChatMessage) -> Message:
    if message.role not in ("system", "user", "assistant") or getattr(message, "tool_calls", None):
        raise UserError(
            f"the engines of s1_eval know no tools, and the conversation has a message of the "
            f"role {message.role} that belongs to one"
        )
    parts = [] if isinstance(message.content, str) else message.content
    if strange := {part.type for part in parts} - {"text", "reasoning"}:
        raise UserError(
            f"the engines of s1_eval read text alone, and a message has {', '.join(strange)}: "
            "use a provider of Inspect's for it"
        )
    thought = "\n".join(part.reasoning for part in parts if isinstance(part, ContentReasoning))
    said = {"role": message.role, "content": message.text}
    return {**said, "reasoning_content": thought} if thought else said
