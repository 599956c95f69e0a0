"""Names of models from records as names of hub repositories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from s1_eval.errors import UserError
from s1_eval.records import Run


def model_ids(runs: Iterable[Run], told: Mapping[str, str]) -> dict[str, str]:
    """The hub name (`ORGANISATION/NAME`) of every model that was run. told: of those whose recorded
    name is none, or is a folder's. Raises UserError that names a model without one."""
    models = list(dict.fromkeys(run.model for run in runs))
    if unknown := told.keys() - set(models):
        raise UserError(
            f"--model-id {sorted(unknown)[0]!r:.200}: no run is of that model; the runs' models: "
            f"{', '.join(map(repr, models))[:500]}"
        )
    found = {}
    for model in models:
        name = told.get(model, model)
        if not _is_hub_name(name) or (model not in told and Path(model).exists()):
            raise UserError(
                f"can't tell the hub name of model {name!r:.200}: add "
                f"--model-id {model[:200]}=ORGANISATION/NAME"
            )
        found[model] = name
    return found


def _is_hub_name(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return "/" in name
