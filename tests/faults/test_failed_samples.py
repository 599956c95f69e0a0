"""What a question that an engine can't answer does to the others: nothing."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedEngine

import s1_eval
from s1_eval.cli.main import main
from s1_eval.engines import Generation
from s1_eval.errors import SampleFailed, UserError
from s1_eval.evaluation.failures import TooManyFailed, check_fail_on_error
from s1_eval.evaluation.sweep import EngineFailed, SweepStopped
from s1_eval.metrics import caveats
from s1_eval.records import read_runs

SAID = [{"question": f"Say {i}.", "answer": i} for i in range(5, 9)]


class Faulty(ScriptedEngine):
    """Says 7 to everything, but for the questions whose text holds one of `bad`."""

    def __init__(self, bad: Collection[str], error: Exception | None = None) -> None:
        super().__init__("\nSo.\n<|im_start|>answer\nFinal Answer: 7<|im_end|>", cyclic=True)
        self.bad = bad
        self.error = error or SampleFailed("3 tries failed: 500\x1b[2J\nno", tries=3)

    async def generate(self, prompt: Sequence[int], **how: Any) -> Generation:
        text = self.tokenizer.decode(prompt)
        if any(f"Say {number}." in text for number in self.bad):
            raise self.error
        return await super().generate(prompt, **how)


def ask(engine: ScriptedEngine, **more: Any) -> s1_eval.Result:
    asked = {"model": engine, "task": SAID, "method": "plain", "grader": "integer"}
    return s1_eval.evaluate(**asked, **more)


def failures(out: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for file in out.rglob("failures.jsonl")
        for line in file.read_text().splitlines()
    ]


def test_a_failed_sample_is_named_counted_and_asked_again_alone(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"2 samples failed .*\n.*'1' epoch 1: 3 tries") as said:
        result = ask(Faulty("58"), out=tmp_path)
    assert "\x1b" not in str(said[0].message)
    [run] = result.runs
    assert sorted(row["sample_id"] for row in run.rows) == ["2", "3"]
    assert [(f["sample_id"], f["epoch"], f["tries"]) for f in failures(tmp_path)] == [
        ("1", 1, 3),
        ("4", 1, 3),
    ]
    assert caveats.lacking(run) == 2
    assert "2 of 4 samples failed and are in no figure" in result.table(400)
    assert "2 of 4 samples failed" in (tmp_path / "report.html").read_text()

    with pytest.warns(UserWarning, match="1 samples failed"):
        ask(again := Faulty("8"), out=tmp_path)
    assert {"Say 5." in again.tokenizer.decode(call.prompt) for call in again.calls} == {True}
    assert [f["sample_id"] for f in failures(tmp_path)] == ["4"]

    [whole] = ask(Faulty(""), out=tmp_path).runs
    assert (len(whole.rows), whole.failed, failures(tmp_path)) == (4, (), [])
    assert not [*tmp_path.rglob("failures.jsonl")]


def test_one_of_two_epochs_that_failed_is_counted_once(tmp_path: Path) -> None:
    engine = Faulty("5")
    with pytest.warns(UserWarning, match="2 samples failed"):
        [run] = ask(engine, epochs=2, out=tmp_path).runs
    assert (len(run.rows), caveats.gaps(run)[0], caveats.lacking(run)) == (6, 0, 2)
    kept = failures(tmp_path)[:1]
    [file] = tmp_path.rglob("failures.jsonl")
    file.write_text(json.dumps(kept[0]) + "\n{half")
    with pytest.raises(UserError, match="has 7 of 8 samples"):  # what is not known is not counted
        read_runs([tmp_path])


def test_a_stale_failure_of_a_killed_run_is_not_counted(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="failed"):
        ask(Faulty("5"), out=tmp_path)
    [file] = tmp_path.rglob("failures.jsonl")
    before = file.read_text()
    ask(Faulty(""), out=tmp_path)
    file.write_text(before)
    [run] = read_runs([tmp_path])
    assert (len(run.rows), run.failed) == (4, ())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ask(Faulty(""), out=tmp_path)
    assert not file.exists()


def test_where_every_sample_failed_there_is_nothing_to_score(tmp_path: Path) -> None:
    with pytest.raises(SweepStopped, match="4 samples failed"):
        ask(Faulty("5678"), out=tmp_path)
    assert len(failures(tmp_path)) == 4


@pytest.mark.parametrize(
    ("allowed", "ends"),
    [(False, False), (True, True), (1, True), (2, True), (3, False), (0.5, True), (0.6, False)],
)
def test_fail_on_error_is_as_inspect_spells_it(allowed: float, ends: bool, tmp_path: Path) -> None:
    from inspect_ai._eval.task.error import _should_eval_fail

    assert _should_eval_fail(2, 4, allowed) == ends
    engine = Faulty("58")
    if ends:
        with pytest.raises(SweepStopped, match=r"(?s)fail_on_error=.* same command goes on"):
            ask(engine, out=tmp_path, fail_on_error=allowed)
        with pytest.raises(TooManyFailed):  # nothing is kept anywhere
            ask(engine, fail_on_error=allowed)
    else:
        with pytest.warns(UserWarning, match="2 samples failed"):
            ask(engine, fail_on_error=allowed)


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "yes", None, [1]])
def test_fail_on_error_is_refused_where_it_means_nothing(value: Any) -> None:
    with pytest.raises(UserError, match="give true, false, a number"):
        check_fail_on_error(value)
    assert [check_fail_on_error(text) for text in ("true", "False", "0.5", "3")] == [
        *(True, False, 0.5, 3.0)
    ]


def test_the_engines_own_failure_stops_the_run_and_keeps_everything(tmp_path: Path) -> None:
    engine = Faulty("8", RuntimeError("out of memory"))
    with pytest.raises(EngineFailed, match=r"out of memory\nWhat was finished is kept"):
        ask(engine, out=tmp_path)
    [run] = ask(Faulty(""), out=tmp_path).runs
    assert len(run.rows) == 4
    assert not failures(tmp_path)


def test_the_command_lists_what_failed_and_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from s1_eval.engines.transformers import TransformersEngine

    real, asked = TransformersEngine.generate, []

    async def generate(self: Any, prompt: Sequence[int], **how: Any) -> Generation:
        asked.append(tuple(prompt))
        if broken and tuple(prompt) == asked[0]:
            raise SampleFailed("no")
        return await real(self, prompt, **how)

    monkeypatch.setattr(TransformersEngine, "generate", generate)
    command = ["sweep", "--model", "s1_hf/nano", "--task", "nano", "--method", "budget_forcing"]
    command += ["--max-thinking-tokens", "16,32", "--limit", "4", "--out", str(tmp_path)]
    broken = True
    assert main(command) == 1
    said = capsys.readouterr().err
    assert re.search(r"2 samples failed.*\n  budget_forcing_.*epoch 1: no\n", said)
    assert "The same command asks them again, and nothing else." in said
    assert len(failures(tmp_path)) == 2
    broken = False
    assert main(command) == 0
    assert not failures(tmp_path)
    broken, asked[:] = True, []
    out = [*command[:-1], str(tmp_path / "other"), "--fail-on-error"]
    assert main(out) == 1
    assert "fail_on_error=True ends it there" in capsys.readouterr().err
