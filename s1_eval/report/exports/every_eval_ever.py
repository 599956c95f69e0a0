"""Scores as Every Eval Ever's aggregate records (schema 0.3, https://evalevalai.com): one file per
series with Control, Scaling and Performance, and each run's accuracy and mean thinking tokens; and
beside it one of each sample, where its question may be shown and the record holds it.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1_eval.json_lines import JsonObject
from s1_eval.metrics.caveats import partial
from s1_eval.metrics.entries import Accuracy, Entry, Metric, Tokens
from s1_eval.metrics.series import entry_name
from s1_eval.names import file_name
from s1_eval.records import Dataset, Located, Run, RunRecord, SampleRow, recorded_grader
from s1_eval.records.run import UNKNOWN
from s1_eval.report.publishing import Publish, published, withheld

SCHEMA_VERSION = "0.3.0"
RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")
"""Of who evaluated to who made the model."""

_PERCENT = {"metric_unit": "percent", "min_score": 0, "max_score": 100}
_METRICS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "accuracy": ("Correct answers", {"metric_kind": "accuracy", **_PERCENT}),
    "thinking_tokens": (
        "Mean thinking tokens per question",
        {"metric_unit": "tokens", "min_score": 0, "max_score": "Infinity", "lower_is_better": True},
    ),
    "control": ("Runs that keep within their limit on thinking tokens", _PERCENT),
    "scaling": (
        "Points of accuracy per doubling of thinking tokens",
        {"metric_unit": "points", "min_score": "-Infinity", "max_score": "Infinity"},
    ),
    "performance": ("Accuracy of the series' best run", _PERCENT),
}
_OURS = frozenset({"transformers", "vllm"})
"""Engines that run the weights in this process."""

_THOUGHT = ("thinking", "sampled")
_STANDARD = frozenset({"accuracy"})
"""Metrics that others know by the same name; ours have the project's name in front."""


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Who ran the evaluation. relationship: one of `RELATIONSHIPS`."""

    organization: str
    relationship: str


def every_eval_ever(
    entries: Sequence[Entry],
    runs: Sequence[Run],
    folder: Path,
    model_ids: Mapping[str, str],
    evaluator: Evaluator,
    rows: Iterable[Located] = (),
    publish: Publish = "open",
) -> list[Path]:
    """Write `folder/data/TASK/ORGANISATION/NAME/<uuid>.json` for every series, and its samples to
    `<uuid>_samples.jsonl`; the paths. The same runs always have the same files.

    rows: the runs' rows again, whole, read one by one. publish: whose samples to write.
    """
    records = {run.id: published(run, publish) for run in runs}
    made = []
    for entry in entries:
        name = _uuid(entry)
        to = folder / "data" / file_name(entry["task"]) / model_ids[entry["model"]]
        to.mkdir(parents=True, exist_ok=True)
        log = _log(entry, records, model_ids[entry["model"]], evaluator, name)
        made.append((log, to / f"{name}.json"))
        _samples(to / f"{name}.json").unlink(missing_ok=True)
    open_runs = {run.id for run in runs if not withheld(run, publish)}
    _write_samples(made, (located.row for located in rows if located.row["run_id"] in open_runs))
    paths = []
    for log, path in made:
        samples = _samples(path)
        if samples.exists():
            log["detailed_evaluation_results"] = _companion(samples, folder)
            paths.append(samples)
        path.write_text(json.dumps(log, indent=2, allow_nan=False) + "\n", "utf-8", newline="\n")
        paths.append(path)
    return paths


def _samples(path: Path) -> Path:
    return path.with_name(f"{path.stem}_samples.jsonl")


def _companion(samples: Path, folder: Path) -> JsonObject:
    """How a series' record refers to the file of its samples."""
    with samples.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        rows = sum(1 for _ in file)
    return {
        "format": "jsonl",
        "file_path": samples.relative_to(folder).as_posix(),
        "hash_algorithm": "sha256",
        "checksum": checksum,
        "total_rows": rows,
    }


