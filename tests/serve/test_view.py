"""What `s1-eval view` answers: rows by their ids, nothing by a path, and texts only where they may
be shown."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request

import pytest
import runs
from starlette.testclient import TestClient
from viewing import read

from s1_eval.cli.main import main
from s1_eval.evaluation.benchmark import benchmark
from s1_eval.records import RunWriter
from s1_eval.serve.view import app, is_loopback


@pytest.fixture(scope="module")
def client(recorded) -> TestClient:
    return TestClient(app(read(recorded)), base_url="http://127.0.0.1")


def run_id(client, method, **more):
    return next(
        each["id"]
        for each in client.get("/api/runs").json()
        if each["method"] == method and each["label"] == more.get("label", each["label"])
    )


def test_a_row_has_question_target_and_verdict_together(client):
    id = run_id(client, "budget_forcing", label="budget_forcing, num_ignores=2")
    row = client.get(f"/api/runs/{id}/row", params={"sample": "q1"}).json()
    assert row["question"].startswith("What is")
    assert (row["target"], row["verdict"]) == ("5/6", "right")
    assert (row["previous"]["sample_id"], row["next"]["sample_id"]) == ("q0", "q2")
    segments = client.get(f"/api/runs/{id}/chain", params={"sample": "q1"}).json()
    assert [each["text"] for each in segments if each["origin"] == "forced"][1:3] == ["Wait"] * 2


def test_votes_say_which_chains_gave_which_answer(client):
    row = client.get(
        f"/api/runs/{run_id(client, 'majority_vote')}/row", params={"sample": "q1"}
    ).json()
    votes = [(v["answer"], v["chains"], v["right"], v["won"]) for v in row["votes"]]
    assert votes == [
        ("5/6", [0, 2], True, True),
        ("2/5", [1], False, False),
        ("", [3], False, False),
    ]
    assert row["votes"][2]["group"] is None


def test_long_answers_are_shown_by_what_they_say_in_the_end_and_here_alone(tmp_path):
    record = runs.record("majority_vote", secret=True)
    long = "The question asks for it, and " * 9 + r"so it is \boxed{7}. Done."
    answers = {"sample_answers": [long, "x" * 500], "sample_groups": [0, 1]}
    with RunWriter(tmp_path, record) as writer:
        writer.append({**runs.row(record, with_traces=True), **answers})
    said = []
    for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104
        client = TestClient(app(read(tmp_path), host), base_url="http://127.0.0.1")
        row = client.get(f"/api/runs/{record['run_id']}/row?sample=q0").json()
        said.append([vote["answer"] for vote in row["votes"]])
    assert said == [[r"\boxed{7}. Done.", "… " + "x" * 120], ["answer 1", "answer 2"]]
    assert "question" not in json.dumps(row["chains"])


def test_a_search_is_a_tree_with_scores_and_what_was_given_up(client):
    row = client.get(
        f"/api/runs/{run_id(client, 'beam_search')}/row", params={"sample": "q1"}
    ).json()
    tree = [(n["parent"], n["text"], n["score"], n["pruned"], n["chains"]) for n in row["tree"]]
    assert tree == [
        (None, "Halves are $3/6$.", 0.5, False, []),
        (0, "Thirds are $2/6$.", 0.7, False, []),
        (1, "Add the tops.", 0.9, False, [0]),
        (1, "Guess.", 0.25, False, [1]),
        (0, "Guess.", 0.1, True, [2]),
    ]


def test_a_list_is_searched_and_given_in_parts(client):
    id = run_id(client, "majority_vote")
    found = client.get(f"/api/runs/{id}/rows", params={"find": "Q1", "only": "right"}).json()
    assert [row["name"][:4] for row in found["rows"]] == ["q1", "q10", "q11 "]
    assert client.get(f"/api/runs/{id}/rows", params={"from": "11"}).json()["total"] == 12


def test_texts_come_without_what_could_steer_them(client):
    id = run_id(client, "budget_forcing", label="budget_forcing, num_ignores=2")
    rows = client.get(f"/api/runs/{id}/rows", params={"find": "script"}).json()["rows"]
    asked = {"sample": rows[0]["sample_id"]}
    for what in ("row", "chain"):
        said = client.get(f"/api/runs/{id}/{what}", params=asked)
        assert said.headers["content-type"] == "application/json"
        assert said.headers["x-content-type-options"] == "nosniff"
        assert said.text.isascii()
    text = "".join(each["text"] for each in said.json())
    assert "\u202e" not in text
    assert "\\u202e" in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/runs/000000000000/rows", 404),
        ("/api/runs/..%2f..%2fetc/rows", 404),
        ("/api/runs/{id}/row?sample=nothing", 404),
        ("/api/runs/{id}/row?sample=q1&epoch=9", 404),
        ("/api/runs/{id}/row?sample=q1&epoch=-1", 400),
        ("/api/runs/{id}/chain?sample=q1&chain=99", 404),
        ("/api/runs/{id}/rows?from=x", 400),
        ("/api/runs/{id}/at-k", 200),
        ("/page/..%2fview.py", 404),
        ("/page/%2e%2e/view.py", 404),
        ("/page/", 404),
        ("/nothing", 404),
    ],
)
def test_what_is_not_there_is_said_and_no_path_leads_out(client, path, status):
    said = client.get(path.format(id=run_id(client, "majority_vote")))
    assert said.status_code == status
    assert "import" not in said.text


def test_at_k_is_asked_of_a_finished_run(client, tmp_path):
    found = client.get(f"/api/runs/{run_id(client, 'majority_vote')}/at-k").json()
    assert [at["k"] for at in found["at"]] == [1, 2, 4]
    record = runs.record("majority_vote", method_params={"samples": 2}, planned_samples=9)
    with RunWriter(tmp_path, record) as writer:
        writer.append(runs.row(record))
    said = TestClient(app(read(tmp_path)), base_url="http://localhost").get(
        f"/api/runs/{record['run_id']}/at-k"
    )
    assert (said.status_code, "1 of 9 samples" in said.json()["error"]) == (409, True)


def test_nothing_runs_but_the_pages_own_files(client):
    for path in ("/", "/page/app.js", "/page/colours.css", "/page/katex/katex.min.js"):
        said = client.get(path)
        assert said.status_code == 200
        policy = said.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy


def test_another_sites_name_for_this_machine_is_refused(client):
    assert client.get("/api/runs", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(("secret", "far", "status"), [(True, 403, 200), (False, 200, 200)])
def test_texts_of_a_secret_benchmark_stay_on_the_machine(tmp_path, secret, far, status):
    record = runs.record(secret=secret)
    with RunWriter(tmp_path, record) as writer:
        row = runs.row(record, with_traces=True)
        writer.append({**row, "answer": "a whole reply that says the question again"})
    for host, wanted in (("0.0.0.0", far), ("127.0.0.1", status)):  # noqa: S104
        reached = TestClient(app(read(tmp_path), host), base_url="http://127.0.0.1")
        one = f"/api/runs/{record['run_id']}"
        assert reached.get(f"{one}/chain?sample=q0").status_code == wanted
        row = reached.get(f"{one}/row?sample=q0")
        assert row.json()["withheld"] == (wanted == 403)
        texts = row.text + reached.get(f"{one}/rows").text
        assert ("says the question" in texts) == (wanted == 200)


def test_a_question_that_the_record_lacks_comes_from_the_data_that_was_asked(tmp_path):
    data = benchmark("nano").load()
    for fingerprint, wanted in ((data.fingerprint, data.samples[0].prompt), ("other", None)):
        dataset = {"id": data.id, "revision": None, "fingerprint": fingerprint}
        record = runs.record(task="nano", dataset=dataset, seed=len(fingerprint))
        with RunWriter(tmp_path / fingerprint, record) as writer:
            writer.append(runs.row(record, data.samples[0].id))
        client = TestClient(app(read(tmp_path)), base_url="http://127.0.0.1")
        found = client.get(f"/api/runs/{record['run_id']}/row?sample={data.samples[0].id}")
        assert found.json()["question"] == wanted


def test_a_secret_question_is_shown_from_the_users_own_copy_and_here_alone(
    tmp_path, shared_data, monkeypatch
):
    monkeypatch.setenv("S1_EVAL_DATA", str(shared_data))
    data = benchmark("gpqa_diamond").load()
    dataset = {"id": data.id, "revision": None, "fingerprint": data.fingerprint}
    record = runs.record(task="gpqa_diamond", dataset=dataset, secret=True)
    with RunWriter(tmp_path, record) as writer:
        writer.append(runs.row(record, data.samples[0].id))
    path = f"/api/runs/{record['run_id']}/row?sample={data.samples[0].id}"
    shown = []
    for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104
        client = TestClient(app(read(tmp_path), host), base_url="http://127.0.0.1")
        shown.append(client.get(path).json()["question"])
    assert [text is not None for text in shown] == [True, False]
    assert hash(shown[0]) == hash(data.samples[0].prompt)  # no text in a message of a test


def test_loopback_is_this_machine_alone():
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "")))  # noqa: S104


def test_bad_input_is_refused_before_anything_is_served(tmp_path, capsys):
    assert main(["view", str(tmp_path / "none")]) == 2
    (tmp_path / "samples.jsonl").write_text("{}\n")
    assert main(["view", str(tmp_path)]) == 2
    assert "nothing to show" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_serves_without_a_model_and_ends_by_ctrl_c(recorded):
    hidden = "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None; "
    program = hidden + "from s1_eval.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "view", str(recorded), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        said = process.stdout.readline()
        address = said.split(": ")[1].split()[0]
        assert said.startswith("4 runs, 48 rows: http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}api/runs") as answer:  # noqa: S310
            assert answer.status == 200
        port = address.rstrip("/").rpartition(":")[2]
        assert main(["view", str(recorded), "--port", port]) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    finally:
        process.kill()
