"""What a server's dials do, asked of a real one on loopback whose replies are made to measure."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from s1_eval.cli.main import main
from s1_eval.engines.dials import DIALS

NAMES = {dial.name for dial in DIALS}
EFFORTS = {"low": 40, "medium": 400, "high": 800}


def completion(thought=400, answer="It is 25.", how="usage"):
    """A chat completion that thought so many tokens, told in one of the ways there are."""
    words = " ".join(["hm"] * thought)
    message, usage = {"role": "assistant", "content": answer}, None
    if how == "usage":
        usage = {"completion_tokens": thought + 4}
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    elif how == "tags":
        message["content"] = f"<think>\n{words}\n</think>\n\n{answer}"
    elif how == "opened":  # by the prompt
        message["content"] = f"{words}\n</think>\n\n{answer}"
    else:
        message[how] = words
    return {"choices": [{"index": 0, "message": message}], "usage": usage}


class Chat:
    """`reply(body)` is (status, what is sent): JSON, bytes, or an iterable of bytes in pieces."""

    def __init__(self, reply, models=("m",)):
        self.bodies = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def send(self, status, payload):
                if isinstance(payload, (dict, list)):
                    payload = json.dumps(payload).encode()
                self.send_response(status)
                self.end_headers()
                for piece in [payload] if isinstance(payload, bytes) else payload:
                    self.wfile.write(piece)
                    self.wfile.flush()

            def do_GET(self):
                known = self.path == "/v1/models"
                self.send(200 if known else 404, {"data": [{"id": name} for name in models]})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.bodies.append(body)
                with contextlib.suppress(OSError):
                    self.send(*reply(body))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve():
    servers = []

    def start(reply, **options):
        servers.append(Chat(reply, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def doctor(capsys):
    """`s1-eval doctor --server --json`: dials by name; the message where it fails."""

    def ask(url, *options, code=0):
        assert main(["doctor", "--server", url, "--json", *options]) == code
        done = capsys.readouterr()
        if code:
            assert not done.out
            assert done.err.count("\n") == 1
            return done.err
        found = json.loads(done.out)
        assert set(found) == {"server", "model", "dials"}
        return {dial.pop("name"): dial for dial in found["dials"]}

    return ask


def asked(body):
    """The name of the dial in a request, None for the baseline."""
    for dial in DIALS:
        for fields in (dial.fields, dial.more or {}):
            if fields and all(body.get(key) == value for key, value in fields.items()):
                return dial.name
    return None


def obeying(*names, how="usage"):
    """A server that obeys these dials and no others."""

    def reply(body):
        name = asked(body)
        if name not in names:
            return 200, completion(how=how)
        if name == "reasoning_effort":
            return 200, completion(EFFORTS[body[name]], how=how)
        budget = next(dial for dial in DIALS if dial.name == name).budget
        answer = "" if "tokens" in name and name.startswith("max") else "It is 25."
        return 200, completion(min(budget, 12), answer, how)

    return reply


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_dial_that_a_server_obeys_is_enforced_and_the_others_are_ignored(serve, doctor, name):
    found = doctor(serve(obeying(name)).url)
    assert {n: dial["verdict"] for n, dial in found.items()} == {
        other: "enforced" if other == name else "ignored" for other in NAMES
    }
    assert found[name]["thinking_tokens"] < 41
    assert {dial["thinking_tokens"] for n, dial in found.items() if n != name} == {400}


@pytest.mark.parametrize("how", ["reasoning_content", "reasoning", "tags", "opened"])
def test_thinking_is_counted_wherever_a_server_puts_it(serve, doctor, how):
    found = doctor(serve(obeying("thinking_token_budget", how=how)).url + "/v1/")
    assert found.pop("thinking_token_budget")["verdict"] == "enforced"
    assert {(dial["verdict"], dial["thinking_tokens"]) for dial in found.values()} == {
        ("ignored", 400)
    }


@pytest.mark.parametrize("count", [0, 5])
def test_a_count_below_the_words_of_the_thinking_beside_it_is_not_believed(serve, doctor, count):
    def reply(body):
        made = completion(how="reasoning_content")
        details = {"reasoning_tokens": count if asked(body) else 400}
        return 200, made | {"usage": {"completion_tokens_details": details}}

    assert {dial["verdict"] for dial in doctor(serve(reply).url).values()} == {"ignored"}


def test_a_little_thinking_is_too_much_where_it_is_switched_off(serve, doctor):
    found = doctor(serve(lambda body: (200, completion(12 if asked(body) else 400))).url)
    verdicts = {name: dial["verdict"] for name, dial in found.items()}
    assert verdicts.pop("chat_template_kwargs.enable_thinking") == "ignored"
    assert verdicts.pop("reasoning_effort") == "unclear"
    assert set(verdicts.values()) == {"enforced"}


def test_a_cap_that_spares_the_thinking_but_not_the_answer_is_told_from_one_that_does_nothing(
    serve, doctor
):
    def reply(body):
        return 200, completion(
            8 if asked(body) == "max_tokens" else 400, "long " * 300, "reasoning"
        )

    found = doctor(serve(reply).url)["max_tokens"]
    assert found["verdict"] == "ignored"
    assert "308 tokens in all" in found["said"]


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Extra inputs are not\npermitted: \x1b[2J" + "x" * 500}},
        {"error": "Extra inputs are not permitted: \x1b[2J"},
        {"detail": "Extra inputs are not permitted: \x9b2J"},
        b"Extra inputs are not permitted: \x1b[2J\xff",
    ],
)
def test_a_refusal_is_told_in_the_servers_words_made_printable_and_cut(serve, doctor, body):
    found = doctor(serve(lambda b: (422, body) if asked(b) else (200, completion())).url)
    assert set(found) == NAMES
    for dial in found.values():
        assert (dial["verdict"], dial["thinking_tokens"]) == ("rejected", None)
        assert "Extra inputs are not permitted: \\x" in dial["said"]
        assert dial["said"].isprintable()
        assert len(dial["said"]) <= 205


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_or_broken_has_rejected_nothing(serve, doctor, status):
    found = doctor(serve(lambda b: (status, {}) if asked(b) else (200, completion())).url)
    assert {(d["verdict"], d["thinking_tokens"]) for d in found.values()} == {("unclear", None)}


@pytest.mark.parametrize("thought", [0, 15, 64])
def test_nothing_is_told_of_a_model_that_hardly_thinks(serve, doctor, thought):
    found = doctor(serve(lambda body: (200, completion(thought))).url)
    assert {dial["verdict"] for dial in found.values()} == {"unclear"}


@pytest.mark.parametrize(
    ("low", "verdict"), [(400, "enforced"), (500, "unclear"), (700, "ignored"), (900, "ignored")]
)
def test_efforts_are_told_apart_only_where_the_lower_one_is_clearly_shorter(
    serve, doctor, low, verdict
):
    thought = {"low": low, "high": 800}

    def reply(body):
        return 200, completion(thought.get(body.get("reasoning_effort"), 400))

    found = doctor(serve(reply).url)["reasoning_effort"]
    assert (found["verdict"], found["thinking_tokens"]) == (verdict, low)


def dripping():
    while True:
        yield b" "
        time.sleep(0.02)


HOSTILE = {
    "html": b"<html>\x1b]0;owned\x07</html>",
    "deep": b"[" * 100_000,
    "digits": b'{"choices": ' + b"9" * 5000 + b"}",
    "no choices": {"choices": []},
    "no message": {"choices": [{"message": None}]},
    "a list": [1, 2],
    "endless": (b" " * 65536 for _ in iter(int, 1)),
    "slow": dripping(),
}


SAID = {"endless": "bytes came", "slow": "no answer within 4 s"}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow) if k == "slow" else k for k in HOSTILE]
)
def test_a_hostile_reply_leaves_the_dial_unclear_and_the_others_alone(serve, doctor, kind):
    def reply(body):
        hostile = asked(body) == "thinking_token_budget"
        return 200, HOSTILE[kind] if hostile else completion()

    found = doctor(serve(reply).url, "-M", f"timeout={4 if kind == 'slow' else 60}")
    hostile = found.pop("thinking_token_budget")
    assert (hostile["verdict"], hostile["thinking_tokens"]) == ("unclear", None)
    assert hostile["said"].isprintable()
    assert len(hostile["said"]) <= 220
    assert SAID.get(kind, "200") in hostile["said"]
    assert {dial["verdict"] for dial in found.values()} == {"ignored"}


def test_counts_and_texts_of_the_wrong_type_count_for_nothing(serve, doctor):
    def reply(body):
        made = completion(how="reasoning")
        message = made["choices"][0]["message"] | {"reasoning_content": [1], "content": {"a": 1}}
        details = {"reasoning_tokens": 10**30}
        usage = {"completion_tokens_details": details, "completion_tokens": 1e308}
        return 200, {"choices": [{"message": message}], "usage": usage}

    found = doctor(serve(reply).url)
    assert {(d["verdict"], d["thinking_tokens"]) for d in found.values()} == {("ignored", 400)}


def test_a_server_that_can_not_be_asked_is_one_clear_message(serve, doctor):
    gone = serve(lambda body: (200, completion()))
    gone.stop()
    assert "whether it is up" in doctor(gone.url, code=2)
    assert "e.g. http://127.0.0.1:8000/v1" in doctor("localhost:8000", code=2)
    assert "can't be asked" in doctor("http://[::1", code=2)
    closed = serve(lambda body: (401, {"error": {"message": "no \x1b[2Jkey"}}))
    said = doctor(closed.url, code=2)
    assert "-M api_key=KEY" in said
    assert "\x1b" not in said
    assert "usually ends in /v1" in doctor(closed.url + "/other", code=2)
    assert "no chat completion" in doctor(serve(lambda body: (200, {})).url, code=2)
    assert "-M base_url" in doctor(closed.url, "-M", "base_url=x", code=2)
    assert "s1_api/NAME" in doctor(closed.url, "--model", "s1_hf/nano", code=2)


def test_a_server_of_several_models_is_told_which(serve, doctor):
    server = serve(obeying(), models=("a", "b\x1b[2J"))
    said = doctor(server.url, code=2)
    assert "a, b\\x1b[2J: give --model s1_api/NAME" in said
    assert not server.bodies
    doctor(server.url, "--model", "s1_api/org/b", "--question", "Why?")
    assert {body["model"] for body in server.bodies} == {"org/b"}
    assert {body["messages"][0]["content"] for body in server.bodies} == {"Why?"}


def test_the_table_shows_what_a_server_says_as_text(serve, capsys):
    server = serve(lambda b: (400, {"error": "[red]no[/red]"}) if asked(b) else (200, completion()))
    assert main(["doctor", "--server", server.url]) == 0
    shown = capsys.readouterr().out
    assert "rejected" in shown
    assert "[red]" in shown
