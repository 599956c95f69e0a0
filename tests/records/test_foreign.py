"""Other people's results become records where they say enough; where not, the message names what
is missing and the option that tells it."""

import argparse
import json

import pytest
import runs

from s1_eval.cli.inputs import Inputs, add_paths
from s1_eval.errors import UserError
from s1_eval.records import RunWriter, read_runs
from s1_eval.records.foreign import Told, parse_columns, parse_delimiters, readers
from s1_eval.records.transcripts import KNOWN

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
            "resps": [[text] if isinstance(text, str) else text],
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
    [run] = read(path, *TABLE, *TOLD, skip_bad=True, tell=said.append)
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
    [run] = read(
        tmp_path, count=words, grade=lambda text, gold, cut: (text == gold, bool(text), text)
    )
    whole, cut = run.rows
    assert (whole["thinking_tokens"], whole["correct"], whole["exit_reason"]) == (
        3,
        True,
        "natural",
    )
    assert (cut["thinking_tokens"], cut["answered"], cut["exit_reason"]) == (4, False, "budget")
    assert run.method == "plain"
    assert run.sources == (str(path),)


def test_an_lm_eval_file_without_its_results_asks_for_the_model(tmp_path):
    lm_eval(tmp_path, ["<think>a</think>7"], {}, beside=False)
    with pytest.raises(UserError, match="add --columns model==NAME"):
        read(tmp_path, "answer==7", count=words)


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


def test_a_cut_transcript_is_cut_by_a_limit_only_if_one_is_known(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [{"id": 1, "text": "<think>a b", "limit": 2, "ok": False}])
    columns = ["sample_id=id", "transcript=text", "correct=ok", *TOLD[1:4]]
    [run] = read(path, *columns, count=words)
    assert run.rows[0]["exit_reason"] == "unknown"
    [run] = read(path, *columns, "most_tokens=limit", count=words)
    assert run.rows[0]["exit_reason"] == "budget"


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
    [run] = read(path, skip_bad=True, tell=said.append)
    assert [row["sample_id"] for row in run.rows] == ["q0", "q2"]
    assert "line 2 is not JSON" in str(said[0])


def test_a_csv_may_hold_long_transcripts(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"id,text,grade\n1,<think>{'so ' * 60_000}</think>7,A\n")
    [run] = read(
        path, "sample_id=id", "transcript=text", "correct=grade:A", *TOLD[1:4], count=words
    )
    assert run.rows[0]["thinking_tokens"] == 60_000


def graded_by_text(response, target, cut):
    answer = response.strip().split(" ")[-1]
    return answer == target, bool(answer), answer


def texts(path, *rows, **more):
    """A table of transcripts whose answers are graded anew."""
    return jsonl(
        path, [{"id": i, "text": text, "gold": "7", **more} for i, text in enumerate(rows)]
    )


TEXTS = ["sample_id=id", "transcript=text", "target=gold", *TOLD[1:4]]


def graded_texts(path, *columns, **told):
    return read(path, *TEXTS, *columns, count=words, grade=graded_by_text, **told)


def shown(marks):
    return marks.shown


@pytest.mark.parametrize(
    ("answer", "most", "answered", "exit"),
    [
        ("the 3 of a division of 7", 8, False, "budget"),
        ("the 3 of a division of 7", 9, True, None),
        ("so Final Answer: 7\nsince 3 of", 8, True, "budget"),
        ("7", 2, False, "budget"),
    ],
)
def test_an_answer_that_the_limit_cut_counts_only_if_it_is_stated_whole(
    tmp_path, monkeypatch, answer, most, answered, exit
):
    from s1_eval.evaluation import reading

    path = texts(tmp_path / "x.jsonl", f"hm</think>{answer}", most=most)
    args = argparse.ArgumentParser()
    add_paths(args)
    columns = [*TEXTS, "most_tokens=most"]
    given = args.parse_args([str(path), "--regrade", "math", "--columns", *columns])
    monkeypatch.setattr(reading, "_counter", lambda model: words)
    given.tokenizer = "words"
    [row] = Inputs(given).runs(given.paths)[0].rows
    assert (row["answered"], row["correct"], row.get("answer_exit")) == (answered, answered, exit)
    assert row["exit_reason"] == "natural"


def test_why_an_answer_ended_is_said_in_our_words_or_refused(tmp_path):
    path = texts(tmp_path / "x.jsonl", "hm</think>7 of", stop="budget", finish="length")
    [run] = graded_texts(path, "answer_exit=stop")
    assert run.rows[0]["answer_exit"] == "budget"
    with pytest.raises(UserError, match=r"line 1: answer_exit is 'length', not one of eos"):
        graded_texts(path, "answer_exit=finish")


