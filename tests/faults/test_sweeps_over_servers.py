"""The table of faults through whole runs, of sweeps and of both harnesses: nano behind a server
that misbehaves at one question."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_server import FAULTS, CompletionsServer, Fault, faults_of

import s1_eval
from s1_eval.engines.continuation import Request, Served
from s1_eval.engines.models import resolve_model
from s1_eval.engines.transformers import TransformersEngine
from s1_eval.errors import UserError
from s1_eval.evaluation.benchmark import benchmark
from s1_eval.tasks import __file__ as tasks_file

pytestmark = pytest.mark.slow  # a model answers behind every fault

LIMIT = 5
TRIES = 3
ENDLESS = {"drip", "hang"}  # each costs its time limit; tests/faults/test_replies.py has them
ASKED = [fault for fault in faults_of("vllm") if fault not in ENDLESS]
BAD = benchmark("nano").load().samples[2]


class Nano:
    """The embedded model as the server's."""

    def __init__(self) -> None:
        self.engine = TransformersEngine("nano")

    async def serve(self, request: Request) -> Served:
        found = await self.engine.generate(
            request.prompt,
            max_tokens=request.max_tokens,
            stop=request.stop,
            sampling=request.sampling,
        )
        return Served(found.ids + found.stop_ids)


@pytest.fixture(scope="module")
def server() -> Iterator[CompletionsServer]:
    nano = Nano()
    server = CompletionsServer(resolve_model("nano"), max_model_len=1024)
    server.model = nano
    yield server
    server.stop()
    nano.engine.close()


def ask(server: CompletionsServer, out: Path | None = None) -> s1_eval.Result:
    settings = {"base_url": server.url, "retries": TRIES - 1, "backoff": 0.01}
    return s1_eval.evaluate(
        "s1_api/pseudo", "nano", "plain", engine=settings, limit=LIMIT, out=out, cache=False
    )


def answers(result: s1_eval.Result) -> dict[str, tuple[Any, ...]]:
    [run] = result.runs
    return {
        row["sample_id"]: (row["answer"], row["thinking_tokens"], row["answer_tokens"])
        for row in run.rows
    }


@pytest.fixture(scope="module")
def right(server: CompletionsServer) -> dict[str, tuple[Any, ...]]:
    server.asked.clear()
    return answers(ask(server))


@pytest.fixture
def misbehave(server: CompletionsServer) -> Iterator[Any]:
    """At the bad question, as often as it is told."""
    decode = server.model.engine.tokenizer.decode
    server.asked.clear()

    def told(fault: Fault, times: int) -> None:
        def faulty(prompt: tuple[int, ...], before: int) -> Fault | None:
            return fault if BAD.prompt in decode(list(prompt)) and before < times else None

        server.faulty = faulty

    yield told
    server.faulty = lambda prompt, before: None


def test_a_server_of_nano_answers_as_nano_does(right: dict[str, tuple[Any, ...]]) -> None:
    own = s1_eval.evaluate("s1_hf/nano", "nano", "plain", limit=LIMIT)
    assert right == answers(own)


@pytest.mark.parametrize("fault", ASKED, ids=str)
def test_a_fault_harms_its_question_alone_and_is_asked_again(
    fault: Fault,
    server: CompletionsServer,
    right: dict[str, tuple[Any, ...]],
    misbehave: Any,
    tmp_path: Path,
) -> None:
    expected = FAULTS[fault]
    misbehave(fault, times=10**9)
    if expected.fails == "run":
        with pytest.raises(UserError, match=expected.said):
            ask(server, tmp_path)
        return
    with pytest.warns(UserWarning, match="1 samples failed"):
        found = answers(ask(server, tmp_path))
    others = {id: row for id, row in right.items() if id != BAD.id}
    assert found == others
    [file] = tmp_path.rglob("failures.jsonl")
    [failed] = [json.loads(line) for line in file.read_text().splitlines()]
    assert failed["sample_id"] == BAD.id
    assert re.search(expected.said, failed["reason"], re.DOTALL)
    assert failed["tries"] == (TRIES if expected.fails == "again" else 1)

    server.faulty = lambda prompt, before: None
    asked = len(server.bodies)
    assert answers(ask(server, tmp_path)) == right
    assert len(server.bodies) - asked <= 2  # the failed question's, and the first look at a server


@pytest.mark.parametrize("fault", [400, 500, "early length"], ids=str)
def test_in_lm_eval_it_is_an_unanswered_row(
    fault: Fault, server: CompletionsServer, misbehave: Any
) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from s1_eval.harness.lm_eval_models import s1_api

    misbehave(fault, times=10**9)
    model = s1_api("pseudo", base_url=server.url, retries=TRIES - 1, backoff=0.01)
    found = simple_evaluate(
        model=model,
        tasks=[str(Path(tasks_file).parent / "s1_nano.yaml")],
        task_manager=TaskManager(include_defaults=False),
        limit=LIMIT,
        bootstrap_iters=0,
    )
    model.engine.close()
    rows = found["samples"]["s1_nano"]
    assert len(rows) == LIMIT
    [failed] = [row for row in rows if "error" in row]
    assert (failed["sample_id"], failed["answered"], failed["correct"]) == (BAD.id, False, False)
    assert re.search(FAULTS[fault].said, failed["error"], re.DOTALL)


@pytest.mark.parametrize("fault", [400, 500, "early length"], ids=str)
def test_in_inspect_it_is_a_sample_with_an_error(
    fault: Fault, server: CompletionsServer, misbehave: Any, tmp_path: Path
) -> None:
    from inspect_ai import eval as evaluate

    misbehave(fault, times=10**9)
    [log] = evaluate(
        "s1_eval/nano",
        model="s1_api/pseudo",
        model_base_url=server.url,
        model_args={"retries": TRIES - 1, "backoff": 0.01},
        limit=LIMIT,
        fail_on_error=False,
        display="none",
        log_dir=str(tmp_path),
    )
    assert log.status == "success"
    [failed] = [sample for sample in log.samples or [] if sample.error]
    assert failed.id == BAD.id
    assert re.search(FAULTS[fault].said, failed.error.message, re.DOTALL)
    assert sum(bool(sample.scores) for sample in log.samples or []) == LIMIT - 1


@pytest.mark.parametrize("fault", [f for f in ASKED if FAULTS[f].fails == "again"], ids=str)
def test_a_fault_that_passes_costs_a_try(
    fault: Fault, server: CompletionsServer, right: dict[str, tuple[Any, ...]], misbehave: Any
) -> None:
    misbehave(fault, times=1)
    assert answers(ask(server)) == right
