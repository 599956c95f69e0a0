"""What the models of a recipe answered, kept in files so that nothing is asked twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s1_eval.engines.models import resolve_model
from s1_eval.engines.table import ENGINES, parse_model
from s1_eval.training.curation.asking import ask_all, slug
from s1_eval.training.curation.recipe import Model


def answers(
    model: Model, prompts: Mapping[str, str], purpose: str, folder: Path, seed: int
) -> dict[str, dict[str, Any]]:
    """The answer to each of `prompts` (by id), from a file of its own in `folder` for each way of
    asking. Raises UserError where some could not be had."""
    key = hashlib.sha256(json.dumps(about(model, seed), sort_keys=True).encode()).hexdigest()[:12]
    path = folder / f"{purpose}-{slug(model.model)}-{key}.jsonl"
    title = f"{purpose}: {model.model}"
    return ask_all(model.asking(seed), prompts, path, title, model.concurrency)


def about(model: Model, seed: int) -> dict[str, Any]:
    """What a model's answers depend on, weights included where they are a local folder."""
    from s1_eval.engines.checkpoints import fingerprint

    engine, name = parse_model(model.model)
    folder = Path(resolve_model(name))
    local = not ENGINES[engine].served and folder.is_dir()
    weights = fingerprint(str(folder)) if local else None
    return {**model.asking(seed).about(), "weights": weights}
