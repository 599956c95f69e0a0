"""Other people's results become records where they say enough; where not, the message names what
is missing and the option that tells it."""

import json

import pytest
import runs

from s1_eval.errors import UserError
from s1_eval.records import RunWriter, read_runs
from s1_eval.records.foreign import Told, parse_columns, readers, split

TABLE = ["sample_id=id", "correct=grade:A", "answered=grade:A|B", "thinking_tokens=used"]
TOLD = ["answer_tokens==3", "model==m", "task==t", "method==plain", "exit_reason==natural"]


def read(path, *columns, **told):
    return read_runs([path], readers(Told(columns=parse_columns(columns), **told)))


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def graded(grade, **more):
    return {"id": 7, "grade": grade, "used": 12, **more}


def lm_eval(folder, resps, gen_kwargs, beside=True, **more):
    stamp = "2026-01-01T00-00-00.000000"
    if beside:
        (folder / f"results_{stamp}.json").write_text(json.dumps({"model_name": "org/model"}))
    rows = [
        {
            "doc_id": i,
            "doc": {},
            "target": "7",
            "arguments": [["prompt", gen_kwargs]],
            "resps": [[text]],
            "exact_match": float("7" in text[-2:]),
            **more,
        }
        for i, text in enumerate(resps)
    ]
    return jsonl(folder / f"samples_aime24_{stamp}.jsonl", rows)


def words(text):
    return len(text.split())


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_a_table_is_read_by_the_columns_that_are_named(tmp_path, form):
    path = tmp_path / f"budget_256.{form}"
    if form == "jsonl":
        jsonl(path, [graded("A")])
    elif form == "json":
        path.write_text(json.dumps([graded("A")]))
    else:
        path.write_text("id,grade,used\n7,A,12\n")
    [run] = read(path, *TABLE, *TOLD, r"budget=~budget_(\d+)", r"tokens=~budget_(\d+)")
    [row] = run.rows
    assert (run.budget, run.params) == (256, {"tokens": 256})
    assert (row["sample_id"], row["correct"], row["thinking_tokens"]) == ("7", True, 12)


def test_a_column_may_lie_deeper(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [graded("A", out={"ids": [5, 9]})])
    [run] = read(path, *TABLE[:3], "thinking_tokens=out.ids.1", *TOLD)
    assert run.rows[0]["thinking_tokens"] == 9


@pytest.mark.parametrize(
    ("left_out", "names"),
    [
        ("thinking_tokens", "--tokenizer"),
        ("correct", "--regrade"),
        ("answered", "--regrade GRADER, or --columns answered=COLUMN"),
        ("exit_reason", "exit_reason==natural"),
        ("model", "model==NAME"),
        ("sample_id", "sample_id=COLUMN"),
    ],
)
def test_what_is_not_said_is_asked_for_by_its_option(tmp_path, left_out, names):
    path = jsonl(tmp_path / "x.jsonl", [graded("B")])
    columns = [c for c in [*TABLE, *TOLD] if not c.startswith(left_out)]
    with pytest.raises(UserError, match=r"x\.jsonl line 1") as refused:
        read(path, *columns)
    assert names in str(refused.value)


def test_all_that_is_missing_is_asked_for_at_once(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [graded("A")])
    with pytest.raises(UserError, match="--columns model==NAME task==NAME method==NAME"):
        read(path, *TABLE, "answer_tokens==3")


def test_a_table_without_columns_asks_for_them(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [graded("A")])
    with pytest.raises(UserError, match="whose columns --columns names"):
        read(path)


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [graded("A")])
    with pytest.raises(UserError, match=r"no 'uzed': its columns are id, grade, used"):
        read(path, *TABLE[:3], "thinking_tokens=uzed", *TOLD)


@pytest.mark.parametrize("value", ["many", 1.5, None, -1])
def test_a_count_that_is_none_is_refused(tmp_path, value):
    path = jsonl(tmp_path / "x.jsonl", [graded("A") | {"used": value}])
    with pytest.raises(UserError, match="line 1"):
        read(path, *TABLE, *TOLD)


def test_a_damaged_line_is_refused_or_named_and_skipped(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [graded("A"), graded("B") | {"id": 8}])
    path.write_text(path.read_text() + "{broken\n")
    with pytest.raises(UserError, match="line 3"):
        read(path, *TABLE, *TOLD)
    said = []
    [run] = read(path, *TABLE, *TOLD, on_bad=said.append)
    assert len(run.rows) == 2
    assert "x.jsonl line 3" in str(said[0])


