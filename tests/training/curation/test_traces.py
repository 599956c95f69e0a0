"""`s1-train traces` asks the embedded model, tells the cost before, and goes on where it was."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from s1_eval.engines.table import open_engine
from s1_eval.errors import UserError
from s1_eval.training.curation import asking as module
from s1_eval.training.curation.asking import Answers, Asking, Price, ask, read_answers
from s1_eval.training.main import main
from s1_eval.training.nano.problems import held_out

NANO = Asking("s1_hf/nano", params={"max_tokens": 200})
PROMPTS = {f"q{i}": problem.question for i, problem in enumerate(held_out(6))}


@pytest.fixture(scope="module")
def nano():
    engine = open_engine("s1_hf", "nano")
    yield engine
    engine.close()


@pytest.fixture
def questions(tmp_path) -> Path:
    path = tmp_path / "questions.jsonl"
    rows = [{"id": id, "question": text} for id, text in PROMPTS.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def traces(questions: Path, out: Path, *options: str) -> int:
    command = ["traces", str(questions), "--model", "s1_hf/nano", "--out", str(out)]
    return main([*command, "-S", "max_tokens=200", *options])


def test_each_question_gets_thinking_and_an_answer(questions, tmp_path, capsys):
    out = tmp_path / "traces.jsonl"
    assert traces(questions, out, "--price-per-million", "10") == 0
    rows = {row["id"]: row for row in read_answers(out)}
    assert rows.keys() == PROMPTS.keys()
    for row in rows.values():
        assert row["thinking"].startswith("S=")
        assert re.search(r"\d\d$", row["attempt"])
        assert 0 < row["thinking_tokens"] < row["generated_tokens"] <= 200
    told = capsys.readouterr().err
    assert "6 questions, " in told
    assert "at most 1,200 generated tokens, at most 0.012\n" in told
    assert told.index("at most") < told.index("traces ━")


def test_a_nudge_that_nothing_was_written_after_is_no_answer(questions, tmp_path):
    """As of a model that was never taught the format: it ends right after the forced end."""
    out = tmp_path / "traces.jsonl"
    forced = ["-S", "max_thinking_tokens=8", "-S", "final_answer_nudge=Final Answer: 07"]
    command = ["traces", str(questions), "--model", "s1_hf/nano", "--out", str(out)]
    assert main([*command, "--limit", "2", "--method", "budget_forcing", *forced]) == 0
    rows = list(read_answers(out))
    assert [row["attempt"] for row in rows] == ["", ""]
    assert all(row["thinking"] for row in rows)


@pytest.mark.slow
def test_what_is_there_is_not_asked_again_and_a_half_line_is(questions, tmp_path, capsys):
    out, whole = tmp_path / "traces.jsonl", tmp_path / "whole.jsonl"
    assert traces(questions, out, "--limit", "3", "--temperature", "1") == 0
    kept = out.read_bytes()
    out.write_bytes(kept + b'{"id": "q3", "thin')
    assert traces(questions, out, "--temperature", "1") == 0
    assert out.read_bytes().startswith(kept)
    assert "3 of 6 questions have a trace" in capsys.readouterr().err
    assert traces(questions, whole, "--temperature", "1") == 0
    by_id = [sorted(read_answers(path), key=lambda row: row["id"]) for path in (out, whole)]
    assert by_id[0] == by_id[1]


def test_answers_to_something_else_are_not_mixed(questions, tmp_path, capsys):
    out = tmp_path / "traces.jsonl"
    assert traces(questions, out, "--limit", "1") == 0
    assert traces(questions, out, "--seed", "1") == 2
    assert "seed is 0 there and 1 now: choose another file" in capsys.readouterr().err


def test_a_recipes_questions_get_the_traces_that_it_then_draws_from(questions, tmp_path, curate):
    recipe = {
        "sources": {"nano": {"path": str(questions), "question": "question", "domain": "id"}},
        "evaluation": [],
        "traces": str(tmp_path / "traces.jsonl"),
        "size": 2,
        "output": str(tmp_path / "out"),
    }
    assert curate(recipe, "--variant", "longest") == 2
    options = ("--model", "s1_hf/nano", "-S", "max_tokens=200")
    assert curate(recipe, *options, command="traces") == 0
    assert curate(recipe, "--variant", "longest") == 0
    drawn = pq.read_table(tmp_path / "out" / "longest-seed0" / "examples.parquet").to_pylist()
    lengths = sorted(row["thinking_tokens"] for row in read_answers(tmp_path / "traces.jsonl"))
    assert sorted(row["thinking_tokens"] for row in drawn) == lengths[-2:]
    assert all(row["thinking"].startswith("S=") for row in drawn)


def asked(engine, prompts, path, asking=NANO, **options):
    with Answers(path, asking.about()) as answers:
        left = asyncio.run(ask(asking.run(engine), prompts, answers, **options))
        return left, answers.done


@pytest.mark.slow
def test_a_budget_is_never_passed_and_used_where_answers_are_short(nano, tmp_path):
    price = Price(generated=1e6, most=500.0)  # a token costs 1
    left, done = asked(nano, PROMPTS, tmp_path / "a.jsonl", price=price)
    generated = sum(row["generated_tokens"] for row in read_answers(tmp_path / "a.jsonl"))
    assert generated <= 500
    assert len(done) > 500 // 200  # worst cases alone would allow two
    assert left.unasked == len(PROMPTS) - len(done) > 0


def test_no_more_are_in_flight_than_asked_for(nano, tmp_path):
    flying = most = 0

    class Counted:
        info, tokenizer = nano.info, nano.tokenizer

        async def generate(self, *args, **options):
            nonlocal flying, most
            flying += 1
            most = max(most, flying)
            try:
                return await nano.generate(*args, **options)
            finally:
                flying -= 1

    left, done = asked(Counted(), PROMPTS, tmp_path / "a.jsonl", concurrency=2)
    assert most == 2
    assert done == PROMPTS.keys()
    assert left == replace(left, failed=0, unasked=0)


class Failing:
    """Fails for every question but the given ones."""

    def __init__(self, engine, good=()):
        self.engine, self.good, self.calls = engine, good, 0
        self.info, self.tokenizer = engine.info, engine.tokenizer

    async def generate(self, prompt, **options):
        self.calls += 1
        if self.calls in self.good:
            return await self.engine.generate(prompt, **options)
        raise RuntimeError("the server is away")


@pytest.mark.slow
def test_a_failure_leaves_its_question_for_the_next_time(nano, tmp_path):
    left, done = asked(Failing(nano, {1, 2, 4, 6}), PROMPTS, tmp_path / "a.jsonl", concurrency=1)
    assert (left.failed, left.unasked, left.first) == (2, 0, "the server is away")
    assert done == {"q0", "q1", "q3", "q5"}
    left, done = asked(nano, PROMPTS, tmp_path / "a.jsonl")
    assert done == PROMPTS.keys()


def test_a_model_that_is_gone_is_not_asked_on_and_on(nano, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FAILURES_IN_A_ROW", 3)
    gone = Failing(nano)
    left, done = asked(gone, PROMPTS, tmp_path / "a.jsonl", concurrency=1)
    assert (left.failed, left.unasked, done, gone.calls) == (3, 3, set(), 3)


def test_two_processes_do_not_write_one_file(tmp_path):
    with (
        Answers(tmp_path / "a.jsonl", {}),
        pytest.raises(UserError, match="another process is writing"),
    ):
        Answers(tmp_path / "a.jsonl", {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "1"], "--budget needs --price-per-million"),
        (["--limit", "0"], "--limit 0: give 1 or more"),
        (["--concurrency", "0"], "--concurrency 0: give 1 or more"),
        (["-S", "max_token=1"], "plain has no parameter 'max_token'"),
        (["--temperature", "-1"], "temperature=-1.0"),
    ],
)
def test_what_can_not_be_is_said_before_a_model_is_loaded(
    questions, tmp_path, capsys, options, message
):
    assert traces(questions, tmp_path / "t.jsonl", *options) == 2
    assert message in capsys.readouterr().err


def test_a_file_of_another_kind_is_refused(tmp_path, capsys):
    (tmp_path / "q.csv").write_text("question\nx\n")
    assert traces(tmp_path / "q.csv", tmp_path / "t.jsonl") == 2
    assert "q.csv: give a .json, .jsonl or .parquet file" in capsys.readouterr().err
    assert traces(tmp_path / "nowhere", tmp_path / "t.jsonl") == 2
    assert "no recipe at" in capsys.readouterr().err


def test_a_file_without_questions_is_refused(tmp_path, capsys):
    path = tmp_path / "q.jsonl"
    path.write_text('{"text": "x"}\n')
    assert traces(path, tmp_path / "t.jsonl") == 2
    assert "row 1 has no column 'question': there are text" in capsys.readouterr().err


def test_answers_of_other_weights_are_not_mixed_and_a_file_of_before_goes_on(tmp_path):
    beside = tmp_path / "a.jsonl.about.json"
    beside.write_text('{"model": "m"}')
    with Answers(tmp_path / "a.jsonl", {"model": "m", "weights": "a"}):
        assert json.loads(beside.read_text())["weights"] == "a"
    with pytest.raises(UserError, match="weights is 'a' there and 'b' now: choose another file"):
        Answers(tmp_path / "a.jsonl", {"model": "m", "weights": "b"})
    assert NANO.about()["weights"]