@pytest.mark.parametrize("marks", KNOWN, ids=shown)
def test_a_row_without_the_end_that_others_show_is_cut_and_has_no_answer(tmp_path, marks):
    path = texts(tmp_path / "x.jsonl", f"so it is{marks.shown}7", "I think it is 7")
    [run] = graded_texts(path)
    whole, cut = run.rows
    assert (whole["correct"], whole["exit_reason"], whole["thinking_tokens"]) == (
        True,
        "natural",
        3,
    )
    assert (cut["correct"], cut["answered"], cut["answer"]) == (False, False, "")
    assert (cut["exit_reason"], cut["thinking_tokens"], cut["answer_tokens"]) == ("unknown", 5, 0)


def test_the_files_own_verdict_on_a_cut_row_is_no_verdict_and_is_said(tmp_path):
    path = texts(tmp_path / "x.jsonl", "a</think>7", "b 7", ok=True)
    said = []
    [run] = read(path, *TEXTS, "correct=ok", count=words, tell=said.append)
    assert [row["correct"] for row in run.rows] == [True, False]
    assert "1 of 2 rows do not end their thinking (</think>)" in said[0]
    assert "1 of them the file itself counts as right" in said[0]


def test_rows_whose_thinking_is_nowhere_are_refused(tmp_path):
    path = texts(tmp_path / "x.jsonl", "It is 7", "It is 8")
    with pytest.raises(UserError, match=r"shows no thinking.*thinking=COLUMN.*--delimiters"):
        graded_texts(path)
    [run] = graded_texts(path, delimiters=parse_delimiters("none"))
    assert [row["correct"] for row in run.rows] == [True, False]
    [run] = graded_texts(path, delimiters=parse_delimiters("<r>...</r>"))
    assert not any(row["answered"] for row in run.rows)


def test_an_empty_column_of_thinking_is_no_thinking(tmp_path):
    path = texts(tmp_path / "x.jsonl", "It is 7", reasoning=None)
    with pytest.raises(UserError, match="shows no thinking"):
        graded_texts(path, "thinking=reasoning")


def test_two_formats_in_one_file_are_refused(tmp_path):
    path = texts(tmp_path / "x.jsonl", "a</think>7", "b</think>7", "c[/THINK]7")
    with pytest.raises(UserError, match=r"x.jsonl line 3 shows '\[/THINK\]'.*'</think>'"):
        graded_texts(path)


@pytest.mark.parametrize(
    ("text", "kwargs", "reason"),
    [
        ("a b<|im_start|>answer\nFinal Answer: 7", {"max_tokens_thinking": 400}, "budget"),
        ("a b<|im_start|>answer\nFinal Answer: 7", {"max_tokens_thinking": "auto"}, "context"),
        ("a b<|im_start|>answer\nFinal Answer: 7", {}, "unknown"),
        ("a b</think>so</think>7", {}, "unknown"),
        ("a b</think>so</think>7", {"max_tokens_thinking": 2}, "budget"),
        ("a b</think>7", {"max_tokens_thinking": 2}, "budget"),
        ("a b</think>7", {"max_tokens_thinking": 3}, "natural"),
    ],
)
def test_a_forced_end_is_never_natural(tmp_path, text, kwargs, reason):
    lm_eval(tmp_path, [text], kwargs)
    [run] = read(tmp_path, "answer==7", count=words)
    [row] = run.rows
    assert row["exit_reason"] == reason
    assert bool(row.get("forced_end")) == ("Final" in text or text.count("</think>") > 1)


@pytest.mark.parametrize(
    ("prompt", "closed"), [("Q<think>\n", False), ("Q<think>\n\n</think>\n\n", True)]
)
def test_the_prompt_shows_the_format_too(tmp_path, prompt, closed):
    path = texts(tmp_path / "x.jsonl", "It is 7", prompt=prompt)
    [run] = graded_texts(path, "prompt=prompt")
    assert run.rows[0]["answered"] == closed
    assert run.rows[0]["thinking_tokens"] == (0 if closed else 3)
    assert run.params == {}


def test_all_repeats_of_a_row_are_epochs(tmp_path):
    lm_eval(tmp_path, [["a</think>7", "b c</think>8", "d"]], {})
    [run] = read(tmp_path, count=words, grade=graded_by_text)
    found = [(r["epoch"], r["correct"], r["answered"], r["thinking_tokens"]) for r in run.rows]
    assert found == [(1, True, True, 1), (2, False, True, 2), (3, False, False, 1)]
    with pytest.raises(UserError, match=r"line 1 has 3 repeats.*--regrade"):
        read(tmp_path, "answer==7", count=words)


def test_verdicts_of_each_repeat_are_taken(tmp_path):
    lm_eval(tmp_path, [["a</think>7", "b</think>8"]], {}, exact_matches=[1, 0], found=["7", "8"])
    [run] = read(tmp_path, "answer=found", count=words)
    assert [row["correct"] for row in run.rows] == [True, False]


