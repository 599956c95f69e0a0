"""The model card of what `s1-train sft` made: data, recipe, versions, loss curve, and results from
records. The embedded model's card is `nano.card`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_eval.errors import UserError
from s1_eval.training.log import LOG, Log, Loss, read

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVE = "loss.png"


def write(folder: Path, results: Sequence[Path]) -> Path:
    """Write README.md and the loss curve into `folder`. results: records of its evaluation. Raises
    UserError where `sft` has not made `folder`, and where the records can't be read."""
    log = read(folder)
    if "data" not in log:
        raise UserError(f"{folder / LOG} does not say what was trained on: train the model again")
    tables = evaluated(results) if results else ""
    curve(log["losses"]).savefig(folder / CURVE, metadata={"Software": None})
    path = folder / "README.md"
    path.write_text(render(log, folder.resolve().name, tables))
    return path


def evaluated(paths: Sequence[Path]) -> str:
    """Control, Scaling and Performance of the records in `paths`, as Markdown tables."""
    from s1_eval.metrics import score
    from s1_eval.records import read_runs
    from s1_eval.report.table import markdown

    return markdown(score(read_runs(paths)))


def curve(losses: Sequence[Loss]) -> Figure:
    """Loss and learning rate over steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), dpi=120, layout="constrained")
    left = figure.subplots()
    right = left.twinx()
    steps = [row["step"] for row in losses]
    left.plot(steps, [row["loss"] for row in losses], color="#0072b2", marker=".")
    right.plot(steps, [row["learning_rate"] for row in losses], color="#d55e00", linestyle="--")
    left.set(xlabel="Step", ylabel="Loss (solid)")
    right.set(ylabel="Learning rate (dashed)")
    return figure


def render(log: Log, name: str, results: str) -> str:
    """The card's Markdown. log: `training.json`. results: tables, empty where there are none."""
    import yaml

    recipe, data = log["recipe"], log["data"]
    source, base = recipe["source"], recipe["model"]["pretrained"]
    dataset = source.get("dataset") if isinstance(source, Mapping) else None
    front: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if base:
        front["base_model"] = base
    if dataset:
        front["datasets"] = [dataset]
    made_of = f"[{base}](https://huggingface.co/{base})" if base and "/" in base else base
    versions = ", ".join(f"{library} {version}" for library, version in log["versions"].items())
    last = log["losses"][-1] if log["losses"] else None
    return f"""\
---
{yaml.safe_dump(front, sort_keys=False).strip()}
---
# {name}

{made_of or "New weights"}, fine-tuned to think before it answers: {log["parameters"]:,} parameters.

## Data
{f"`{dataset}`: " if dataset else ""}{data["examples"]:,} examples, {data["tokens"]:,} tokens, \
{data["learned"]:,} of them with loss; {data["cut"]} examples were cut at the block. SHA-256 of \
ids and labels: `{data["sha256"]}`.

## Training
{log["steps"]:,} steps on {log["processes"]} x {log["device"]} in {log["seconds"] / 60:.1f} minutes\
{f", resumed at step {log['resumed_at']}" if log["resumed_at"] else ""}; {log["tokens"]:,} tokens \
seen, padding included\
{f"; last logged loss {last['loss']:.3f} at step {last['step']}" if last else ""}. {versions}.

![Loss and learning rate over steps]({CURVE})

```yaml
{yaml.safe_dump(_given(recipe), sort_keys=False).strip()}
```

## Evaluation
{results.strip() or "No results were given: `s1-train card FOLDER --results RUNS`."}
"""


def _given(value: Any) -> Any:
    """The recipe without what it left open."""
    if isinstance(value, Mapping):
        return {key: _given(each) for key, each in value.items() if each is not None}
    return value
