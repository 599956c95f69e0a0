"""Inspect solvers that run a method. Those that a user names stand in `solvers/`, one file each;
here is what they share, and the one that a task falls back on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from inspect_ai.model import GenerateConfig, Model, get_model
from inspect_ai.solver import Generate, Solver, TaskState, multiple_choice, solver

from s1_eval.evaluation.benchmark import about_other
from s1_eval.harness import inspect_providers
from s1_eval.harness.inspect_errors import plainly
from s1_eval.harness.inspect_models import MethodCall, S1ModelAPI
from s1_eval.methods import settings
from s1_eval.records.readers import KEY
from s1_eval.verifiers.table import VerifierSpec, parse_verifier


def solve_with(
    method: str, params: Mapping[str, Any], verifier: VerifierSpec | None = None
) -> Solver:
    """A solver that answers every question with `method`, on the model in use.

    verifier: the process reward model that the method searches by, see `open_verifier`.
    Raises UserError on a bad parameter, before any model is loaded.
    """
    with plainly():
        chosen = settings(method, params)
        checked = dataclasses.asdict(chosen)
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
            target=state.target.text,
            about=state.metadata.get(KEY) or about_other("inspect_task"),
            verifier=verifier,
            question=state.input_text,
            own_system=_system(state),
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


def _system(state: TaskState) -> str | None:
    """The system message that the data itself has."""
    messages = [] if isinstance(state.input, str) else state.input
    return next((message.text for message in messages if message.role == "system"), None)


def _told(model: Model) -> dict[str, Any]:
    """The engine's arguments, as far as a log may show them."""
    args = getattr(model.api, "model_args", {})
    return {name: value for name, value in args.items() if name != "api_key"}


@solver
def unforced() -> Solver:
    """What our tasks do without --solver: the unforced run."""
    return solve_with("plain", {})
