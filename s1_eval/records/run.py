"""The run record: what every sample of a run shares and what a stranger needs to repeat it. One
`run.json` per run."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict, cast

from s1_eval import __version__
from s1_eval.records.sample import Shared
from s1_eval.thinking import Delimiters


class Dataset(TypedDict, total=False):
    """A local file has no revision; what is not known is None. columns, split: of one's own
    questions. since, shuffle: which questions were kept, and the seed of their order."""

    id: Required[str | None]
    revision: Required[str | None]
    fingerprint: Required[str | None]
    columns: Mapping[str, Any]
    split: str
    since: str
    shuffle: int


UNKNOWN: Dataset = {"id": None, "revision": None, "fingerprint": None}


class RunRecord(Shared, total=False):
    """`run.json`. A log of others may know only what its rows share; further keys are kept."""

    sampling: Mapping[str, Any]
    seed: int | None
    dtype: str
    weights_fingerprint: str
    context_length: int | None
    engine_settings: Mapping[str, Any]
    seeding: Literal["request", "engine", "none"]
    dataset: Dataset
    grader: Mapping[str, Any]
    checker: str
    method_info: Mapping[str, Any]
    prompting: Mapping[str, Any]
    delimiters: Mapping[str, Any]
    versions: Mapping[str, str]
    verifier: Mapping[str, Any]
    raw_prompts: bool
    command: Sequence[str]
    planned_samples: int
    secret: bool | None
    published: str
    strata: str
    released: str
    started: str
    hardware: Sequence[Mapping[str, Any]] | None
    architecture: Mapping[str, Any] | None
    left_out: int
    unasked: int


IDENTITY = (
    "harness",
    "engine",
    "model",
    "task",
    "method",
    "method_params",
    "sampling",
    "seed",
    "dtype",
    "weights_fingerprint",
    "context_length",
    "engine_settings",
    "seeding",
    "dataset",
    "grader",
    "prompting",
    "delimiters",
    "versions",
    "verifier",
    "raw_prompts",
)
"""The fields that determine a run: they make its id, and runs may be compared only knowingly
where one of them differs."""


ASKED = ("task", "dataset", "secret")
"""What a run record takes from every benchmark; all else a run holds fixed whatever it is asked."""


def held_fields(
    *,
    harness: str,
    engine: str,
    model: str,
    method: str,
    method_params: Mapping[str, Any],
    sampling: Mapping[str, Any],
    seed: int | None,
    dtype: str,
    weights_fingerprint: str,
    context_length: int | None,
    seeding: str,
    grader: Mapping[str, Any],
    delimiters: Delimiters,
    versions: Mapping[str, str],
    command: Sequence[str],
    planned_samples: int | None = None,
    prompting: Mapping[str, Any] | None = None,
    engine_settings: Mapping[str, Any] | None = None,
    verifier: Mapping[str, Any] | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """What a run holds fixed, whichever benchmark asks, as plain JSON data: a run record but for
    `ASKED` and its id.

    seeding: whether the engine honours a seed per request, see `EngineInfo.seeding`.
    grader: its name and every one of its settings, so that it can be opened again. It is the
        benchmark's, and a method may compare answers by it.
    prompting: what makes prompts of questions and answers of what follows: system text, few-shot
        examples, chat template and its arguments, texts that cut the answer.
    engine_settings: the engine's arguments, but for those that can't change a result.
    versions: of the engine, the harness and the checker; Python and s1_eval are filled in.
    command: the exact argument list. Not part of the id: the same run can be spelled twice.
    planned_samples: questions times epochs; a reader refuses a run that has fewer.
    verifier: what the run's verifier says of itself, None without one.
    extra: further keys, kept as they are. `method_info`: what the method says of itself, see
        `s1_eval.methods.Method.describe`; not part of the id. `raw_prompts`: true where no chat
        template was applied.
    """
    held = {
        "harness": harness,
        "engine": engine,
        "model": model,
        "method": method,
        "method_params": dict(method_params),
        "sampling": dict(sampling),
        "seed": seed,
        "dtype": dtype,
        "weights_fingerprint": weights_fingerprint,
        "context_length": context_length,
        "engine_settings": dict(engine_settings or {}),
        "seeding": seeding,
        "grader": dict(grader),
        "prompting": dict(prompting or {}),
        "delimiters": delimiters.to_dict(),
        "versions": {
            "python": platform.python_version(),
            "s1_eval": __version__,
            **versions,
        },
        **({} if verifier is None else {"verifier": dict(verifier)}),
    }
    plain: dict[str, Any] = json.loads(json.dumps({**held, "command": list(command), **extra}))
    if planned_samples is not None:
        plain["planned_samples"] = planned_samples
    return plain


def run_record(held: Mapping[str, Any], about: Mapping[str, Any]) -> RunRecord:
    """The run record of what a run holds fixed, asked a benchmark; its `run_id` included.

    held: see `held_fields`. Older logs have a whole record there, which is returned as it is.
    about: `task`, `dataset` (`id`, `revision` and `fingerprint`; a local file has no revision) and
        `secret`; `published` and `strata` where the benchmark has them; and of somebody else's task
        the `scorer`, whose verdict stands.
    """
    if "run_id" in held:
        return as_record(held)
    dataset = {**UNKNOWN, **about["dataset"]}
    asked = {"task": about["task"], "dataset": dataset, "secret": about.get("secret")}
    known = {name: about[name] for name in ("published", "strata") if name in about}
    judge = {"grader": about["scorer"]} if "scorer" in about else {}
    record = {**held, **asked, **known, **judge}
    ordered = {name: record[name] for name in IDENTITY if name in record} | record
    return as_record({"run_id": run_id(record), **ordered})


def as_record(fields: Mapping[str, Any]) -> RunRecord:
    """Fields put together elsewhere, taken for a run record; `validate_run` makes sure of them."""
    return cast(RunRecord, fields)


def recorded_grader(record: RunRecord) -> Mapping[str, Any] | str | None:
    """The grader that a record names; older ones have it as a text, under `checker`. None where a
    log does not say."""
    return record.get("grader") or record.get("checker")


_RETIRED = (("forcing", "continue"),)
"""Settings that older records have and methods no longer, at the value that they all have today."""


def settings_in(record: RunRecord) -> dict[str, Any]:
    """The method's settings, as records of today have them."""
    return {n: v for n, v in record["method_params"].items() if (n, v) not in _RETIRED}


def run_id(record: Mapping[str, object]) -> str:
    """12 hexadecimal digits: a hash of the fields in `IDENTITY`, so the same command in the same
    environment gives the same id on any machine."""
    identity = {key: record.get(key) for key in IDENTITY}
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def differences(old: RunRecord, new: RunRecord) -> dict[str, tuple[Any, Any]]:
    """The identity fields in which two run records differ, nested ones by their dotted name."""
    before, after = flatten(old), flatten(new)
    names = sorted(before.keys() | after.keys())
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}


def flatten(record: RunRecord) -> dict[str, Any]:
    """The identity fields of a run record, with dotted names and no nested objects."""
    flat: dict[str, Any] = {}
    for key in IDENTITY:
        value = settings_in(record) if key == "method_params" else record.get(key)
        if isinstance(value, Mapping):
            flat.update({f"{key}.{name}": inner for name, inner in value.items()})
        else:
            flat[key] = value
    return flat