def test_the_s1_forks_arguments_tell_method_budget_and_ignores(tmp_path):
    text = "<|im_start|>think\none two<|im_start|>answer\n7"
    kwargs = {"max_tokens_thinking": 400, "thinking_n_ignore": 2, "max_gen_toks": 32768}
    lm_eval(tmp_path, [text], kwargs)
    [run] = read(tmp_path, "answer==7", count=words)
    assert (run.model, run.task, run.method) == ("org/model", "aime24", "budget_forcing")
    assert run.params == {"max_thinking_tokens": 400, "num_ignores": 2}
    assert run.budget == 400
    assert run.rows[0]["thinking_tokens"] == 2
    assert run.rows[0]["exit_reason"] == "natural"


def test_think_tags_of_stock_lm_eval_are_split_and_a_cut_is_seen(tmp_path):
    path = lm_eval(tmp_path, ["<think>a b c</think>7", "<think>a b c d"], {"max_gen_toks": 4})
    [run] = read(tmp_path, count=words, grade=lambda text, gold: (text == gold, bool(text), text))
    whole, cut = run.rows
    assert (whole["thinking_tokens"], whole["correct"], whole["exit_reason"]) == (
        3,
        True,
        "natural",
    )
    assert (cut["thinking_tokens"], cut["answered"], cut["exit_reason"]) == (4, False, "context")
    assert run.method == "plain"
    assert run.sources == (str(path),)


def test_an_lm_eval_file_without_its_results_asks_for_the_model(tmp_path):
    lm_eval(tmp_path, ["7"], {}, beside=False)
    with pytest.raises(UserError, match="add --columns model==NAME"):
        read(tmp_path, "answer==7", count=words)


def test_text_without_delimiters_is_an_answer_without_thinking():
    assert split("just 7") == ("", "just 7", True)
    assert split("<think>on and on") == ("on and on", "", False)
    assert split("a</think>7") == ("a", "7", True)


@pytest.mark.parametrize("bad", ["correct", "=x", "a b=c", "budget=~(", "budget=~x", "f="])
def test_a_mapping_that_means_nothing_is_refused(bad):
    with pytest.raises(UserError, match="--columns"):
        parse_columns([bad])


def test_overshoots_of_api_budgets_show_in_the_audit(shared_data):
    from s1_eval.metrics import audit

    runs = read(
        shared_data / "outputs" / "gemini-2.5-flash_simpleqa",
        *("sample_id=id", "correct=grading:A", "answered=grading:A|B", "task==simpleqa"),
        *("thinking_tokens=reasoning_tokens", "answer_tokens=response_tokens"),
        *("model==gemini-2.5-flash", "method==token_conditional", "exit_reason==natural"),
        *(r"budget=~budget_(\d+)", r"tokens=~budget_(\d+)"),
    )
    over = {run.budget: audit(run).over_budget for run in runs}
    assert sorted(over) == [256, 512, 1024, 2048]
    assert all(len(run.rows) == 800 for run in runs)
    assert any(over.values())


def test_a_cut_transcript_without_a_limit_asks_for_the_limit(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [{"id": 1, "text": "<think>a b", "limit": 2, "ok": False}])
    columns = ["sample_id=id", "transcript=text", "correct=ok", "answered=ok", *TOLD[1:4]]
    with pytest.raises(UserError, match="most_tokens=COLUMN"):
        read(path, *columns, count=words)
    [run] = read(path, *columns, "most_tokens=limit", count=words)
    assert run.rows[0]["exit_reason"] == "context"


def test_a_damaged_line_of_a_run_of_ours_is_named_and_skipped_too(tmp_path):
    record = runs.record(planned_samples=3)
    with RunWriter(tmp_path, record) as writer:
        for i in range(3):
            writer.append(runs.row(record, f"q{i}"))
    path = tmp_path / "samples.jsonl"
    first, second, third, end = path.read_text().split("\n")
    path.write_text("\n".join([first, second[:50], third, end]))
    with pytest.raises(UserError, match="line 2 is not JSON"):
        read(path)
    said = []
    [run] = read(path, on_bad=said.append)
    assert [row["sample_id"] for row in run.rows] == ["q0", "q2"]
    assert "line 2 is not JSON" in str(said[0])


def test_a_csv_may_hold_long_transcripts(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"id,text,grade\n1,<think>{'so ' * 60_000}</think>7,A\n")
    [run] = read(
        path, "sample_id=id", "transcript=text", "correct=grade:A", *TOLD[1:4], count=words
    )
    assert run.rows[0]["thinking_tokens"] == 60_000
