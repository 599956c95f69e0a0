"""Methods on providers that are not ours: a small server that speaks OpenAI's chat protocol and
reports how long it thought, and Inspect's mock model, which can do neither."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("inspect_ai")
from inspect_ai import eval as inspect_eval
from inspect_ai.model import get_model

from s1_eval.metrics import score
from s1_eval.records import read_runs
from s1_eval.solvers import budget_forcing, class_conditional, token_conditional
from s1_eval.tasks.nano import nano
from s1_eval.tasks.questions import questions

THOUGHT = {"low": 20, "medium": 60, "high": 200}


class ChatServer(ThreadingHTTPServer):
    """Thinks as long as its options say, answers 7, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict] = []
        self.reports, self.stop, self.answer = True, "stop", "Final Answer: 7"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        thought = (
            body.get("thinking_token_budget") or THOUGHT[body.get("reasoning_effort", "medium")]
        )
        usage = {"prompt_tokens": 9, "completion_tokens": thought + 3, "total_tokens": thought + 12}
        if self.server.reports:
            usage["completion_tokens_details"] = {"reasoning_tokens": thought}
        reply = {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": self.server.stop,
                    "message": {"role": "assistant", "content": self.server.answer},
                }
            ],
            "usage": usage,
        }
        text = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server():
    running = ChatServer()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def hosted(server):
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return get_model("openai-api/hosted/thinker", base_url=url, api_key="none", memoize=False)


def run(model, solver, tmp_path, limit=3):
    [log] = inspect_eval(
        nano(), model=model, solver=solver, limit=limit, log_dir=str(tmp_path), display="none"
    )
    return log


@pytest.mark.parametrize(("length", "effort"), [("short", "low"), ("long", "high"), ("low", "low")])
def test_reasoning_effort_is_class_conditional_control(hosted, server, tmp_path, length, effort):
    log = run(hosted, class_conditional(length=length), tmp_path)
    assert log.status == "success", log.error
    assert {body["reasoning_effort"] for body in server.asked} == {effort}
    [recorded] = read_runs([tmp_path])
    assert {row["thinking_tokens"] for row in recorded.rows} == {THOUGHT[effort]}
    assert {row["generated_tokens"] for row in recorded.rows} == {THOUGHT[effort] + 3}


def test_a_thinking_budget_is_token_conditional_control(hosted, server, tmp_path):
    log = run(hosted, token_conditional(tokens=64), tmp_path)
    assert log.status == "success", log.error
    assert {body["thinking_token_budget"] for body in server.asked} == {64}
    [recorded] = read_runs([tmp_path])
    assert {(row["thinking_tokens"], row["budget"]) for row in recorded.rows} == {(64, 64)}
    assert {(row["prompt_tokens"], row["cached_tokens"]) for row in recorded.rows} == {(9, 0)}
    assert all(0 < row["machine_seconds"] <= row["seconds"] for row in recorded.rows)


def test_a_hosted_models_rows_say_what_the_data_says_of_the_question(hosted, tmp_path):
    data = tmp_path / "mine.csv"
    data.write_text("question,answer,level\n3+4,7,easy\n30+40,70,hard\n")
    [log] = inspect_eval(
        questions(data=str(data), grader="integer"),
        model=hosted,
        log_dir=str(tmp_path / "logs"),
        display="none",
    )
    assert log.status == "success", log.error
    read = read_runs([tmp_path / "logs"])
    found = {e["by"]["level"]: e["performance"]["value"] for e in score(read, by="level")[1:]}
    assert found == {"easy": 100, "hard": 0}


@pytest.mark.parametrize(
    ("solver", "stop", "answer", "exits"),
    [
        (class_conditional(length="long"), "stop", "Final Answer: 7", ("natural", "eos")),
        (class_conditional(length="long"), "length", "so 7 of", ("natural", "budget")),
        (class_conditional(length="long"), "length", "", ("budget", "budget")),
        (class_conditional(length="long"), "stop", "", ("unknown", "eos")),
        (token_conditional(tokens=64), "stop", "Final Answer: 7", ("unknown", "eos")),
    ],
)
def test_why_thinking_ended_is_said_where_something_shows_it(
    hosted, server, tmp_path, solver, stop, answer, exits
):
    server.stop, server.answer = stop, answer
    run(hosted, solver, tmp_path, limit=1)
    [recorded] = read_runs([tmp_path])
    assert {(row["exit_reason"], row["answer_exit"]) for row in recorded.rows} == {exits}


def test_budget_forcing_is_refused_with_the_alternatives(hosted, server, tmp_path):
    log = run(hosted, budget_forcing(max_thinking_tokens=64), tmp_path)
    assert log.status == "error"
    for said in ("token by token", "s1_vllm", "class_conditional", "token_conditional"):
        assert said in log.error.message
    assert server.asked == []


def test_forcing_on_top_of_a_providers_own_control_is_refused(hosted, server, tmp_path):
    log = run(hosted, token_conditional(tokens=64, max_thinking_tokens=64), tmp_path)
    assert log.status == "error"
    assert "takes tokens alone" in log.error.message
    assert server.asked == []


def test_a_service_that_hides_its_thinking_can_not_be_measured(hosted, server, tmp_path):
    server.reports = False
    log = run(hosted, class_conditional(length="long"), tmp_path)
    assert log.status == "error"
    assert "reports no reasoning tokens" in log.error.message
