"""Tasks as lm-eval ships them, none of ours, by the real command line on the embedded model:
filters, few-shot turns, targets that are numbers, outputs alone. Data come from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import forked
import pytest

from s1_eval.training.nano.problems import held_out

pytestmark = pytest.mark.slow

BASE = """
task: stock_exact
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
fewshot_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
generation_kwargs: {until: ["\\n\\n"], do_sample: false}
"""
GSM = """
include: stock_exact.yaml
task: stock_gsm
num_fewshot: 2
filter_list:
  - name: strict-match
    filter: [{function: regex, regex_pattern: "Answer: (\\\\d+)"}, {function: take_first}]
  - name: flexible-extract
    filter: [{function: regex, group_select: -1, regex_pattern: "(\\\\d+)"}, {function: take_first}]
"""
CHOSEN = """
include: stock_exact.yaml
task: stock_chosen
doc_to_target: "Final Answer: {{answer}}"
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stock")
    data = folder / "problems.jsonl"
    problems = list(held_out())[:6]
    data.write_text(
        "".join(json.dumps({"question": p.question, "answer": p.target}) + "\n" for p in problems)
    )
    (folder / "stock_exact.yaml").write_text(BASE % data)
    (folder / "stock_gsm.yaml").write_text(GSM)
    (folder / "stock_chosen.yaml").write_text(CHOSEN)
    return folder


def lm_eval(tasks: Path, out: Path, *arguments: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """`lm_eval run … --output_path out`: its results, and the lines of each task's samples."""
    said = ["--include_path", str(tasks), "--output_path", str(out), "--limit", "4"]
    model = ["--model", "s1_hf", "--model_args", "pretrained=nano"]
    done = forked.run("lm_eval", "run", *model, *said, *arguments, cwd=tasks)
    assert done.returncode == 0, done.stdout + done.stderr
    (results,) = (json.loads(path.read_text()) for path in out.rglob("results_*.json"))
    samples = {
        path.name.removeprefix("samples_").rpartition("_")[0]: [
            json.loads(line) for line in path.read_text().splitlines()
        ]
        for path in out.rglob("samples_*.jsonl")
    }
    return results["results"], samples


def test_stock_tasks_run_to_the_end_and_are_scored(tasks: Path, tmp_path: Path) -> None:
    results, samples = lm_eval(
        tasks,
        tmp_path,
        "--tasks",
        "stock_exact,stock_gsm,stock_chosen",
        "--apply_chat_template",
        "--log_samples",
        "--use_cache",
        str(tmp_path / "cache"),
    )
    assert set(samples) == {"stock_exact", "stock_gsm", "stock_chosen"}
    for line in samples["stock_exact"] + samples["stock_chosen"]:
        assert line["resps"][0][0].startswith("Final Answer: ")
    right = [
        line["resps"][0][0] == f"Final Answer: {line['doc']['answer']}"
        for line in samples["stock_chosen"]
    ]
    assert results["stock_exact"]["exact_match,none"] == 0
    assert results["stock_chosen"]["exact_match,none"] == sum(right) / 4 > 0
    for line in samples["stock_gsm"]:
        roles = [
            message["role"] for message in json.loads(line["arguments"]["gen_args_0"]["arg_0"])
        ]
        assert roles == ["user", "assistant", "user", "assistant", "user"]
    assert {"exact_match,strict-match", "exact_match,flexible-extract"} <= set(results["stock_gsm"])


def test_outputs_alone(tasks: Path, tmp_path: Path) -> None:
    results, samples = lm_eval(
        tasks,
        tmp_path,
        "--tasks",
        "stock_exact,s1_nano",
        "--apply_chat_template",
        "--predict_only",
    )
    assert results["stock_exact"]["bypass,none"] == results["s1_nano"]["bypass,none"] == 999
    for task in ("stock_exact", "s1_nano"):
        assert all(line["resps"][0][0].startswith("Final Answer") for line in samples[task])
