"""Inspect solvers that run a method. Those that a user names stand in `solvers/`, one file each;
here is what they share, and the one that a task falls back on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver

from s1_eval.engines.table import ENGINES
from s1_eval.errors import UserError
from s1_eval.harness.benchmark import about_other
from s1_eval.harness.inspect_errors import plainly
from s1_eval.harness.inspect_models import KEY, MethodCall, S1ModelAPI
from s1_eval.methods import settings


def solve_with(method: str, params: Mapping[str, Any]) -> Solver:
    """A solver that answers every question with `method`, on the model in use.

    Raises UserError on a bad parameter, before any model is loaded.
    """
    with plainly():
        checked = dataclasses.asdict(settings(method, params))

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        model = get_model()
        if not isinstance(model.api, S1ModelAPI):
            if method == "plain" and checked == dataclasses.asdict(settings(method, {})):
                return await generate(state)
            raise UserError(
                f"{method} steers the model token by token, and {model} is not one of our engines: "
                f"give --model with one of {', '.join(f'{name}/…' for name in ENGINES)}"
            )
        call = MethodCall(
            method=method,
            params=checked,
            sample_id=str(state.sample_id),
            epoch=state.epoch,
            target=state.target.text,
            about=state.metadata.get(KEY) or about_other("inspect_task"),
        )
        config = GenerateConfig(extra_body={KEY: call.to_dict()})
        state.output = await model.generate(state.messages, config=config)
        state.messages.append(state.output.message)
        return state

    return solve


@solver
def unforced() -> Solver:
    """What our tasks do without --solver: the unforced run; on a provider that is not ours,
    Inspect's own `generate`."""
    return solve_with("plain", {})