def _write_samples(made: Sequence[tuple[JsonObject, Path]], rows: Iterable[SampleRow]) -> None:
    """Every row that holds its question, as it is read."""
    results = {
        result["evaluation_result_id"]: (log, result["evaluation_name"], _samples(path))
        for log, path in made
        for result in log["evaluation_results"]
    }
    for row in rows:
        result = f"{row['run_id']}/accuracy"
        if not row.get("question") or result not in results:
            continue
        log, name, path = results[result]
        text = json.dumps(_instance(row, log, name, result), allow_nan=False)
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(f"{text}\n")


def _instance(row: SampleRow, log: JsonObject, name: str, result: str) -> JsonObject:
    """One sample, of one epoch."""
    thinking = [
        "".join(part.get("text", "") for part in trace["segments"] if part["role"] == "thinking")
        for trace in row.get("traces") or ()
    ]
    asked = row.get("prompt_tokens")
    usage: JsonObject = {}
    if asked is not None:
        usage["token_usage"] = {
            "input_tokens": asked,
            "output_tokens": row["generated_tokens"],
            "total_tokens": asked + row["generated_tokens"],
            "input_tokens_cache_read": row.get("cached_tokens"),
            "reasoning_tokens": _sampled_thinking(row),
        }
    if row["seconds"] is not None:
        usage["performance"] = {"latency_ms": 1000 * row["seconds"]}
    told = ("epoch", "budget", "exit_reason", "thinking_tokens", "forced_tokens", "seed")
    same = json.dumps([row["question"], row["target"]])
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": log["evaluation_id"],
        "model_id": log["model_info"]["id"],
        "evaluation_name": name,
        "evaluation_result_id": result,
        "sample_id": row["sample_id"],
        "sample_hash": hashlib.sha256(same.encode()).hexdigest(),
        "interaction_type": "single_turn",
        "input": {"raw": row["question"], "reference": [row["target"]]},
        "output": {
            "raw": [row.get("response") or ""],
            **({"reasoning_trace": thinking} if any(thinking) else {}),
        },
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": "output.raw",
                "extracted_value": row["answer"],
                "extraction_method": row.get("rule") or "unknown",
                "is_terminal": True,
            }
        ],
        "evaluation": {"score": float(row["correct"]), "is_correct": row["correct"]},
        "error": row.get("error"),
        "metadata": _texts({name: row.get(name) for name in told}),
        **usage,
    }


def _sampled_thinking(row: SampleRow) -> int:
    """Thinking tokens among the generated ones: without what was forced, and what chains have in
    common counted once."""
    own = 0
    for trace in row.get("traces") or ():
        thought = (p for p in trace["segments"] if (p["role"], p["origin"]) == _THOUGHT)
        sampled = sum(len(part.get("ids") or ()) for part in thought)
        own += max(sampled - int(trace.get("shared") or 0), 0)
    return min(own or row["thinking_tokens"], row["generated_tokens"])


def _uuid(entry: Entry) -> str:
    ids = json.dumps(sorted(point["run_id"] for point in entry["points"]))
    return str(uuid.UUID(bytes=hashlib.sha256(ids.encode()).digest()[:16], version=4))


