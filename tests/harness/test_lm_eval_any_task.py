"""Our models on other people's lm-eval tasks: what is recorded, where, with whose verdict, and what
survives a kill. The embedded model on its own arithmetic, as a task that knows nothing of us."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import forked
import pytest

from s1_eval.errors import UserError
from s1_eval.harness.lm_eval_tasks import Generated
from s1_eval.json_lines import read_lines
from s1_eval.metrics import score
from s1_eval.records import read_rows, read_runs
from s1_eval.records.foreign import Told, parse_columns, parse_where, readers
from s1_eval.records.schema import validate_run, validate_sample
from s1_eval.training.nano.problems import held_out

TASK = """
task: sums
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n\\n"], do_sample: false}
repeats: %d
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
filter_list:
%s
"""
LAST = """  - name: last
    filter: [{function: regex, group_select: -1, regex_pattern: "(\\\\d+)"}, {function: take_first}]
"""
STRICT = """  - name: strict
    filter: [{function: regex, regex_pattern: "#### (\\\\d+)"}, {function: take_first}]
"""
FORCED = {"max_tokens_thinking": 48, "thinking_n_ignore": 1}

Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def lm() -> Any:
    from s1_eval.harness.lm_eval_models import s1_hf

    model = s1_hf("nano")
    yield model
    model.engine.close()


def write_task(folder: Path, repeats: int = 1, filters: str = LAST, questions: int = 4) -> Path:
    folder.mkdir(exist_ok=True)
    data = folder / "sums.jsonl"
    problems = list(held_out())[:questions]
    data.write_text(
        "".join(json.dumps({"question": p.question, "answer": p.target}) + "\n" for p in problems)
    )
    (folder / "sums.yaml").write_text(TASK % (data, repeats, filters))
    return folder / "sums.yaml"


@pytest.fixture
def evaluate(lm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """`lm_eval` on the sums, in this process; the samples file it leaves lies in `out`."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))

    def run(
        task: Path,
        records: Path | None = None,
        gen_kwargs: Any = FORCED,
        packed: bool = False,
        **options: Any,
    ) -> Any:
        monkeypatch.setattr(lm, "records", records)
        monkeypatch.setattr(lm, "packed", packed)
        tracker = EvaluationTracker(output_path=str(tmp_path / "out"))
        asked = {"limit": 4, "apply_chat_template": True, **options}
        found = simple_evaluate(
            model=lm,
            tasks=[str(task)],
            task_manager=TaskManager(include_defaults=False),
            gen_kwargs=gen_kwargs,
            bootstrap_iters=0,
            evaluation_tracker=tracker,
            **asked,
        )
        rest = {name: value for name, value in found.items() if name != "samples"}
        tracker.save_results_aggregated(rest, found["samples"])
        for name, lines in found["samples"].items():
            tracker.save_results_samples(name, lines)
        return found

    return run


def the_file(folder: Path) -> Path:
    (found,) = (folder / "out").rglob("samples_*.jsonl")
    return found


