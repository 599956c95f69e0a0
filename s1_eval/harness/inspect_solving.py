"""Inspect solvers that run a method: one is made of each method of the table, under the method's
name and with its settings as arguments.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from inspect_ai.model import GenerateConfig, Model, get_model
from inspect_ai.solver import Generate, Solver, TaskState, multiple_choice, solver
from inspect_ai.util import sandbox as current_sandbox

from s1_eval import libraries
from s1_eval.errors import UserError
from s1_eval.harness import inspect_providers
from s1_eval.harness.inspect_choices import labels, mark, several
from s1_eval.harness.inspect_errors import plainly
from s1_eval.harness.inspect_models import MethodCall, S1ModelAPI
from s1_eval.harness.inspect_view import shown_messages, tag_logs
from s1_eval.methods import METHODS, Method, settings
from s1_eval.methods.plain import PLAIN
from s1_eval.records.readers import KEY
from s1_eval.typed import flat, flat_fields, flat_hints, settings_of
from s1_eval.verifiers.table import VerifierSpec, parse_verifier

libraries.check(__name__)
from inspect_ai._util.registry import registry_lookup  # noqa: E402
from inspect_ai.solver._solver import solver_register  # noqa: E402

_LOGGER = logging.getLogger(__name__)


def solve_with(
    method: str,
    params: Mapping[str, Any],
    verifier: VerifierSpec | None = None,
    sandbox: str | None = None,
) -> Solver:
    """A solver that answers every question with `method`, on the model in use.

    verifier: the process reward model that the method searches by, see `open_verifier`.
    sandbox: `scorer` where a task's sandbox is its scorer's alone, see `check_single`.
    Raises UserError on a bad parameter, before any model is loaded.
    """
    with plainly():
        if sandbox not in (None, "scorer"):
            raise UserError(f"sandbox={sandbox!r}: give sandbox=scorer, or leave it out")
        chosen = settings(method, params)
        checked = flat(chosen)
        if verifier is not None:
            parse_verifier(verifier)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        """The options of a multiple-choice sample are shown by Inspect's own solver for them,
        unless the prompt has them, and the answer is marked for the `choice` scorer."""
        tag_logs()
        if not state.choices:
            check_single(state, sandbox)
            return await answer(state)
        shown = labels(state.user_prompt.text, state)
        if shown is None:
            check_single(state, sandbox)
            return await multiple_choice(multiple_correct=several(state))(state, answer)
        _take_back(state, method)
        check_single(state, sandbox)
        state = await answer(state)
        mark(state, shown)
        return state

    async def answer(state: TaskState, *_: Any, **unset: Any) -> TaskState:
        model = get_model()
        if not isinstance(model.api, S1ModelAPI):
            model = await inspect_providers.same_server(model) or model
        about = state.metadata.get(KEY) or {}
        call = MethodCall(
            method=method,
            params=checked,
            sample_id=str(state.sample_id),
            epoch=state.epoch,
            grader=about.get("grader"),
            own_grader=about.get("sample", {}).get("grader"),
            verifier=verifier,
            question=state.input_text,
            own_turns=_turns(state),
            model_args=_told(model),
        )
        if isinstance(model.api, S1ModelAPI):
            if shown := shown_messages(state):
                state.messages, call = shown, dataclasses.replace(call, fenced=True)
            config = GenerateConfig(extra_body={KEY: call.to_dict()})
            state.output = await model.generate(state.messages, config=config)
        elif getattr(model.api, "methods_welcome", False):  # the sweep's takes this one's place
            state.output = await model.generate(state.messages)
        else:
            state.output = await inspect_providers.solve_by_dials(
                model, state.messages, call, chosen
            )
        state.messages.append(state.output.message)
        return state

    return solve


@functools.cache
def solver_of(method: Method) -> Callable[..., Solver]:
    """The solver of a method, registered as `s1_eval/NAME`. Its arguments are the method's
    settings, and a `verifier` where the method needs one."""

    def made(*args: Any, **kwargs: Any) -> Solver:
        given = dict(signature.bind(*args, **kwargs).arguments)
        rest = given.pop(_REST, {})
        verifier = given.pop("verifier", None) if method.verifier else None
        sandbox = rest.pop("sandbox", None)
        return solve_with(method.name, {**given, **rest}, verifier, sandbox)

    signature = _signature(method)
    described = settings_of(method.settings)
    made.__name__ = made.__qualname__ = method.name
    made.__doc__ = "\n\n".join(filter(None, (method.summary, *map(inspect.getdoc, described))))
    made.__annotations__ = {"return": Solver}
    made.__signature__ = signature  # type: ignore[attr-defined]
    return solver(method.name)(made)


_REST = "rest"


def _signature(method: Method) -> inspect.Signature:
    """The settings that a method can't do without, its verifier, the others with their defaults;
    and whatever else is given: `sandbox`, see `solve_with`, or a misspelling, which `settings` then
    names with the nearest of these."""
    hints = flat_hints(method.settings)
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=_default(field),
            annotation=hints.get(name, inspect.Parameter.empty),
        )
        for name, field in flat_fields(method.settings).items()
    ]
    if method.verifier:
        parameters.append(
            inspect.Parameter(
                "verifier", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=VerifierSpec
            )
        )
    parameters.sort(key=lambda parameter: parameter.default is not inspect.Parameter.empty)
    rest = inspect.Parameter(_REST, inspect.Parameter.VAR_KEYWORD, annotation=Any)
    return inspect.Signature([*parameters, rest], return_annotation=Solver)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    made = field.default_factory
    return inspect.Parameter.empty if made is dataclasses.MISSING else made()


def serve_bare_names() -> None:
    """Let `--solver budget_forcing` name a solver of ours without the package, for this process.

    A task of ours calls this as it is made, which Inspect does before it looks for a solver: so
    nobody else's evaluation has our bare names, and a name that somebody has taken stays theirs.
    """
    for name, method in METHODS.items():
        if registry_lookup("solver", name) is None:
            solver_register(_copy(solver_of(method)), name)


def _copy(made: Callable[..., Solver]) -> Callable[..., Solver]:
    """Registering gives an object its name, and this one has its own already."""

    @functools.wraps(made)
    def by_bare_name(*args: Any, **kwargs: Any) -> Solver:
        return made(*args, **kwargs)

    return by_bare_name


def check_single(state: TaskState, sandbox: str | None) -> None:
    """Raises UserError unless the sample asks for one answer to what a user said, in words. Half of
    a task that takes tools or turns would be scored as if it were the whole.

    sandbox: `scorer` says that the sandbox is for the scorer, which runs an answer's code there.
    """
    said = [message.role for message in state.messages]
    calls = any(getattr(message, "tool_calls", None) for message in state.messages)
    if state.tools or calls or "tool" in said:
        raise UserError(
            f"sample {state.sample_id} gives the model tools, and a method of s1_eval answers once "
            "in words: run the task with the solver it was made for"
        )
    if sandbox is None and _has_sandbox():
        raise UserError(
            f"sample {state.sample_id} has a sandbox, which is there for tools, and a method of "
            "s1_eval answers once in words: run the task with the solver it was made for; or if "
            "its scorer alone runs code there, add -S sandbox=scorer"
        )
    if said[-1:] != ["user"]:
        raise UserError(
            f"a method of s1_eval answers the last message, which has to be a user's, but sample "
            f"{state.sample_id} is {', '.join(said) or 'empty'}: leave out solvers that answer "
            "before it"
        )


def _has_sandbox() -> bool:
    try:
        return bool(current_sandbox())
    except ProcessLookupError:
        return False


def _take_back(state: TaskState, method: str) -> None:
    """Take off an answer that `multiple_choice()` got before us, with its marks: it has shown the
    options, and the method is to answer them."""
    if len(state.messages) > 1 and getattr(state.messages[-1], "source", None) == "generate":
        _LOGGER.warning(
            "multiple_choice() asked the model before %s did, and that answer is thrown away: "
            "leave it out, since %s shows the options by itself",
            method,
            method,
        )
        state.messages.pop()
        for choice in state.choices:
            choice.correct = None


def _turns(state: TaskState) -> list[tuple[str, str]]:
    """What the data itself has before its question."""
    messages = [] if isinstance(state.input, str) else state.input[:-1]
    return [(message.role, message.text) for message in messages]


def _told(model: Model) -> dict[str, Any]:
    """The engine's arguments, as far as a log may show them."""
    args = getattr(model.api, "model_args", {})
    return {name: value for name, value in args.items() if name != "api_key"}


@solver
def unforced() -> Solver:
    """What our tasks do without --solver: the unforced run."""
    return solve_with(PLAIN.name, {})
