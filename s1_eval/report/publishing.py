"""What of a run may stand on the web: its traces and questions, or numbers alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Literal, get_args

from s1_eval.records import Run
from s1_eval.records.run import UNKNOWN, as_record

Publish = Literal["open", "all", "none"]
"""Whose texts: `open`, of benchmarks that are known to be open; `all`, also of those whose records
don't say. Of benchmarks whose authors ask that their questions stay off the web none ever are."""

PUBLISH: tuple[Publish, ...] = get_args(Publish)


def withheld(run: Run, publish: Publish) -> bool:
    """Whether the run's texts stay unpublished. Traces repeat the questions, so those of a secret
    benchmark always do. Where the record doesn't say, they do unless all are asked for, and even
    then where it is GPQA by its name."""
    secret = run.record.get("secret")
    if secret is None:
        dataset = run.record.get("dataset") or UNKNOWN
        named = "gpqa" in f"{run.task} {dataset['id']}".lower()
        return named or publish != "all"
    return bool(secret) or publish == "none"


_AROUND = ("turns", "around")
"""What prompts have around a question: examples, which are questions too, and its options."""


def published(run: Run, publish: Publish) -> Run:
    """The run as its record may stand there: where its texts are withheld, with hashes in the place
    of what its prompts have around a question."""
    prompting = run.record.get("prompting") or {}
    if not (prompting.keys() & {*_AROUND} and withheld(run, publish)):
        return run
    told = {name: value for name, value in prompting.items() if name not in _AROUND}
    for name in prompting.keys() & {*_AROUND}:
        text = json.dumps(prompting[name], sort_keys=True)
        told[f"{name}_sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return replace(run, record=as_record({**run.record, "prompting": told}))