def test_the_sample_file_of_a_task_of_theirs_holds_records_with_its_verdict(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    found = evaluate(write_task(tmp_path / "task"))
    (run,) = read_runs([the_file(tmp_path)], readers(Told()))
    assert (run.task, run.method, run.budget) == ("sums", "budget_forcing", 48)
    lines = found["samples"]["sums"]
    right = {str(line["doc_id"]): bool(line["exact_match"]) for line in lines}
    assert {row["sample_id"]: row["correct"] for row in run.rows} == right
    assert set(right.values()) == {True, False}
    assert all(row["thinking_tokens"] > 0 and row["answered"] for row in run.rows)
    for located in read_rows([run], readers(Told())):
        validate_sample(located.row)
        validate_run(located.run)
        assert located.row["traces"]
        assert (
            located.row["target"]
            == found["samples"]["sums"][int(located.row["sample_id"])]["target"]
        )
    [entry] = score([run], resamples=20)
    assert entry["performance"]["value"] == 100 * sum(right.values()) / 4


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_records_is_joined_with_the_verdicts_of_the_sample_file(
    evaluate: Evaluate, tmp_path: Path, packed: bool
) -> None:
    records = tmp_path / "records"
    evaluate(write_task(tmp_path / "task"), records, packed=packed)
    (path,) = records.glob(f"*/samples.jsonl{'.zst' if packed else ''}")
    assert [row["correct"] for _, row in read_lines(path)] == [None] * 4
    with pytest.raises(UserError, match=r"not known for 4 of 4 samples of sums.*lm-eval's own"):
        read_runs([records], readers(Told()))
    (alone,) = read_runs([the_file(tmp_path)], readers(Told()))
    for paths in ([records, the_file(tmp_path)], [the_file(tmp_path), records]):
        (run,) = read_runs(paths, readers(Told()))
        assert run.id == alone.id
        assert {row["sample_id"]: row for row in run.rows} == {
            row["sample_id"]: row for row in alone.rows
        }
        assert [located.row["correct"] for located in read_rows([run], readers(Told()))] == [
            row["correct"] for row in run.rows
        ]


def test_predictions_alone_are_recorded_and_graded_later(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    records = tmp_path / "records"
    evaluate(write_task(tmp_path / "task"), records, predict_only=True)
    with pytest.raises(UserError, match="--regrade GRADER"):
        read_runs([the_file(tmp_path)], readers(Told()))
    from s1_eval.evaluation.reading import readers as graded

    (run,) = read_runs([the_file(tmp_path)], graded(print, regrade="integer"))
    assert {row["correct"] for row in run.rows} == {True, False}
    (folder,) = records.iterdir()
    assert len((folder / "samples.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize("packed", ["yes", 1, True])
def test_packed_is_said_of_a_folder(packed: Any) -> None:
    from s1_eval.harness.lm_eval_models import s1_hf

    folder = None if packed is True else "records"
    with pytest.raises(UserError, match="packed=true beside records=FOLDER"):
        s1_hf("nano", records=folder, packed=packed)


def test_of_several_filters_one_is_chosen(evaluate: Evaluate, tmp_path: Path) -> None:
    evaluate(write_task(tmp_path / "task", filters=STRICT + LAST))
    with pytest.raises(UserError, match="filter=strict"):
        read_runs([the_file(tmp_path)], readers(Told()))
    (run,) = read_runs([the_file(tmp_path)], readers(Told(where=parse_where(["filter=strict"]))))
    assert {(row["correct"], row["answered"]) for row in run.rows} == {(False, False)}


def test_repeats_are_epochs_whose_common_verdict_is_nobodys(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    task = write_task(tmp_path / "task", repeats=2)
    sampled = {**FORCED, "do_sample": True, "temperature": 1.0, "seed": 3}
    evaluate(task, gen_kwargs=sampled, limit=2)
    with pytest.raises(UserError, match="not known for 4 of 4"):
        read_runs([the_file(tmp_path)], readers(Told()))
    columns = parse_columns(["correct=scores.exact_match"])
    (run,) = read_runs([the_file(tmp_path)], readers(Told(columns=columns)))
    assert [(row["sample_id"], row["epoch"]) for row in run.rows] == [
        ("0", 1), ("0", 2), ("1", 1), ("1", 2)
    ]  # fmt: skip
    assert not any("copy" in row for row in run.rows)


def test_what_the_response_cache_has_is_recorded_like_the_rest(
    evaluate: Evaluate, lm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.api.model import CacheHook

    from s1_eval.evaluation.run import Run

    task, cache = write_task(tmp_path / "task"), str(tmp_path / "cache")
    evaluate(task, use_cache=cache, limit=3)
    first = [json.loads(line) for line in the_file(tmp_path).open()]
    the_file(tmp_path).unlink()
    solved = []
    solve = Run.solve

    async def counted(run: Any, id: str, *args: Any) -> Any:
        solved.append(id)
        return await solve(run, id, *args)

    monkeypatch.setattr(Run, "solve", counted)
    evaluate(task, tmp_path / "records", use_cache=cache, limit=4)
    assert solved == ["3"]
    (run,) = read_runs([tmp_path / "records", the_file(tmp_path)], readers(Told()))
    assert len(run.rows) == 4
    again = [json.loads(line) for line in the_file(tmp_path).open()]
    for old, new in zip(first, again, strict=False):
        (one,), (other,) = (
            line["arguments"]["gen_args_0"]["arg_2"]["s1_eval"] for line in (old, new)
        )
        assert (one["traces"], one["seconds"]) == (other["traces"], other["seconds"])
    evaluate(task, use_cache=cache, limit=4)
    assert solved == ["3"]
    lm.set_cache_hook(CacheHook(None))


def test_our_own_tasks_are_recorded_in_the_folder_too_and_graded(
    evaluate: Evaluate, tmp_path: Path
) -> None:
    from s1_eval.tasks import __file__ as tasks_file

    found = evaluate(Path(tasks_file).parent / "s1_nano.yaml", tmp_path / "records")
    (run,) = read_runs([tmp_path / "records"])
    verdicts = {line["sample_id"]: line["correct"] for line in found["samples"]["s1_nano"]}
    assert {row["sample_id"]: row["correct"] for row in run.rows} == verdicts
    assert run.id == found["samples"]["s1_nano"][0]["run_id"]


async def test_a_question_in_the_folder_is_graded_as_it_says_itself(
    lm: Any, tmp_path: Path, evaluate: Evaluate
) -> None:
    from s1_eval.evaluation.benchmark import about_sample, benchmark
    from s1_eval.harness.lm_eval_records import Folder

    question = json.dumps({"problem_idx": 1, "problem": "What is 3+4?", "answer": 7})
    for name in ("aime26", "hmmt_feb_2026"):
        (tmp_path / f"{name}.jsonl").write_text(question)
    group = benchmark("contests_2026")
    data = group.load(str(tmp_path))
    found = evaluate(write_task(tmp_path / "task"), limit=1)
    solved = found["samples"]["sums"][0]["arguments"]["gen_args_0"]["arg_2"]["s1_eval"][0]
    folder = Folder(tmp_path / "records")
    for sample in data.samples:
        about = about_sample(group.about(data), sample)
        if sample.id.startswith("hmmt"):
            about["sample"]["grader"] = {"name": "math", "tolerance": ["0.01"]}
        doc = {"about": json.dumps(about), "target": sample.target, "options": []}
        row = {**solved, "sample_id": sample.id}
        await folder.add(Generated("\\boxed{7.0001}", row), "s1_contests_2026", doc, 2)
    folder.close()
    (run,) = read_runs([tmp_path / "records"])
    assert [row["correct"] for row in run.rows] == [False, True]
    assert [row["metadata"]["contest"] for row in run.rows] == ["aime26", "hmmt_feb_2026"]
    assert [row["published"] for row in run.rows] == ["2026-02-05", "2026-02-14"]


def test_a_question_without_an_answer_is_a_failure_of_the_folder(
    evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s1_eval.errors import SampleFailed
    from s1_eval.evaluation.run import Run

    solve = Run.solve

    async def breaks(run: Any, id: str, *args: Any) -> Any:
        if id == "1":
            raise SampleFailed("the server refused")
        return await solve(run, id, *args)

    monkeypatch.setattr(Run, "solve", breaks)
    evaluate(write_task(tmp_path / "task"), tmp_path / "records", limit=3)
    with pytest.raises(UserError, match="not known for 2 of 2"):
        read_runs([tmp_path / "records"], readers(Told()))
    (folder,) = (tmp_path / "records").iterdir()
    assert "the server refused" in (folder / "failures.jsonl").read_text()


def test_a_document_with_several_requests_has_a_row_for_each(lm: Any) -> None:
    from lm_eval.api.instance import Instance

    arguments = ("S=2", {"max_gen_toks": 4})
    requests = [Instance("generate_until", "a text", arguments, at, ("t", 0, 1)) for at in range(2)]
    answers: list[Any] = lm.generate_until(requests)
    assert [each.row["sample_id"] for each in answers] == ["0", "0:1"]
    assert {each.row["epoch"] for each in answers} == {1}


def started(task: Path, out: Path, limit: int) -> BaseProcess:
    return forked.start(
        *("lm_eval", "run", "--model", "s1_hf", "--tasks", str(task)),
        *("--model_args", f"pretrained=nano,records={out / 'records'}"),
        *("--gen_kwargs", "max_tokens_thinking=256,thinking_n_ignore=8"),
        *("--apply_chat_template", "--limit", str(limit), "--log_samples"),
        *("--use_cache", str(out / "cache"), "--output_path", str(out / "out")),
        cwd=out,
    )


@pytest.mark.slow
def test_finished_answers_survive_a_kill(tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", questions=40)
    first = started(task, tmp_path, 40)
    kept: list[Path] = []
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and not any(p.stat().st_size for p in kept):
        kept = list((tmp_path / "records").rglob("samples.jsonl"))
        time.sleep(0.05)
    first.kill()
    first.join()
    before = {
        (row["sample_id"], row["seconds"])
        for row in map(json.loads, kept[0].read_text().split("\n")[:-1])
    }
    assert 0 < len(before) < 40
    second = started(task, tmp_path, 40)
    second.join()
    assert second.exitcode == 0
    (run,) = read_runs([tmp_path / "records", the_file(tmp_path)], readers(Told()))
    assert len(run.rows) == 40
    assert before <= {(row["sample_id"], row["seconds"]) for row in run.rows}
    assert Generated("x").row == {}
