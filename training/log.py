"""`training.json`, which `sft` leaves beside the weights: what a model was made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from s1_eval.errors import UserError

LOG = "training.json"


class Data(TypedDict):
    """cut: examples that were. learned: tokens with loss. sha256: of all ids and labels."""

    examples: int
    cut: int
    tokens: int
    learned: int
    sha256: str


class Loss(TypedDict):
    step: int
    loss: float
    learning_rate: float


class Log(TypedDict):
    """tokens: seen, padding included. seconds: since it was last resumed. before: the log of the
    checkpoint that training went on from, if it is one of ours."""

    recipe: Mapping[str, Any]
    versions: Mapping[str, str]
    parameters: int
    data: Data
    steps: int
    tokens: int
    processes: int
    device: str
    seconds: float
    resumed_at: int | None
    losses: Sequence[Loss]
    before: Log | None


def read(folder: Path) -> Log:
    """Raises UserError where `sft` has not made `folder`."""
    try:
        log: Log = json.loads((folder / LOG).read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder} has no {LOG} ({error}): give a folder that `s1-train sft` made"
        ) from None
    return log
