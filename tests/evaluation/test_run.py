"""The one path of a question."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from typing import Any

import pytest
from scripted import ScriptedEngine

from s1_eval.answers import Verdict
from s1_eval.engines import Sampling
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import Benchmark, Sample
from s1_eval.evaluation.grading import whole_row
from s1_eval.evaluation.run import Run, in_flight, open_run, run_samples
from s1_eval.methods import METHODS, settings
from s1_eval.records import run_record
from s1_eval.records.schema import validate_run, validate_sample
from s1_eval.thinking import Trace

SAMPLES = [Sample(str(i), f"Question {i}", "7") for i in range(4)]
BENCH = Benchmark(
    "bench", lambda row: SAMPLES[row["i"]], "integer", generate=lambda: [{"i": i} for i in range(4)]
)
ABOUT = BENCH.about(BENCH.load())
SCRIPT = "\nI think so.\n<|im_start|>answer\nFinal Answer: 7<|im_end|>"


def opened(
    script: str = SCRIPT, method: str = "plain", seed: int | None = None, **params: Any
) -> Run:
    return open_run(
        ScriptedEngine(script, cyclic=True),
        harness="s1-eval",
        grader=ABOUT["grader"],
        method=METHODS[method],
        settings=settings(method, params),
        sampling=Sampling(temperature=1.0, seed=seed),
        command=["s1-eval", "sweep"],
    )


async def test_a_graded_row_is_a_valid_record_whose_counts_are_its_traces() -> None:
    run = opened()
    outcome, solved = await run.solve("0", "Question 0", epoch=1)
    assert not solved.keys() & {"target", "answer", "correct", "answered"}
    row = whole_row({**solved, "run": run.held}, ABOUT, "7", ())
    validate_run(row.pop("run"))
    validate_sample(row)
    assert (row["answer"], row["correct"], row["answered"]) == ("7", True, True)
    assert (row["sample_id"], row["task"], row["harness"]) == ("0", "bench", "s1-eval")
    traces = tuple(Trace.from_dict(trace) for trace in row["traces"])
    assert traces == outcome.traces
    assert row["thinking_tokens"] == sum(t.thinking_tokens for t in traces) > 0


async def test_the_seed_depends_on_the_question_and_the_epoch_alone() -> None:
    async def seed(run: Run, sample: Sample, epoch: int) -> int:
        _, row = await run.solve(sample.id, sample.prompt, epoch)
        return row["seed"]

    run, other = opened(seed=1), opened(seed=2)
    first = await seed(run, SAMPLES[0], 1)
    assert first == await seed(opened(seed=1), SAMPLES[0], 1)
    rest = [
        await seed(run, SAMPLES[0], 2),
        await seed(run, SAMPLES[1], 1),
        await seed(other, SAMPLES[0], 1),
    ]
    assert len({first, *rest}) == 4
    assert await seed(opened(), SAMPLES[0], 1) is None


async def test_all_questions_are_in_flight_together_and_graded_off_the_loop() -> None:
    run = opened()
    in_flight, most, threads = 0, 0, set()
    generate = run.policy.engine.generate

    async def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        result = await generate(*args, **kwargs)
        in_flight -= 1
        return result

    run.policy.engine.generate = counted  # type: ignore[method-assign]

    class Watched:
        def grade(self, answer: str, target: str, options: Any = ()) -> Verdict:
            threads.add(threading.current_thread())
            return Verdict(answer.endswith(target), True, answer, "watched")

    object.__setattr__(run, "grader", Watched())
    rows: list[dict[str, Any]] = []
    await run_samples(
        run, run_record(run.held, ABOUT), [(s, e) for s in SAMPLES for e in (1, 2)], rows.append
    )
    assert sorted((r["sample_id"], r["epoch"]) for r in rows) == [
        (s.id, e) for s in SAMPLES for e in (1, 2)
    ]
    assert all(r["correct"] for r in rows)
    assert most == 8
    assert threading.current_thread() not in threads


async def test_questions_are_taken_as_slots_get_free() -> None:
    run, taken, rows = opened(), [], []

    def todo() -> Any:
        for sample in SAMPLES:
            taken.append(sample.id)
            yield sample, 1

    def on_row(row: dict[str, Any]) -> None:
        rows.append(row)
        assert len(taken) <= len(rows) + 2

    await run_samples(run, run_record(run.held, ABOUT), todo(), on_row, slots=asyncio.Semaphore(2))
    assert len(rows) == len(SAMPLES)


@pytest.mark.parametrize(
    ("batch", "runs", "each"),
    [(1, 1, 66), (256, 4, 576), (256, 25, 163), (1024, 1, 2112), (None, 4, 1024), (128, 500, 64)],
)
def test_in_flight_is_what_the_engine_works_on_and_a_reserve(
    batch: int | None, runs: int, each: int
) -> None:
    info = dataclasses.replace(opened().policy.engine.info, batch=batch)
    assert in_flight(info, runs) == each


async def test_the_first_error_ends_the_run_as_itself() -> None:
    run = opened()
    rows: list[dict[str, Any]] = []

    def full(row: dict[str, Any]) -> None:
        rows.append(row)
        raise OSError("disk full")

    todo = [(sample, 1) for sample in SAMPLES]
    slots = asyncio.Semaphore(1)
    with pytest.raises(OSError, match="disk full"):
        await run_samples(run, run_record(run.held, ABOUT), todo, full, slots=slots)
    assert len(rows) == 1
    assert len(asyncio.all_tasks()) == 1


def test_a_format_that_the_tokenizer_cannot_write_is_refused_before_any_question() -> None:
    with pytest.raises(UserError, match="can't encode"):
        opened(thinking_format="<räson>...</räson>")


@pytest.mark.parametrize(("secret", "shown"), [(False, "Question 0"), (True, None)])
async def test_a_row_has_its_question_unless_that_is_secret(
    secret: bool, shown: str | None
) -> None:
    run, rows = opened(), list[Any]()
    record = run_record(run.held, {**ABOUT, "secret": secret})
    await run_samples(run, record, [(SAMPLES[0], 1)], rows.append)
    assert rows[0].get("question") == shown
    validate_sample(rows[0])
