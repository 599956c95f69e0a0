"""The leaderboard's folder: small at first sight, closed to the outside, and never dirty."""

import json
import re

import pytest
import runs
from boards import EVIL, write_runs

from s1_eval.cli.main import main
from s1_eval.errors import UserError
from s1_eval.metrics import score
from s1_eval.records import RunWriter, read_rows, read_runs
from s1_eval.report.leaderboard import build


def test_the_first_page_is_small_and_the_traces_stand_elsewhere(site):
    index = (site / "index.html").read_text()
    assert len(index) < 2_000_000
    assert "3+4 is 7" not in index
    assert "3+4 is 7" in (site / "questions" / "0" / "0.html").read_text()


def test_no_page_refers_to_anything_outside(site):
    ours = "".join(
        # Chart.js names its home in its licence comment.
        re.sub(r"<script>/\*!.*?</script>", "", page.read_text(), flags=re.DOTALL)
        for page in site.rglob("*.html")
    )
    assert not re.findall(r"(?:https?:)?//[a-z]\S*", re.sub(r"// [^\n]*", "", ours))


def test_nothing_from_a_record_becomes_markup(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert "<img" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert text.count("<script>document") == 0


def test_the_json_holds_series_and_run_records(site):
    data = json.loads((site / "leaderboard.json").read_text())
    assert len(data["series"]) == 2
    assert {run["method"] for run in data["runs"]} == {"plain", "budget_forcing"}
    assert all(run["command"] for run in data["runs"])


def test_a_question_has_every_sample_with_forced_text_marked(site):
    page = (site / "questions" / "0" / "5.html").read_text()
    assert page.count("<details>") == 4
    assert page.count('<mark class="thinking">Wait</mark>') == 4


def test_a_question_is_shown_where_the_record_holds_it(tmp_path):
    record = runs.record()
    with RunWriter(tmp_path / "run", record) as writer:
        for i in range(5):
            writer.append({**runs.row(record, f"q{i}"), "question": f"What is {i}? {EVIL}"})
    read = read_runs([tmp_path / "run"])
    build(read, score(read, resamples=10), read_rows(read), tmp_path / "site")
    page = (tmp_path / "site/questions/0/3.html").read_text()
    assert "What is 3? &lt;/script&gt;" in page


def test_building_again_replaces_the_questions(tmp_path, capsys):
    folder = write_runs(tmp_path / "runs", questions=30)
    for _ in range(2):
        assert main(["leaderboard", "build", str(folder), "--out", str(tmp_path / "site")]) == 0
    page = (tmp_path / "site" / "questions" / "0" / "0.html").read_text()
    assert page.count("<!doctype html>") == 1
    assert (tmp_path / "site" / "leaderboard.md").read_text().startswith("# Leaderboard")


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    made = [runs.run([True] * 5, 5)]
    with pytest.raises(UserError, match="holds other files"):
        build(made, score(made, resamples=10), [], tmp_path)


@pytest.mark.parametrize(
    ("secret", "task", "traces", "published"),
    [
        (True, "mine", "open", False),
        (True, "mine", "all", False),
        (True, "mine", "none", False),
        (False, "mine", "open", True),
        (False, "mine", "none", False),
        (None, "mine", "open", False),
        (None, "mine", "all", True),
        (None, "gpqa_diamond", "all", False),
        (None, "mine", "none", False),
    ],
)
def test_traces_of_a_secret_benchmark_are_never_published(
    tmp_path, secret, task, traces, published
):
    from s1_eval.records import RunWriter

    around = {"prompting": {"around": ["", "A) the secret question"], "system": "Think."}}
    record = runs.record(task=task, secret=secret) | around
    with RunWriter(tmp_path / "runs", record) as writer:
        row = runs.row(record)
        writer.append({**row, "response": "the secret question"})
    made = read_runs([tmp_path / "runs"])
    build(made, score(made, resamples=10), read_rows(made), tmp_path / "site", traces=traces)
    files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    text = "".join(path.read_text() for path in files)
    assert ("the secret question" in text) is published
    assert "Think." in text


def test_another_question_by_the_same_id_is_shown_with_its_answer(tmp_path):
    from s1_eval.records import RunWriter

    for name, question in (("a", "one"), ("b", "<two>")):
        dataset = {"id": "toy", "revision": None, "fingerprint": name}
        record = runs.record(dataset=dataset)
        with RunWriter(tmp_path / "runs" / name, record) as writer:
            writer.append({**runs.row(record), "question": f"question {question}"})
    made = read_runs([tmp_path / "runs"])
    build(made, score(made, resamples=10), read_rows(made), tmp_path / "site")
    page = (tmp_path / "site/questions/0/0.html").read_text()
    assert "question one" in page
    assert page.index("another question by this id") < page.index("question &lt;two&gt;")


def test_a_title_is_escaped_everywhere(tmp_path):
    made = [runs.run([True] * 5, 5)]
    build(made, score(made, resamples=10), [], tmp_path, title=EVIL)
    assert EVIL not in (tmp_path / "index.html").read_text()
