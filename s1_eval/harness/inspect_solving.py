"""Inspect solvers that run a method: one is made of each method of the table, under the method's
name and with its settings as arguments.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from inspect_ai.model import GenerateConfig, Model, get_model
from inspect_ai.solver import Generate, Solver, TaskState, multiple_choice, solver

from s1_eval import libraries
from s1_eval.harness import inspect_providers
from s1_eval.harness.inspect_errors import plainly
from s1_eval.harness.inspect_models import MethodCall, S1ModelAPI
from s1_eval.methods import METHODS, Method, settings
from s1_eval.methods.plain import PLAIN
from s1_eval.records.readers import KEY
from s1_eval.typed import flat, flat_fields, flat_hints, settings_of
from s1_eval.verifiers.table import VerifierSpec, parse_verifier

libraries.check(__name__)
from inspect_ai._util.registry import registry_lookup  # noqa: E402
from inspect_ai.solver._solver import solver_register  # noqa: E402


def solve_with(
    method: str, params: Mapping[str, Any], verifier: VerifierSpec | None = None
) -> Solver:
    """A solver that answers every question with `method`, on the model in use.

    verifier: the process reward model that the method searches by, see `open_verifier`.
    Raises UserError on a bad parameter, before any model is loaded.
    """
    with plainly():
        chosen = settings(method, params)
        checked = flat(chosen)
        if verifier is not None:
            parse_verifier(verifier)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        """The options of a multiple-choice sample are shown, and the answer marked, by Inspect's
        own solver for them: it is what the `choice` scorer reads."""
        if state.choices:
            shown = multiple_choice(multiple_correct=len(state.target) > 1)
            return await shown(state, answer)
        return await answer(state)

    async def answer(state: TaskState, *_: Any, **unset: Any) -> TaskState:
        model = get_model()
        if not isinstance(model.api, S1ModelAPI):
            model = await inspect_providers.same_server(model) or model
        call = MethodCall(
            method=method,
            params=checked,
            sample_id=str(state.sample_id),
            epoch=state.epoch,
            grader=(state.metadata.get(KEY) or {}).get("grader"),
            verifier=verifier,
            question=state.input_text,
            own_turns=_turns(state),
            model_args=_told(model),
        )
        if isinstance(model.api, S1ModelAPI):
            config = GenerateConfig(extra_body={KEY: call.to_dict()})
            state.output = await model.generate(state.messages, config=config)
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
        misspelled = given.pop(_REST, {})
        verifier = given.pop("verifier", None) if method.verifier else None
        return solve_with(method.name, {**given, **misspelled}, verifier)

    signature = _signature(method)
    described = settings_of(method.settings)
    made.__name__ = made.__qualname__ = method.name
    made.__doc__ = "\n\n".join(filter(None, (method.summary, *map(inspect.getdoc, described))))
    made.__annotations__ = {"return": Solver}
    made.__signature__ = signature  # type: ignore[attr-defined]
    return solver(method.name)(made)


_REST = "misspelled"


def _signature(method: Method) -> inspect.Signature:
    """The settings that a method can't do without, its verifier, the others with their defaults;
    and whatever else is given, which `settings` then names with the nearest of these."""
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