def _log(
    entry: Entry,
    records: Mapping[str, Run],
    model_id: str,
    evaluator: Evaluator,
    name: str,
) -> JsonObject:
    series = entry_name(entry)
    first = records[entry["points"][0]["run_id"]].record
    now = str(int(time.time()))
    data = _source_data(entry["task"], first.get("dataset") or UNKNOWN)
    members = ", ".join(point["run_id"] for point in entry["points"])
    results = [
        {
            "evaluation_result_id": f"{name}/{metric}",
            "evaluation_name": f"{entry['task']}: {series}",
            "source_data": data,
            **_score(entry, metric, entry[metric], {"runs": members}),
        }
        for metric in ("control", "scaling", "performance")
        if entry[metric]["value"] is not None
    ]
    for point in entry["points"]:
        run = records[point["run_id"]].record
        label = f"{series}: {point['label']}" if entry["varied"] else series
        results += [
            {
                "evaluation_result_id": f"{run['run_id']}/{metric}",
                "evaluation_name": f"{entry['task']}: {label}",
                "source_data": data,
                **_score(entry, metric, point[metric], _run_details(records[point["run_id"]])),
                "generation_config": _generation_config(run),
            }
            for metric in ("accuracy", "thinking_tokens")
        ]
    versions = first.get("versions") or {}
    ours = "s1_eval" in versions
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"{entry['task']}: {series}/{model_id}/{now}",
        "retrieved_timestamp": now,
        "source_metadata": {
            "source_name": "s1_eval",
            "source_type": "evaluation_run",
            "source_organization_name": evaluator.organization,
            "evaluator_relationship": evaluator.relationship,
        },
        "eval_library": {
            "name": "s1_eval" if ours else first["harness"],
            "version": versions.get("s1_eval", "unknown"),
            "additional_details": _texts({"harness": first["harness"], "versions": versions}),
        },
        "model_info": {
            "name": entry["model"],
            "id": model_id,
            "developer": model_id.partition("/")[0],
            "inference_engine": {
                "name": first["engine"],
                "version": versions.get(first["engine"], "unknown"),
            },
            "additional_details": _texts(
                {
                    "deployment_type": "self_deployed" if first["engine"] in _OURS else "unknown",
                    "model_availability": "unknown",
                    "weights_fingerprint": first.get("weights_fingerprint"),
                    "dtype": first.get("dtype"),
                }
            ),
        },
        "evaluation_results": results,
    }


def _run_details(run: Run) -> dict[str, str]:
    said = "; ".join(partial(run))
    return {"run": run.id, **({"partial": said} if said else {})}


def _score(
    entry: Entry, metric: str, value: Metric | Accuracy | Tokens, details: Mapping[str, str]
) -> JsonObject:
    """One metric of a series or of a run."""
    described, config = _METRICS[metric]
    bootstrap = entry["bootstrap"]
    uncertainty: JsonObject = {"num_samples": entry["questions"]}
    if value["low"] is not None:
        uncertainty["confidence_interval"] = {
            "lower": value["low"],
            "upper": value["high"],
            "confidence_level": bootstrap["level"],
            "method": value["interval"],
        }
        if "bootstrap" in (value["interval"] or ""):
            uncertainty["num_bootstrap_samples"] = bootstrap["resamples"]
    note = {"note": value["note"]} if value.get("note") else {}
    return {
        "metric_config": {
            "evaluation_description": described,
            "metric_id": metric if metric in _STANDARD else f"s1_eval.{metric}",
            "metric_name": metric.replace("_", " ").capitalize(),
            "lower_is_better": False,
            "score_type": "continuous",
            **config,
        },
        "score_details": {
            "score": value["value"],
            "details": {**details, **note},
            "uncertainty": uncertainty,
        },
    }


def _source_data(task: str, data: Dataset) -> JsonObject:
    """A data set that has a revision came from the hub."""
    details = _texts({"revision": data["revision"], "fingerprint": data["fingerprint"]})
    more = {"additional_details": details} if details else {}
    if data["revision"]:
        return {
            "dataset_name": task,
            "source_type": "hf_dataset",
            "hf_repo": data["id"],
            **more,
        }
    return {"dataset_name": data["id"] or task, "source_type": "other", **more}


def _generation_config(run: RunRecord) -> JsonObject:
    sampling = run.get("sampling") or {}
    arguments = {
        name: sampling[name] for name in ("temperature", "top_p", "top_k") if name in sampling
    }
    if run.get("command"):
        arguments["execution_command"] = shlex.join(run["command"])
    names = ("method", "method_params", "seed", "delimiters", "prompting", "verifier")
    return {
        "generation_args": {**arguments, "reasoning": True},
        "additional_details": _texts(
            {**{name: run.get(name) for name in names}, "grader": recorded_grader(run)}
        ),
    }


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """The schema's `additional_details`: every value is text; what is not known is left out."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for name, value in values.items()
        if value is not None
    }