def test_several_filters_are_named_and_one_is_chosen(tmp_path):
    path = lm_eval(tmp_path, ["a</think>7"], {}, filter="strict")
    row = json.loads(path.read_text())
    jsonl(path, [row, {**row, "filter": "loose", "exact_match": 0.0}])
    with pytest.raises(UserError, match=r"\(strict, loose\).*`filter`.*--where 'filter=strict'"):
        read(tmp_path, "answer==7", count=words)
    [run] = read(tmp_path, "answer==7", count=words, where={"filter": "loose"})
    assert [row["correct"] for row in run.rows] == [False]
    said = []
    [run] = read(tmp_path, count=words, grade=graded_by_text, tell=said.append)
    assert len(run.rows) == 1
    assert "strict, loose" in said[0]


def test_epochs_from_0_have_a_way_in(tmp_path):
    rows = [graded("A", turn=turn) for turn in (0, 1)]
    path = jsonl(tmp_path / "x.jsonl", rows)
    with pytest.raises(UserError, match="epoch0=COLUMN"):
        read(path, *TABLE, *TOLD, "epoch=turn")
    [run] = read(path, *TABLE, *TOLD, "epoch0=turn")
    assert [row["epoch"] for row in run.rows] == [1, 2]
    assert run.params == {}


def test_rows_of_one_id_do_not_collapse(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [graded("A"), graded("A")])
    with pytest.raises(UserError, match=r"line 2: sample '7'.*line 1 already.*epoch==nth"):
        read(path, *TABLE, *TOLD)
    [run] = read(path, *TABLE, *TOLD, "epoch==nth")
    assert [row["epoch"] for row in run.rows] == [1, 2]


def test_one_id_with_two_targets_is_refused(tmp_path):
    rows = [graded("A", gold=gold, turn=turn) for turn, gold in ((1, "5"), (2, "6"))]
    path = jsonl(tmp_path / "x.jsonl", rows)
    with pytest.raises(UserError, match=r"line 2: sample '7' has the target '6', but '5'"):
        read(path, *TABLE, *TOLD, "target=gold", "epoch=turn")


def test_more_thinking_than_was_generated_is_refused(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [graded("A", all=11)])
    with pytest.raises(UserError, match="line 1: 12 thinking tokens of 11 generated"):
        read(path, *TABLE, *TOLD, "generated_tokens=all")


@pytest.mark.parametrize("gold", [None, "", ["5", "6"]])
def test_a_row_without_a_target_is_not_graded_as_wrong(tmp_path, gold):
    path = jsonl(tmp_path / "x.jsonl", [{"id": 1, "text": "a</think>7", "gold": gold}])
    with pytest.raises(UserError, match=r"line 1 has no single target"):
        graded_texts(path)


def test_a_target_that_cannot_be_read_is_named_with_its_row_or_left_out(tmp_path):
    from s1_eval.evaluation.reading import _grader

    path = jsonl(
        tmp_path / "x.jsonl",
        [{"id": i, "text": "a</think>7", "gold": gold} for i, gold in enumerate(["7", "seven"])],
    )
    told = {"count": words, "grade": _grader("integer")}
    with pytest.raises(UserError, match=r"line 2: the target 'seven'"):
        read(path, *TEXTS, **told)
    said = []
    [run] = read(path, *TEXTS, **told, skip_bad=True, tell=said.append)
    assert [row["correct"] for row in run.rows] == [True]
    assert run.rows[0]["left_out"] == len(said) == 1


def test_thinking_in_a_column_that_lacks_the_end_of_the_others_is_cut(tmp_path):
    rows = [{"id": i, "r": r, "text": "7", "gold": "7"} for i, r in enumerate(["a </think>", "b"])]
    [run] = graded_texts(jsonl(tmp_path / "x.jsonl", rows), "thinking=r")
    assert [row["answered"] for row in run.rows] == [True, False]
    assert [row["thinking_tokens"] for row in run.rows] == [1, 1]


@pytest.mark.parametrize("bad", ["", "a", "...", "a...", "a...b...c"])
def test_delimiters_that_mean_nothing_are_refused(bad):
    with pytest.raises(UserError, match="--delimiters"):
        parse_delimiters(bad)


def test_a_value_that_no_row_has_is_refused(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", [graded("A")])
    with pytest.raises(UserError, match="no row has grade=Z"):
        read(path, *TABLE, *TOLD, where={"grade": "Z"})


def test_rows_that_nobody_graded_are_taken_where_they_are_asked_for(tmp_path):
    path = lm_eval(tmp_path, ["<think>hm</think>7", "<think>hm"], {}, metrics=[])
    with pytest.raises(UserError, match="which answers are right"):
        read(path, count=words)
    reader = readers(Told(count=words, ungraded=True))
    rows = [each.row for each in next(r for r in reader if r.sniff(path)).read(path)]
    assert [(row["correct"], row["answered"]) for row in rows] == [(None, True), (False, False)]
    assert [row["question"] for row in rows] == ["prompt", "prompt"]
